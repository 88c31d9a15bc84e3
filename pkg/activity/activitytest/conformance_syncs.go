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

func wholeSync(t *testing.T, store Subject, by, _ activity.Authorization) {
	zero, err := store.Sync(t.Context(), by)
	kittest.Must(t, err)
	same(t, zero, activity.Sync{})
	resumes, finishes := At(900), At(9000)
	want := activity.Sync{
		Generation: by.Generation, ScanID: "scan", Sequence: 3, State: gatheringv1.ScanWaiting, Chunks: 5,
		WaitingFor: gatheringv1.WaitingForRateLimit, ResumesAt: &resumes, FinishesAt: &finishes, StartedAt: At(1),
		Covered:   []activity.Range{{From: activity.Position{Start: 5, ID: 1}, To: activity.Position{Start: 7}}, activity.Everything()},
		Confirmed: true, Reconciled: true,
		Stored: map[int]activity.StoredChunk{0: {Activities: 50, ReadAt: At(1)}, 3: {Activities: 7, ReadAt: At(2)}},
		Before: map[int]activity.StoredChunk{0: {Activities: 40, ReadAt: At(0)}},
	}
	kittest.Must(t, store.UpdateSync(t.Context(), by, func(s *activity.Sync) (bool, error) { *s = want; return true, nil }))
	kittest.Must(t, store.UpdateSync(t.Context(), by, func(s *activity.Sync) (bool, error) { s.ScanID = "not this"; return false, nil }))
	got, err := store.Sync(t.Context(), by)
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
