package credentials_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials/metric"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin/strava"
)

// remembered is a vault that returns a registration read some time ago.
type remembered struct {
	credentials.Vault
	app credentials.App
}

func (v remembered) App(context.Context, string) (credentials.App, error) { return v.app, nil }

// TestTheClientSecretIsChangedWithoutDowntime changes the client secret at
// Strava and then, by one command, here. Meanwhile a warm requester needs new
// tokens for an athlete about whom there is a claim, and another one leaves. Between
// the two changes Strava refuses the application, which degrades no grant.
func TestTheClientSecretIsChangedWithoutDowntime(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	warm, leaving := w.athlete(0), w.athlete(1)
	generation, ends := w.connected(warm), w.connected(leaving)
	w.clock.Advance(7 * time.Hour)
	w.mustAnswer(warm, generation) // The requester has the registration in memory.
	w.clock.Advance(7 * time.Hour) // The next call needs new tokens.

	fresh := w.strava.RotateClientSecret()
	if res := w.forward(warm, generation); res.Outcome == credentialsv1.OutcomeAnswered || res.Outcome == credentialsv1.OutcomeDegraded {
		t.Fatalf("in between, a call is %s", res.Outcome)
	}
	if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(leaving), ends, "receipt", w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	if err := w.reconciler.HandleDeauthorization(t.Context(), cause(), credentials.Athlete(warm)); err != nil {
		t.Fatal(err)
	}
	w.reconcileAll()

	id, _ := w.strava.Client()
	if replaced, err := w.admin.SetApp(t.Context(), strconv.FormatInt(id, 10), secret.New(fresh), secret.String{}); replaced || err != nil {
		t.Fatalf("replaced %v, %v", replaced, err)
	}
	w.mustAnswer(warm, generation)
	w.reconcileAll()
	w.mustAnswer(warm, generation)
	if g := w.grant(leaving); g.State != credentials.Erased || w.strava.Athletes()[1].Connected {
		t.Errorf("who left is %s, at Strava %v", g.State, w.strava.Athletes()[1].Connected)
	}
	if n := len(eventtest.Facts[credentialsv1.AuthorizationDegraded](w.bus)); n != 0 || w.counts.Of(metric.Degraded) != 0 {
		t.Errorf("%d athletes were degraded", n)
	}
}

// TestAConnectInFlightOutlivesTheClientSecret changes the client secret between
// the consent and the exchange of the code, and has an insufficient authorization
// revoked.
func TestAConnectInFlightOutlivesTheClientSecret(t *testing.T) {
	for name, tc := range map[string]struct {
		more string
		want error
	}{
		"enough is allowed":     {"", nil},
		"too little is allowed": {"&accept_scope=read", credentials.ErrMissingScope},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, strava.Settings{})
			old, err := w.vault.App(t.Context(), credentials.ProviderStrava)
			if err != nil {
				t.Fatal(err)
			}
			w.connect.Vault, w.connect.OAuth = remembered{w.vault, old}, credentials.ReloadingOAuth{OAuth: w.oauth, Vault: w.vault}
			begun := w.consent(w.athlete(0), tc.more)
			begun.Scope = "read,activity:read" // so that only the token response names it
			id, _ := w.strava.Client()
			if _, err := w.admin.SetApp(t.Context(), strconv.FormatInt(id, 10), secret.New(w.strava.RotateClientSecret()), secret.String{}); err != nil {
				t.Fatal(err)
			}
			_, err = w.connect.Finish(t.Context(), begun)
			if connected := w.strava.Athletes()[0].Connected; !errors.Is(err, tc.want) || connected != (tc.want == nil) {
				t.Errorf("connected at Strava %v, %v", connected, err)
			}
		})
	}
}

func TestTheSubscriptionOutlivesTheClientSecret(t *testing.T) {
	o := newAdminFixture(t)
	set(t, o)
	sub, err := o.EnsureSubscription(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	check := func(want string) {
		t.Helper()
		res, err := o.check.Check(t.Context(), true)
		if err != nil || res.Subscription != want || res.CallbackFailure != "" {
			t.Errorf("the subscription is said to be %s, the callback to fail by %q (%v)", res.Subscription, res.CallbackFailure, err)
		}
	}
	fresh := o.strava.RotateClientSecret()
	check(credentialsv1.SubscriptionUnknown) // Strava refuses the old secret.
	if _, err := o.EnsureSubscription(t.Context(), false); err == nil {
		t.Error("the moment between the two changes cannot be seen")
	}
	if _, err := o.SetApp(t.Context(), "4711", secret.New(fresh), secret.String{}); err != nil {
		t.Fatal(err)
	}
	check(credentialsv1.SubscriptionOK)
	if again, err := o.EnsureSubscription(t.Context(), false); err != nil || again != sub {
		t.Errorf("ensured: %+v, %v", again, err)
	}
}
