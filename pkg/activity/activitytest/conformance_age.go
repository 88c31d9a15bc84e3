package activitytest

import (
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

func tooOld(t *testing.T, store Subject, by, _ activity.Authorization) {
	moved := Activity(1, 1, "moved")
	kittest.Must(t, store.Put(t.Context(), reading(by, At(-7200), Activity(1, 1, "old"), Activity(2, 2, "old"), Activity(3, 40*86400, "old"))))
	kittest.Must(t, store.PutDeletion(t.Context(), activity.Deletion{By: by, At: At(-7200), ActivityID: 4}))
	kittest.Must(t, store.Put(t.Context(), reading(by, At(0), moved)))
	kittest.Must(t, store.UpdateSync(t.Context(), by, func(s *activity.Sync) (bool, error) {
		s.Store(by.Generation, gatheringv1.ScanChunk{ScanID: "scan", Number: 0}, activity.StoredChunk{Activities: 3, ReadAt: At(-7200)})
		return s.Store(by.Generation, gatheringv1.ScanChunk{ScanID: "scan", Number: 1}, activity.StoredChunk{Activities: 5, ReadAt: At(0)}), nil
	}))
	aged := func(until time.Time) bool {
		found, err := store.AthletesToExpire(t.Context(), until, 1_000_000)
		kittest.Must(t, err)
		return slices.Contains(found, by.AthleteID)
	}
	if aged(At(-3*7200)) || !aged(At(-7200)) {
		t.Errorf("aged: %v long before, %v when it is", aged(At(-3*7200)), aged(At(-7200)))
	}
	same(t, list(t, store, by, activity.Everything(), "", 9), []gatheringv1.Activity{Activity(3, 40*86400, "old"), Activity(2, 2, "old"), moved})
	young, err := store.List(t.Context(), by, activity.Selection{In: activity.Everything(), ReadAfter: At(-7200), Limit: 9})
	kittest.Must(t, err)
	same(t, activities(young), []gatheringv1.Activity{moved})
	kittest.Must(t, store.Expire(t.Context(), by.AthleteID, At(-7201)))
	if n := store.Held(by.AthleteID); n != 5 {
		t.Errorf("%d items when nothing was too old", n)
	}
	for range 2 {
		kittest.Must(t, store.Expire(t.Context(), by.AthleteID, At(-7200)))
		same(t, list(t, store, by, activity.Everything(), "", 9), []gatheringv1.Activity{moved})
		if n := store.Held(by.AthleteID); n != 2 {
			t.Errorf("%d items, not one activity and a sync", n)
		}
		got, err := store.Sync(t.Context(), by)
		kittest.Must(t, err)
		same(t, got.Stored, map[int]activity.StoredChunk{1: {Activities: 5, ReadAt: At(0)}})
	}
	if aged(At(-7200)) {
		t.Error("still aged")
	}
}

func tooOldDeletion(t *testing.T, store Subject, by, _ activity.Authorization) {
	kittest.Must(t, store.PutDeletion(t.Context(), activity.Deletion{By: by, At: At(-7200), ActivityID: 1}))
	for _, want := range []bool{true, false} {
		found, err := store.AthletesToExpire(t.Context(), At(-7200), 1_000_000)
		kittest.Must(t, err)
		if got := slices.Contains(found, by.AthleteID); got != want {
			t.Errorf("aged: %v, want %v", got, want)
		}
		kittest.Must(t, store.Expire(t.Context(), by.AthleteID, At(-7200)))
		if n := store.Held(by.AthleteID); n != 0 {
			t.Errorf("%d items", n)
		}
	}
}
