package credentials_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paceline/paceline/pkg/credentials/metric"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin/strava"
)

// Partial failures of a store.
const (
	hangs       = "hangs"            // neither answers nor acts
	slow        = "is slow"          // acts after 5 s, even if the caller has given up
	throttles   = "throttles"        // refuses at once
	losesAnswer = "loses its answer" // acts, and reports a failure
)

// grey makes the stores of a world fail for 60 s from one call on.
type grey struct {
	w    *world
	how  string
	hits []string // the stores that fail
	from int      // the number of the first call that fails, from 1
	// calls counts all calls to stores; point names the one it began at.
	calls int
	point string
	until time.Time
	// inHand is set from when Strava issues tokens until a store has taken them;
	// exposed if stores failed meanwhile.
	inHand, exposed bool
}

// greyTime is how long a store fails.
const greyTime = time.Minute

// call makes a call to a store.
func (g *grey) call(ctx context.Context, store, what string, do func(context.Context) error) error {
	if g.calls++; g.calls == g.from {
		g.point, g.until = "before "+what, g.w.clock.Now().Add(greyTime)
	}
	if !slices.Contains(g.hits, store) || !g.w.clock.Now().Before(g.until) {
		err := do(ctx)
		if err == nil && (what == "writing the grant" || what == "saving tokens") {
			g.inHand = false
		}
		return err
	}
	g.exposed = g.exposed || g.inHand
	failed := fault.New(fault.Transient, "%s %s", store, g.how)
	switch g.how {
	case hangs:
		began := time.Now()
		<-ctx.Done()
		g.w.clock.Advance(time.Since(began))
		return failed
	case slow:
		began := time.Now()
		select {
		case <-ctx.Done():
			g.w.clock.Advance(time.Since(began))
			_ = do(context.WithoutCancel(ctx))
			return failed
		case <-time.After(5 * time.Second):
			g.w.clock.Advance(time.Since(began))
			return do(ctx)
		}
	case losesAnswer:
		_ = do(ctx)
	}
	return failed
}

// over puts the failing stores under a TokenStore.
func (g *grey) over(s *credentials.TokenStore) {
	s.Grants, s.Vault, s.Sealer = greyGrants{s.Grants, g}, greyVault{s.Vault, g}, greySealer{s.Sealer, g}
	s.Sleep = func(ctx context.Context, d time.Duration) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d):
			g.w.clock.Advance(d)
			return nil
		}
	}
}

// greyOAuth records when Strava issues tokens.
type greyOAuth struct {
	credentials.OAuth
	*grey
}

func (g greyOAuth) Exchange(ctx context.Context, app credentials.App, redirectURI string, code, verifier secret.String) (credentials.TokenResponse, error) {
	g.inHand = true
	return g.OAuth.Exchange(ctx, app, redirectURI, code, verifier)
}

func (g greyOAuth) Refresh(ctx context.Context, app credentials.App, token secret.String) (credentials.TokenPair, error) {
	g.inHand = true
	return g.OAuth.Refresh(ctx, app, token)
}

type greyGrants struct {
	credentials.Grants
	*grey
}

func (g greyGrants) Grant(ctx context.Context, account credentials.Account) (grant credentials.Grant, err error) {
	failed := g.call(ctx, "grants table", "reading the grant", func(ctx context.Context) error {
		grant, err = g.Grants.Grant(ctx, account)
		return err
	})
	return grant, failed
}

func (g greyGrants) Update(ctx context.Context, account credentials.Account, change func(*credentials.Grant) (changed bool, err error)) (grant credentials.Grant, err error) {
	failed := g.call(ctx, "grants table", "writing the grant", func(ctx context.Context) error {
		grant, err = g.Grants.Update(ctx, account, change)
		return err
	})
	return grant, failed
}

type greyStates struct {
	credentials.ConnectStates
	*grey
}

func (g greyStates) TakeState(ctx context.Context, state string) (started credentials.ConnectState, err error) {
	failed := g.call(ctx, "grants table", "taking the state", func(ctx context.Context) error {
		started, err = g.ConnectStates.TakeState(ctx, state)
		return err
	})
	return started, failed
}

type greyVault struct {
	credentials.Vault
	*grey
}

func (g greyVault) App(ctx context.Context, provider string) (app credentials.App, err error) {
	failed := g.call(ctx, "SSM", "reading the app", func(ctx context.Context) error {
		app, err = g.Vault.App(ctx, provider)
		return err
	})
	return app, failed
}

func (g greyVault) Tokens(ctx context.Context, account credentials.Account, generation, version int64) (pair credentials.TokenPair, err error) {
	failed := g.call(ctx, "SSM", "reading tokens", func(ctx context.Context) error {
		pair, err = g.Vault.Tokens(ctx, account, generation, version)
		return err
	})
	return pair, failed
}

