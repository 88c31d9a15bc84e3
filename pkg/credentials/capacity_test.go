package credentials_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/test/strava"
)

// finish connects an athlete and returns what came of it.
func (w *world) finish(i int) error {
	w.t.Helper()
	_, err := w.connect.Finish(w.t.Context(), w.consent(w.athlete(i), ""))
	return err
}

func TestWhatTakesUpAPlace(t *testing.T) {
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

func TestAtTheCapacityNewcomersAreSentBackAndOthersReconnect(t *testing.T) {
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
	if g := w.grant(w.athlete(2)); g.State != credentials.Erased || g.HasPending() || w.vault.Holds(credentials.Athlete(w.athlete(2))) {
		t.Errorf("something was kept: %+v", g)
	}
	if w.atStrava(2) {
		t.Error("the authorization was not given back")
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
	w.settle()
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

func TestStravasOwnCapacityIsToldFromOurs(t *testing.T) {
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

// An authorization that can't be given back would fill a place for good: it is
// kept, so that it can be ended later.
func TestAnAthleteTooManyIsBetterThanAnAuthorizationThatCannotBeEnded(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	w.connect.Capacity.Athletes = 1
	if err := w.finish(0); err != nil {
		t.Fatal(err)
	}
	t.Run("when Strava does not revoke", func(t *testing.T) {
		oauth := w.connect.OAuth
		defer func() { w.connect.OAuth = oauth }()
		w.connect.OAuth = unrevoking{oauth}
		if err := w.finish(1); err != nil {
			t.Fatal(err)
		}
		w.mustAnswer(w.athlete(1), w.grant(w.athlete(1)).Generation)
	})
	t.Run("when the athletes can't be counted", func(t *testing.T) {
		w.connect.Capacity.Census = uncountable{}
		if err := w.finish(2); err != nil {
			t.Fatal(err)
		}
	})
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
	credentials.Census
	mu   sync.Mutex
	asks int
}

func (c *counting) CountAuthorized(ctx context.Context, provider string) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asks++
	return c.Census.CountAuthorized(ctx, provider)
}

func TestAConnectsBeginningCountsOnceAMinute(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	census := &counting{Census: w.store}
	c := w.connect.Capacity
	c.Census, c.Athletes = census, 1
	full := func(want bool, asks int) {
		t.Helper()
		if got, err := c.Full(t.Context()); err != nil || got != want || census.asks != asks {
			t.Errorf("full %v after %d counts (%v)", got, census.asks, err)
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
	if err := w.finish(0); err != nil || census.asks != 3 {
		t.Errorf("an athlete who has a place was counted for: %d, %v", census.asks, err)
	}
	c.Census = uncountable{}
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
	if err := credentials.ReportAthletes(t.Context(), w.store, w.counts); err != nil || w.counts.Of(credentials.MetricAuthorized) != 2 {
		t.Errorf("%d athletes, %v", w.counts.Of(credentials.MetricAuthorized), err)
	}
}

// A new athlete's place is not locked: this shows what is promised instead, that
// those in flight may go beyond our capacity and never beyond Strava's.
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
