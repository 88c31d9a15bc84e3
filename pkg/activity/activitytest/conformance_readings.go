package activitytest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

func wholeActivity(t *testing.T, store Subject, by, _ activity.Authorization) {
	full := Activity(9_007_199_254_740_993, 10, "Søndagstur 🚴")
	speed, maxSpeed, rate, maxRate, watts, work := 3.145, 11.486, 146.8, 162.0, 0.0, 1234.5
	full.Timezone, full.Visibility, full.DeviceName = "Europe/Copenhagen", "only_me", "Garmin Edge 540"
	full.AverageSpeed, full.MaxSpeed, full.AverageHeartrate = &speed, &maxSpeed, &rate
	full.MaxHeartrate, full.AverageWatts, full.Kilojoules = &maxRate, &watts, &work
	full.Trainer, full.Commute, full.Manual, full.Private = true, true, true, true
	bare := Activity(2, 5, "")
	kittest.Must(t, store.Put(t.Context(), reading(by, At(0), full, bare)))
	for _, want := range []gatheringv1.Activity{full, bare} {
		got, err := store.Get(t.Context(), by, want.ID)
		kittest.Must(t, err)
		same(t, got, activity.Record{Generation: by.Generation, ReadAt: At(0), Activity: &want})
	}
	same(t, list(t, store, by, activity.Everything(), "", 10), []gatheringv1.Activity{full, bare})
	records, err := store.Records(t.Context(), by.AthleteID)
	kittest.Must(t, err)
	same(t, records, []activity.Record{
		{Generation: by.Generation, ReadAt: At(0), Activity: &bare}, {Generation: by.Generation, ReadAt: At(0), Activity: &full},
	}, cmpopts.SortSlices(func(a, b activity.Record) bool { return a.Activity.ID < b.Activity.ID }))
}

func ownActivities(t *testing.T, store Subject, by, _ activity.Authorization) {
	other := activity.Authorization{AthleteID: athletes.Add(1), Generation: Gen1}
	kittest.Must(t, store.Put(t.Context(), reading(by, At(0), Activity(1, 1, "mine"))))
	kittest.Must(t, store.Put(t.Context(), reading(other, At(0), Activity(2, 1, "theirs"))))
	record, err := store.Get(t.Context(), by, 2)
	kittest.Must(t, err)
	same(t, record, activity.Record{})
	same(t, names(list(t, store, by, activity.Everything(), "", 10)), []string{"mine"})
	kittest.Must(t, store.erase(t.Context(), other))
	same(t, names(list(t, store, by, activity.Everything(), "", 10)), []string{"mine"})
}

func newestReading(t *testing.T, store Subject, by, later activity.Authorization) {
	// In the order of what is known last: each step beats all before it.
	steps := []func(ctx context.Context, athleteID int64) error{
		func(ctx context.Context, id int64) error {
			return store.Put(ctx, reading(activity.Authorization{AthleteID: id, Generation: Gen1}, At(1), Activity(1, 1, "first")))
		},
		func(ctx context.Context, id int64) error {
			return store.PutDeletion(ctx, activity.Deletion{By: activity.Authorization{AthleteID: id, Generation: Gen1}, At: At(1), ActivityID: 1})
		},
		func(ctx context.Context, id int64) error {
			return store.Put(ctx, reading(activity.Authorization{AthleteID: id, Generation: Gen1}, At(1).Add(time.Millisecond), Activity(1, 100, "moved")))
		},
		func(ctx context.Context, id int64) error {
			return store.Put(ctx, reading(activity.Authorization{AthleteID: id, Generation: Gen2}, At(0), Activity(1, 1, "reconnected")))
		},
		func(ctx context.Context, id int64) error {
			return store.PutDeletion(ctx, activity.Deletion{By: activity.Authorization{AthleteID: id, Generation: Gen2}, At: At(3), ActivityID: 1})
		},
	}
	want := [][]string{{"first"}, nil, {"moved"}, {"reconnected"}, nil}
	orders := [][]int{{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 4, 1, 3, 0}}
	for i := range steps {
		for j := range steps {
			orders = append(orders, []int{i, j})
		}
	}
	for _, order := range orders {
		by := activity.Authorization{AthleteID: athletes.Add(1), Generation: Gen1}
		// Each one twice: duplicates change nothing.
		for _, i := range append(order, order...) {
			kittest.Must(t, steps[i](t.Context(), by.AthleteID))
		}
		want := want[slices.Max(order)]
		if got := names(list(t, store, by, activity.Everything(), "", 10)); !slices.Equal(got, want) {
			t.Errorf("in the order %v: %v, want %v", order, got, want)
		}
		record, err := store.Get(t.Context(), by, 1)
		kittest.Must(t, err)
		if gone := record.Activity == nil; gone != (want == nil) {
			t.Errorf("in the order %v: get says %v", order, record)
		}
		if n := store.Held(by.AthleteID); n != 1 {
			t.Errorf("%d items", n)
		}
	}
}

func outdatedNeighbour(t *testing.T, store Subject, by, _ activity.Authorization) {
	kittest.Must(t, store.Put(t.Context(), reading(by, At(5), Activity(2, 2, "newer"))))
	kittest.Must(t, store.Put(t.Context(), reading(by, At(1), Activity(1, 1, "a"), Activity(2, 2, "older"), Activity(3, 3, "c"))))
	same(t, names(list(t, store, by, activity.Everything(), "", 10)), []string{"c", "newer", "a"})
}

func largeReading(t *testing.T, store Subject, by, _ activity.Authorization) {
	var many []gatheringv1.Activity
	for i := range 230 {
		many = append(many, Activity(int64(i+1), i, fmt.Sprint(i)))
	}
	kittest.Must(t, store.Put(t.Context(), reading(by, At(0), many...)))
	kittest.Must(t, store.Put(t.Context(), reading(by, At(0), many...)))
	kittest.Must(t, store.Put(t.Context(), reading(by, At(0))))
	if n := store.Held(by.AthleteID); n != 230 {
		t.Fatalf("%d items", n)
	}
}