func (g greyVault) Latest(ctx context.Context, account credentials.Account, generation int64) (pair credentials.TokenPair, version int64, err error) {
	failed := g.call(ctx, "SSM", "reading the latest tokens", func(ctx context.Context) error {
		pair, version, err = g.Vault.Latest(ctx, account, generation)
		return err
	})
	return pair, version, failed
}

func (g greyVault) SaveTokens(ctx context.Context, account credentials.Account, generation int64, pair credentials.TokenPair) (version int64, err error) {
	failed := g.call(ctx, "SSM", "saving tokens", func(ctx context.Context) error {
		version, err = g.Vault.SaveTokens(ctx, account, generation, pair)
		return err
	})
	if failed != nil {
		return 0, failed
	}
	return version, nil
}

func (g greyVault) DeleteTokens(ctx context.Context, account credentials.Account, generation int64) error {
	return g.call(ctx, "SSM", "dropping tokens", func(ctx context.Context) error { return g.Vault.DeleteTokens(ctx, account, generation) })
}

func (g greyVault) SavePendingConnect(ctx context.Context, r credentials.PendingConnect) error {
	return g.call(ctx, "SSM", "saving the tokens of a connect", func(ctx context.Context) error { return g.Vault.SavePendingConnect(ctx, r) })
}

func (g greyVault) PendingConnects(ctx context.Context, provider string) (received []credentials.PendingConnect, err error) {
	failed := g.call(ctx, "SSM", "reading the tokens of connects", func(ctx context.Context) error {
		received, err = g.Vault.PendingConnects(ctx, provider)
		return err
	})
	return received, failed
}

func (g greyVault) DeletePendingConnect(ctx context.Context, r credentials.PendingConnect) error {
	return g.call(ctx, "SSM", "dropping the tokens of a connect", func(ctx context.Context) error { return g.Vault.DeletePendingConnect(ctx, r) })
}

type greySealer struct {
	credentials.Sealer
	*grey
}

func (g greySealer) NewSeal(ctx context.Context, provider string) (seal credentials.Seal, err error) {
	failed := g.call(ctx, "KMS", "preparing a seal", func(ctx context.Context) error {
		seal, err = g.Sealer.NewSeal(ctx, provider)
		return err
	})
	return seal, failed
}

func (g greySealer) Open(ctx context.Context, account credentials.Account, sealed []byte) (pair credentials.TokenPair, err error) {
	failed := g.call(ctx, "KMS", "opening a sealed pair", func(ctx context.Context) error {
		pair, err = g.Sealer.Open(ctx, account, sealed)
		return err
	})
	return pair, failed
}

// invoke runs one invocation of a function that is ended after limit.
func (g *grey) invoke(limit time.Duration, run func(context.Context)) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(g.w.t.Context(), limit)
	defer cancel()
	run(ctx)
	if took := time.Since(began); took > limit {
		g.w.t.Errorf("%s from %q: an invocation took %s of %s", g.how, g.point, took, limit)
	}
}

// The timeouts of the functions, less the time reserved for their responses.
const (
	serveOAuthTime     = 26 * time.Second
	forwardRequestTime = 43 * time.Second
	handleEventsTime   = 43 * time.Second
)

