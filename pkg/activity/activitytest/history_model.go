package activitytest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/retention"
)

type receivedRecord struct {
	id     int64
	record activity.Record
}

// scan is a scan with the parts that the plane received.
type scan struct {
	generation int64
	id         string
	began      time.Time
	covered    []gatheringv1.Span
	// sent is the sequence of the last report.
	sent int64

	// read is when each chunk was read, zero until the plane received the chunk;
	// found is how many activities each has.
	read  []time.Time
	found []int
	// lastReport is the sequence of the latest received report.
	lastReport int64
	confirmed  bool
	reconciled bool
	// before is the last reconciled scan before this one.
	before *scan
}

// outdates reports whether the scan would have found the record's activity if
// Strava still had it.
func (s *scan) outdates(r activity.Record) bool {
	if s == nil || r.Activity == nil || r.Generation > s.generation || !r.ReadAt.Before(s.began) {
		return false
	}
	return s.covers(*r.Activity)
}

func (s *scan) covers(a gatheringv1.Activity) bool {
	return slices.ContainsFunc(s.covered, func(span gatheringv1.Span) bool {
		return (span.From == nil || a.StartDate >= span.From.Format(time.RFC3339)) && (span.To == nil || a.StartDate < span.To.Format(time.RFC3339))
	})
}

// has reports whether the plane has every chunk of the scan, all of them young.
func (s *scan) has(young func(time.Time) bool) bool {
	return !slices.ContainsFunc(s.read, func(at time.Time) bool { return !young(at) })
}

// known reports whether an event about an authorization counts, and records it.
func (h *history) known(occurred time.Time) bool {
	h.authorized = h.authorized || h.young(occurred) || h.revoked > 0 || h.latestEnded != nil
	return h.authorized
}

// forget drops the received chunks.
func (s *scan) forget() {
	if slices.ContainsFunc(s.read, func(at time.Time) bool { return !at.IsZero() }) {
		clear(s.read)
		s.covered = nil
	}
	if s.before != nil && len(s.before.read) > 0 {
		s.before = nil
	}
}

// ofScan delivers an event of a scan, and checks which activities it removes
// and which questions follow. It does not count activities in the event itself,
// which may be hidden as Only You by now.
func (h *history) ofScan(ctx context.Context, s *scan, at time.Time, has []gatheringv1.Activity, take func(), happen func() error) error {
	shown, err := h.shown(ctx)
	if err != nil {
		return err
	}
	h.expected, h.asked = nil, nil
	if h.young(at) {
		h.receive(s, take)
	}
	if err := happen(); err != nil {
		return err
	}
	left, err := h.shown(ctx)
	if err != nil {
		return err
	}
	for _, a := range has {
		left[a.ID] = true
	}
	removed := 0
	for id := range shown {
		if !left[id] {
			removed++
		}
	}
	if removed > 3 && removed*50 > len(shown) && !s.confirmed {
		return fmt.Errorf("%s alone removed %d of %d activities", s.id, removed, len(shown))
	}
	return compare("questions", h.expected, h.asked)
}

// receive records an event of a scan, unless a newer scan is known.
func (h *history) receive(s *scan, take func()) {
	if s.generation <= h.revoked {
		return
	}
	if n := h.newest; n != s {
		if n != nil && n.generation > h.revoked && cmp.Or(cmp.Compare(s.generation, n.generation), cmp.Compare(s.id, n.id)) < 0 {
			return
		}
		h.newest = s
		if n != nil && n.generation == s.generation {
			if s.before = n.before; n.reconciled && n.has(func(at time.Time) bool { return !at.IsZero() }) {
				s.before = n
			}
		}
	}
	take()
	if s.lastReport > 0 && !s.reconciled && s.has(h.young) {
		h.reconcile(s)
	}
}

// reconcile removes what an ended scan did not find, or expects a question.
func (h *history) reconcile(s *scan) {
	if len(s.covered) > 0 {
		if e := h.latestEnded; e == nil || s.generation > e.generation || s.generation == e.generation && s.began.After(e.began) {
			h.latestEnded = s
		}
		var missing []activity.Position
		held := 0
		for id := range int64(historyActivities + 1) {
			record := h.latest(id)
			if record.Activity == nil || !h.young(record.ReadAt) {
				continue
			}
			held++
			if s.outdates(record) {
				p, _ := activity.PositionOf(*record.Activity)
				missing = append(missing, p)
			}
		}
		if len(missing) > 3 && len(missing)*50 > held && !s.confirmed {
			slices.SortFunc(missing, activity.Position.Compare)
			q := activityv1.RemovalQuestioned{AthleteID: h.athleteID, Generation: s.generation, ScanID: s.id, Missing: len(missing), Held: held}
			for i := range min(5, len(missing)) {
				q.Sample = append(q.Sample, missing[i*len(missing)/min(5, len(missing))].ID)
			}
			h.expected = append(h.expected, q)
			return
		}
		h.received = slices.DeleteFunc(h.received, func(r receivedRecord) bool {
			return slices.ContainsFunc(missing, func(p activity.Position) bool { return p.ID == r.id })
		})
	}
	s.reconciled, s.before = true, nil
}

func (h *history) young(at time.Time) bool { return at.After(h.now.Add(-retention.StravaData)) }

// latest returns the newest record of an activity according to the facts.
func (h *history) latest(id int64) (latest activity.Record) {
	for _, one := range h.received {
		r := one.record
		if one.id != id || r.Generation <= max(h.revoked, h.closed) {
			continue
		}
		if r.Activity != nil && r.Activity.Visibility == "only_me" && r.Generation <= h.limited {
			r.Activity = nil
		}
		if r.ReadAt.After(latest.ReadAt) {
			latest = r
		}
	}
	return latest
}
