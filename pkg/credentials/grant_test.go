package credentials

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
)

// TestTransitions tries every transition from every state.
func TestTransitions(t *testing.T) {
	const refused, missing = credentialsv1.DegradedTokenRefused, credentialsv1.DegradedScopeMissing
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	claimed := Claim{ClaimedAt: now.Add(-time.Hour), Cause: event.Meta{ID: "claim"}}
	old := Departed{Receipt: "old", Generation: 1}
	lease := Lease{Owner: "me", Until: now.Add(time.Second)}
	// Each state as it is while I hold the lease.
	states := map[string]Grant{
		"nothing": {Account: Athlete(7)},
		"active":  {Account: Athlete(7), Generation: 5, Since: 2, State: Active, Scopes: []string{"read"}, TokenVersion: 3, Lease: lease, Claim: claimed, Departures: []Departed{old}},
		refused:   {Account: Athlete(7), Generation: 5, Since: 2, State: Degraded, Reason: refused, TokenVersion: 3, Lease: lease, Claim: claimed},
		missing:   {Account: Athlete(7), Generation: 5, Since: 2, State: Degraded, Reason: missing, TokenVersion: 3, Lease: lease, Claim: claimed},
		"revoked": {Account: Athlete(7), Generation: 5, Since: 2, State: Revoked, TokenVersion: 3, Lease: lease, RevokedAt: now},
		"erased":  {Account: Athlete(7), Generation: 5, Since: 2, State: Erased, Lease: lease, RevokedAt: now},
	}
	seen := Grant{Generation: 5, TokenVersion: 3}
	departure := Departed{Receipt: "r", Generation: 5, Reason: credentialsv1.RevokedLeft}
	type outcome struct {
		state State
		err   error
	}
	outdated := map[string]outcome{
		"nothing": {"", errOutdated}, "active": {Active, errOutdated}, refused: {Degraded, errOutdated},
		missing: {Degraded, errOutdated}, "revoked": {Revoked, errOutdated}, "erased": {Erased, errOutdated},
	}
	for name, transition := range map[string]struct {
		do func(*Grant) error
		// want is the outcome by the state's name. What is refused changes
		// nothing.
		want map[string]outcome
		// is what must be true afterwards, where it was not refused.
		is func(before, after Grant) bool
	}{
		"lease": {
			do: func(g *Grant) error { return g.lease("me", now) },
			want: map[string]outcome{
				"nothing": {"", nil}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, nil},
			},
			is: func(_, g Grant) bool { return g.Lease == Lease{"me", now.Add(leaseTime)} },
		},
		"lease, which another has": {
			do: func(g *Grant) error { return g.lease("another", now) },
			want: map[string]outcome{
				"nothing": {"", nil}, "active": {Active, errBusy}, refused: {Degraded, errBusy}, missing: {Degraded, errBusy},
				"revoked": {Revoked, errBusy}, "erased": {Erased, errBusy},
			},
			is: func(_, g Grant) bool { return g.Lease.Owner == "another" },
		},
		"release": {
			do: func(g *Grant) error { return g.release("me") },
			want: map[string]outcome{
				"nothing": {"", errOutdated}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, nil},
			},
			is: func(_, g Grant) bool { return g.Lease == Lease{} },
		},
		"expect": {
			do: func(g *Grant) error { g.expect(now); return nil },
			want: map[string]outcome{
				"nothing": {Erased, nil}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, nil},
			},
			is: func(_, g Grant) bool { return g.Account == Athlete(7) },
		},
		"authorize": {
			do: func(g *Grant) error { return g.authorize("me", []string{"activity:read"}, 9, now) },
			want: map[string]outcome{
				"nothing": {"", errOutdated}, "active": {Active, nil}, refused: {Active, nil}, missing: {Active, nil},
				"revoked": {Active, nil}, "erased": {Active, nil},
			},
			is: func(before, g Grant) bool {
				since := g.Generation
				if before.State == Active || before.State == Degraded {
					since = before.Since
				}
				return g.Generation == now.UnixMilli() && g.Since == since && g.TokenVersion == 9 && g.Unannounced && g.Reason == "" &&
					g.Claim == Claim{} && g.Lease == Lease{} && g.RevokedAt.IsZero() && len(g.Departures) == len(before.Departures)
			},
		},
		"authorize, without the lease": {
			do:   func(g *Grant) error { return g.authorize("another", nil, 9, now) },
			want: outdated,
		},
		"renew": {
			do: func(g *Grant) error { return g.renew("me", seen, 4, nil) },
			want: map[string]outcome{
				"nothing": {"", errOutdated}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, errOutdated},
			},
			is: func(before, g Grant) bool {
				return g.TokenVersion == 4 && g.Lease == Lease{} && g.Reason == before.Reason
			},
		},
		"renew, of another pair": {
			do:   func(g *Grant) error { return g.renew("me", Grant{Generation: 5, TokenVersion: 2}, 4, nil) },
			want: outdated,
		},
		"renew, of a parked pair that was moved": {
			do: func(g *Grant) error {
				return g.renew("me", Grant{Generation: 5, TokenVersion: 3, Parked: []byte("p")}, 4, nil)
			},
			want: outdated,
		},
		"renew, of an earlier authorization": {
			do:   func(g *Grant) error { return g.renew("me", Grant{Generation: 4, TokenVersion: 3}, 4, nil) },
			want: outdated,
		},
		"renew, of what was dropped": {
			do:   func(g *Grant) error { return g.renew("me", Grant{Generation: 5}, 4, nil) },
			want: outdated,
		},
		"renew, without the lease": {
			do:   func(g *Grant) error { return g.renew("another", seen, 4, nil) },
			want: outdated,
		},
		"degrade: token refused": {
			do: func(g *Grant) error { return g.degrade(refused) },
			want: map[string]outcome{
				"nothing": {"", ErrRevoked}, "active": {Degraded, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, ErrRevoked}, "erased": {Erased, ErrRevoked},
			},
			is: func(before, g Grant) bool { return g.Reason == refused && g.Unannounced == (before.Reason != refused) },
		},
		"degrade: scope missing": {
			do: func(g *Grant) error { return g.degrade(missing) },
			want: map[string]outcome{
				"nothing": {"", ErrRevoked}, "active": {Degraded, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, ErrRevoked}, "erased": {Erased, ErrRevoked},
			},
			is: func(before, g Grant) bool {
				return g.Unannounced == (before.State == Active) && (g.Reason == missing) == (before.Reason != refused)
			},
		},
		"claim": {
			do: func(g *Grant) error { return g.claim(Claim{ClaimedAt: now}) },
			want: map[string]outcome{
				"nothing": {"", ErrRevoked}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, ErrRevoked}, "erased": {Erased, ErrRevoked},
			},
			is: func(_, g Grant) bool { return g.Claim.ClaimedAt.Equal(now) },
		},
		"dismiss": {
			do: func(g *Grant) error { return g.dismiss(claimed) },
			want: map[string]outcome{
				"nothing": {"", errOutdated}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, errOutdated}, "erased": {Erased, errOutdated},
			},
			is: func(_, g Grant) bool { return g.Claim == Claim{} },
		},
		"dismiss, of an earlier claim": {
			do:   func(g *Grant) error { return g.dismiss(Claim{ClaimedAt: claimed.ClaimedAt.Add(-time.Hour)}) },
			want: outdated,
		},
		"depart": {
			do: func(g *Grant) error { g.depart(departure, now); return nil },
			want: map[string]outcome{
				"nothing": {Erased, nil}, "active": {Revoked, nil}, refused: {Revoked, nil}, missing: {Revoked, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, nil},
			},
			is: func(before, g Grant) bool {
				return g.departed("r") && len(g.Departures) == len(before.Departures)+1 && g.Claim == Claim{} && g.Reason == "" &&
					g.RevokedAt.Equal(now) && g.TokenVersion == before.TokenVersion && g.Generation == 5
			},
		},
		"depart, of an earlier authorization": {
			do: func(g *Grant) error { g.depart(Departed{Receipt: "r", Generation: 4}, now); return nil },
			want: map[string]outcome{
				"nothing": {Erased, nil}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, nil},
			},
			is: func(before, g Grant) bool { return g.departed("r") && g.Claim == before.Claim },
		},
		"erase": {
			do: func(g *Grant) error { return g.erase() },
			want: map[string]outcome{
				"nothing": {"", errOutdated}, "active": {Active, errOutdated}, refused: {Degraded, errOutdated},
				missing: {Degraded, errOutdated}, "revoked": {Erased, nil}, "erased": {Erased, errOutdated},
			},
			is: func(_, g Grant) bool { return g.TokenVersion == 0 && g.Parked == nil && g.Scopes == nil },
		},
	} {
		for from, before := range states {
			after := before
			after.Departures = slices.Clone(before.Departures)
			err := transition.do(&after)
			want := transition.want[from]
			if after.State != want.state || !errors.Is(err, want.err) {
				t.Errorf("%s from %s: %q, %v; want %q, %v", name, from, after.State, err, want.state, want.err)
			}
			switch {
			case err != nil:
				if describe(before) != describe(after) {
					t.Errorf("%s from %s: refused, but the grant became %+v", name, from, after)
				}
			case !transition.is(before, after):
				t.Errorf("%s from %s: %+v", name, from, after)
			}
		}
	}
	open := states["revoked"]
	if open.depart(departure, now); !errors.Is(open.erase(), errOutdated) {
		t.Error("erased before the departure was seen through")
	}
	if open.depart(departure, now); len(open.Departures) != 1 {
		t.Error("the same departure counts twice")
	}
}

