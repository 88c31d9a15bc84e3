package credentials_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/strava"
)

// refusals counts how often a refresh token was presented again after Strava had
// refused it for a connected athlete, which means that it was replaced.
type refusals struct {
	credentials.OAuth
	w       *world
	id      int64
	mu      sync.Mutex
	refused map[string]int
	twice   int
}

func (r *refusals) Refresh(ctx context.Context, app credentials.App, token secret.String) (credentials.TokenPair, error) {
	pair, err := r.OAuth.Refresh(ctx, app, token)
	if errors.Is(err, credentials.ErrTokenRefused) && r.w.atSite(r.id) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.refused[token.Reveal()]++; r.refused[token.Reveal()] == 2 {
			r.twice++
		}
	}
	return pair, err
}

// actions are what may happen to one athlete at the same time. Each gets the ports of
// its own process.
var actions = map[string]func(w *world, id int64, at interceptor) error{
	"a sign-in": func(w *world, id int64, at interceptor) error {
		_, err := at.watchConnect(*w.connect).Finish(w.t.Context(), w.consent(id, ""))
		if fault.Is(err, fault.Conflict) || errors.Is(err, credentials.ErrRevoked) { // The authorization ended before it was completed.
			return nil
		}
		return err
	},
	"a refresh": func(w *world, id int64, at interceptor) error {
		w.by(at.watch(w.process(w.patient)), id, w.grant(id).Generation)
		return nil
	},
	"a forged claim": func(w *world, id int64, at interceptor) error {
		return at.watchReconciler(w.reconciler).HandleDeauthorization(w.t.Context(), cause(), w.account(id))
	},
	"a withdrawal": func(w *world, id int64, at interceptor) error {
		if err := w.deauthorize(id); err != nil && !errors.Is(err, strava.ErrNotFound) {
			return err
		}
		return at.watchReconciler(w.reconciler).HandleDeauthorization(w.t.Context(), cause(), w.account(id))
	},
	"leaving": func(w *world, id int64, at interceptor) error {
		return w.leave(w.t.Context(), at.watchReconciler(w.reconciler), id, w.grant(id).Generation)
	},
	"reconciliation": func(w *world, _ int64, at interceptor) error {
		return at.watchReconciler(w.reconciler).Reconcile(w.t.Context())
	},
}

// TestCrossings runs each action at every step of each other one, with every way in
// which Strava replaces refresh tokens, for athletes with a valid and with an expired
// access token. In the end we and Strava agree on whether the athlete is connected, a
// connected athlete is served, and no refresh token was presented again after Strava
// had refused it.
func TestCrossings(t *testing.T) {
	for outer := range actions {
		for inner := range actions {
			t.Run(inner+" during "+outer, func(t *testing.T) {
				for _, rotation := range allRotations {
					for _, age := range []time.Duration{time.Hour, 7 * time.Hour} {
						for step := 0; ; step++ {
							w := newWorld(t, strava.Settings{Rotation: rotation})
							id := w.athlete(0)
							w.connected(id)
							w.age(age)
							counted := &refusals{OAuth: w.oauth, w: w, id: id, refused: map[string]int{}}
							w.tokens.OAuth, w.connect.OAuth, w.reconciler.Revocation.OAuth = counted, counted, counted
							n, point := 0, ""
							err := actions[outer](w, id, func(p string) {
								if n++; n != step+1 {
									return
								}
								point = p
								if err := actions[inner](w, id, func(string) {}); err != nil {
									t.Errorf("%s, %s old, %s: the inner one: %v", rotation, age, p, err)
								}
							})
							if err != nil {
								t.Errorf("%s, %s old, %s: the outer one: %v", rotation, age, point, err)
							}
							if point == "" {
								break
							}
							if !w.agree(id) {
								t.Errorf("%s, %s old, %s: at Strava connected %v, here %+v", rotation, age, point, w.atSite(id), w.grant(id))
							}
							if counted.twice > 0 {
								t.Errorf("%s, %s old, %s: %d refused tokens were presented again", rotation, age, point, counted.twice)
							}
							if t.Failed() {
								return
							}
						}
					}
				}
			})
		}
	}
}

