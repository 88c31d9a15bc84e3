package credentials_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin/strava"
)

var rotations = []strava.Rotation{strava.RotateNever, strava.RotateAlways, strava.RotateRandom}

func TestTokensSurviveAYearOfRefreshes(t *testing.T) {
	for _, rotation := range rotations {
		t.Run(string(rotation), func(t *testing.T) {
			w := newWorld(t, strava.Settings{Rotation: rotation})
			id := w.athlete(0)
			generation := w.connected(id)
			for range 365 * 24 / 5 {
				w.clock.Advance(5*time.Hour + time.Minute) // Less than an hour is left each time.
				w.mustAnswer(id, generation)
			}
			c := w.strava.Counters()
			if c.DeadRefreshUses[id] != 0 {
				t.Errorf("%d invalid refresh tokens used", c.DeadRefreshUses[id])
			}
			if n := c.Total(strava.EndpointRefresh, id); n != 365*24/5 {
				t.Errorf("%d refreshes", n)
			}
		})
	}
}

func TestNoRefreshWhileAnHourIsLeft(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	for range 290 {
		w.clock.Advance(time.Minute)
		w.mustAnswer(id, generation)
	}
	if n := w.strava.Counters().Total(strava.EndpointRefresh, id); n != 0 {
		t.Errorf("%d refreshes", n)
	}
	if w.vault.Reads > 1 {
		t.Errorf("the vault was read %d times for one pair", w.vault.Reads)
	}
}

func TestOneRefreshForManyCallersAndNoneFails(t *testing.T) {
	for _, rotation := range rotations {
		t.Run(string(rotation), func(t *testing.T) {
			w := newWorld(t, strava.Settings{Rotation: rotation})
			id := w.athlete(0)
			generation := w.connected(id)
			for range 20 {
				w.clock.Advance(7 * time.Hour) // Expired: the old token serves no caller any more.
				// Each caller stands for a function instance of its own.
				var wg sync.WaitGroup
				for range 20 {
					tokens := w.process(func(ctx context.Context, _ time.Duration) error {
						time.Sleep(time.Millisecond)
						return ctx.Err()
					})
					requester := w.ports.Requester(tokens)
					wg.Go(func() {
						res, err := requester.Forward(t.Context(), credentialsv1.ForwardRequest{AthleteID: id, Generation: generation, Path: "/athlete"})
						if err != nil || res.Outcome != credentialsv1.OutcomeAnswered || res.Status != 200 {
							t.Errorf("outcome %s, status %d, %v", res.Outcome, res.Status, err)
						}
					})
				}
				wg.Wait()
			}
			c := w.strava.Counters()
			if c.MaxRefreshesInFlight[id] > 1 {
				t.Errorf("%d refreshes in flight at once", c.MaxRefreshesInFlight[id])
			}
			if c.DeadRefreshUses[id] != 0 {
				t.Errorf("%d invalid refresh tokens used", c.DeadRefreshUses[id])
			}
			if n := c.Total(strava.EndpointRefresh, id); n != 20 {
				t.Errorf("%d refreshes for 20 expiries", n)
			}
		})
	}
}

func TestACallDuringARefreshUsesTheOldToken(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.clock.Advance(5*time.Hour + 30*time.Minute)
	lease(t, w, id, "another", w.clock.Now().Add(45*time.Second))
	before := w.clock.Now()
	w.mustAnswer(id, generation)
	if w.clock.Now() != before {
		t.Error("it waited")
	}
	if n := w.strava.Counters().Total(strava.EndpointRefresh, id); n != 0 {
		t.Errorf("%d refreshes", n)
	}
}

func TestAnExpiredLeaseIsTakenOver(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.clock.Advance(7 * time.Hour)
	lease(t, w, id, "dead", w.clock.Now().Add(45*time.Second))
	before := w.clock.Now()
	w.mustAnswer(id, generation)
	if waited := w.clock.Now().Sub(before); waited < 45*time.Second || waited > time.Minute {
		t.Errorf("waited %s", waited)
	}
}

