package handler_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	"github.com/paceline/paceline/pkg/gathering/handler"
)

// broken is an inventory that ends early.
type broken struct{ gathering.Inventory }

func (b broken) Each(ctx context.Context, a func(gathering.Athlete), m func(gathering.Inbox), n func(time.Time)) error {
	return errors.Join(b.Inventory.Each(ctx, a, m, n), errors.New("boom"))
}

func TestDeadlinesAreCounted(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	count := func(fails bool, ages ...time.Duration) map[string]int {
		memory := gatheringtest.NewMemory()
		for i, age := range ages {
			_, err := memory.Store.Update(t.Context(), int64(i+1), func(a *gathering.Athlete) (bool, error) {
				a.JoinedAt, a.ProfileReadAt = now, now.Add(-age)
				return true, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		ports := memory.Ports(func() time.Time { return now })
		if fails {
			ports.Inventory = broken{memory.Store}
		}
		_, err := handler.EnforceDeadlines(ports.Deadlines(), ports.Metrics, ports.Log)(t.Context(), struct{}{})
		if (err != nil) != fails {
			t.Errorf("failed with %v", err)
		}
		return memory.Metrics.All()
	}
	all := func(counts map[string]int) map[string]int {
		for _, m := range []string{
			"FactsReadDaysAgo0", "FactsReadDaysAgo1", "FactsReadDaysAgo2", "FactsReadDaysAgo3",
			"FactsReadDaysAgo4", "FactsReadDaysAgo5", "FactsReadDaysAgo6", "FactsReadDaysAgo7",
		} {
			counts[m] += 0
		}
		return counts
	}
	for name, tc := range map[string]struct{ got, want map[string]int }{
		"there is nothing": {count(false), all(map[string]int{"KeptTooLong": 0})},
		"there is some": {
			count(false, -time.Second, 0, day-1, day, 7*day, 7*day+2*time.Hour, 30*day),
			all(map[string]int{"KeptTooLong": 2, "FactsReadDaysAgo0": 3, "FactsReadDaysAgo1": 1, "FactsReadDaysAgo7": 3}),
		},
		"the inventory fails":                   {count(true, 7*day), nil},
		"the inventory fails after a late item": {count(true, 30*day), map[string]int{"KeptTooLong": 1}},
	} {
		if d := cmp.Diff(tc.want, tc.got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}
