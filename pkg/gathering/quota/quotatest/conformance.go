package quotatest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// Run checks an adapter that stores the quota's budget. newBudgets returns an
// empty one each time.
func Run(t *testing.T, newBudgets func(t *testing.T) quota.Budgets) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.test(t, newBudgets(t)) })
	}
}

var cases = []struct {
	name string
	test func(*testing.T, quota.Budgets)
}{
	{"a budget that was never updated is zero", newBudgetIsZero},
	{"a budget is stored whole", budgetIsStoredWhole},
	{"an error of change is returned as it is and writes nothing", errorOfChangeWritesNothing},
	{"callers at once never acquire more permits than calls are left", permitsAtOnceStayWithinTheLimit},
	{"an unchanged budget is not written", unchangedBudgetIsNotWritten},
	{"a change runs again if another process writes first", changeRunsAgain},
}

var at = time.Date(2026, 11, 22, 10, 7, 30, 123e6, time.UTC)

func newBudgetIsZero(t *testing.T, s quota.Budgets) {
	got, err := s.Budget(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(quota.Budget{}, got); d != "" {
		t.Error(d)
	}
}

func budgetIsStoredWhole(t *testing.T, s quota.Budgets) {
	want := wholeBudget(at)
	if err := s.UpdateBudget(t.Context(), func(b *quota.Budget) (bool, error) { *b = wholeBudget(at); return true, nil }); err != nil {
		t.Fatal(err)
	}
	read, err := s.Budget(t.Context())
	kittest.Must(t, err)
	kittest.Scrub(&read)
	kittest.Must(t, s.UpdateBudget(t.Context(), func(b *quota.Budget) (bool, error) { kittest.Scrub(b); return false, nil }))
	got, err := s.Budget(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func errorOfChangeWritesNothing(t *testing.T, s quota.Budgets) {
	boom := errors.New("boom")
	if err := s.UpdateBudget(t.Context(), func(b *quota.Budget) (bool, error) { b.Issued = 9; return true, boom }); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if got, err := s.Budget(t.Context()); err != nil || got.Issued != 0 {
		t.Fatalf("got %+v, error %v", got, err)
	}
}

func permitsAtOnceStayWithinTheLimit(t *testing.T, s quota.Budgets) {
	const room, callers = 5, 50
	// The day's window is confirmed, so several may call at once: as many
	// as the quarter's limit has hundreds, twice over, and no more than
	// there is room for.
	err := s.UpdateBudget(t.Context(), func(b *quota.Budget) (bool, error) {
		*b = wholeBudget(at)
		for _, m := range []*quota.Meter{&b.Quarter, &b.Day} {
			m.Limit = quota.Buckets{Overall: 2000, Read: 2000}
			m.Now = quota.Window{Index: m.Now.Index, Confirmed: true}
		}
		b.Outstanding, b.Pause, b.ExternalUsageAt, b.Health = nil, quota.Pause{}, time.Time{}, quota.Health{}
		b.Quarter.Now.Seen.Read = 2000 - 20*room
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	engine := quota.NewEngine(s, func() time.Time { return at })
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		permits = map[int64]quota.Permit{}
	)
	for range callers {
		wg.Go(func() {
			permit, err := engine.Acquire(context.WithoutCancel(t.Context()), quota.Leave, at)
			if wait := new(quota.Wait); errors.As(err, &wait) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			permits[permit.ID] = permit
		})
	}
	wg.Wait()
	got, err := s.Budget(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(permits) != room || len(got.Outstanding) != room {
		t.Errorf("%d callers got %d permits, %d are outstanding; want %d", callers, len(permits), len(got.Outstanding), room)
	}
}

func unchangedBudgetIsNotWritten(t *testing.T, s quota.Budgets) {
	if err := s.UpdateBudget(t.Context(), func(b *quota.Budget) (bool, error) { b.Issued = 9; return false, nil }); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Budget(t.Context()); err != nil || got.Issued != 0 {
		t.Fatalf("budget %+v, error %v", got, err)
	}
}

func changeRunsAgain(t *testing.T, s quota.Budgets) {
	kittest.RunCrossing(t, func(change func(*quota.Budget) (bool, error)) error { return s.UpdateBudget(t.Context(), change) },
		func(b *quota.Budget) { b.Issued++ }, func(b quota.Budget) int { return int(b.Issued) })
}

// wholeBudget has a value in every field.
func wholeBudget(at time.Time) quota.Budget {
	window := func(index int64) quota.Window {
		return quota.Window{
			Index: index, Seen: quota.Buckets{Overall: 12, Read: 11}, Unseen: 2, UnseenID: 7, Own: 9, Confirmed: true,
		}
	}
	meter := func(length time.Duration) quota.Meter {
		index := at.Unix() / int64(length/time.Second)
		return quota.Meter{Limit: quota.Buckets{Overall: 400, Read: 200}, Now: window(index), Before: window(index - 1)}
	}
	demand := quota.Demand{Calls: 30, Yesterday: 40, Days: 3}
	for hour := range 24 {
		demand.Today[hour], demand.Usual[hour] = hour, float64(hour)+0.25
	}
	return quota.Budget{
		Quarter: meter(15 * time.Minute), Day: meter(24 * time.Hour),
		LimitsSeenAt: at.Add(-time.Second), Issued: 8,
		Outstanding: []quota.Permit{{ID: 8, Class: quota.Backfill, Expires: at.Add(time.Minute)}},
		Pause:       quota.Pause{Until: at.Add(time.Hour), Reason: quota.ReasonStrava, ID: 6},
		Health: quota.Health{
			Failing: []quota.Failure{{Athlete: 3, Outcome: quota.Maintenance}, {Athlete: 4, Outcome: quota.Unavailable}}, Pauses: 2, PausedSince: at.Add(-2 * time.Minute),
			Served: [2]quota.ServedCall{{Athlete: 5, At: at.Add(-time.Minute)}, {Athlete: 6, At: at.Add(-time.Hour)}},
		},
		PausesToday: 3, ExternalUsageAt: at.Add(-time.Hour), RateLimited: 1, Since: at.Add(-72 * time.Hour),
		Demand: map[quota.Class]quota.Demand{quota.Webhook: demand, quota.Spare: {Yesterday: 2, Days: 1}},
	}
}
