package credentials

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// TestTransitions tries every transition from every state.
func TestTransitions(t *testing.T) {
	const refused, missing = credentialsv1.DegradedTokenRefused, credentialsv1.DegradedScopeMissing
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	claimed := Claim{ClaimedAt: now.Add(-time.Hour), Cause: event.Meta{ID: "claim"}, CheckAt: now}
	old := PendingRevocation{Receipt: "old", Generation: 1}
	lease := Lease{Owner: "me", Until: now.Add(time.Second)}
	tokens := TokenRef{Generation: 5, Version: 3}
	connecting := Candidate{TokenRef: TokenRef{Sealed: []byte("new")}, ReceivedAt: 9, Scopes: []string{"activity:read"}, Connecting: true}
	other := Candidate{TokenRef: TokenRef{Generation: 4, Version: 1}, ReceivedAt: 4}
	candidates := []Candidate{connecting, other}
	// Each state as it is while I hold the lease.
	states := map[string]Grant{
		"nothing": {Account: Athlete(7)},
		"active":  {Account: Athlete(7), Generation: 5, Since: 2, State: Active, Scopes: []string{"read"}, Tokens: tokens, Candidates: candidates, Lease: lease, Claim: claimed, Revocations: []PendingRevocation{old}},
		refused:   {Account: Athlete(7), Generation: 5, Since: 2, State: Degraded, Reason: refused, DegradedAt: now, Tokens: tokens, Candidates: candidates, Lease: lease, Claim: claimed},
		missing:   {Account: Athlete(7), Generation: 5, Since: 2, State: Degraded, Reason: missing, DegradedAt: now, Tokens: tokens, Candidates: candidates, Lease: lease, Claim: claimed},
		"revoked": {Account: Athlete(7), Generation: 5, State: Revoked, Tokens: tokens, Candidates: candidates, Lease: lease, RevokedAt: now},
		"erased":  {Account: Athlete(7), Generation: 5, State: Erased, Candidates: candidates, Lease: lease, RevokedAt: now},
	}
	seen := Grant{Generation: 5, Tokens: tokens, Candidates: candidates}
	revocation := PendingRevocation{Receipt: "r", Generation: 5, Reason: credentialsv1.RevokedLeft}
	type outcome struct {
		state State
		err   error
	}
	outdated := map[string]outcome{
		"nothing": {"", errGrantChanged}, "active": {Active, errGrantChanged}, refused: {Degraded, errGrantChanged},
		missing: {Degraded, errGrantChanged}, "revoked": {Revoked, errGrantChanged}, "erased": {Erased, errGrantChanged},
	}
	for name, transition := range map[string]struct {
		do func(*Grant) error
		// want is the outcome by the state's name. A refused transition changes
		// nothing.
		want map[string]outcome
		// is reports whether the result of a transition that was not refused is right.
		is func(before, after Grant) bool
	}{
		"acquire": {
			do: func(g *Grant) error { return g.acquire("me", now) },
			want: map[string]outcome{
				"nothing": {"", nil}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, nil},
			},
			is: func(_, g Grant) bool { return g.Lease == Lease{"me", now.Add(leaseTime)} },
		},
		"acquire, while another holds the lease": {
			do: func(g *Grant) error { return g.acquire("another", now) },
			want: map[string]outcome{
				"nothing": {"", nil}, "active": {Active, errBusy}, refused: {Degraded, errBusy}, missing: {Degraded, errBusy},
				"revoked": {Revoked, errBusy}, "erased": {Erased, errBusy},
			},
			is: func(_, g Grant) bool { return g.Lease.Owner == "another" },
		},
		"release": {
			do: func(g *Grant) error { return unless(g.release("me")) },
			want: map[string]outcome{
				"nothing": {"", errGrantChanged}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, nil},
			},
			is: func(_, g Grant) bool { return g.Lease == Lease{} },
		},
		"acquire, after another died": {
			do: func(g *Grant) error { return g.acquire("another", now.Add(time.Second)) },
			want: map[string]outcome{
				"nothing": {"", nil}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, nil},
			},
			is: func(before, g Grant) bool {
				return g.Lease.Owner == "another" && g.InDoubt == (before.Lease.Owner != "")
			},
		},
		"createTombstone": {
			do: func(g *Grant) error { g.createTombstone(now); return nil },
			want: map[string]outcome{
				"nothing": {Erased, nil}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, nil},
			},
			is: func(_, g Grant) bool { return g.Account == Athlete(7) },
		},
		"addCandidate": {
			do: func(g *Grant) error {
				g.addCandidate(Candidate{TokenRef: TokenRef{Sealed: []byte("x")}, ReceivedAt: 8}, now)
				return nil
			},
			want: map[string]outcome{
				"nothing": {Erased, nil}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, nil},
			},
			is: func(before, g Grant) bool { return len(g.Candidates) == len(before.Candidates)+1 },
		},
		"restore": {
			do: func(g *Grant) error { g.restore(other, now.Add(time.Hour)); return nil },
			want: map[string]outcome{
				"nothing": {"", nil}, "active": {Active, nil}, refused: {Active, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, nil},
			},
			is: func(before, g Grant) bool {
				if before.Reason != refused {
					return g.Generation == before.Generation && len(g.Candidates) == len(before.Candidates)
				}
				return g.Generation == 6 && g.Since == 2 && g.Tokens.equal(other.TokenRef) && len(g.Candidates) == 1 &&
					g.Unpublished && g.Reason == "" && g.DegradedAt.IsZero()
			},
		},
		"authorize": {
			do: func(g *Grant) error { return unless(g.authorize(connecting, "receipt", now)) },
			want: map[string]outcome{
				"nothing": {"", errGrantChanged}, "active": {Active, nil}, refused: {Active, nil}, missing: {Active, nil},
				"revoked": {Active, nil}, "erased": {Active, nil},
			},
			is: func(before, g Grant) bool {
				since, candidates := before.Since, 2 // The other one, and the pair that was valid.
				if !before.inForce() {
					since = 9
				}
				if before.State == Erased {
					candidates = 1
				}
				return g.Generation == 9 && g.Since == since && g.Tokens.equal(connecting.TokenRef) && g.Scopes[0] == "activity:read" &&
					g.Unpublished && g.Reason == "" && g.DegradedAt.IsZero() && g.Lease == Lease{} && g.RevokedAt.IsZero() &&
					len(g.Revocations) == len(before.Revocations) && len(g.Candidates) == candidates && g.pendingConnect() == nil &&
					// A claim, or the earlier authorization's end, came after the pair was issued.
					g.Claim.CheckAt.Equal(now)
			},
		},
		"authorize, long after a claim or an end": {
			do: func(g *Grant) error {
				candidate := connecting
				candidate.ReceivedAt = now.Add(time.Hour).UnixMilli()
				if g.State == Revoked {
					return nil // It is being revoked at Strava now.
				}
				return unless(g.authorize(candidate, "receipt", now))
			},
			want: map[string]outcome{
				"nothing": {"", errGrantChanged}, "active": {Active, nil}, refused: {Active, nil}, missing: {Active, nil},
				"revoked": {Revoked, nil}, "erased": {Active, nil},
			},
			is: func(_, g Grant) bool { return g.Claim == Claim{} },
		},
		"authorize, twice": {
			do: func(g *Grant) error {
				candidate := connecting
				candidate.Sealed = []byte("completed before")
				return unless(g.authorize(candidate, "receipt", now))
			},
			want: outdated,
		},
		"authorize, by an older exchange": {
			do: func(g *Grant) error {
				if g.State == "" {
					return unless(g.authorize(connecting, "receipt", now))
				}
				g.Generation = 9
				return unless(g.authorize(connecting, "receipt", now))
			},
			want: map[string]outcome{
				"nothing": {"", errGrantChanged}, "active": {Active, nil}, refused: {Active, nil}, missing: {Active, nil},
				"revoked": {Active, nil}, "erased": {Active, nil},
			},
			is: func(before, g Grant) bool {
				if before.State == Active {
					return g.Generation == 9 && g.Tokens.equal(tokens) && len(g.Candidates) == 2 && g.pendingConnect() == nil
				}
				return g.Generation == 10
			},
		},
		"endConnect": {
			do: func(g *Grant) error { return unless(g.endConnect(connecting)) },
			want: map[string]outcome{
				"nothing": {"", errGrantChanged}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, nil},
			},
			is: func(_, g Grant) bool { return len(g.Candidates) == 2 && g.pendingConnect() == nil },
		},
		"renew": {
			do: func(g *Grant) error { return g.renew("me", seen, TokenRef{Generation: 5, Version: 4}) },
			want: map[string]outcome{
				"nothing": {"", errGrantChanged}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, errGrantChanged},
			},
			is: func(before, g Grant) bool {
				// Strava accepted the pair before, so the other one is invalid, and its
				// parameter obsolete. A pending connect is completed on its own.
				dropped := len(g.Candidates) == 1 && g.pendingConnect() != nil && slices.Equal(g.Obsolete, []int64{4})
				return g.Tokens.Version == 4 && g.Lease == Lease{} && g.Reason == before.Reason && dropped == before.inForce()
			},
		},
		"renew, of another pair": {
			do: func(g *Grant) error {
				return g.renew("me", Grant{Generation: 5, Tokens: TokenRef{Generation: 5, Version: 2}}, tokens)
			},
			want: outdated,
		},
		"renew, of a sealed pair that was moved": {
			do: func(g *Grant) error {
				return g.renew("me", Grant{Generation: 5, Tokens: TokenRef{Sealed: []byte("p")}}, tokens)
			},
			want: outdated,
		},
		"renew, of an earlier authorization": {
			do:   func(g *Grant) error { return g.renew("me", Grant{Generation: 4, Tokens: tokens}, tokens) },
			want: outdated,
		},
		"renew, of deleted tokens": {
			do:   func(g *Grant) error { return g.renew("me", Grant{Generation: 5}, tokens) },
			want: outdated,
		},
		"renew, without the lease": {
			do:   func(g *Grant) error { return g.renew("another", seen, tokens) },
			want: outdated,
		},
		"adopt": {
			do: func(g *Grant) error { return g.adopt("me", seen, other.TokenRef) },
			want: map[string]outcome{
				"nothing": {"", errGrantChanged}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, errGrantChanged},
			},
			is: func(before, g Grant) bool {
				retired := slices.Equal(g.Obsolete, []int64{5})
				return g.Tokens.equal(other.TokenRef) && len(g.Candidates) == 1 && g.Lease == Lease{} && retired == !before.inForce()
			},
		},
		"adopt, of a connect's": {
			do: func(g *Grant) error { return g.adopt("me", seen, connecting.TokenRef) },
			want: map[string]outcome{
				"nothing": {"", errGrantChanged}, "active": {Active, nil}, refused: {Active, nil}, missing: {Active, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, errGrantChanged},
			},
			is: func(before, g Grant) bool {
				if !g.Tokens.equal(connecting.TokenRef) || g.pendingConnect() != nil {
					return false
				}
				if !before.inForce() {
					return g.Generation == 5 && !g.Unpublished
				}
				return slices.Equal(g.Scopes, connecting.Scopes) && g.Generation == 6 && g.Since == 2 && g.Unpublished && g.Reason == ""
			},
		},
		"adopt, without the lease": {
			do:   func(g *Grant) error { return g.adopt("another", seen, other.TokenRef) },
			want: outdated,
		},
		"degrade: token refused": {
			do: func(g *Grant) error { _, err := g.degrade(refused, now.Add(time.Hour)); return err },
			want: map[string]outcome{
				"nothing": {"", ErrRevoked}, "active": {Degraded, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, ErrRevoked}, "erased": {Erased, ErrRevoked},
			},
			is: func(before, g Grant) bool {
				return g.Reason == refused && g.Unpublished == (before.Reason != refused) && g.DegradedAt.Equal(now) == (before.Reason == refused)
			},
		},
		"degrade: scope missing": {
			do: func(g *Grant) error { _, err := g.degrade(missing, now.Add(time.Hour)); return err },
			want: map[string]outcome{
				"nothing": {"", ErrRevoked}, "active": {Degraded, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, ErrRevoked}, "erased": {Erased, ErrRevoked},
			},
			is: func(before, g Grant) bool {
				return g.Unpublished == (before.State == Active) && (g.Reason == missing) == (before.Reason != refused)
			},
		},
		"claim": {
			do: func(g *Grant) error { return g.addClaim(event.Meta{ID: "new"}, now) },
			want: map[string]outcome{
				"nothing": {"", ErrRevoked}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, ErrRevoked}, "erased": {Erased, ErrRevoked},
			},
			is: func(_, g Grant) bool {
				return g.Claim.ClaimedAt.Equal(now) && g.Claim.CheckAt.Equal(now) && g.Claim.Cause.ID == "new"
			},
		},
		"claim, soon after a check": {
			do: func(g *Grant) error {
				if g.inForce() {
					g.ClaimCheckedAt = now.Add(-time.Minute)
				}
				return g.addClaim(event.Meta{}, now)
			},
			want: map[string]outcome{
				"nothing": {"", ErrRevoked}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, ErrRevoked}, "erased": {Erased, ErrRevoked},
			},
			is: func(_, g Grant) bool { return g.Claim.CheckAt.Equal(now.Add(9 * time.Minute)) },
		},
		"check": {
			do: func(g *Grant) error { return unless(g.beginCheck(now)) },
			want: map[string]outcome{
				"nothing": {"", errGrantChanged}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, errGrantChanged}, "erased": {Erased, errGrantChanged},
			},
			is: func(_, g Grant) bool {
				return g.ClaimCheckedAt.Equal(now) && g.Claim.CheckAt.Equal(now.Add(10*time.Minute)) && g.Claim.ClaimedAt.Equal(claimed.ClaimedAt)
			},
		},
		"check, before its time": {
			do:   func(g *Grant) error { return unless(g.beginCheck(now.Add(-time.Second))) },
			want: outdated,
		},
		"keepClaim": {
			do: func(g *Grant) error { return unless(g.deferClaim(claimed)) },
			want: map[string]outcome{
				"nothing": {"", errGrantChanged}, "active": {Active, errGrantChanged}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, errGrantChanged}, "erased": {Erased, errGrantChanged},
			},
			is: func(_, g Grant) bool { return g.Claim.CheckAt.Equal(now.Add(7 * 24 * time.Hour)) },
		},
		"dismiss": {
			do: func(g *Grant) error { return unless(g.dismissClaim(claimed)) },
			want: map[string]outcome{
				"nothing": {"", errGrantChanged}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, errGrantChanged}, "erased": {Erased, errGrantChanged},
			},
			is: func(_, g Grant) bool { return g.Claim == Claim{} },
		},
		"dismiss, of an earlier claim": {
			do: func(g *Grant) error {
				return unless(g.dismissClaim(Claim{ClaimedAt: claimed.ClaimedAt.Add(-time.Hour)}))
			},
			want: outdated,
		},
		"revoke": {
			do: func(g *Grant) error { g.revoke(revocation, now); return nil },
			want: map[string]outcome{
				"nothing": {Erased, nil}, "active": {Revoked, nil}, refused: {Revoked, nil}, missing: {Revoked, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, nil},
			},
			is: func(before, g Grant) bool {
				return g.isRevoking("r") && len(g.Revocations) == len(before.Revocations)+1 && g.Claim == Claim{} && g.Reason == "" &&
					g.DegradedAt.IsZero() && g.RevokedAt.Equal(now) && g.Tokens.equal(before.Tokens) && g.Generation == 5
			},
		},
		"revoke, of an earlier series": {
			do: func(g *Grant) error {
				g.revoke(PendingRevocation{Receipt: "r", Generation: 1, RequestedAt: now}, now)
				return nil
			},
			want: map[string]outcome{
				"nothing": {Erased, nil}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, nil},
			},
			is: func(before, g Grant) bool { return g.isRevoking("r") && g.Claim == before.Claim },
		},
		"revoke, from an earlier session of the series": {
			do: func(g *Grant) error {
				g.revoke(PendingRevocation{Receipt: "r", Generation: 2, RequestedAt: now}, now)
				return nil
			},
			want: map[string]outcome{
				"nothing": {Erased, nil}, "active": {Revoked, nil}, refused: {Revoked, nil}, missing: {Revoked, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, nil},
			},
			is: func(before, g Grant) bool {
				last := g.Revocations[len(g.Revocations)-1]
				return last.Receipt == "r" && (last.Generation == 5) == before.inForce()
			},
		},
		"revoke, requested before the present authorization": {
			do: func(g *Grant) error {
				g.revoke(PendingRevocation{Receipt: "r", Generation: 2, RequestedAt: time.UnixMilli(4)}, now)
				return nil
			},
			want: map[string]outcome{
				"nothing": {Erased, nil}, "active": {Active, nil}, refused: {Degraded, nil}, missing: {Degraded, nil},
				"revoked": {Revoked, nil}, "erased": {Erased, nil},
			},
			is: func(_, g Grant) bool { return g.isRevoking("r") },
		},
		"dropTokens": {
			do: func(g *Grant) error { return g.deleteTokens("me", seen, now) },
			want: map[string]outcome{
				"nothing": {"", errGrantChanged}, "active": {Active, errGrantChanged}, refused: {Degraded, errGrantChanged},
				missing: {Degraded, errGrantChanged}, "revoked": {Revoked, nil}, "erased": {Erased, nil},
			},
			is: func(_, g Grant) bool {
				return !g.Authorized() && len(g.Candidates) == 1 && g.pendingConnect() != nil && g.Lease == Lease{}
			},
		},
		"dropTokens, without the lease": {
			do:   func(g *Grant) error { return g.deleteTokens("another", seen, now) },
			want: outdated,
		},
		"erase": {
			do: func(g *Grant) error {
				if g.State == Revoked {
					g.Tokens = TokenRef{}
				}
				return unless(g.erase())
			},
			want: map[string]outcome{
				"nothing": {"", errGrantChanged}, "active": {Active, errGrantChanged}, refused: {Degraded, errGrantChanged},
				missing: {Degraded, errGrantChanged}, "revoked": {Erased, nil}, "erased": {Erased, errGrantChanged},
			},
			is: func(_, g Grant) bool { return g.Scopes == nil && g.Since == 0 && g.ClaimCheckedAt.IsZero() },
		},
	} {
		for from, before := range states {
			after := before
			after.Revocations, after.Candidates = slices.Clone(before.Revocations), slices.Clone(before.Candidates)
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
	if open.erase() {
		t.Error("erased before the tokens were deleted")
	}
	open.Tokens = TokenRef{}
	if open.revoke(revocation, now); open.erase() {
		t.Error("erased before the revocation was completed")
	}
	if open.revoke(revocation, now); len(open.Revocations) != 1 {
		t.Error("the same revocation counts twice")
	}
}

func TestAuthorizingKeepsWhatOutlivesAnAuthorization(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	connecting := Candidate{TokenRef: TokenRef{Sealed: []byte("new")}, ReceivedAt: now.UnixMilli(), Connecting: true}
	g := Grant{
		State: Degraded, Generation: 5, Tokens: TokenRef{Generation: 5, Version: 1}, Candidates: []Candidate{connecting}, Obsolete: []int64{3},
		ClaimCheckedAt: now.Add(-time.Minute), EndRequestedAt: now.Add(-time.Hour), Revocations: []PendingRevocation{{Receipt: "r"}},
		// By another clock, the claim may have come after the pair was issued.
		Claim: Claim{ClaimedAt: now.Add(-30 * time.Second), CheckAt: now.Add(retention.StravaData)},
	}
	if !g.authorize(connecting, "", now) {
		t.Fatal("not authorized")
	}
	if len(g.Obsolete) != 1 || len(g.Revocations) != 1 || !g.ClaimCheckedAt.Equal(now.Add(-time.Minute)) || !g.EndRequestedAt.Equal(now.Add(-time.Hour)) {
		t.Errorf("%+v", g)
	}
	if !g.Claim.CheckAt.Equal(now) {
		t.Errorf("the claim is checked at %s", g.Claim.CheckAt)
	}
	// Tokens of an authorization that ended long ago may be revoked only now.
	g = Grant{State: Revoked, Generation: 5, RevokedAt: now.Add(-time.Hour), Candidates: []Candidate{connecting}}
	if !g.authorize(connecting, "", now) || !g.Claim.CheckAt.Equal(now) {
		t.Errorf("%+v", g.Claim)
	}
}

func TestARefreshInFlightIsInDoubtUntilTheNext(t *testing.T) {
	connecting := Candidate{TokenRef: TokenRef{Sealed: []byte("new")}, ReceivedAt: 9, Connecting: true}
	for owner, doubt := range map[string]bool{"": false, "me": true} {
		g := Grant{State: Active, Generation: 5, Tokens: TokenRef{Generation: 5, Version: 1}, Candidates: []Candidate{connecting}, Lease: Lease{Owner: owner}}
		if !g.authorize(connecting, "", time.Now()) || g.InDoubt != doubt {
			t.Errorf("%q: doubt %v", owner, g.InDoubt)
		}
		if err := g.acquire("another", time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := g.renew("another", g, TokenRef{Generation: 9, Version: 1}); err != nil || g.InDoubt {
			t.Errorf("%q: after a refresh %v, doubt %v", owner, err, g.InDoubt)
		}
	}
}

func TestAParameterInUseIsNotDeleted(t *testing.T) {
	g := Grant{State: Active, Generation: 9, Tokens: TokenRef{Generation: 5, Version: 1}, Candidates: []Candidate{{TokenRef: TokenRef{Generation: 5, Version: 2}}}}
	if g.replaceTokens(TokenRef{Generation: 9, Version: 1}); len(g.Obsolete) > 0 {
		t.Errorf("a candidate's: %v", g.Obsolete)
	}
	if g.removeCandidates(slices.Clone(g.Candidates)...); !slices.Equal(g.Obsolete, []int64{5}) {
		t.Errorf("obsolete: %v", g.Obsolete)
	}
}

func TestAnEarlierClaimIsNotKept(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	g := Grant{State: Degraded, DegradedAt: now, Claim: Claim{ClaimedAt: now, CheckAt: now}}
	if g.deferClaim(Claim{ClaimedAt: now.Add(-time.Second)}) || !g.Claim.CheckAt.Equal(now) {
		t.Errorf("%+v", g.Claim)
	}
}

func TestARevocationDoesNotWaitForAFailedClaim(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	g := Grant{
		State: Active, Generation: 5, Claim: Claim{ClaimedAt: now, CheckAt: now},
		Retry: RetryState{Since: now.Add(-72 * time.Hour), Next: now.Add(lastRetry), Attempts: 12},
	}
	g.revoke(PendingRevocation{Receipt: "r", Generation: 5, RequestedAt: now}, now)
	g.updateRetryState(now)
	if want := (RetryState{Since: now, Next: now.Add(leaseTime)}); g.Retry != want {
		t.Errorf("%+v", g.Retry)
	}
}

// unless returns errGrantChanged for a transition that changed nothing.
func unless(changed bool) error {
	if !changed {
		return errGrantChanged
	}
	return nil
}

func describe(g Grant) string {
	return string(g.State) + g.Reason + g.Lease.Owner + g.Claim.Cause.ID + time.UnixMilli(g.Generation+g.Tokens.Version).String() + fmt.Sprint(len(g.Candidates), g.Obsolete)
}

func TestEveryTaskIsPending(t *testing.T) {
	candidate := Candidate{TokenRef: TokenRef{Sealed: []byte("x")}}
	connecting := candidate
	connecting.Connecting = true
	for name, g := range map[string]Grant{
		"an event":                   {State: Active, Unpublished: true},
		"a claim":                    {State: Active, Claim: Claim{ClaimedAt: time.Now()}},
		"a revocation":               {State: Revoked},
		"a confirmation":             {State: Active, Revocations: []PendingRevocation{{}}},
		"a later receipt":            {State: Erased, Revocations: []PendingRevocation{{}}},
		"a connect":                  {State: Active, Candidates: []Candidate{connecting}},
		"a connect of a new athlete": {State: Erased, Candidates: []Candidate{connecting}},
		"a pair after the end":       {State: Erased, Candidates: []Candidate{candidate}},
		"a parameter":                {State: Active, Obsolete: []int64{1}},
	} {
		if !g.HasPendingTasks() {
			t.Errorf("%s is not pending", name)
		}
	}
	for _, done := range []Grant{
		{}, {State: Active, Tokens: TokenRef{Version: 1}}, {State: Degraded}, {State: Erased},
		{State: Active, Candidates: []Candidate{candidate}}, {State: Active, Lease: Lease{Owner: "x"}},
	} {
		if done.HasPendingTasks() {
			t.Errorf("%+v has a task", done)
		}
	}
}

func TestCandidatesAreBounded(t *testing.T) {
	g := Grant{State: Active}
	for i := range int64(40) {
		g.addCandidate(Candidate{TokenRef: TokenRef{Generation: i + 1, Version: 1}}, time.Now())
	}
	if len(g.Candidates) != maxCandidates || g.Candidates[maxCandidates-1].Generation != 40 || len(g.Obsolete) != 40-maxCandidates {
		t.Errorf("%d candidates, %d parameters to delete", len(g.Candidates), len(g.Obsolete))
	}
}

func TestAClaimWaitsForItsTime(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	g := Grant{State: Active, Claim: Claim{ClaimedAt: now, CheckAt: now.Add(time.Hour)}}
	if g.updateRetryState(now); !g.Retry.Next.Equal(now.Add(time.Hour)) {
		t.Errorf("tried at %s", g.Retry.Next)
	}
	g = Grant{State: Active, Unpublished: true, Claim: g.Claim}
	if g.updateRetryState(now); !g.Retry.Next.Equal(now.Add(leaseTime)) {
		t.Errorf("beside another task, tried at %s", g.Retry.Next)
	}
}

func TestRetriesComeLessAndLessOften(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	g := Grant{State: Revoked}
	g.updateRetryState(now)
	if want := (RetryState{Since: now, Next: now.Add(leaseTime)}); g.Retry != want {
		t.Errorf("at first: %+v", g.Retry)
	}
	var waits []time.Duration
	for range 100 {
		g.postpone(now)
		waits = append(waits, g.Retry.Next.Sub(now))
	}
	want := []time.Duration{5, 10, 20, 40, 80, 160, 320, 360, 360}
	for i := range want {
		want[i] *= time.Minute
	}
	if !slices.Equal(waits[:9], want) || waits[99] != 6*time.Hour {
		t.Errorf("waits %v … %v", waits[:9], waits[99])
	}
	if g.updateRetryState(now); !g.Retry.Since.Equal(now) {
		t.Error("a failure made the task younger")
	}
	g.State = Erased
	if g.updateRetryState(now); g.Retry != (RetryState{}) {
		t.Errorf("after all is done: %+v", g.Retry)
	}
}
