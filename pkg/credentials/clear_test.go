package credentials_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/retention"
	"github.com/paceline/paceline/standin/strava"
)

func revokeAll(t *testing.T, w *world) (int, credentials.Remaining) {
	t.Helper()
	all, err := w.admin.RevokeAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all.Ended, all.Remaining
}

// mustBeIssued fails the test unless these receipts were issued, in any order.
func mustBeIssued(t *testing.T, issued []credentials.IssuedReceipt, want ...string) {
	t.Helper()
	var got []string
	for _, r := range issued {
		if r.RequestedAt.IsZero() {
			t.Errorf("%s was never asked for", r.Receipt)
		}
		got = append(got, r.Receipt)
	}
	slices.Sort(got)
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("receipts (-want +got)\n%s", d)
	}
}

func TestAStageIsCleared(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	for i := range 3 {
		w.connected(w.athlete(i))
	}
	if err := w.tokens.Degrade(t.Context(), credentials.Athlete(w.athlete(1)), w.grant(w.athlete(1)).Generation, credentialsv1.DegradedTokenRefused); err != nil {
		t.Fatal(err)
	}
	if _, err := w.admin.Clear(t.Context(), false); !fault.Is(err, fault.Conflict) {
		t.Errorf("with athletes in force: %v", err)
	}
	// The refused clear has ended them; the command has asked for confirmation.
	if ended, remains := revokeAll(t, w); ended != 0 || remains != (credentials.Remaining{Ending: 3}) {
		t.Errorf("ended %d, %+v", ended, remains)
	}
	w.reconcileAll()
	if _, remains := revokeAll(t, w); !remains.Empty() {
		t.Errorf("after the reconciliation: %+v", remains)
	}
	for i := range 3 {
		if w.strava.Athletes()[i].Connected {
			t.Errorf("Strava still counts athlete %d", i)
		}
	}
	cleared, err := w.admin.Clear(t.Context(), false)
	if err != nil || cleared != (credentials.ClearResult{Parameters: 1, Subscription: credentials.SubscriptionNone}) {
		t.Errorf("cleared %+v, %v", cleared, err)
	}
	if _, err := w.vault.App(t.Context(), credentials.ProviderStrava); !fault.Is(err, fault.NotFound) {
		t.Errorf("the registration: %v", err)
	}
	if again, err := w.admin.Clear(t.Context(), false); err != nil || again != (credentials.ClearResult{Subscription: credentials.SubscriptionNone}) {
		t.Errorf("again: %+v, %v", again, err)
	}
}

