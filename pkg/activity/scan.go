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

// MaxCovered is how many of a scan's stretches count. What lies in any more counts
// as not covered, so that it is kept.
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

// Outdates reports whether the scan has shown that the row's activity is gone: it
// has read in full where the activity starts, began after the row was read, under
// the same or a later authorization, and the row is not of what it found. It never
// outdates the row of an activity that is gone, which has no start.
func (s *CompletedScan) Outdates(r Row) bool {
	if s == nil || r.Activity == nil || r.Generation > s.Generation || !r.ReadAt.Before(s.Began) {
		return false
	}
	p, err := PositionOf(*r.Activity)
	return err == nil && slices.ContainsFunc(s.Covered, func(c Range) bool { return c.Contains(p) })
}

// What one scan removes by its word alone: at most maxRemoved activities, or one in
// maxRemovedOf of those held, whichever is more. It is what athletes delete between
// two scans, and too little to lose a history by one wrong answer of Strava's.
const (
	maxRemoved   = 3
	maxRemovedOf = 50
)

// removable reports whether one scan's word is enough to remove so many of the
// activities held.
func removable(missing, held int) bool {
	return missing <= maxRemoved || missing*maxRemovedOf <= held
}
