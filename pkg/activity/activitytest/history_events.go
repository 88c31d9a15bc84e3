package activitytest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// connect begins a new authorization.
func (h *history) connect() {
	h.generation = max(h.generation+1, h.now.UnixMilli())
	f := credentialsv1.AthleteAuthorized{AthleteID: h.athleteID, Generation: h.generation, Scopes: []string{"read", "activity:read", "activity:read_all"}}
	f.Scopes = f.Scopes[:[]int{1, 2, 2, 3, 3, 3}[h.IntN(6)]]
	occurred := h.now
	h.pending = append(h.pending, func(ctx context.Context) error {
		if h.known(occurred) {
			if len(f.Scopes) < 3 {
				h.limited = max(h.limited, f.Generation)
			}
			if len(f.Scopes) < 2 {
				h.closed = max(h.closed, f.Generation)
			}
		}
		return h.recorder.AthleteAuthorized(ctx, event.Meta{OccurredAt: occurred}, f)
	})
}

// degrade withdraws the right to read activities.
func (h *history) degrade() {
	f := credentialsv1.AuthorizationDegraded{AthleteID: h.athleteID, Generation: h.generation, Reason: credentialsv1.DegradedScopeMissing}
	occurred := h.now
	h.pending = append(h.pending, func(ctx context.Context) error {
		if f.Generation > h.revoked {
			if h.known(occurred) {
				h.limited, h.closed = max(h.limited, f.Generation), max(h.closed, f.Generation)
			}
			if n := h.newest; n != nil && n.generation <= f.Generation {
				n.forget()
			}
		}
		return h.recorder.AuthorizationDegraded(ctx, event.Meta{OccurredAt: occurred}, f)
	})
}

func (h *history) leave() {
	f := credentialsv1.AuthorizationRevoked{AthleteID: h.athleteID, Generation: h.generation}
	h.pending = append(h.pending, func(ctx context.Context) error {
		h.revoked = max(h.revoked, f.Generation)
		return h.recorder.AuthorizationRevoked(ctx, event.Meta{}, f)
	})
}

// activity returns a random activity.
func (h *history) activity(id int64) gatheringv1.Activity {
	begin := time.Date(2026, 12, 30+h.IntN(4), h.IntN(24), h.IntN(60), 1, 0, time.UTC).AddDate(0, -h.IntN(2), 0)
	return gatheringv1.Activity{
		ID: id, Name: fmt.Sprint(h.IntN(1000)), SportType: []string{"Run", "Ride", "NotYetInvented", ""}[h.IntN(4)],
		StartDate: begin.Format(time.RFC3339), StartDateLocal: begin.Add(time.Duration(h.IntN(26)-12) * time.Hour).Format(time.RFC3339),
		Distance: h.Float64() * 1e5, MovingTime: h.Int64N(1e4), ElapsedTime: h.Int64N(1e5), TotalElevationGain: h.Float64() * 1e3,
		Visibility: []string{"everyone", "followers_only", "only_me"}[h.IntN(3)],
	}
}

// change changes some activities at Strava, or deletes them.
func (h *history) change() {
	remove := h.IntN(4) == 0
	for _, n := range h.Perm(historyActivities)[:[]int{1, 2, 3, 9}[h.IntN(4)]] {
		id := int64(n + 1)
		if h.strava[id] = h.activity(id); remove {
			delete(h.strava, id)
		}
	}
}

// read reads some activities alone, and reports those that are deleted.
func (h *history) read() {
	f := gatheringv1.ActivitiesGathered{AthleteID: h.athleteID, Generation: h.generation, ReadAt: h.now}
	for _, n := range h.Perm(historyActivities)[:1+h.IntN(3)] {
		if a, there := h.strava[int64(n+1)]; there {
			f.Activities = append(f.Activities, a)
		} else {
			h.deleted(int64(n + 1))
		}
	}
	h.gathered(f, nil)
}

