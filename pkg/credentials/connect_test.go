package credentials_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paceline/paceline/pkg/credentials/metric"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin/strava"
)

func TestConnect(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	session, err := w.connect.Finish(t.Context(), w.consent(id, ""))
	if err != nil {
		t.Fatal(err)
	}
	g := w.grant(id)
	if session != (credentials.Authorization{AthleteID: id, Generation: g.Generation}) {
		t.Errorf("session %+v", session)
	}
	if g.State != credentials.Active || g.Generation != w.clock.Now().UnixMilli() || g.Account != credentials.Athlete(id) {
		t.Errorf("grant %+v", g)
	}
	if want := []string{"read", "activity:read", "activity:read_all"}; !slices.Equal(g.Scopes, want) {
		t.Errorf("scopes %v", g.Scopes)
	}
	published := eventtest.Facts[credentialsv1.AthleteAuthorized](w.bus)
	if len(published) != 1 || published[0].AthleteID != id || published[0].Generation != g.Generation {
		t.Errorf("published %+v", published)
	}
	w.mustAnswer(id, g.Generation)
}

func TestConnectKeepsWhatTheAthleteAccepted(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	if _, err := w.connect.Finish(t.Context(), w.consent(id, "&accept_scope=read,activity:read")); err != nil {
		t.Fatal(err)
	}
	if got := w.grant(id).Scopes; !slices.Equal(got, []string{"read", "activity:read"}) {
		t.Errorf("scopes %v", got)
	}
}

func TestConnectAgainIsANewGeneration(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	first := w.connected(id)
	second := w.connected(id)
	if second <= first {
		t.Fatalf("generation %d after %d", second, first)
	}
	w.mustAnswer(id, second)
	if res := w.forward(id, first); res.Outcome != credentialsv1.OutcomeRevoked {
		t.Errorf("a call for the first authorization: %s", res.Outcome)
	}
}

func TestConnectRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		settings strava.Settings
		more     string
		change   func(*world, *credentials.Callback)
		want     error
	}{
		"a denial":                         {more: "&deny=1", want: credentials.ErrAccessDenied},
		"no activity scope":                {more: "&accept_scope=read", want: credentials.ErrMissingScope},
		"a scope that looks like":          {change: func(_ *world, cb *credentials.Callback) { cb.Scope = "read,activity:readable" }, want: credentials.ErrMissingScope},
		"a scope that the browser made up": {more: "&accept_scope=read", change: func(_ *world, cb *credentials.Callback) { cb.Scope = "read,activity:read" }, want: credentials.ErrMissingScope},
		"no state":                         {change: func(_ *world, cb *credentials.Callback) { cb.State = secret.String{} }, want: credentials.ErrState},
		"a made-up state":                  {change: func(_ *world, cb *credentials.Callback) { cb.State = secret.New("x") }, want: credentials.ErrState},
		"another browser":                  {change: func(_ *world, cb *credentials.Callback) { cb.Nonce = secret.New("x") }, want: credentials.ErrState},
		"no cookie":                        {change: func(_ *world, cb *credentials.Callback) { cb.Nonce = secret.String{} }, want: credentials.ErrState},
		"a late answer":                    {change: func(w *world, _ *credentials.Callback) { w.clock.Advance(5 * time.Minute) }, want: credentials.ErrState},
		"a made-up code":                   {change: func(_ *world, cb *credentials.Callback) { cb.Code = secret.New("x") }, want: credentials.ErrState},
		"one athlete too many":             {settings: strava.Settings{Capacity: 1}, change: func(w *world, _ *credentials.Callback) { w.connected(w.athlete(1)) }, want: credentials.ErrAppFull},
		"Strava down": {change: func(w *world, _ *credentials.Callback) {
			if err := w.strava.Inject(strava.Fault{Endpoint: "exchange", Kind: strava.Fault503}); err != nil {
				t.Fatal(err)
			}
		}, want: credentials.ErrProviderUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.settings)
			id := w.athlete(0)
			cb := w.consent(id, tc.more)
			if tc.change != nil {
				tc.change(w, &cb)
			}
			if _, err := w.connect.Finish(t.Context(), cb); !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if g, err := w.store.Grant(t.Context(), credentials.Athlete(id)); !fault.Is(err, fault.NotFound) && (g.State != credentials.Erased || g.HasPendingTasks()) {
				t.Errorf("the grant is %+v, %v", g, err)
			}
			if w.vault.Holds(credentials.Athlete(id)) {
				t.Error("there are tokens all the same")
			}
		})
	}
}

