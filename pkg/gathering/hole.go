package gathering

import (
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// Hole is a stretch of a history that Strava fails to show, between two
// activities that it shows.
type Hole struct {
	// Older and Newer are the starts of these two activities; zero without one.
	Older, Newer time.Time
	// OlderID and NewerID are their ids; 0 if not known.
	OlderID, NewerID int64
	// Listed says that Strava listed the activity, but without a readable id or
	// start. The next scan need not go around it.
	Listed bool
}

// Stretch is a part of the history that is read page by page: the activities
// that start at From or later and before To.
type Stretch struct {
	// From is zero for the beginning of the history.
	From, To time.Time
	// Probe says that the stretch is a hole, which may have become readable.
	// The stretch includes the activities on either side; Neighbours are their
	// ids, the older first, 0 without one.
	Probe      bool
	Neighbours [2]int64
}

// hole returns the hole that the stretch probes, the reverse of [Hole.stretch].
func (s Stretch) hole(cutoff time.Time) Hole {
	h := Hole{Older: s.From, OlderID: s.Neighbours[0], NewerID: s.Neighbours[1]}
	if s.To.Before(cutoff) {
		h.Newer = s.To.Add(-time.Second)
	}
	return h
}

// stretches returns the stretches of a scan that goes around holes, which are
// sorted from the newest: first those between them, and then a probe of each
// hole.
func stretches(holes []Hole, cutoff time.Time) []Stretch {
	var all []Stretch
	to := cutoff
	for _, h := range holes {
		all = append(all, Stretch{From: h.Newer, To: to})
		to = h.Older.Add(time.Second)
	}
	all = append(all, Stretch{To: to})
	for _, h := range holes {
		all = append(all, h.stretch(cutoff))
	}
	return all
}

// stretch returns a stretch that probes the hole. It includes the seconds in
// which the activities on either side start, since the missing ones may start
// in the same second.
func (h Hole) stretch(cutoff time.Time) Stretch {
	st := Stretch{From: h.Older, To: cutoff, Probe: true, Neighbours: [2]int64{h.OlderID, h.NewerID}}
	if !h.Newer.IsZero() {
		st.To = h.Newer.Add(time.Second)
	}
	return st
}

// closeHole makes a hole of what was not read, once the activity after it is
// known. The hole is probed at the end of the scan, since a passing outage may
// have caused it.
func (s *Scan) closeHole(older time.Time, olderID int64) {
	if s.Unread {
		h := Hole{Older: older, Newer: s.newer(), OlderID: olderID, NewerID: s.LastID}
		if s.Stretches[0].Probe {
			s.Holes = append(s.Holes, h)
		} else {
			s.Stretches = append(s.Stretches, h.stretch(s.Cutoff))
		}
		s.Skipped, s.Unread = 0, false
	}
	// An unreadable entry at the end of the previous page has its older side here.
	for i := range s.Holes {
		if h := &s.Holes[i]; h.Listed && h.Older.IsZero() {
			h.Older = older
		}
	}
}

// newer bounds the start of the next entry: it is the start of the activity
// that was read last, or else the end of the stretch; zero without either.
func (s Scan) newer() time.Time {
	if to := s.Stretches[0].To; s.LastStart.IsZero() && to.Before(s.Cutoff) {
		return to
	}
	return s.LastStart
}

// noteUnreadable makes a hole of each unreadable entry of the page.
func (s *Scan) noteUnreadable(p Page) {
	newer, read := s.newer(), 0
	for i := range p.Entries {
		if !slices.Contains(p.Unreadable, i) {
			newer = startOf(p.Activities[read])
			read++
			continue
		}
		h := Hole{Newer: newer, Listed: true}
		if read < len(p.Activities) {
			h.Older = startOf(p.Activities[read])
		}
		s.Holes = append(s.Holes, h)
	}
}

// giveUp ends the scan: the rest of the history and the holes that were still
// to be probed become holes.
func (s *Scan) giveUp() {
	s.Holes = append(s.Holes, Hole{Newer: s.newer()})
	for _, st := range s.Stretches {
		if st.Probe {
			s.Holes = append(s.Holes, st.hole(s.Cutoff))
		}
	}
	s.Stretches = nil
}

// covered returns the stretches that the completed scan has read in full. They
// exclude the seconds in which a hole's neighbours start, since they may hold
// missing activities.
func (s Scan) covered() []gatheringv1.Span {
	holes := slices.SortedFunc(slices.Values(s.Holes), byNewest)
	var spans []gatheringv1.Span
	to := s.Cutoff
	add := func(from time.Time) {
		if from.Before(to) {
			spans = append(spans, gatheringv1.Span{From: optional(from), To: optional(to)})
		}
	}
	for _, h := range holes {
		if !h.Newer.IsZero() {
			add(h.Newer.Add(time.Second))
		}
		if h.Older.IsZero() {
			return spans
		}
		if h.Older.Before(to) {
			to = h.Older
		}
	}
	add(time.Time{})
	return spans
}

// byNewest sorts holes from the newest.
func byNewest(a, b Hole) int {
	switch {
	case a.Newer.Equal(b.Newer):
		return 0
	case a.Newer.IsZero(): // No newer activity is known.
		return -1
	case b.Newer.IsZero():
		return 1
	}
	return b.Newer.Compare(a.Newer)
}

// lasting returns the holes that the next scan goes around: those with an
// activity on either side, at most maxHoles. Holes that meet count as one. Holes
// at an end of the history may have grown.
func (s Scan) lasting() []Hole {
	var out []Hole
	for _, h := range slices.SortedFunc(slices.Values(s.Holes), byNewest) {
		if h.Listed || h.Older.IsZero() || h.Newer.IsZero() {
			continue
		}
		if n := len(out); n == 0 || h.Newer.Before(out[n-1].Older) {
			out = append(out, h)
		} else if last := &out[n-1]; h.Older.Before(last.Older) {
			last.Older, last.OlderID = h.Older, h.OlderID
		}
	}
	out = slices.DeleteFunc(out, func(h Hole) bool { return h.Newer.Sub(h.Older) <= time.Second })
	return out[:min(len(out), maxHoles)]
}