// TestReceiptsAreIssuedUntilOthersHaveHeardOfThem: while a revocation is pending,
// and for as long as a queue keeps its event after that, through new
// authorizations, too.
func TestReceiptsAreIssuedUntilOthersHaveHeardOfThem(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	w.connected(id)
	issued := func(want ...string) {
		t.Helper()
		s, err := w.admin.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		mustBeIssued(t, s.Receipts, want...)
	}
	issued()
	first, err := w.admin.RevokeAthlete(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	issued(first)
	w.reconcileAll()
	issued(first)
	w.clock.Advance(time.Hour)
	w.mustAnswer(id, w.connected(id)) // The athlete is back.
	issued(first)
	w.clock.Advance(retention.Tombstone - 8*time.Hour)
	second, err := w.admin.RevokeAthlete(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	w.reconcileAll()
	issued(first, second)
	w.connected(id)
	w.clock.Advance(2 * time.Hour)
	third, err := w.admin.RevokeAthlete(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	w.reconcileAll()
	issued(second, third)
}

// TestFailingRevocationsAreReportedAndCanBeAbandoned: one athlete's tokens can never
// be read.
func TestFailingRevocationsAreReportedAndCanBeAbandoned(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	stuck, other := w.athlete(0), w.athlete(1)
	w.connected(stuck)
	w.connected(other)
	w.reconciler = rewire(w.reconciler, func(s *credentials.TokenStore) { s.Vault = withholding{s.Vault, credentials.Athlete(stuck)} }).Reconciler
	if ended, _ := revokeAll(t, w); ended != 2 {
		t.Errorf("ended %d", ended)
	}
	w.reconcileAll()
	if _, remains := revokeAll(t, w); remains != (credentials.Remaining{Ending: 1, Failing: 1}) {
		t.Errorf("remains %+v", remains)
	}
	if _, err := w.admin.Clear(t.Context(), false); !fault.Is(err, fault.Conflict) {
		t.Errorf("cleared: %v", err)
	}
	if _, err := w.vault.App(t.Context(), credentials.ProviderStrava); err != nil {
		t.Errorf("the registration, by which it could still be ended: %v", err)
	}
	if cleared, err := w.admin.Clear(t.Context(), true); err != nil || cleared.Parameters != 2 {
		t.Errorf("abandoned: %+v, %v", cleared, err)
	}
}

// withholding is a vault that cannot read one account's tokens.
type withholding struct {
	credentials.Vault
	account credentials.Account
}

func (v withholding) Latest(ctx context.Context, account credentials.Account, generation int64) (credentials.TokenPair, int64, error) {
	if account == v.account {
		return credentials.TokenPair{}, 0, fault.New(fault.Transient, "the key is disabled")
	}
	return v.Vault.Latest(ctx, account, generation)
}

func (v withholding) Tokens(ctx context.Context, account credentials.Account, generation, version int64) (credentials.TokenPair, error) {
	if account == v.account {
		return credentials.TokenPair{}, fault.New(fault.Transient, "the key is disabled")
	}
	return v.Vault.Tokens(ctx, account, generation, version)
}

// TestRevokeAllStopsBeforeItsTimeIsUp, and the next call goes on where it stopped.
func TestRevokeAllStopsBeforeItsTimeIsUp(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	for i := range 3 {
		w.connected(w.athlete(i))
	}
	late, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if all, err := w.admin.RevokeAll(late); err != nil || all.Ended != 0 || all.Remaining != (credentials.Remaining{InForce: 3}) {
		t.Errorf("%+v, %v", all, err)
	}
	if ended, remains := revokeAll(t, w); ended != 3 || remains.InForce != 0 {
		t.Errorf("ended %d, %+v", ended, remains)
	}
}

func TestClearingDeletesOnlyItsOwnSubscription(t *testing.T) {
	for name, tc := range map[string]struct {
		before func(t *testing.T, o *adminFixture)
		want   credentials.ClearedSubscription
		left   bool
	}{
		"ours": {func(*testing.T, *adminFixture) {}, credentials.SubscriptionDeleted, false},
		"another host's": {func(_ *testing.T, o *adminFixture) {
			o.CallbackURL = "http://other.test/webhooks/strava"
		}, credentials.SubscriptionElsewhere, true},
		"none": {func(t *testing.T, o *adminFixture) {
			if err := o.DeleteSubscription(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, credentials.SubscriptionNone, false},
		"by a registration that can never be read": {func(_ *testing.T, o *adminFixture) {
			o.vault.AppFault = fault.New(fault.Permanent, "another key")
		}, credentials.SubscriptionUnknown, true},
		"of an application that Strava refuses": {func(_ *testing.T, o *adminFixture) {
			o.strava.RotateClientSecret()
		}, credentials.SubscriptionUnknown, true},
	} {
		t.Run(name, func(t *testing.T) {
			o := newAdminFixture(t)
			set(t, o)
			if _, err := o.EnsureSubscription(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			tc.before(t, o)
			cleared, err := o.Clear(t.Context(), false)
			if err != nil || cleared.Subscription != tc.want || cleared.Parameters != 1 {
				t.Errorf("%+v, %v", cleared, err)
			}
			if left := o.strava.Subscription() != nil; left != tc.left {
				t.Errorf("left at Strava: %v", left)
			}
		})
	}
}

func TestClearingWaitsForARegistrationThatCannotBeReadNow(t *testing.T) {
	o := newAdminFixture(t)
	set(t, o)
	if _, err := o.EnsureSubscription(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	o.vault.AppFault = fault.New(fault.Transient, "rate exceeded")
	if _, err := o.Clear(t.Context(), true); !fault.Is(err, fault.Transient) {
		t.Errorf("got %v", err)
	}
	o.vault.AppFault = nil
	o.app(t)
	if o.strava.Subscription() == nil {
		t.Error("the subscription was deleted")
	}
}