func TestACallbackCountsOnce(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	cb := w.consent(w.athlete(0), "")
	if _, err := w.connect.Finish(t.Context(), cb); err != nil {
		t.Fatal(err)
	}
	if _, err := w.connect.Finish(t.Context(), cb); !errors.Is(err, credentials.ErrState) {
		t.Fatalf("the second time: %v", err)
	}
}

func TestTwoTabsConnectSideBySide(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	first, second := w.consent(w.athlete(0), ""), w.consent(w.athlete(0), "")
	if first.Nonce.Equal(second.Nonce) {
		t.Error("the second connect has the nonce of the first")
	}
	for _, cb := range []credentials.Callback{second, first} {
		if _, err := w.connect.Finish(t.Context(), cb); err != nil {
			t.Error(err)
		}
	}
}

// TestAnExchangeThatHangsLeavesTimeToSave: Strava answers the code as late as
// possible, and the stores hang. The rest of the invocation is enough to find that
// out and to revoke the authorization.
func TestAnExchangeThatHangsLeavesTimeToSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strava.Settings{})
		cb := w.consent(w.athlete(0), "")
		g := &grey{w: w, how: hangs, hits: []string{"SSM", "grants table"}}
		connect := *w.connect
		g.over(&connect.TokenStore)
		connect.OAuth = lateExchange{connect.OAuth, func() { g.until = w.clock.Now().Add(greyTime) }}
		g.invoke(serveOAuthTime, func(ctx context.Context) {
			if _, err := connect.Finish(ctx, cb); err == nil {
				t.Error("no error")
			}
			if ctx.Err() != nil {
				t.Error("the invocation was over")
			}
		})
		if w.atStrava(0) {
			t.Error("Strava counts an athlete whom we do not know")
		}
	})
}

// lateExchange answers a second before the caller gives up.
type lateExchange struct {
	credentials.OAuth
	then func()
}

func (l lateExchange) Exchange(ctx context.Context, app credentials.App, redirectURI string, code, verifier secret.String) (credentials.TokenResponse, error) {
	deadline, _ := ctx.Deadline()
	time.Sleep(time.Until(deadline) - time.Second)
	auth, err := l.OAuth.Exchange(ctx, app, redirectURI, code, verifier)
	l.then()
	return auth, err
}

// TestAConnectThatNoStoreTakesIsRevoked, although the caller has given up. If Strava
// does not answer either, the lost pair is counted.
func TestAConnectThatNoStoreTakesIsRevoked(t *testing.T) {
	for name, unsaved := range map[string]int{"Strava answers": 0, "Strava is down": 1} {
		w := newWorld(t, strava.Settings{})
		cb := w.consent(w.athlete(0), "")
		connect := *w.connect
		connect.Grants, connect.Vault = noUpdates{connect.Grants}, noReceived{connect.Vault}
		connect.Sleep = func(context.Context, time.Duration) error { return context.DeadlineExceeded }
		connect.OAuth = whileWaitedFor{connect.OAuth}
		if unsaved > 0 {
			w.down("revoke")
		}
		ctx, giveUp := context.WithCancel(t.Context())
		_, err := interceptor(func(p string) {
			if p == "after exchanging the code" {
				giveUp()
			}
		}).watchConnect(connect).Finish(ctx, cb)
		if err == nil || w.atStrava(0) != (unsaved == 1) || w.counts.Of(metric.Unsaved) != unsaved {
			t.Errorf("%s: %v, at Strava %v, counted %d times", name, err, w.atStrava(0), w.counts.Of(metric.Unsaved))
		}
	}
}

// A state ends by itself, not only with the code that Strava made for it.
func TestAnExpiredStateIsRefusedWithAFreshCode(t *testing.T) {
	for late, want := range map[time.Duration]error{5*time.Minute - time.Second: nil, 5 * time.Minute: credentials.ErrState} {
		w := newWorld(t, strava.Settings{})
		cb := w.consent(w.athlete(0), "")
		w.clock.Advance(late - time.Millisecond) // consent takes one.
		cb.Code = w.consent(w.athlete(0), "").Code
		if _, err := w.connect.Finish(t.Context(), cb); !errors.Is(err, want) {
			t.Errorf("after %s: %v, want %v", late, err, want)
		}
	}
}

// noReceived is a vault that takes no pending connects.
type noReceived struct{ credentials.Vault }

func (noReceived) SavePendingConnect(context.Context, credentials.PendingConnect) error {
	return fault.New(fault.Transient, "throttled")
}

// whileWaitedFor revokes only while the caller waits.
type whileWaitedFor struct{ credentials.OAuth }

func (o whileWaitedFor) Revoke(ctx context.Context, app credentials.App, pair credentials.TokenPair) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return o.OAuth.Revoke(ctx, app, pair)
}