// TestEightCallbacksAtOnce: one athlete finishes eight connects at the same
// moment, in an order that differs from seed to seed.
func TestEightCallbacksAtOnce(t *testing.T) {
	const callbacks, seeds = 8, 1000
	for _, rotation := range allRotations {
		t.Run(string(rotation), func(t *testing.T) {
			for seed := range uint64(seeds) {
				w := newWorld(t, strava.Settings{Rotation: rotation})
				id := w.athlete(0)
				cbs := make([]credentials.Callback, callbacks)
				for i := range cbs {
					cbs[i] = w.consent(id, "")
				}
				var wg sync.WaitGroup
				sessions := make([]credentials.Authorization, callbacks)
				for i, cb := range cbs {
					rng := rand.New(rand.NewPCG(seed, uint64(i)))
					connect := interceptor(func(string) {
						for range rng.IntN(20) {
							runtime.Gosched()
						}
					}).watchConnect(*w.connect)
					wg.Go(func() {
						var err error
						if sessions[i], err = connect.Finish(t.Context(), cb); err != nil {
							t.Errorf("seed %d: %v", seed, err)
						}
					})
				}
				wg.Wait()
				g := w.grant(id)
				for _, s := range sessions {
					if rotation == onFitbit {
						if s != (credentials.Authorization{}) {
							t.Errorf("seed %d: a link opened the session %+v", seed, s)
						}
					} else if s.AthleteID != id || s.Generation < g.Since || s.Generation > g.Generation {
						t.Errorf("seed %d: session %+v of grant %d to %d", seed, s, g.Since, g.Generation)
					}
				}
				w.age(7 * time.Hour)
				w.reconcileAll()
				if res := w.by(w.process(w.patient), id, w.grant(id).Generation); res.Outcome != credentialsv1.OutcomeAnswered {
					t.Errorf("seed %d: %s; grant %+v", seed, res.Outcome, w.grant(id))
				}
				// The refresh has shown which pair is the valid one.
				w.reconcileAll()
				if g := w.grant(id); g.State != credentials.Active || len(g.Candidates) > 0 || g.HasPendingTasks() || len(w.held(id)) != 1 {
					t.Errorf("seed %d: grant %+v, tokens held %v", seed, g, w.held(id))
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}

// TestTwoPendingConnectsInTheVaultAtOneMoment: the grants table takes neither of two
// connects that Strava answers in the same millisecond.
func TestTwoPendingConnectsInTheVaultAtOneMoment(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	first, second := w.consent(id, ""), w.consent(id, "")
	connect := *w.connect
	connect.Grants = noUpdates{connect.Grants}
	outer := interceptor(func(point string) {
		if point == "before saving the tokens of a connect" {
			_, _ = connect.Finish(t.Context(), second)
		}
	}).watchConnect(connect)
	_, _ = outer.Finish(t.Context(), first)
	if !w.agree(id) {
		t.Errorf("at Strava %v, %+v", w.strava.Athletes()[0].Connected, w.grant(id))
	}
}

// TestASignInWhileLeavingRevokes: the athlete connects again while the tokens of
// the authorization that ended are revoked, and Strava is asked about a claim
// before they are. The claim is dismissed, and then both authorizations end.
func TestASignInWhileLeavingRevokes(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.clock.Advance(time.Minute)
	once := false
	r := interceptor(func(p string) {
		if p == "before revoking" && !once {
			once = true
			w.clock.Advance(time.Second)
			if _, err := w.connect.Finish(t.Context(), w.consent(id, "")); err != nil {
				t.Error(err)
			}
			if err := w.reconciler.HandleDeauthorization(t.Context(), cause(), credentials.Athlete(id)); err != nil {
				t.Error(err)
			}
		}
	}).watchReconciler(w.reconciler)
	if err := r.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "receipt", w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	if !w.agree(id) {
		t.Errorf("at Strava %v: %+v", w.strava.Athletes()[0].Connected, w.grant(id))
	}
}

// The choices on Strava's consent screen.
var allScopes, someScopes = "read,activity:read,activity:read_all", "read,activity:read"

// mustHaveScopes fails the test unless an athlete's authorization has the scopes
// that were accepted last, and the latest event says so.
func (w *world) mustHaveScopes(id int64, accepted string) {
	w.t.Helper()
	g, published := w.grant(id), eventtest.Facts[credentialsv1.AthleteAuthorized](w.bus)
	last := published[len(published)-1]
	if got := strings.Join(g.Scopes, ","); got != accepted || !slices.Equal(last.Scopes, g.Scopes) || last.Generation != g.Generation {
		w.t.Errorf("accepted %s; in force %s of generation %d; published %+v", accepted, got, g.Generation, last)
	}
}

// withClock returns a connect in a process whose clock is fast by d.
func (w *world) withClock(d time.Duration) *credentials.Connect {
	connect := *w.connect
	connect.Events.Now = func() time.Time { return w.clock.Now().Add(d) }
	return &connect
}

// TestTheLaterConsentIsInForce: an athlete consents, and a second later consents
// to something else. The clocks of the processes that receive Strava's answers
// differ by half a minute.
func TestTheLaterConsentIsInForce(t *testing.T) {
	for _, skew := range []time.Duration{0, 15 * time.Second, -15 * time.Second} {
		for _, accepted := range [][]string{{allScopes, someScopes}, {someScopes, allScopes}} {
			w := newWorld(t, strava.Settings{Rotation: strava.RotateNever})
			id := w.athlete(0)
			for i, scopes := range accepted {
				cb := w.consent(id, "&accept_scope="+url.QueryEscape(scopes))
				if _, err := w.withClock(skew-2*skew*time.Duration(i)).Finish(t.Context(), cb); err != nil {
					t.Fatal(err)
				}
				w.clock.Advance(time.Second)
			}
			w.mustHaveScopes(id, accepted[1])
		}
	}
}

// TestAProvidersClockThatIsFarOffIsIgnored: what the athlete accepts comes into
// force although Strava's responses are dated years ago, or not at all.
func TestAProvidersClockThatIsFarOffIsIgnored(t *testing.T) {
	for _, date := range []string{"Sun, 06 Nov 1994 08:49:37 GMT", "yesterday", ""} {
		w := newWorld(t, strava.Settings{})
		id := w.athlete(0)
		w.client.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			res, err := standin.InProcess(w.strava).RoundTrip(r)
			if err == nil {
				res.Header.Set("Date", date)
			}
			return res, err
		})
		for _, scopes := range []string{allScopes, someScopes} {
			if _, err := w.connect.Finish(t.Context(), w.consent(id, "&accept_scope="+url.QueryEscape(scopes))); err != nil {
				t.Fatal(err)
			}
			if at := time.UnixMilli(w.grant(id).Generation); !at.Equal(w.clock.Now()) {
				t.Errorf("date %q: generation of %s at %s", date, at, w.clock.Now())
			}
		}
		w.mustHaveScopes(id, someScopes)
	}
}

// TestTheScopesOfAnAdoptedPairAreInForce: Strava answers two consents within one
// second, and by our clock the earlier one is the later. Strava's refusal of the
// next refresh shows which pair is valid, and thereby what the athlete allows.
func TestTheScopesOfAnAdoptedPairAreInForce(t *testing.T) {
	for _, accepted := range [][]string{{allScopes, someScopes}, {someScopes, allScopes}} {
		w := newWorld(t, strava.Settings{Rotation: strava.RotateAlways})
		id := w.athlete(0)
		for i, scopes := range accepted {
			cb := w.consent(id, "&accept_scope="+url.QueryEscape(scopes))
			if _, err := w.withClock(time.Duration(1-i)*500*time.Millisecond).Finish(t.Context(), cb); err != nil {
				t.Fatal(err)
			}
		}
		if w.age(7 * time.Hour); strings.Join(w.grant(id).Scopes, ",") != accepted[0] {
			t.Fatal("the consents do not cross")
		}
		crossed := w.grant(id)
		w.by(w.process(w.patient), id, crossed.Generation)
		w.mustAnswer(id, w.grant(id).Generation)
		w.mustHaveScopes(id, accepted[1])
		if g := w.grant(id); g.Generation != crossed.Generation+1 || g.Since != crossed.Since {
			t.Errorf("generation %d since %d, before %d since %d", g.Generation, g.Since, crossed.Generation, crossed.Since)
		}
	}
}
