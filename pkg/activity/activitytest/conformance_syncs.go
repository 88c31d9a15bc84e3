package activitytest

import (
	"errors"
	"sync"
	"testing"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// newWholeSync returns a sync with a value in every field.
func newWholeSync(by activity.Authorization) activity.Sync {
	resumes, finishes := At(900), At(9000)
	return activity.Sync{
		Generation: by.Generation, ScanID: "scan", Sequence: 3, State: gatheringv1.ScanWaiting, Chunks: 5,
		WaitingFor: gatheringv1.WaitingForRateLimit, ResumesAt: &resumes, FinishesAt: &finishes, StartedAt: At(1),
		Covered:   []activity.Range{{From: activity.Position{Start: 5, ID: 1}, To: activity.Position{Start: 7}}, activity.Everything()},
		Confirmed: true, Reconciled: true,
		Stored: map[int]activity.StoredChunk{0: {Activities: 50, ReadAt: At(1)}, 3: {Activities: 7, ReadAt: At(2)}},
		Before: map[int]activity.StoredChunk{0: {Activities: 40, ReadAt: At(0)}},
	}
}

func wholeSync(t *testing.T, store Subject, by, _ activity.Authorization) {
	zero, err := store.Sync(t.Context(), by)
	kittest.Must(t, err)
	same(t, zero, activity.Sync{})
	want := newWholeSync(by)
	kittest.Must(t, store.UpdateSync(t.Context(), by, func(s *activity.Sync) (bool, error) { *s = newWholeSync(by); return true, nil }))
	kittest.Must(t, store.UpdateSync(t.Context(), by, func(s *activity.Sync) (bool, error) { kittest.Scrub(s); return false, nil }))
	got, err := store.Sync(t.Context(), by)
	kittest.Must(t, err)
	kittest.Scrub(&got)
	got, err = store.Sync(t.Context(), by)
	kittest.Must(t, err)
	same(t, got, want)
	more := activity.StoredChunk{Activities: 1, ReadAt: At(3)}
	want.Stored[4] = more
	want.ResumesAt, want.Before = nil, map[int]activity.StoredChunk{}
	kittest.Must(t, store.UpdateSync(t.Context(), by, func(s *activity.Sync) (bool, error) {
		s.Stored[4], s.ResumesAt, s.Before = more, nil, want.Before
		return true, nil
	}))
	got, err = store.Sync(t.Context(), by)
	kittest.Must(t, err)
	same(t, got, want)
	// A scan that found nothing differs from no scan.
	if got.Before == nil {
		t.Error("the scan before is forgotten")
	}
}

func parallelSyncs(t *testing.T, store Subject, by, _ activity.Authorization) {
	const chunks = 8
	var all sync.WaitGroup
	for n := range chunks {
		all.Go(func() {
			err := eventually(func() error {
				return store.UpdateSync(t.Context(), by, func(s *activity.Sync) (bool, error) {
					return s.Store(by.Generation, gatheringv1.ScanChunk{ScanID: "scan", Number: n}, activity.StoredChunk{Activities: 10, ReadAt: At(n)}), nil
				})
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got, err := store.Sync(t.Context(), by)
	kittest.Must(t, err)
	if len(got.Stored) != chunks {
		t.Fatalf("%d chunks", len(got.Stored))
	}
}

func crossingUpdates(t *testing.T, store Subject, by, _ activity.Authorization) {
	kittest.RunCrossing(t, func(change func(*activity.Sync) (bool, error)) error {
		return store.UpdateSync(t.Context(), by, change)
	},
		func(s *activity.Sync) { s.Generation = by.Generation; s.Chunks++ }, func(s activity.Sync) int { return s.Chunks })
	kittest.RunCrossing(t, func(change func(*activity.Guard) (bool, error)) error {
		return store.UpdateGuard(t.Context(), by.AthleteID, change)
	}, func(g *activity.Guard) { g.Authorized++ }, func(g activity.Guard) int { return int(g.Authorized) })
}

// endDuringUpdate: the guard that a sync depends on is written between the read
// and the write of an update.
func endDuringUpdate(t *testing.T, store Subject, by, _ activity.Authorization) {
	runs := 0
	err := store.UpdateSync(t.Context(), by, func(s *activity.Sync) (bool, error) {
		if runs++; runs == 1 {
			kittest.Must(t, store.erase(t.Context(), by))
		}
		s.Chunks++
		return true, nil
	})
	if !errors.Is(err, activity.ErrRevoked) || runs != 1 || store.Held(by.AthleteID) != 0 {
		t.Errorf("an update among whose runs the authorization ended: %v after %d runs, %d items", err, runs, store.Held(by.AthleteID))
	}
}

// scanAmongWriters: a record that is read again while a scan's end is approved
// stays.
func scanAmongWriters(t *testing.T, store Subject, by, _ activity.Authorization) {
	kittest.Must(t, store.Put(t.Context(), reading(by, At(1), Activity(1, 1, "found again"), Activity(2, 2, "gone"))))
	scan := activity.CompletedScan{Generation: by.Generation, Began: At(4), Covered: []activity.Range{activity.Everything()}}
	kittest.Must(t, store.EndScan(t.Context(), by.AthleteID, scan, func([]activity.Record) bool {
		kittest.Must(t, store.Put(t.Context(), reading(by, At(5), Activity(1, 1, "found again"))))
		return true
	}))
	same(t, names(list(t, store, by, activity.Everything(), "", 9)), []string{"found again"})
}

func failedUpdate(t *testing.T, store Subject, by, _ activity.Authorization) {
	refused := fault.New(fault.Conflict, "refused")
	for _, want := range []error{refused, nil} {
		err := store.UpdateSync(t.Context(), by, func(s *activity.Sync) (bool, error) {
			s.Generation, s.ScanID = by.Generation, "scan"
			return want != nil, want
		})
		if !errors.Is(err, want) {
			t.Errorf("the sync's update fails with %v, want %v", err, want)
		}
		err = store.UpdateGuard(t.Context(), by.AthleteID, func(g *activity.Guard) (bool, error) {
			g.Authorized = by.Generation
			return want != nil, want
		})
		if !errors.Is(err, want) {
			t.Errorf("the guard's update fails with %v, want %v", err, want)
		}
	}
	sync, err := store.Sync(t.Context(), by)
	kittest.Must(t, err)
	same(t, sync, activity.Sync{})
	same(t, store.mustGuard(t, by.AthleteID), activity.Guard{})
}
