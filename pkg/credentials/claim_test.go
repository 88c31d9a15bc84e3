package credentials_test

import (
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials/metric"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/standin/strava"
)

// claimed has a webhook report that the athlete withdrew access.
func (w *world) claimed(id int64) {
	w.t.Helper()
	if err := w.reconciler.HandleDeauthorization(w.t.Context(), event.Meta{ID: w.ports.Events.NewID()}, credentials.Athlete(id)); err != nil {
		w.t.Fatal(err)
	}
}

// TestForgedClaimsCostOneCall: a hundred reports in a minute lead to one call,
// which rotates nothing.
func TestForgedClaimsCostOneCall(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: strava.RotateAlways})
	id := w.athlete(0)
	generation := w.connected(id)
	for range 100 {
		w.claimed(id)
		w.clock.Advance(600 * time.Millisecond)
	}
	c := w.strava.Counters()
	if calls, refreshes := c.Total(strava.EndpointAthlete, id), c.Total(strava.EndpointRefresh, id); calls != 1 || refreshes != 0 {
		t.Errorf("%d calls and %d refreshes in the first minute", calls, refreshes)
	}
	for range 20 {
		w.clock.Advance(time.Minute)
		if err := w.reconciler.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c = w.strava.Counters()
	if calls, refreshes := c.Total(strava.EndpointAthlete, id), c.Total(strava.EndpointRefresh, id); calls != 2 || refreshes != 0 {
		t.Errorf("%d calls and %d refreshes in all", calls, refreshes)
	}
	if g := w.grant(id); g.State != credentials.Active || g.HasPendingTasks() {
		t.Errorf("grant %+v", g)
	}
	w.mustAnswer(id, generation)
}

// TestAWithdrawalEndsTheAuthorizationAtOnce, whether the access token is valid or
// not.
func TestAWithdrawalEndsTheAuthorizationAtOnce(t *testing.T) {
	for _, age := range []time.Duration{time.Hour, 7 * time.Hour} {
		w := newWorld(t, strava.Settings{Rotation: strava.RotateAlways})
		id := w.athlete(0)
		w.connected(id)
		w.clock.Advance(age)
		if err := w.strava.Deauthorize(id); err != nil {
			t.Fatal(err)
		}
		w.claimed(id)
		w.mustBeErased(id, "after "+age.String())
	}
}

// TestAWithdrawalSoonAfterAForgedClaim waits until the next check is allowed.
func TestAWithdrawalSoonAfterAForgedClaim(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	w.connected(id)
	w.claimed(id)
	w.clock.Advance(time.Minute)
	if err := w.strava.Deauthorize(id); err != nil {
		t.Fatal(err)
	}
	w.claimed(id)
	for waited := time.Minute; waited < 10*time.Minute; waited += time.Minute {
		if g := w.grant(id); g.State != credentials.Active {
			t.Fatalf("checked again after %s", waited)
		}
		w.clock.Advance(time.Minute)
		if err := w.reconciler.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.mustBeErased(id, "after 10 minutes")
}

// TestOneRefusalEndsNothing: Strava refuses the access token of an athlete who
// did not withdraw access, and accepts the refresh token.
func TestOneRefusalEndsNothing(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: strava.RotateAlways})
	id := w.athlete(0)
	generation := w.connected(id)
	if err := w.strava.Inject(strava.Fault{Endpoint: strava.EndpointAthlete, Kind: strava.Fault401}); err != nil {
		t.Fatal(err)
	}
	w.claimed(id)
	if g := w.grant(id); g.State != credentials.Active || g.HasPendingTasks() {
		t.Errorf("grant %+v", g)
	}
	w.mustAnswer(id, generation)
}

// TestAClaimAgainstALostTokenWaits: a refresh token was lost, so Strava refuses
// the old one, and the access token has expired. No token is left to ask by, and the
// claim may be forged. It takes effect when the data has aged out.
func TestAClaimAgainstALostTokenWaits(t *testing.T) {
	for name, noticed := range map[string]bool{"noticed before": true, "noticed by the check": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, strava.Settings{Rotation: strava.RotateAlways})
			id := w.athlete(0)
			generation := w.connected(id)
			w.clock.Advance(7 * time.Hour)
			func() {
				defer func() { _ = recover() }()
				w.by(interceptor(func(point string) {
					if point == "after asking Strava" {
						panic(killed{})
					}
				}).watch(w.process(w.patient)), id, generation)
			}()
			w.clock.Advance(2 * time.Minute)
			if noticed {
				w.forward(id, generation)
			}
			w.claimed(id)
			g := w.grant(id)
			if g.State != credentials.Degraded || g.Reason != credentialsv1.DegradedTokenRefused {
				t.Fatalf("grant %+v", g)
			}
			degradedAt := g.DegradedAt
			calls := w.strava.Counters().Total("", 0)
			for w.clock.Now().Add(time.Hour).Before(degradedAt.Add(7 * 24 * time.Hour)) {
				w.clock.Advance(time.Hour)
				w.claimed(id) // Another one changes nothing.
				if err := w.reconciler.Reconcile(t.Context()); err != nil {
					t.Fatal(err)
				}
				if s := w.grant(id).State; s != credentials.Degraded {
					t.Fatalf("%s after %s", s, w.clock.Now().Sub(degradedAt))
				}
			}
			if n := w.strava.Counters().Total("", 0); n != calls {
				t.Errorf("Strava was asked %d times", n-calls)
			}
			if n := w.counts.Of(metric.Overdue); n != 0 {
				t.Errorf("a claim that waits counted as overdue %d times", n)
			}
			w.clock.Advance(2 * time.Hour)
			if err := w.reconciler.Reconcile(t.Context()); err != nil {
				t.Fatal(err)
			}
			if s := w.grant(id).State; s != credentials.Erased {
				t.Errorf("%s when the data had aged out", s)
			}
		})
	}
}

// TestInsufficientScopesLeaveTheBetterGrant: a connected athlete connects again and
// accepts insufficient scopes. Strava may have replaced the tokens all the same.
func TestInsufficientScopesLeaveTheBetterGrant(t *testing.T) {
	for _, rotation := range rotations {
		w := newWorld(t, strava.Settings{Rotation: rotation})
		id := w.athlete(0)
		generation := w.connected(id)
		cb := w.consent(id, "&accept_scope=read")
		cb.Scope = "read,activity:read" // The browser's word does not count.
		if _, err := w.connect.Finish(t.Context(), cb); err == nil {
			t.Fatal("no error")
		}
		w.mustAnswer(id, generation)
		w.clock.Advance(7 * time.Hour)
		w.mustAnswer(id, generation)
		if g := w.grant(id); g.State != credentials.Active || g.Generation != generation {
			t.Errorf("%s: grant %+v", rotation, g)
		}
		w.left(id, generation)
	}
}

func TestARevocationIsPublishedWhenTheBusIsBack(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.bus.Fail(fault.New(fault.Transient, "boom"))
	if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "receipt", w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	if g := w.grant(id); len(g.Revocations) != 1 || g.Revocations[0].Published {
		t.Errorf("grant %+v", g)
	}
	w.bus.Fail(nil)
	w.reconcileAll()
	if n := len(eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus)); n != 1 {
		t.Errorf("published %d times", n)
	}
	w.mustBeErased(id, "when the bus was back")
}
