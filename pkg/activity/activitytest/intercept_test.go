package activitytest_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

var by = activity.Authorization{AthleteID: 7, Generation: activitytest.Gen1}

// history has more activities than the store writes at once.
func history() (r activity.Reading) {
	r = activity.Reading{By: by, At: activitytest.At(1)}
	for id := range 50 {
		r.Activities = append(r.Activities, activitytest.Activity(int64(id+1), id, "run"))
	}
	return r
}

func TestWritesStopBetweenParts(t *testing.T) {
	tested := []string{}
	for op, tc := range map[string]struct {
		parts int
		do    func(activity.WriteStore) error // Nil puts the history.
	}{
		"activity.WriteStore.Put": {3, nil},
		"activity.WriteStore.UpdateGuard": {6, func(s activity.WriteStore) error {
			return s.UpdateGuard(t.Context(), 7, func(g *activity.Guard) (bool, error) { return g.Revoke(by.Generation, activitytest.At(9)), nil })
		}},
		"activity.WriteStore.EndScan": {5, func(s activity.WriteStore) error {
			scan := activity.CompletedScan{Generation: by.Generation, Began: activitytest.At(5), Covered: []activity.Range{activity.Everything()}}
			return s.EndScan(t.Context(), 7, scan, func([]activity.Record) bool { return true })
		}},
		"activity.WriteStore.Expire": {6, func(s activity.WriteStore) error { return s.Expire(t.Context(), 7, activitytest.At(2)) }},
	} {
		tested = append(tested, op)
		kittest.RunParts(t, op, tc.parts, func(around kittest.Around) (func() error, func() int) {
			ports := activitytest.NewPorts(time.Now)
			store := activitytest.Intercept(ports.Ports, around).WriteStore
			if tc.do == nil {
				return func() error { return store.Put(t.Context(), history()) }, func() int { return 50 - ports.Store.Held(7) }
			}
			kittest.Must(t, store.Put(t.Context(), history()))
			return func() error { return tc.do(store) }, func() int {
				totals, err := ports.Store.MonthlyTotals(t.Context(), activity.Authorization{AthleteID: 7, Generation: activitytest.Gen2})
				kittest.Must(t, err)
				return ports.Store.Held(7) + len(totals)
			}
		})
	}
	slices.Sort(tested)
	if !slices.Equal(tested, activitytest.InParts) {
		t.Errorf("%v are listed, %v are tested", activitytest.InParts, tested)
	}
}

func TestTheListOfAthletesToExpireMayBeStale(t *testing.T) {
	stale := true
	p := activitytest.Intercept(activitytest.NewPorts(time.Now).Ports, func(ctx context.Context, op string, call func(context.Context) error) error {
		if stale && slices.Contains(activitytest.StaleReads, op) {
			return kittest.ErrStale
		}
		return call(ctx)
	})
	want := func(want ...int64) {
		t.Helper()
		if got, err := p.WriteStore.AthletesToExpire(t.Context(), activitytest.At(9), 5); err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, want %v (%v)", got, want, err)
		}
	}
	kittest.Must(t, p.WriteStore.Put(t.Context(), history()))
	want()
	stale = false
	want(7)
	kittest.Must(t, p.WriteStore.Expire(t.Context(), 7, activitytest.At(9)))
	stale = true
	want(7)
	stale = false
	want()
}

// TestAnErasureRemovesTotalsOfWhatTheStoreDropped: a store drops activities by
// itself some time after they expired.
func TestAnErasureRemovesTotalsOfWhatTheStoreDropped(t *testing.T) {
	p := activitytest.NewPorts(time.Now)
	kittest.Must(t, p.WriteStore.Put(t.Context(), history()))
	p.Store.DropExpired(activity.ExpiresAt(activitytest.At(1)), func() bool { return true })
	kittest.Must(t, p.WriteStore.UpdateGuard(t.Context(), 7, func(g *activity.Guard) (bool, error) { return g.Revoke(by.Generation, activitytest.At(9)), nil }))
	totals, err := p.ReadStore.MonthlyTotals(t.Context(), activity.Authorization{AthleteID: 7, Generation: activitytest.Gen2})
	if err != nil || len(totals) != 0 {
		t.Errorf("totals %v (%v)", totals, err)
	}
}
