package credentialstest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// Storage is everything that the grants table stores.
type Storage interface {
	credentials.Grants
	credentials.ConnectStates
	credentials.GrantCounter
}

// RunStorage checks an adapter of the grants table. newStorage returns an empty
// one each time.
func RunStorage(t *testing.T, newStorage func(t *testing.T) Storage) {
	for name, check := range map[string]func(*testing.T, Storage){
		"a grant is stored whole":                                                   grantIsStoredWhole,
		"a change that fails writes nothing":                                        failedChangeWritesNothing,
		"no update is lost":                                                         noUpdateIsLost,
		"a change runs again if another process writes first":                       changeRunsAgain,
		"grants with pending tasks are returned in the order in which they are due": pendingGrantsAreOrderedByDueTime,
		"grants with tokens are counted by provider":                                authorizedGrantsAreCountedByProvider,
		"grants are paged by provider":                                              grantsArePagedByProvider,
		"a state is taken once":                                                     stateIsTakenOnce,
		"a change that changes nothing writes nothing":                              noChangeWritesNothing,
	} {
		t.Run(name, func(t *testing.T) { check(t, newStorage(t)) })
	}
}

// mustStore stores a grant of an account.
func mustStore(t *testing.T, s Storage, account credentials.Account, g credentials.Grant) {
	t.Helper()
	if _, err := s.Update(t.Context(), account, func(stored *credentials.Grant) (bool, error) {
		g.Account = account
		*stored = g
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
}

// wholeGrant has a value in every field.
func wholeGrant() credentials.Grant {
	return credentials.Grant{
		Account: credentials.Athlete(7), Generation: at.UnixMilli(), Scopes: []string{"activity:read", "read"},
		Since: 4, State: credentials.Degraded, Reason: "scope_missing", DegradedAt: at.Add(-time.Second),
		Tokens: credentials.TokenRef{Generation: 4, Version: 3},
		Candidates: []credentials.Candidate{
			{TokenRef: credentials.TokenRef{Sealed: []byte{0, 1, 255}}, ReceivedAt: 9, Scopes: []string{"read"}, Connecting: true, Owner: credentials.Authorization{AthleteID: 8, Generation: 2}},
			{TokenRef: credentials.TokenRef{Generation: 3, Version: 2}, ReceivedAt: 8},
		},
		Obsolete: []int64{1, 2}, InDoubt: true,
		Lease: credentials.Lease{Owner: "me", Until: at}, RevokedAt: at, EndRequestedAt: at.Add(-time.Minute), Unpublished: true,
		Claim:          credentials.Claim{ClaimedAt: at, Cause: event.Meta{ID: "1", CorrelationID: "2"}, CheckAt: at.Add(time.Hour)},
		ClaimCheckedAt: at.Add(-time.Hour),
		Revocations: []credentials.PendingRevocation{
			{Receipt: "r", Generation: 5, RequestedAt: at, Reason: "left", Cause: event.Meta{ID: "3", CorrelationID: "4"}, Published: true,
				Links: []credentials.Account{{Provider: "other", ID: "X"}}},
			{Receipt: "s", Generation: 6, RequestedAt: at, Reason: "deauthorized", Owner: credentials.Authorization{AthleteID: 9, Generation: 3}, WithAthlete: true},
		},
		Completed: []credentials.CompletedRevocation{{Receipt: "q", RequestedAt: at.Add(-time.Hour), CompletedAt: at, Generation: 4, Links: []credentials.Account{{Provider: "other", ID: "Z"}}}},
		Links:     []credentials.Link{{Account: credentials.Account{Provider: "other", ID: "Y"}, Generation: 11}},
		Owner:     credentials.Authorization{AthleteID: 10, Generation: 12},
		Retry:     credentials.RetryState{Since: at, Next: at.Add(time.Minute), Attempts: 2},
	}
}

func grantIsStoredWhole(t *testing.T, s Storage) {
	if _, err := s.Grant(t.Context(), credentials.Athlete(7)); !fault.Is(err, fault.NotFound) {
		t.Fatalf("a missing grant: %v", err)
	}
	want := wholeGrant()
	got, err := s.Update(t.Context(), credentials.Athlete(7), func(g *credentials.Grant) (bool, error) {
		if g.Account != credentials.Athlete(7) || g.State != "" {
			t.Errorf("change got %+v for a missing grant", *g)
		}
		*g = wholeGrant()
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error("returned:", d)
	}
	boom := errors.New("boom")
	_, err = s.Update(t.Context(), credentials.Athlete(7), func(g *credentials.Grant) (bool, error) { kittest.Scrub(g); return true, boom })
	if !errors.Is(err, boom) {
		t.Error(err)
	}
	if got, err = s.Grant(t.Context(), credentials.Athlete(7)); err != nil {
		t.Fatal(err)
	}
	kittest.Scrub(&got)
	if got, err = s.Grant(t.Context(), credentials.Athlete(7)); err != nil {
		t.Fatal(err)
	}
	slices.Sort(got.Scopes)
	if d := cmp.Diff(want, got); d != "" {
		t.Error("stored:", d)
	}
}

func failedChangeWritesNothing(t *testing.T, s Storage) {
	boom := errors.New("boom")
	_, err := s.Update(t.Context(), credentials.Athlete(7), func(g *credentials.Grant) (bool, error) {
		g.State = credentials.Active
		return false, boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if _, err := s.Grant(t.Context(), credentials.Athlete(7)); !fault.Is(err, fault.NotFound) {
		t.Fatalf("a grant was written: %v", err)
	}
}

func noChangeWritesNothing(t *testing.T, s Storage) {
	got, err := s.Update(t.Context(), credentials.Athlete(7), func(g *credentials.Grant) (bool, error) { return false, nil })
	if err != nil || got.Account != credentials.Athlete(7) || got.State != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := s.Grant(t.Context(), credentials.Athlete(7)); !fault.Is(err, fault.NotFound) {
		t.Fatalf("a grant was written: %v", err)
	}
	mustStore(t, s, credentials.Athlete(7), credentials.Grant{State: credentials.Active, Generation: 5})
	got, err = s.Update(t.Context(), credentials.Athlete(7), func(g *credentials.Grant) (bool, error) { return false, nil })
	if err != nil || got.State != credentials.Active || got.Generation != 5 {
		t.Fatalf("%+v, %v", got, err)
	}
}

func noUpdateIsLost(t *testing.T, s Storage) {
	const writers = 8
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			_, err := s.Update(context.WithoutCancel(t.Context()), credentials.Athlete(7), func(g *credentials.Grant) (bool, error) {
				g.Generation++
				return true, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	g, err := s.Grant(t.Context(), credentials.Athlete(7))
	if err != nil || g.Generation != writers {
		t.Fatalf("%d updates led to generation %d (%v)", writers, g.Generation, err)
	}
}

func changeRunsAgain(t *testing.T, s Storage) {
	kittest.RunCrossing(t, func(change func(*credentials.Grant) (bool, error)) error {
		_, err := s.Update(t.Context(), credentials.Athlete(7), change)
		return err
	}, func(g *credentials.Grant) { g.Generation++ }, func(g credentials.Grant) int { return int(g.Generation) })
}

func pendingGrantsAreOrderedByDueTime(t *testing.T, s Storage) {
	next := func(d time.Duration) credentials.RetryState {
		return credentials.RetryState{Since: at, Next: at.Add(d)}
	}
	mustStore(t, s, credentials.Athlete(1), credentials.Grant{State: credentials.Active, Tokens: credentials.TokenRef{Generation: 1, Version: 1}})
	mustStore(t, s, credentials.Athlete(2), credentials.Grant{State: credentials.Active, Unpublished: true, Retry: next(5 * time.Second)})
	mustStore(t, s, credentials.Athlete(3), credentials.Grant{State: credentials.Revoked, RevokedAt: at, Retry: next(4 * time.Second)})
	mustStore(t, s, credentials.Athlete(4), credentials.Grant{State: credentials.Erased, RevokedAt: at})
	mustStore(t, s, credentials.Athlete(5), credentials.Grant{State: credentials.Erased, RevokedAt: at, Candidates: []credentials.Candidate{{TokenRef: credentials.TokenRef{Sealed: []byte("x")}}}, Retry: next(3 * time.Second)})
	mustStore(t, s, credentials.Athlete(6), credentials.Grant{State: credentials.Active, Claim: credentials.Claim{ClaimedAt: at}, Retry: next(2 * time.Second)})
	mustStore(t, s, credentials.Athlete(7), credentials.Grant{State: credentials.Active, Revocations: []credentials.PendingRevocation{{Receipt: "r"}}, Retry: next(time.Second)})
	mustBePending(t, s, "7", "6", "5", "3", "2")
	mustStore(t, s, credentials.Athlete(2), credentials.Grant{State: credentials.Active})
	mustStore(t, s, credentials.Athlete(3), credentials.Grant{State: credentials.Erased, RevokedAt: at})
	mustBePending(t, s, "7", "6", "5")
}

// mustBePending checks which of Strava's grants have pending tasks, in this
// order.
func mustBePending(t *testing.T, s Storage, want ...string) {
	t.Helper()
	var got []string
	// An index follows a moment later.
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		grants, err := s.Pending(t.Context(), credentials.ProviderStrava)
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, g := range grants {
			got = append(got, g.Account.ID)
		}
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func authorizedGrantsAreCountedByProvider(t *testing.T, s Storage) {
	for account, g := range map[credentials.Account]credentials.Grant{
		credentials.Athlete(1):       {State: credentials.Active, Tokens: credentials.TokenRef{Generation: 1, Version: 1}},
		credentials.Athlete(2):       {State: credentials.Degraded, Tokens: credentials.TokenRef{Generation: 1, Version: 9}},
		credentials.Athlete(3):       {State: credentials.Revoked, Tokens: credentials.TokenRef{Sealed: []byte("x")}, RevokedAt: at},
		credentials.Athlete(4):       {State: credentials.Revoked, RevokedAt: at},
		{Provider: "other", ID: "5"}: {State: credentials.Active, Tokens: credentials.TokenRef{Generation: 1, Version: 1}},
	} {
		mustStore(t, s, account, g)
	}
	for provider, want := range map[string]int{credentials.ProviderStrava: 3, "other": 1, "unknown": 0} {
		if n, err := s.CountAuthorized(t.Context(), provider); err != nil || n != want {
			t.Errorf("%s: %d, not %d (%v)", provider, n, want, err)
		}
	}
}

func grantsArePagedByProvider(t *testing.T, s Storage) {
	want := map[string][]string{credentials.ProviderStrava: {"1", "2", "3", "4", "5"}, "other": {"3", "GGNJL9"}}
	for provider, ids := range want {
		for _, id := range ids {
			mustStore(t, s, credentials.Account{Provider: provider, ID: id}, credentials.Grant{State: credentials.Active})
		}
	}
	for provider, want := range want {
		got := mustPage(t, s, provider)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: %v", provider, got)
		}
	}
	if _, _, err := s.List(t.Context(), credentials.ProviderStrava, "§", 2); !fault.Is(err, fault.Invalid) {
		t.Errorf("a malformed cursor: %v", err)
	}
}

// mustPage returns the ids of a provider's grants, read in pages of two.
func mustPage(t *testing.T, s Storage, provider string) (ids []string) {
	t.Helper()
	for cursor := ""; ; {
		page, next, err := s.List(t.Context(), provider, cursor, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) > 2 {
			t.Fatalf("a page of %d", len(page))
		}
		for _, g := range page {
			if g.Account.Provider != provider {
				t.Errorf("%s among those of %s", g.Account, provider)
			}
			ids = append(ids, g.Account.ID)
		}
		if cursor = next; cursor == "" {
			return ids
		}
	}
}

func stateIsTakenOnce(t *testing.T, s Storage) {
	want := credentials.ConnectState{
		Nonce: "n", ExpiresAt: at, Provider: "other", Owner: credentials.Authorization{AthleteID: 7, Generation: 1795168800000},
	}
	if err := s.PutState(t.Context(), "k", want); err != nil {
		t.Fatal(err)
	}
	want.ExpiresAt = at.Truncate(time.Second) // What expires does so at a whole second.
	got, err := s.TakeState(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if _, err := s.TakeState(t.Context(), "k"); !fault.Is(err, fault.NotFound) {
		t.Fatalf("the second time: %v", err)
	}
}
