package credentials_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paceline/paceline/pkg/credentials/metric"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/standin/strava"
)

// finish connects an athlete and returns the error.
func (w *world) finish(i int) error {
	w.t.Helper()
	_, err := w.connect.Finish(w.t.Context(), w.consent(w.athlete(i), ""))
	return err
}

func TestWhichGrantsTakeUpAPlace(t *testing.T) {
	for state, g := range map[string]struct {
		grant credentials.Grant
		want  bool
	}{
		"active":                     {credentials.Grant{State: credentials.Active, Tokens: credentials.TokenRef{Version: 1}}, true},
		"degraded":                   {credentials.Grant{State: credentials.Degraded, Tokens: credentials.TokenRef{Version: 3}}, true},
		"revoked, not yet at Strava": {credentials.Grant{State: credentials.Revoked, Tokens: credentials.TokenRef{Version: 3}}, true},
		"erased":                     {credentials.Grant{State: credentials.Erased}, false},
		"nothing":                    {credentials.Grant{}, false},
	} {
		if g.grant.Authorized() != g.want {
			t.Errorf("%s: %v", state, g.grant.Authorized())
		}
	}
}

func TestAtTheCapacityNewAthletesAreRefusedAndOthersReconnect(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	w.connect.Capacity.Athletes = 2
	for i := range 2 {
		if err := w.finish(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.finish(2); !errors.Is(err, credentials.ErrAppFull) {
		t.Fatalf("beyond the capacity: %v", err)
	}
	if g := w.grant(w.athlete(2)); g.State != credentials.Erased || g.HasPendingTasks() || w.vault.Holds(credentials.Athlete(w.athlete(2))) {
		t.Errorf("something was kept: %+v", g)
	}
	if w.atStrava(2) {
		t.Error("the authorization was not revoked")
	}
	if err := w.finish(0); err != nil {
		t.Errorf("a reconnect: %v", err)
	}

	// A revocation frees the place, though not before it is completed.
	if _, err := w.admin.RevokeAthlete(t.Context(), w.athlete(0)); err != nil {
		t.Fatal(err)
	}
	if err := w.finish(2); !errors.Is(err, credentials.ErrAppFull) {
		t.Errorf("while Strava still counts the one who leaves: %v", err)
	}
	w.reconcileAll()
	if err := w.finish(2); err != nil {
		t.Errorf("into the place that is free: %v", err)
	}
}

// atStrava reports whether Strava has an authorization of the athlete.
func (w *world) atStrava(i int) bool {
	w.t.Helper()
	for _, a := range w.strava.Athletes() {
		if a.ID == w.athlete(i) {
			return a.Connected
		}
	}
	return false
}

func TestStravasOwnCapacityIsDistinguishedFromOurs(t *testing.T) {
	w := newWorld(t, strava.Settings{Capacity: 1})
	if err := w.finish(0); err != nil {
		t.Fatal(err)
	}
	if err := w.finish(1); !errors.Is(err, credentials.ErrAppFull) {
		t.Errorf("got %v", err)
	}
	if full, err := w.connect.Capacity.Full(t.Context()); err != nil || full {
		t.Errorf("by our own count: full %v, %v", full, err)
	}
}

// TestAnAuthorizationBeyondTheCapacityIsRevokedLater: Strava does not answer when a connect
// beyond the capacity is to be revoked.
func TestAnAuthorizationBeyondTheCapacityIsRevokedLater(t *testing.T) {
	for _, revocation := range settings.Revocations {
		w := newWorld(t, strava.Settings{})
		w.use(revocation)
		w.connect.Capacity.Athletes = 1
		if err := w.finish(1); err != nil {
			t.Fatal(err)
		}
		cb := w.consent(w.athlete(0), "")
		connect := *w.connect
		connect.OAuth = unrevoking{connect.OAuth}
		if _, err := connect.Finish(t.Context(), cb); !errors.Is(err, credentials.ErrAppFull) {
			t.Fatal(err)
		}
		if !w.atStrava(0) {
			t.Fatal("Strava has revoked it")
		}
		w.clock.Advance(7 * time.Hour) // The access token has expired.
		w.reconcileAll()
		w.mustBeErased(w.athlete(0), revocation)
	}
}

func TestAnAthleteConnectsIfAthletesCannotBeCounted(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	w.connect.Capacity.Athletes, w.connect.Capacity.Counter = 0, uncountable{}
	if err := w.finish(0); err != nil {
		t.Fatal(err)
	}
}

type unrevoking struct{ credentials.OAuth }

func (unrevoking) Revoke(context.Context, credentials.App, credentials.TokenPair) error {
	return fault.New(fault.Transient, "status %d", http.StatusServiceUnavailable)
}

type uncountable struct{}

func (uncountable) CountAuthorized(context.Context, string) (int, error) {
	return 0, fault.New(fault.Transient, "throttled")
}

// counting counts how often the athletes are counted.
type counting struct {
	credentials.GrantCounter
	mu   sync.Mutex
	asks int
}

func (c *counting) CountAuthorized(ctx context.Context, provider string) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asks++
	return c.GrantCounter.CountAuthorized(ctx, provider)
}

func TestStartedConnectsCountAthletesOnceAMinute(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	counted := &counting{GrantCounter: w.store}
	c := w.connect.Capacity
	c.Counter, c.Athletes = counted, 1
	full := func(want bool, asks int) {
		t.Helper()
		if got, err := c.Full(t.Context()); err != nil || got != want || counted.asks != asks {
			t.Errorf("full %v after %d counts (%v)", got, counted.asks, err)
		}
	}
	full(false, 1)
	full(false, 1)
	if err := w.finish(0); err != nil { // Counts for itself.
		t.Fatal(err)
	}
	full(false, 2) // Of up to a minute ago.
	w.clock.Advance(time.Minute)
	full(true, 3)
	full(true, 3)
	if err := w.finish(0); err != nil || counted.asks != 3 {
		t.Errorf("an athlete who has a place was counted for: %d, %v", counted.asks, err)
	}
	c.Counter = uncountable{}
	full(true, 3)
	w.clock.Advance(time.Minute)
	if _, err := c.Full(t.Context()); !fault.Is(err, fault.Transient) {
		t.Errorf("got %v", err)
	}
}

func TestReportCountsAthletes(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	for i := range 2 {
		if err := w.finish(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := credentials.ReportAthletes(t.Context(), w.store, w.counts); err != nil || w.counts.Of(metric.Authorized) != 2 {
		t.Errorf("%d athletes, %v", w.counts.Of(metric.Authorized), err)
	}
}

// A new athlete's place is not locked. Instead, connects in flight may exceed our
// capacity, but never Strava's.
func TestARaceForTheLastPlaceEndsAtStravasCapacity(t *testing.T) {
	w := newWorld(t, strava.Settings{Capacity: 2})
	w.connect.Capacity.Athletes = 2
	callbacks := make([]credentials.Callback, 3)
	for i := range callbacks {
		callbacks[i] = w.consent(w.athlete(i), "")
	}
	var wg sync.WaitGroup
	results := make([]error, len(callbacks))
	for i := range callbacks {
		wg.Go(func() { _, results[i] = w.connect.Finish(t.Context(), callbacks[i]) })
	}
	wg.Wait()
	in := 0
	for _, err := range results {
		if err == nil {
			in++
		} else if !errors.Is(err, credentials.ErrAppFull) {
			t.Error(err)
		}
	}
	if n, err := w.connect.Capacity.Count(t.Context()); err != nil || n != in || in > 2 {
		t.Errorf("%d let in, %d counted, %v", in, n, err)
	}
}

// TestADoubleSubmitForTheLastPlace: at every step of one connect of a new athlete,
// the same athlete's other one is completed and takes the last place. To revoke the
// first one would end the other.
func TestADoubleSubmitForTheLastPlace(t *testing.T) {
	for _, more := range []string{"", "&accept_scope=read"} {
		for step := 0; ; step++ {
			w := newWorld(t, strava.Settings{})
			w.connect.Capacity.Athletes = 1
			id := w.athlete(0)
			first, second := w.consent(id, ""), w.consent(id, more)
			second.Scope = ""
			n, point := 0, ""
			_, err := interceptor(func(p string) {
				if n++; n == step+1 {
					point = p
					if _, err := w.connect.Finish(t.Context(), first); err != nil {
						t.Errorf("%q %s: inner %v", more, p, err)
					}
				}
			}).watchConnect(*w.connect).Finish(t.Context(), second)
			if point == "" {
				break
			}
			if !w.agree(id) || more == "" && !w.strava.Athletes()[0].Connected {
				t.Errorf("%q %s (%v): at Strava %v; %+v", more, point, err, w.strava.Athletes()[0].Connected, w.grant(id))
			}
		}
	}
}

func TestACountThatHangsRefusesNoAthlete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strava.Settings{})
		id := w.athlete(0)
		w.connect.Capacity.Counter = hangingCounter{}
		w.connect.Grants = cancellableGrants{w.connect.Grants}
		ctx, cancel := context.WithTimeout(t.Context(), serveOAuthTime)
		defer cancel()
		if _, err := w.connect.Finish(ctx, w.consent(id, "")); err != nil {
			t.Error(err)
		}
	})
}

