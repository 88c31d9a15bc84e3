package activitytest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

func onlyYou(t *testing.T, store Subject, by, later activity.Authorization) {
	private := func(id int64) gatheringv1.Activity {
		a := Activity(id, int(id), "private")
		a.Visibility = "only_me"
		return a
	}
	authorize := func(by activity.Authorization, covers activity.Coverage) error {
		return store.UpdateGuard(t.Context(), by.AthleteID, func(g *activity.Guard) (bool, error) { return g.Authorize(by.Generation, covers), nil })
	}
	kittest.Must(t, store.Put(t.Context(), reading(by, At(1), private(1), Activity(2, 2, "public"), private(3))))
	kittest.Must(t, store.Put(t.Context(), reading(later, At(2), private(3))))
	kittest.Must(t, authorize(by, activity.CoversShared))
	same(t, list(t, store, by, activity.Everything(), "", 9), []gatheringv1.Activity{private(3), Activity(2, 2, "public")})
	kittest.Must(t, store.Put(t.Context(), reading(by, At(3), private(2), private(4))))
	kittest.Must(t, store.Put(t.Context(), reading(by, At(0), Activity(1, 1, "when it was public"))))
	same(t, list(t, store, by, activity.Everything(), "", 9), []gatheringv1.Activity{private(3)})
	kittest.Must(t, store.Put(t.Context(), reading(by, At(4), Activity(2, 2, "public"))))
	kittest.Must(t, authorize(later, activity.CoversOnlyYou))
	kittest.Must(t, authorize(by, activity.CoversShared))
	kittest.Must(t, store.Put(t.Context(), reading(later, At(5), private(4))))
	same(t, list(t, store, by, activity.Everything(), "", 9), []gatheringv1.Activity{private(4), private(3), Activity(2, 2, "public")})
}

func noActivities(t *testing.T, store Subject, by, later activity.Authorization) {
	authorize := func(by activity.Authorization, covers activity.Coverage) error {
		return store.UpdateGuard(t.Context(), by.AthleteID, func(g *activity.Guard) (bool, error) { return g.Authorize(by.Generation, covers), nil })
	}
	kittest.Must(t, authorize(by, activity.CoversOnlyYou))
	kittest.Must(t, store.Put(t.Context(), reading(by, At(1), Activity(1, 1, "a"), Activity(2, 2, "b"))))
	kittest.Must(t, store.Put(t.Context(), reading(later, At(2), Activity(2, 2, "c"))))
	for range 2 {
		kittest.Must(t, authorize(by, activity.CoversNone))
		same(t, list(t, store, by, activity.Everything(), "", 9), []gatheringv1.Activity{Activity(2, 2, "c")})
		kittest.Must(t, store.Put(t.Context(), reading(by, At(3), Activity(1, 1, "late"), Activity(2, 2, "late"))))
	}
	if n := store.Held(by.AthleteID); n != 1 {
		t.Errorf("%d items", n)
	}
	// The authorization is not over: its sessions stay valid.
	for what, err := range reads(t, store, by) {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func revoked(t *testing.T, store Subject, by, later activity.Authorization) {
	fill := func(by activity.Authorization, ids ...int64) {
		for _, id := range ids {
			kittest.Must(t, store.Put(t.Context(), reading(by, At(1), Activity(id, int(id), fmt.Sprint(id)))))
		}
		kittest.Must(t, store.UpdateSync(t.Context(), by, func(s *activity.Sync) (bool, error) {
			return s.Store(by.Generation, gatheringv1.ScanChunk{ScanID: "scan", Number: 0}, activity.StoredChunk{Activities: len(ids), ReadAt: At(1)}), nil
		}))
	}
	fill(by, 1, 2, 3)
	kittest.Must(t, store.PutDeletion(t.Context(), activity.Deletion{By: by, At: At(2), ActivityID: 3}))
	kittest.Must(t, store.Put(t.Context(), reading(later, At(0), Activity(2, 2, "later"))))
	kittest.Must(t, store.erase(t.Context(), by))
	kittest.Must(t, store.erase(t.Context(), by))
	same(t, names(list(t, store, later, activity.Everything(), "", 10)), []string{"later"})
	if n := store.Held(by.AthleteID); n != 1 {
		t.Fatalf("%d items left", n)
	}

	changed := func(*activity.Sync) (bool, error) { return true, nil }
	for name, err := range map[string]error{
		"put":      store.Put(t.Context(), reading(by, At(9), Activity(8, 8, ""))),
		"put gone": store.PutDeletion(t.Context(), activity.Deletion{By: by, At: At(9), ActivityID: 2}),
		"sync":     store.UpdateSync(t.Context(), by, changed),
		"earlier":  store.Put(t.Context(), reading(activity.Authorization{AthleteID: by.AthleteID, Generation: by.Generation - 1}, At(9), Activity(8, 8, ""))),
	} {
		if !errors.Is(err, activity.ErrRevoked) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range reads(t, store, by) {
		if !errors.Is(err, activity.ErrRevoked) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range reads(t, store, later) {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	fill(later, 4)
	if n := store.Held(by.AthleteID); n != 3 {
		t.Fatalf("%d items", n)
	}

	// A late repetition of an earlier revocation changes nothing.
	kittest.Must(t, store.erase(t.Context(), later))
	kittest.Must(t, store.erase(t.Context(), by))
	for name, err := range reads(t, store, later) {
		if !errors.Is(err, activity.ErrRevoked) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := store.Held(by.AthleteID); n != 0 {
		t.Fatalf("%d items left", n)
	}
}

func erasureAmongWriters(t *testing.T, store Subject, by, later activity.Authorization) {
	var writers sync.WaitGroup
	started := make(chan struct{}, 4)
	for w := range 4 {
		writers.Go(func() {
			err := writeUntilFailure(t.Context(), store, by, w*1000, func() { started <- struct{}{} })
			if !errors.Is(err, activity.ErrRevoked) {
				t.Error(err)
			}
		})
	}
	for range 4 {
		<-started
	}
	kittest.Must(t, store.Put(t.Context(), reading(later, At(0), Activity(1, 1, "later"))))
	kittest.Must(t, eventually(func() error { return store.erase(t.Context(), by) }))
	left := store.Held(by.AthleteID)
	writers.Wait()
	if after := store.Held(by.AthleteID); left != 1 || after != 1 {
		t.Fatalf("%d items left, %d after the writers ended; want the later authorization's one", left, after)
	}
}

// writeUntilFailure stores activities with the ids after first, and chunks of a
// scan, until a write fails for good. It calls started after a few.
func writeUntilFailure(ctx context.Context, store Subject, by activity.Authorization, first int, started func()) error {
	for n := 0; ; n++ {
		id := first + n%40 + 1
		err := store.Put(ctx, reading(by, At(n), Activity(int64(id), n, "")))
		if err == nil {
			err = store.UpdateSync(ctx, by, func(s *activity.Sync) (bool, error) {
				return s.Store(by.Generation, gatheringv1.ScanChunk{ScanID: "scan", Number: id}, activity.StoredChunk{Activities: 1, ReadAt: At(n)}), nil
			})
		}
		if err != nil && !fault.Is(err, fault.Transient) {
			return err
		}
		if n == 10 {
			started()
		}
	}
}
