package activitytest

import (
	"testing"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

func outdatedByScan(t *testing.T, store Subject, by, later activity.Authorization) {
	other := activity.Authorization{AthleteID: by.AthleteID + 1_000_000, Generation: by.Generation}
	scan := activity.CompletedScan{Generation: later.Generation, Began: At(2), Covered: []activity.Range{activity.Everything()}}
	write := func() {
		kittest.Must(t, store.Put(t.Context(), reading(by, At(0), Activity(1, 1, "stale"), Activity(2, 2, "old"))))
		kittest.Must(t, store.PutDeletion(t.Context(), activity.Deletion{By: by, At: At(0), ActivityID: 3}))
		kittest.Must(t, store.Put(t.Context(), reading(later, At(1), Activity(4, 4, "deleted"))))
	}
	write()
	kittest.Must(t, store.Put(t.Context(), reading(other, At(0), Activity(1, 1, "other's"))))
	kittest.Must(t, store.Put(t.Context(), reading(later, At(2), Activity(2, 2, "new"))))
	// Read under the earlier authorization, but after the scan began.
	kittest.Must(t, store.Put(t.Context(), reading(by, At(3), Activity(5, 5, "uploaded"))))
	want := []gatheringv1.Activity{Activity(5, 5, "uploaded"), Activity(2, 2, "new")}
	for range 2 {
		kittest.Must(t, store.EndScan(t.Context(), by.AthleteID, scan, approve(true)))
		write()
		same(t, list(t, store, later, activity.Everything(), "", 9), want)
		if n := store.Held(by.AthleteID); n != 3 {
			t.Errorf("%d items, not two activities and the memory of one that is gone", n)
		}
	}
	// An earlier scan that ends late does not take the place of a later one in
	// the guard.
	for _, earlier := range []activity.CompletedScan{
		{Generation: by.Generation, Began: At(3), Covered: scan.Covered}, {Generation: later.Generation, Began: At(1), Covered: scan.Covered},
	} {
		kittest.Must(t, store.EndScan(t.Context(), by.AthleteID, earlier, approve(true)))
		same(t, store.mustGuard(t, by.AthleteID).Scan, &scan)
	}
	// The earlier authorization is not over: its sessions stay valid.
	same(t, list(t, store, by, activity.Everything(), "", 9), want)
	if n := store.Held(other.AthleteID); n != 1 {
		t.Errorf("%d items of another athlete", n)
	}
}

func unapprovedScan(t *testing.T, store Subject, by, _ activity.Authorization) {
	old, found := Activity(1, 1, "not found"), Activity(2, 2, "found")
	kittest.Must(t, store.Put(t.Context(), reading(by, At(1), old)))
	kittest.Must(t, store.PutDeletion(t.Context(), activity.Deletion{By: by, At: At(1), ActivityID: 3}))
	kittest.Must(t, store.Put(t.Context(), reading(by, At(5), found)))
	scan := activity.CompletedScan{Generation: by.Generation, Began: At(4), Covered: []activity.Range{activity.Everything()}}
	asked := 0
	kittest.Must(t, store.EndScan(t.Context(), by.AthleteID, scan, func(records []activity.Record) bool {
		asked++
		same(t, records, []activity.Record{
			{Generation: by.Generation, ReadAt: At(1), Activity: &old}, {Generation: by.Generation, ReadAt: At(1)},
			{Generation: by.Generation, ReadAt: At(5), Activity: &found},
		}, cmpopts.SortSlices(func(a, b activity.Record) bool {
			return a.ReadAt.Before(b.ReadAt) || a.ReadAt.Equal(b.ReadAt) && a.Activity != nil && b.Activity == nil
		}))
		return false
	}))
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	kittest.Must(t, store.Put(t.Context(), reading(by, At(2), Activity(1, 1, "late"), Activity(4, 4, "late"))))
	same(t, list(t, store, by, activity.Everything(), "", 9), []gatheringv1.Activity{found, old})
	kittest.Must(t, store.EndScan(t.Context(), by.AthleteID, scan, approve(true)))
	same(t, list(t, store, by, activity.Everything(), "", 9), []gatheringv1.Activity{found})
}

func uncoveredByScan(t *testing.T, store Subject, by, _ activity.Authorization) {
	at := func(start int) activity.Position {
		p, err := activity.PositionOf(Activity(1, start, ""))
		kittest.Must(t, err)
		return activity.Position{Start: p.Start}
	}
	before, after := activity.Everything(), activity.Range{From: at(21), To: at(30)}
	before.To = at(20)
	scan := activity.CompletedScan{Generation: by.Generation, Began: At(5), Covered: []activity.Range{before, after}}
	all := []gatheringv1.Activity{
		Activity(1, -1e9, "long ago"), Activity(2, 19, "before"), Activity(3, 20, "unreadable"), Activity(4, 21, "after"),
		Activity(5, 29, "the last"), Activity(6, 30, "in the future"),
	}
	want := []string{"in the future", "unreadable"}
	kittest.Must(t, store.Put(t.Context(), reading(by, At(1), all...)))
	kittest.Must(t, store.EndScan(t.Context(), by.AthleteID, scan, approve(true)))
	same(t, names(list(t, store, by, activity.Everything(), "", 9)), want)
	kittest.Must(t, store.Put(t.Context(), reading(by, At(2), all...)))
	same(t, names(list(t, store, by, activity.Everything(), "", 9)), want)
	record, err := store.Get(t.Context(), by, 3)
	kittest.Must(t, err)
	if !record.ReadAt.Equal(At(2)) {
		t.Errorf("the late reading of what is not covered is refused: %+v", record)
	}
	// The ranges expire when all records that the scan outdates have expired.
	kittest.Must(t, store.Expire(t.Context(), by.AthleteID, At(4)))
	same(t, store.mustGuard(t, by.AthleteID).Scan, &scan)
	kittest.Must(t, store.Expire(t.Context(), by.AthleteID, At(5)))
	same(t, store.mustGuard(t, by.AthleteID).Scan, &activity.CompletedScan{Generation: by.Generation, Began: At(5)})
}
