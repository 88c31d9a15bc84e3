package activity

import (
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// CompletedScan is a scan that has ended and whose chunks are all stored. It is
// immutable.
type CompletedScan struct {
	Generation int64
	// Began is when the scan began, in whole milliseconds. Its readings are no
	// older.
	Began time.Time
	// Covered has the ranges of the history that the scan has read in full, at
	// most [MaxCovered]. The scan says nothing about the rest.
	Covered []Range
}

// MaxCovered is how many ranges of a scan count. Activities in any further
// range count as not covered and are kept.
const MaxCovered = 25

// covered returns the spans as ranges of positions.
func covered(spans []gatheringv1.Span) []Range {
	var out []Range
	for _, span := range spans[:min(len(spans), MaxCovered)] {
		r := Everything()
		if span.From != nil {
			r.From = Position{Start: span.From.Unix()}
		}
		if span.To != nil {
			r.To = Position{Start: span.To.Unix()}
		}
		out = append(out, r)
	}
	return out
}

// Outdates reports whether the scan has shown that Strava no longer has the
// record's activity. It has if it read the range in which the activity starts
// in full, ran under the record's authorization or a later one, and began after
// the record was read. A deletion has no start, so no scan outdates it.
func (s *CompletedScan) Outdates(r Record) bool {
	if s == nil || r.Activity == nil || r.Generation > s.Generation || !r.ReadAt.Before(s.Began) {
		return false
	}
	p, err := PositionOf(*r.Activity)
	return err == nil && slices.ContainsFunc(s.Covered, func(c Range) bool { return c.Contains(p) })
}

// A single scan removes at most maxRemoved activities, or one for every
// storedPerRemoved that are stored, whichever is more. Athletes delete about
// that many between two scans, and it is too few for one wrong answer of
// Strava's to lose a history.
const (
	maxRemoved       = 3
	storedPerRemoved = 50
)

// removable reports whether a single scan may remove the missing ones of the
// stored activities.
func removable(missing, stored int) bool {
	return missing <= maxRemoved || missing*storedPerRemoved <= stored
}
