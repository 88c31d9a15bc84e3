package gathering

import (
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// noteWaiting notes what the scan waits for, and reports whether that has
// changed. A time that moved by less than a minute is no change, unless the
// previous time has passed.
func (a *Athlete) noteWaiting(waitingFor string, until, now time.Time) bool {
	s := &a.Scan
	near := until.Sub(s.ResumesAt).Abs() < time.Minute && s.ResumesAt.After(now)
	if s.State == gatheringv1.ScanWaiting && s.WaitingFor == waitingFor && near {
		return false
	}
	s.State, s.WaitingFor, s.ResumesAt = gatheringv1.ScanWaiting, waitingFor, until.UTC()
	s.Sequence++
	return true
}

// progressed returns the scan's present state as an event.
func (a Athlete) progressed(now time.Time) gatheringv1.ScanProgressed {
	s := a.Scan
	p := gatheringv1.ScanProgressed{
		AthleteID:  a.ID,
		Generation: a.Generation,
		ScanID:     s.ID,
		Sequence:   s.Sequence,
		State:      s.State,
		Chunks:     s.Chunks,
		// By any clock, all pages were read after this. An activity that was read
		// within this minute and is gone is removed by the next scan.
		StartedAt:  optional(s.StartedAt.Add(-clockSkew)),
		Pages:      s.Pages,
		Activities: s.Activities,
		WaitingFor: s.WaitingFor,
		ResumesAt:  optional(s.ResumesAt),
		FinishesAt: optional(a.finishesAt(now)),
		Confirmed:  s.Confirmed,
	}
	if s.State == gatheringv1.ScanCompleted {
		p.Covered = s.covered()
	}
	return p
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// finishesAt estimates when the scan will be complete. The estimate assumes
// that the scan keeps its pace, and that the unread years are like the read
// ones. It is zero before the first page.
func (a Athlete) finishesAt(now time.Time) time.Time {
	s := a.Scan
	life, seen := now.Sub(a.JoinedAt), now.Sub(s.Oldest)
	if s.State == gatheringv1.ScanCompleted || s.Pages == 0 || a.JoinedAt.IsZero() || s.Oldest.IsZero() || seen <= 0 || life <= 0 {
		return time.Time{}
	}
	left := float64(s.Pages)*max(0, float64(life)/float64(seen)-1) + 1 // And the empty page.
	pace := now.Sub(s.StartedAt) / time.Duration(s.Pages)
	from := now
	if s.ResumesAt.After(from) {
		from = s.ResumesAt
	}
	return from.Add(time.Duration(left * float64(pace))).Truncate(time.Second)
}
