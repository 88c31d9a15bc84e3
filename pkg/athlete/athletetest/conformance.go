package athletetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Stores is all that the athlete plane keeps.
type Stores interface {
	athlete.Accounts
	athlete.Erasures
	athlete.Inventory
}

// Run checks that stores, empty at first, do what their ports promise.
func Run(t *testing.T, stores Stores) {
	var accounts athlete.Accounts = stores
	var erasures athlete.Erasures = stores
	at := time.Date(2026, 11, 20, 12, 0, 0, 123_456_789, time.UTC)

	t.Run("an account comes back as it was put", func(t *testing.T) {
		zero, err := accounts.Account(t.Context(), 1)
		must(t, err)
		same(t, zero, athlete.Account{})
		for _, want := range []athlete.Account{
			{
				Profile: &gatheringv1.Athlete{
					ID: 1, Username: "u", Firstname: "Ada", Lastname: "Ågård", ProfileMedium: "https://example/m.jpg",
					Profile: "https://example/l.jpg", CreatedAt: "2020-01-01T00:00:00Z",
				},
				Generation: 1_800_000_000_001, ReadAt: at, Revoked: 1_800_000_000_000,
				Authorization: &athlete.Authorization{Generation: 1_800_000_000_001, Scopes: []string{"read", "activity:read"}, Degraded: true},
				Links: []athlete.Link{
					{Provider: "fitbit", AccountID: "GGNJL9", Generation: 1_800_000_000_002, AthleteGeneration: 1_800_000_000_001, LinkedAt: time.Date(2026, 11, 20, 12, 0, 0, 123456000, time.UTC)},
					{Provider: "other", Generation: 3},
				},
				Asked: at.Add(time.Minute),
				Leave: &athlete.Leave{Receipt: "r", Generation: 1_800_000_000_001, RequestedAt: at},
			},
			{Profile: &gatheringv1.Athlete{ID: 1}, Generation: 1, ReadAt: at},
			{Authorization: &athlete.Authorization{Generation: 1}},
			{Revoked: 1_800_000_000_001, Receipt: "r", Expires: time.Unix(1_900_000_000, 0).UTC()},
		} {
			updated, err := accounts.Update(t.Context(), 1, func(a *athlete.Account) (bool, error) { *a = want; return true, nil })
			must(t, err)
			same(t, updated, want)
			got, err := accounts.Account(t.Context(), 1)
			must(t, err)
			same(t, got, want)
		}
		other, err := accounts.Account(t.Context(), 11)
		must(t, err)
		same(t, other, athlete.Account{})
	})

	t.Run("an update that changes nothing or fails keeps nothing", func(t *testing.T) {
		boom := errors.New("boom")
		_, err := accounts.Update(t.Context(), 2, func(a *athlete.Account) (bool, error) { a.Revoked = 5; return true, boom })
		if !errors.Is(err, boom) {
			t.Errorf("got %v", err)
		}
		_, err = accounts.Update(t.Context(), 2, func(a *athlete.Account) (bool, error) { a.Revoked = 6; return false, nil })
		must(t, err)
		got, err := accounts.Account(t.Context(), 2)
		must(t, err)
		same(t, got, athlete.Account{})
	})

	t.Run("parallel updates all count", func(t *testing.T) {
		const n = 8
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				for deadline := time.Now().Add(30 * time.Second); ; {
					_, err := accounts.Update(t.Context(), 3, func(a *athlete.Account) (bool, error) { a.Revoked++; return true, nil })
					if err == nil {
						return
					}
					if !fault.Is(err, fault.Transient) || time.Now().After(deadline) {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		got, err := accounts.Account(t.Context(), 3)
		must(t, err)
		if got.Revoked != n {
			t.Errorf("%d of %d updates count", got.Revoked, n)
		}
	})

	t.Run("an erasure is opened once and then completed", func(t *testing.T) {
		_, err := erasures.Erasure(t.Context(), "none")
		if !errors.Is(err, athlete.ErrNoErasure) || !fault.Is(err, fault.NotFound) {
			t.Errorf("got %v", err)
		}
		requested := athlete.Erasure{Receipt: "one", RequestedAt: at}
		erased := athlete.Erasure{
			Receipt: "one", RequestedAt: at, CompletedAt: at.Add(time.Hour), Erased: map[string]time.Time{"a": at.Add(time.Minute), "b": at.Add(time.Hour)},
		}
		for _, step := range []struct {
			do   func() error
			want athlete.Erasure
		}{
			{func() error { return erasures.Open(t.Context(), requested) }, requested},
			{func() error {
				return erasures.Open(t.Context(), athlete.Erasure{Receipt: "one", RequestedAt: at.Add(time.Minute)})
			}, requested},
			{func() error { return erasures.Complete(t.Context(), erased) }, erased},
			{func() error { return erasures.Complete(t.Context(), erased) }, erased},
			{func() error { return erasures.Open(t.Context(), requested) }, erased},
		} {
			must(t, step.do())
			got, err := erasures.Erasure(t.Context(), "one")
			must(t, err)
			same(t, got, step.want)
		}
	})

	t.Run("an erasure nobody opened can be completed", func(t *testing.T) {
		erased := athlete.Erasure{Receipt: "two", RequestedAt: at, CompletedAt: at.Add(time.Hour)}
		must(t, erasures.Complete(t.Context(), erased))
		got, err := erasures.Erasure(t.Context(), "two")
		must(t, err)
		same(t, got, erased)
	})

	t.Run("an inventory finds all profiles, wishes to leave and erasures", func(t *testing.T) {
		profiles, leaving, found := map[int64]time.Time{}, map[int64]athlete.Leave{}, map[string]athlete.Erasure{}
		leave := func(id int64) athlete.Leave { return athlete.Leave{Receipt: "r", Generation: id, RequestedAt: at} }
		for id := int64(1000); id < 1010; id++ {
			_, err := accounts.Update(t.Context(), id, func(a *athlete.Account) (bool, error) {
				a.Revoked = 1
				if id%2 == 0 {
					a.Profile, a.ReadAt = &gatheringv1.Athlete{ID: id}, at.Add(time.Duration(id)*time.Second)
				}
				if id%3 == 0 {
					l := leave(id)
					a.Leave = &l
				}
				return true, nil
			})
			must(t, err)
		}
		must(t, erasures.Open(t.Context(), athlete.Erasure{Receipt: "three", RequestedAt: at}))
		must(t, stores.Each(t.Context(), func(id int64, readAt time.Time) error {
			if id >= 1000 {
				profiles[id] = readAt
			}
			return nil
		}, func(id int64, l athlete.Leave) error {
			if id >= 1000 {
				leaving[id] = l
			}
			return nil
		}, func(e athlete.Erasure) error { found[e.Receipt] = e; return nil }))
		want := map[int64]time.Time{}
		for id := int64(1000); id < 1010; id += 2 {
			want[id] = at.Add(time.Duration(id) * time.Second)
		}
		same(t, profiles, want)
		same(t, leaving, map[int64]athlete.Leave{1002: leave(1002), 1005: leave(1005), 1008: leave(1008)})
		same(t, found, map[string]athlete.Erasure{
			"one": {
				Receipt: "one", RequestedAt: at, CompletedAt: at.Add(time.Hour), Erased: map[string]time.Time{"a": at.Add(time.Minute), "b": at.Add(time.Hour)},
			},
			"two":   {Receipt: "two", RequestedAt: at, CompletedAt: at.Add(time.Hour)},
			"three": {Receipt: "three", RequestedAt: at},
		})
		enough := errors.New("enough")
		for _, ends := range []struct{ profile, leave, erasure error }{{profile: enough}, {leave: enough}, {erasure: enough}} {
			err := stores.Each(t.Context(), func(int64, time.Time) error { return ends.profile },
				func(int64, athlete.Leave) error { return ends.leave }, func(athlete.Erasure) error { return ends.erasure })
			if !errors.Is(err, enough) {
				t.Errorf("%+v: got %v", ends, err)
			}
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