// describe is a grant in comparable form.
func describe(g Grant) string {
	return string(g.State) + g.Reason + g.Lease.Owner + g.Claim.Cause.ID + time.UnixMilli(g.Generation+g.TokenVersion).String()
}

func TestEveryDutyIsOwed(t *testing.T) {
	for name, owing := range map[string]Grant{
		"an event":        {State: Active, Unannounced: true},
		"a claim":         {State: Active, Claim: Claim{ClaimedAt: time.Now()}},
		"an end":          {State: Revoked},
		"a confirmation":  {State: Active, Departures: []Departed{{}}},
		"a lease":         {State: Active, Lease: Lease{Owner: "x"}},
		"a dead connect":  {State: Erased, Lease: Lease{Owner: "x"}},
		"a later receipt": {State: Erased, Departures: []Departed{{}}},
	} {
		if !owing.Owes() {
			t.Errorf("%s is not owed", name)
		}
	}
	for _, settled := range []Grant{{}, {State: Active, TokenVersion: 1}, {State: Degraded}, {State: Erased}} {
		if settled.Owes() {
			t.Errorf("%+v owes", settled)
		}
	}
}

func TestRetriesComeLessAndLessOften(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	g := Grant{State: Revoked}
	g.keepAccount(now)
	if want := (Owed{Since: now, Next: now.Add(leaseTime)}); g.Owed != want {
		t.Errorf("at first: %+v", g.Owed)
	}
	var waits []time.Duration
	for range 100 {
		g.postpone(now)
		waits = append(waits, g.Owed.Next.Sub(now))
	}
	want := []time.Duration{5, 10, 20, 40, 80, 160, 320, 360, 360}
	for i := range want {
		want[i] *= time.Minute
	}
	if !slices.Equal(waits[:9], want) || waits[99] != 6*time.Hour {
		t.Errorf("waits %v … %v", waits[:9], waits[99])
	}
	if g.keepAccount(now); !g.Owed.Since.Equal(now) {
		t.Error("a failure made the duty younger")
	}
	g.State = Erased
	if g.keepAccount(now); g.Owed != (Owed{}) {
		t.Errorf("after all is done: %+v", g.Owed)
	}
}