// gathered sends what was read, perhaps as a chunk of a scan.
func (h *history) gathered(f gatheringv1.ActivitiesGathered, s *scan) {
	h.pending = append(h.pending, func(ctx context.Context) error {
		if h.young(f.ReadAt) {
			for _, a := range f.Activities {
				if record := (activity.Record{Generation: f.Generation, ReadAt: f.ReadAt, Activity: &a}); !h.latestEnded.outdates(record) {
					h.received = append(h.received, receivedRecord{a.ID, record})
				}
			}
		}
		if s == nil {
			return h.recorder.ActivitiesGathered(ctx, event.Meta{}, f)
		}
		return h.ofScan(ctx, s, f.ReadAt, f.Activities, func() { s.read[f.Chunk.Number] = f.ReadAt }, func() error {
			return h.recorder.ActivitiesGathered(ctx, event.Meta{}, f)
		})
	})
}

func (h *history) deleted(id int64) {
	f := gatheringv1.ActivityGone{AthleteID: h.athleteID, Generation: h.generation, ReadAt: h.now, ActivityID: id}
	h.pending = append(h.pending, func(ctx context.Context) error {
		if h.young(f.ReadAt) {
			h.received = append(h.received, receivedRecord{f.ActivityID, activity.Record{Generation: f.Generation, ReadAt: f.ReadAt}})
		}
		return h.recorder.ActivityGone(ctx, event.Meta{}, f)
	})
}

// anyScan scans the history with or without holes, correctly or not.
func (h *history) anyScan() {
	at := func() *time.Time {
		t := time.Date(2026, 11, 29+h.IntN(35), h.IntN(24), 0, 0, 0, time.UTC)
		return &t
	}
	spans := [][]gatheringv1.Span{
		{{}}, {{}}, {{}}, {{To: at()}}, {{To: at()}, {From: at()}}, {{From: at(), To: at()}, {}}, nil,
	}[h.IntN(7)]
	shows := []func(gatheringv1.Activity) bool{
		func(gatheringv1.Activity) bool { return true },
		func(gatheringv1.Activity) bool { return true },
		func(gatheringv1.Activity) bool { return h.IntN(8) > 0 },
		func(gatheringv1.Activity) bool { return h.IntN(3) == 0 },
		func(gatheringv1.Activity) bool { return false },
	}[h.IntN(5)]
	h.scan(spans, h.IntN(3), shows)
}

// scan sends the activities that are covered and shown, in that many chunks,
// and reports that the scan is completed.
func (h *history) scan(covered []gatheringv1.Span, chunks int, shows func(gatheringv1.Activity) bool) *scan {
	h.scanCount++
	s := &scan{
		generation: h.generation, id: fmt.Sprintf("scan-%03d", h.scanCount), began: h.now, covered: covered,
		read: make([]time.Time, chunks), found: make([]int, chunks),
	}
	found := make([][]gatheringv1.Activity, chunks)
	for _, id := range slices.Sorted(maps.Keys(h.strava)) {
		if a := h.strava[id]; chunks > 0 && s.covers(a) && shows(a) {
			n := h.IntN(chunks)
			found[n] = append(found[n], a)
		}
	}
	for n := range chunks {
		h.now = h.now.Add(time.Millisecond)
		s.found[n] = len(found[n])
		h.gathered(gatheringv1.ActivitiesGathered{
			AthleteID: h.athleteID, Generation: h.generation, ReadAt: h.now, Activities: found[n],
			Chunk: &gatheringv1.ScanChunk{ScanID: s.id, Number: n},
		}, s)
	}
	h.report(s, false)
	return s
}

// report sends that the scan is completed.
func (h *history) report(s *scan, confirmed bool) {
	s.sent++
	f := gatheringv1.ScanProgressed{
		AthleteID: h.athleteID, Generation: s.generation, ScanID: s.id, Sequence: s.sent, State: gatheringv1.ScanCompleted,
		Chunks: len(s.read), StartedAt: &s.began, Covered: s.covered, Confirmed: confirmed,
	}
	occurred := h.now
	h.pending = append(h.pending, func(ctx context.Context) error {
		return h.ofScan(ctx, s, occurred, nil, func() {
			if f.Sequence > s.lastReport {
				s.lastReport, s.confirmed, s.covered = f.Sequence, confirmed, f.Covered
			}
		}, func() error {
			return h.recorder.ScanProgressed(ctx, event.Meta{OccurredAt: occurred}, f)
		})
	})
}
