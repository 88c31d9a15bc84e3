package activity

import (
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// CompletedScan is a scan that has ended and whose chunks are all stored. It does
// not change.
type CompletedScan struct {
	Generation int64
	// Began is when the scan began: what it found was read then or later.
	Began time.Time
	// Covered has the stretches of the history that the scan has read in full, at
	// most [MaxCovered]. It says nothing of the rest.
	Covered []Range
}

// MaxCovered is how many of a scan's stretches count. Activities in any further
// stretch count as not covered and are kept.
const MaxCovered = 25

// covered gives the stretches as ranges of positions.
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

// Outdates reports whether the scan has shown that the row's activity is gone.
// That is so if the scan read the stretch in which the activity starts in full,
// ran under the row's authorization or a later one, and began after the row was
// read, so that the row is not one that it found. The row of an activity that
// is already gone has no start, and no scan outdates it.
func (s *CompletedScan) Outdates(r Row) bool {
	if s == nil || r.Activity == nil || r.Generation > s.Generation || !r.ReadAt.Before(s.Began) {
		return false
	}
	p, err := PositionOf(*r.Activity)
	return err == nil && slices.ContainsFunc(s.Covered, func(c Range) bool { return c.Contains(p) })
}

// A single scan removes at most maxRemoved activities, or one for every
// heldPerRemoved that are held, whichever is more. Athletes delete about that
// many between two scans, and it is too few for one wrong answer of Strava's to
// lose a history.
const (
	maxRemoved     = 3
	heldPerRemoved = 50
)

// removable reports whether a single scan may remove that many of the
// activities held.
func removable(missing, held int) bool {
	return missing <= maxRemoved || missing*heldPerRemoved <= held
}