type hangingCounter struct{}

func (hangingCounter) CountAuthorized(ctx context.Context, _ string) (int, error) {
	<-ctx.Done()
	return 0, fault.New(fault.Transient, "count: %w", ctx.Err())
}

// TestACanceledConnectIsNotCompletedLater: any one write to the grants table fails.
func TestACanceledConnectIsNotCompletedLater(t *testing.T) {
	for step := 0; ; step++ {
		w := newWorld(t, strava.Settings{})
		w.connect.Capacity.Athletes = 1
		if err := w.finish(1); err != nil {
			t.Fatal(err)
		}
		id := w.athlete(0)
		once := &failsOnce{Grants: w.connect.Grants, at: step}
		connect := *w.connect
		connect.Grants = once
		cb := w.consent(id, "")
		_, err := connect.Finish(t.Context(), cb)
		if once.n <= step {
			break
		}
		if !w.agree(id) {
			t.Errorf("%d (%v): at Strava %v, %+v", step, err, w.strava.Athletes()[0].Connected, w.grant(id))
		}
	}
}

type failsOnce struct {
	credentials.Grants
	at, n int
}

func (f *failsOnce) Update(ctx context.Context, account credentials.Account, change func(*credentials.Grant) (changed bool, err error)) (credentials.Grant, error) {
	if f.n++; f.n == f.at+1 {
		return credentials.Grant{}, fault.New(fault.Transient, "throttled")
	}
	return f.Grants.Update(ctx, account, change)
}

// TestCancellingLateByDeauthorization: an insufficient connect is cut off, and
// its access token has expired when it is cancelled.
func TestCancellingLateByDeauthorization(t *testing.T) {
	for _, more := range []string{"&accept_scope=read", ""} {
		w := newWorld(t, strava.Settings{})
		w.use(settings.RevocationDeauthorize)
		w.connect.Capacity.Athletes = 0
		id := w.athlete(0)
		cb := w.consent(id, more)
		cb.Scope = ""
		func() {
			defer func() { _ = recover() }()
			_, _ = interceptor(func(p string) {
				if p == "before revoking" {
					panic(killed{})
				}
			}).watchConnect(*w.connect).Finish(t.Context(), cb)
		}()
		w.clock.Advance(7 * time.Hour)
		for range 3 {
			w.reconcileAll()
		}
		g := w.grant(id)
		if g.HasPendingTasks() || w.strava.Athletes()[0].Connected != g.Authorized() {
			t.Errorf("%q: %+v, at Strava %v", more, g, w.strava.Athletes()[0].Connected)
		}
	}
}