// TestGreyStores has each store fail for a minute, starting at each call of a
// refresh, a connect, and a revocation. Afterwards Strava and the grants table must
// agree on who is connected, and each connected athlete must be served. If only one
// store fails, no tokens may be lost.
func TestGreyStores(t *testing.T) {
	for _, rotation := range []strava.Rotation{strava.RotateAlways, onFitbit} {
		for _, stores := range [][]string{{"SSM"}, {"KMS"}, {"KMS", "SSM"}, {"grants table"}, {"SSM", "grants table"}} {
			for _, how := range []string{hangs, slow, throttles, losesAnswer} {
				for name, scenario := range map[string]func(*world, *grey, int64){
					"a refresh": func(w *world, g *grey, id int64) {
						generation := w.connected(id)
						w.age(7 * time.Hour)
						process := w.process(w.patient)
						g.over(&process.TokenStore)
						process.OAuth = greyOAuth{process.OAuth, g}
						g.invoke(forwardRequestTime, func(ctx context.Context) {
							requester := w.ports.Requester(process)
							if _, err := requester.Call(ctx, credentials.Call{Account: w.account(id), Generation: generation, Path: w.oauth.Rules().CheckPath}); err != nil {
								w.t.Error(err)
							}
						})
					},
					"a first connect": func(w *world, g *grey, id int64) { w.greyConnect(g, id) },
					"a sign-in": func(w *world, g *grey, id int64) {
						w.connected(id)
						w.clock.Advance(7 * 24 * time.Hour)
						w.greyConnect(g, id)
					},
					"a connect after leaving": func(w *world, g *grey, id int64) {
						generation := w.connected(id)
						w.left(id, generation)
						w.greyConnect(g, id)
					},
					"leaving": func(w *world, g *grey, id int64) {
						generation := w.connected(id)
						w.age(7 * time.Hour)
						w.greyReconciler(g, func(ctx context.Context, r *credentials.Reconciler) error {
							return w.leave(ctx, r, id, generation)
						})
					},
					"a true claim": func(w *world, g *grey, id int64) {
						w.connected(id)
						if err := w.deauthorize(id); err != nil {
							w.t.Fatal(err)
						}
						w.greyReconciler(g, func(ctx context.Context, r *credentials.Reconciler) error {
							return r.HandleDeauthorization(ctx, cause(), w.account(id))
						})
					},
					"a forged claim": func(w *world, g *grey, id int64) {
						w.connected(id)
						w.age(7 * time.Hour)
						w.greyReconciler(g, func(ctx context.Context, r *credentials.Reconciler) error {
							return r.HandleDeauthorization(ctx, cause(), w.account(id))
						})
					},
				} {
					t.Run(fmt.Sprintf("%s, %s, %v %s", rotation, name, stores, how), func(t *testing.T) {
						points := 0
						var lost []string
						for from := 1; ; from++ {
							var point string
							synctest.Test(t, func(t *testing.T) {
								w := newWorld(t, strava.Settings{Rotation: rotation})
								id := w.athlete(0)
								g := &grey{w: w, how: how, hits: stores, from: from}
								scenario(w, g, id)
								if point = g.point; point == "" {
									return
								}
								w.clock.Advance(greyTime)
								if !w.agree(id) {
									lost = append(lost, point)
									if !g.exposed {
										t.Errorf("lost from %q, although the tokens were safe", point)
									}
								}
							})
							if point == "" {
								break
							}
							points++
						}
						if points < 4 {
							t.Errorf("only %d points were tried", points)
						}
						// While both stores fail, tokens are in the process's memory alone.
						if both := stores[len(stores)-1] == "grants table" && len(stores) > 1; len(lost) > 0 && !both {
							t.Errorf("lost when it began %q", lost)
						}
					})
				}
			}
		}
	}
}

// greyConnect has an athlete connect while stores fail.
func (w *world) greyConnect(g *grey, id int64) {
	cb := w.consent(id, "")
	connect := *w.connect
	g.over(&connect.TokenStore)
	connect.States, connect.OAuth = greyStates{connect.States, g}, greyOAuth{connect.OAuth, g}
	g.invoke(serveOAuthTime, func(ctx context.Context) { _, _ = connect.Finish(ctx, cb) })
}

// greyReconciler has a reconciler handle an event while stores fail. If it fails, the
// queue delivers the event again.
func (w *world) greyReconciler(g *grey, handle func(context.Context, *credentials.Reconciler) error) {
	var err error
	failing := rewire(w.reconciler, g.over)
	failing.setOAuth(greyOAuth{w.oauth, g})
	g.invoke(handleEventsTime, func(ctx context.Context) { err = handle(ctx, failing.Reconciler) })
	if err == nil {
		return
	}
	w.clock.Advance(greyTime)
	if err := handle(w.t.Context(), w.reconciler); err != nil {
		w.t.Error(err)
	}
}

// left has an athlete leave, which is completed at once.
func (w *world) left(id, generation int64) {
	w.t.Helper()
	if err := w.leave(w.t.Context(), w.reconciler, id, generation); err != nil {
		w.t.Fatal(err)
	}
	w.mustBeErased(id, "left")
}

// agree has all tasks completed. It reports whether Strava and we agree on whether
// the athlete is connected, and whether a connected athlete can be served.
func (w *world) agree(id int64) bool {
	w.t.Helper()
	for range 3 {
		w.reconcileAll()
	}
	if g, err := w.store.Grant(w.t.Context(), w.account(id)); err == nil && !g.Claim.ClaimedAt.IsZero() {
		// Strava could not be asked about a claim, which waits until the data is old.
		w.clock.Advance(7 * 24 * time.Hour)
		w.reconcileAll()
	}
	g, err := w.store.Grant(w.t.Context(), w.account(id))
	if err != nil && !fault.Is(err, fault.NotFound) {
		w.t.Fatal(err)
	}
	atStrava := w.atSite(id)
	if g.HasPendingTasks() || len(w.held(id)) > 0 && !g.Authorized() {
		w.t.Errorf("not done: %+v, tokens held %v", g, w.held(id))
	}
	if w.fitbit != nil && w.linked(id) != g.Authorized() {
		w.t.Errorf("the owner has the link: %v; grant %+v", w.linked(id), g)
	}
	if g.Authorized() != atStrava {
		return false
	}
	if !atStrava {
		return true
	}
	return w.by(w.process(w.patient), id, g.Generation).Outcome == credentialsv1.OutcomeAnswered
}