func lease(t *testing.T, w *world, id int64, owner string, until time.Time) {
	t.Helper()
	if _, err := w.store.Update(t.Context(), credentials.Athlete(id), func(g *credentials.Grant) (bool, error) {
		g.Lease = credentials.Lease{Owner: owner, Until: until}
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestRefreshFailuresEndNoAuthorization(t *testing.T) {
	for _, kind := range []strava.FaultKind{
		strava.Fault500, strava.Fault502, strava.Fault503, strava.Fault597, strava.Fault429, strava.Fault429Text,
		strava.FaultReset, strava.FaultDrop, strava.Fault401, strava.Fault403, strava.Fault404,
	} {
		t.Run(string(kind), func(t *testing.T) {
			// If the response is lost, Strava must not rotate: that case has a test of
			// its own.
			w := newWorld(t, strava.Settings{Rotation: strava.RotateNever})
			id := w.athlete(0)
			generation := w.connected(id)
			w.clock.Advance(7 * time.Hour)
			if err := w.strava.Inject(strava.Fault{Endpoint: strava.EndpointRefresh, Kind: kind}); err != nil {
				t.Fatal(err)
			}
			if res := w.forward(id, generation); res.Outcome == credentialsv1.OutcomeRevoked || res.Outcome == credentialsv1.OutcomeDegraded {
				t.Errorf("outcome %s", res.Outcome)
			}
			if g := w.grant(id); g.State != credentials.Active || g.Lease.Owner != "" {
				t.Errorf("grant %+v", g)
			}
			w.mustAnswer(id, generation)
		})
	}
}

func TestAFailedRefreshIsHarmlessWhileTheOldTokenIsValid(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.clock.Advance(5*time.Hour + 30*time.Minute)
	if err := w.strava.Inject(strava.Fault{Endpoint: strava.EndpointRefresh, Kind: strava.Fault503}); err != nil {
		t.Fatal(err)
	}
	w.mustAnswer(id, generation)
}

func TestARefusedRefreshTokenDegrades(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	if err := w.strava.Deauthorize(id); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(7 * time.Hour)
	for range 2 {
		if res := w.forward(id, generation); res.Outcome != credentialsv1.OutcomeDegraded {
			t.Fatalf("outcome %s", res.Outcome)
		}
	}
	if g := w.grant(id); g.State != credentials.Degraded {
		t.Errorf("state %s", g.State)
	}
	if n := len(eventtest.Facts[credentialsv1.AuthorizationDegraded](w.bus)); n != 1 {
		t.Errorf("published %d times", n)
	}
	if n := w.strava.Counters().Total(strava.EndpointRefresh, 0); n != 1 {
		t.Errorf("Strava was asked %d times", n)
	}
	w.mustAnswer(id, w.connected(id)) // Connecting again repairs it.
}

func TestALateRefusalDoesNotDegradeANewAuthorization(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	first := w.connected(id)
	second := w.connected(id)
	if err := w.tokens.Degrade(t.Context(), credentials.Athlete(id), first, credentialsv1.DegradedScopeMissing); !errors.Is(err, credentials.ErrRevoked) {
		t.Errorf("got %v", err)
	}
	w.mustAnswer(id, second)
}

// revoking is an OAuth server that runs a function during a call.
type revoking struct {
	credentials.OAuth
	meanwhile func()
}

func (r *revoking) Refresh(ctx context.Context, app credentials.App, token secret.String) (credentials.TokenPair, error) {
	pair, err := r.OAuth.Refresh(ctx, app, token)
	r.meanwhile()
	return pair, err
}

func TestARefreshDoesNotReviveARevokedGrant(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.clock.Advance(7 * time.Hour)
	w.tokens.OAuth = &revoking{w.oauth, func() {
		err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "receipt", w.clock.Now())
		if err != nil || !w.vault.Holds(credentials.Athlete(id)) {
			t.Errorf("tokens were dropped under a refresh in flight (%v)", err)
		}
	}}
	if res := w.forward(id, generation); res.Outcome != credentialsv1.OutcomeRevoked {
		t.Errorf("outcome %s", res.Outcome)
	}
	if g := w.grant(id); g.State != credentials.Revoked {
		t.Errorf("state %s", g.State)
	}
	w.reconcileAll() // The refresh is over.
	w.mustBeErased(id, "after the refresh")
}

func TestARefreshDoesNotOverwriteANewAuthorization(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: strava.RotateNever})
	id := w.athlete(0)
	first := w.connected(id)
	w.clock.Advance(7 * time.Hour)
	w.tokens.OAuth = &revoking{w.oauth, func() { w.connected(id) }}
	if res := w.forward(id, first); res.Outcome != credentialsv1.OutcomeRevoked {
		t.Errorf("outcome %s", res.Outcome)
	}
	w.tokens.OAuth = w.oauth
	w.mustAnswer(id, w.grant(id).Generation)
}

// failing is a vault that refuses to save.
type failing struct{ credentials.Vault }

func (failing) SaveTokens(context.Context, credentials.Account, int64, credentials.TokenPair) (int64, error) {
	return 0, fault.New(fault.Transient, "throttled")
}

func TestVerifyAuthorizationAsksStrava(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	if err := w.tokens.VerifyAuthorization(t.Context(), credentials.Athlete(id), generation); err != nil {
		t.Errorf("a standing authorization: %v", err)
	}
	if err := w.tokens.VerifyAuthorization(t.Context(), credentials.Athlete(id), generation-1); !errors.Is(err, credentials.ErrRevoked) {
		t.Errorf("an earlier generation: %v", err)
	}
	lease(t, w, id, "another", w.clock.Now().Add(10*time.Second))
	if err := w.tokens.VerifyAuthorization(t.Context(), credentials.Athlete(id), generation); err != nil {
		t.Errorf("while a refresh is in flight: %v", err)
	}
	if err := w.strava.Inject(strava.Fault{Endpoint: strava.EndpointRefresh, Kind: strava.Fault503}); err != nil {
		t.Fatal(err)
	}
	if err := w.tokens.VerifyAuthorization(t.Context(), credentials.Athlete(id), generation); !fault.Is(err, fault.Transient) {
		t.Errorf("while Strava is down: %v", err)
	}
	if err := w.strava.Deauthorize(id); err != nil {
		t.Fatal(err)
	}
	if err := w.tokens.VerifyAuthorization(t.Context(), credentials.Athlete(id), generation); !errors.Is(err, credentials.ErrTokenRefused) {
		t.Errorf("a withdrawn authorization: %v", err)
	}
}

// TestAChangedClientSecretIsReadAgain: the registration is kept in memory, until
// Strava refuses it.
func TestAChangedClientSecretIsReadAgain(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	app, err := w.vault.App(t.Context(), credentials.ProviderStrava)
	if err != nil {
		t.Fatal(err)
	}
	process := w.process(w.patient)
	stale := app
	stale.ClientSecret = secret.New("the secret before")
	for _, step := range []struct {
		app  credentials.App
		want string
	}{{stale, credentialsv1.OutcomeApplication}, {app, credentialsv1.OutcomeAnswered}} {
		if err := w.vault.SaveApp(t.Context(), credentials.ProviderStrava, step.app); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(7 * time.Hour)
		if res := w.by(process, id, generation); res.Outcome != step.want {
			t.Errorf("got %s, want %s", res.Outcome, step.want)
		}
	}
}