// held returns the generations of which the vault holds tokens.
func (w *world) held(id int64) []int64 { return w.vault.Generations(w.account(id)) }

// TestACallThatHangsLeavesTimeForTheOtherStore: SSM takes the new pair and gives
// no answer. The grants table, which works, must get it within the same
// invocation.
func TestACallThatHangsLeavesTimeForTheOtherStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strava.Settings{Rotation: strava.RotateAlways})
		id := w.athlete(0)
		generation := w.connected(id)
		w.age(7 * time.Hour)
		g := &grey{w: w, how: hangs, hits: []string{"SSM"}}
		process := w.process(w.patient)
		g.over(&process.TokenStore)
		process = interceptor(func(point string) {
			if point == "after asking Strava" {
				g.until = w.clock.Now().Add(greyTime)
			}
		}).watch(process)
		began := time.Now()
		if res := w.by(process, id, generation); res.Outcome != credentialsv1.OutcomeAnswered {
			t.Errorf("outcome %s", res.Outcome)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %s", took)
		}
		if w.grant(id).Tokens.Sealed == nil || w.counts.Of(metric.Sealed) != 1 {
			t.Errorf("grant %+v", w.grant(id))
		}
	})
}

// TestAStaleReadAfterLeavingDegradesNothing: for some time after a parameter was
// deleted SSM may still show it. A new authorization has a parameter of another
// name.
func TestAStaleReadAfterLeavingDegradesNothing(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: strava.RotateAlways})
	id := w.athlete(0)
	first := w.connected(id)
	old, err := w.vault.Tokens(t.Context(), w.account(id), first, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.left(id, first)
	w.clock.Advance(5 * time.Second)
	second := w.connected(id)
	process := w.process(w.patient)
	process.Vault = staleVault{w.vault, first, old}
	if res := w.by(process, id, second); res.Outcome != credentialsv1.OutcomeAnswered {
		t.Errorf("%s; grant %+v", res.Outcome, w.grant(id))
	}
}

// staleVault still shows a generation's pair after it was deleted.
type staleVault struct {
	credentials.Vault
	generation int64
	old        credentials.TokenPair
}

func (s staleVault) Tokens(ctx context.Context, account credentials.Account, generation, version int64) (credentials.TokenPair, error) {
	if generation == s.generation {
		return s.old, nil
	}
	return s.Vault.Tokens(ctx, account, generation, version)
}

// lostAnswers is a vault that writes pairs and loses its answers, refuses, or
// works.
type lostAnswers struct {
	credentials.Vault
	mode *string
}

func (l lostAnswers) SaveTokens(ctx context.Context, account credentials.Account, generation int64, pair credentials.TokenPair) (int64, error) {
	switch *l.mode {
	case "lost":
		_, _ = l.Vault.SaveTokens(ctx, account, generation, pair)
		return 0, fault.New(fault.Transient, "timeout")
	case "refused":
		return 0, fault.New(fault.Transient, "throttled")
	}
	return l.Vault.SaveTokens(ctx, account, generation, pair)
}

// TestAnOlderPairIsNotAdopted: SSM wrote a pair and lost its answer, so the pair
// is sealed into the grant and the version remains. When a later pair is refused,
// that version must not be taken for a newer one, or leaving could not be
// completed at Strava.
func TestAnOlderPairIsNotAdopted(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: strava.RotateAlways})
	id := w.athlete(0)
	generation := w.connected(id)
	mode := "lost"
	process := w.process(w.patient)
	process.Vault = lostAnswers{w.vault, &mode}
	w.age(7 * time.Hour)
	w.by(process, id, generation)
	mode = "refused"
	w.clock.Advance(5*time.Hour + 30*time.Minute)
	w.by(process, id, generation)
	// The pair lives for another 6 hours. A refresh is killed with the next one in
	// hand less than an hour before its end.
	w.clock.Advance(5*time.Hour + 10*time.Minute)
	func() {
		defer func() { _ = recover() }()
		w.by(interceptor(func(point string) {
			if point == "after asking Strava" {
				panic(killed{})
			}
		}).watch(process), id, generation)
	}()
	w.clock.Advance(2 * time.Minute)
	next := w.process(w.patient)
	next.Vault = lostAnswers{w.vault, &mode} // The pair stays sealed.
	w.by(next, id, generation)
	mode = ""
	if n := w.strava.Counters().DeadRefreshUses[id]; n != 1 {
		t.Errorf("%d invalid refresh tokens used, with one lost", n)
	}
	if err := w.leave(w.t.Context(), w.reconciler, id, generation); err != nil {
		t.Fatal(err)
	}
	w.reconcileAll()
	w.mustBeErased(id, "left while the access token lives")
}
