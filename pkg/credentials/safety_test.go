package credentials_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials/metric"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin/strava"
)

// patient is a Sleep that advances the virtual clock.
func (w *world) patient(ctx context.Context, d time.Duration) error {
	w.clock.Advance(d)
	return ctx.Err()
}

// by makes a call through a process.
func (w *world) by(process *credentials.Tokens, id, generation int64) credentialsv1.ForwardResponse {
	w.t.Helper()
	requester := w.ports.Requester(process)
	res, err := requester.Call(w.t.Context(), credentials.Call{Account: w.account(id), Generation: generation, Path: w.oauth.Rules().CheckPath})
	if err != nil {
		w.t.Error(err)
	}
	return res
}

type killed struct{}

// TestKilledAnywhere kills a process at every point of a refresh, before and
// after each of its calls, and then has another serve the athlete. That must
// succeed except at the one point where no other process can know the new refresh
// token: Strava has replaced it and the process dies before it saves the response.
func TestKilledAnywhere(t *testing.T) {
	for _, rotation := range []strava.Rotation{strava.RotateNever, strava.RotateAlways, onFitbit} {
		for _, vault := range []string{"vault works", "vault refuses"} {
			t.Run(string(rotation)+", "+vault, func(t *testing.T) {
				var lost, points []string
				for k := 0; ; k++ {
					w := newWorld(t, strava.Settings{Rotation: rotation})
					id := w.athlete(0)
					generation := w.connected(id)
					w.age(7 * time.Hour)
					point, survived := "", true
					n := 0
					process := w.process(w.patient)
					if vault == "vault refuses" {
						process.Vault = failing{w.vault}
					}
					process = interceptor(func(p string) {
						if n++; n == k+1 {
							point = p
							panic(killed{})
						}
					}).watch(process)
					func() {
						defer func() {
							if p := recover(); p != nil {
								if _, ok := p.(killed); !ok {
									panic(p)
								}
								survived = false
							}
						}()
						w.by(process, id, generation)
					}()
					if survived {
						break
					}
					points = append(points, point)

					if rotation == onFitbit {
						w.clock.Advance(3 * time.Minute) // Until then Fitbit repeats its response.
					}
					res := w.by(w.process(w.patient), id, generation)
					switch {
					case res.Outcome == credentialsv1.OutcomeAnswered && res.Status == 200:
					case res.Outcome == credentialsv1.OutcomeDegraded:
						lost = append(lost, point)
						// The loss is reported, and connecting again repairs it.
						if n := len(eventtest.Facts[credentialsv1.AuthorizationDegraded](w.bus)); n != 1 && rotation != onFitbit {
							t.Errorf("killed %s: published %d times", point, n)
						}
						if w.counts.Of(metric.Degraded) != 1 {
							t.Errorf("killed %s: not counted", point)
						}
						w.mustAnswer(id, w.connected(id))
					default:
						t.Errorf("killed %s (call %d): %s %d", point, k, res.Outcome, res.Status)
					}
				}
				var want []string
				if rotation != strava.RotateNever {
					// Between these two only this process has the pair. If the vault
					// refuses it, the sealed pair comes next.
					want = []string{"after asking Strava", "before saving tokens"}
					if vault == "vault refuses" {
						want = append(want, "after saving tokens", "before writing the grant")
					}
				}
				if !slices.Equal(lost, want) {
					t.Errorf("lost when killed %q, want %q", lost, want)
				}
				if len(points) < 14 {
					t.Errorf("only %d points were tried: %q", len(points), points)
				}
			})
		}
	}
}

// TestRevokedAnywhere ends an authorization at every point of a refresh. It
// must stay ended, and no token may be left.
func TestRevokedAnywhere(t *testing.T) {
	for _, how := range []string{"left", "left when the lease is over", "deauthorized"} {
		for _, vault := range []string{"vault works", "vault refuses"} {
			t.Run(how+", "+vault, func(t *testing.T) {
				points := 0
				for k := 0; ; k++ {
					w := newWorld(t, strava.Settings{})
					id := w.athlete(0)
					generation := w.connected(id)
					w.age(7 * time.Hour)
					end := func() error {
						if how == "left when the lease is over" {
							// The refresh takes longer than its lease lasts,
							// and goes on after everything is erased.
							w.clock.Advance(time.Minute)
						}
						if how != "deauthorized" {
							return w.leave(w.t.Context(), w.reconciler, id, generation)
						}
						if w.atSite(id) {
							if err := w.deauthorize(id); err != nil {
								t.Fatal(err)
							}
						}
						return w.reconciler.HandleDeauthorization(t.Context(), cause(), w.account(id))
					}
					n, point := 0, ""
					var first error
					process := w.process(w.patient)
					if vault == "vault refuses" {
						process.Vault = failing{w.vault}
					}
					w.by(interceptor(func(p string) {
						if n++; n == k+1 {
							point = p
							first = end()
						}
					}).watch(process), id, generation)
					if point == "" {
						break
					}
					points++
					if first != nil {
						t.Fatalf("ended %s: %v", point, first)
					}
					if s := w.grant(id).State; s != credentials.Revoked && s != credentials.Erased && how != "deauthorized" {
						t.Errorf("ended %s: revived as %s", point, s)
					}
					// Tasks that were postponed are still pending.
					w.reconcileAll()
					if w.grant(id).State == credentials.Degraded {
						// The refresh outlived its lease, so Strava's refusal may be of a
						// token that only it replaced. The claim waits until the data is old.
						w.clock.Advance(7 * 24 * time.Hour)
						w.reconcileAll()
					}
					w.mustBeErased(id, "ended "+point)
					if res := w.by(w.process(w.patient), id, generation); res.Outcome != credentialsv1.OutcomeRevoked {
						t.Errorf("ended %s: outcome %s", point, res.Outcome)
					}
				}
				if points < 14 {
					t.Errorf("only %d points were tried", points)
				}
			})
		}
	}
}

// TestRace has fifty cold processes ask for the same athlete at once, with
// delays at every call that differ from seed to seed.
func TestRace(t *testing.T) {
	const workers, seeds = 50, 1000
	for _, rotation := range allRotations {
		t.Run(string(rotation), func(t *testing.T) {
			w := newWorld(t, strava.Settings{Rotation: rotation})
			id := w.athlete(0)
			generation := w.connected(id)
			w.clock.Advance(time.Minute)
			for seed := range uint64(seeds) {
				// Rate limits would interfere with this test.
				w.strava.SetUsage(strava.Usage{})
				if err := w.setTokenLife(id, -time.Second); err != nil {
					t.Fatal(err)
				}
				expire(t, w, id)
				var wg sync.WaitGroup
				for worker := range workers {
					rng := rand.New(rand.NewPCG(seed, uint64(worker)))
					process := interceptor(func(string) {
						for range rng.IntN(20) {
							runtime.Gosched()
						}
					}).watch(w.process(func(ctx context.Context, _ time.Duration) error {
						time.Sleep(50 * time.Microsecond)
						return ctx.Err()
					}))
					wg.Go(func() {
						if res := w.by(process, id, generation); res.Outcome != credentialsv1.OutcomeAnswered || res.Status != 200 {
							t.Errorf("seed %d: %s %d", seed, res.Outcome, res.Status)
						}
					})
				}
				wg.Wait()
				if t.Failed() {
					return
				}
			}
			atOnce, dead, refreshes := w.refreshCounts(id)
			if atOnce != 1 {
				t.Errorf("%d refreshes in flight at once", atOnce)
			}
			if dead != 0 {
				t.Errorf("%d invalid refresh tokens used", dead)
			}
			if n := refreshes; n != seeds {
				t.Errorf("%d refreshes for %d expiries", n, seeds)
			}
		})
	}
}

// expire makes our record of the token's expiry agree with Strava's, as if the hours
// had passed.
func expire(t *testing.T, w *world, id int64) {
	t.Helper()
	g := w.grant(id)
	pair, err := w.vault.Tokens(t.Context(), w.account(id), g.Generation, g.Tokens.Version)
	if err != nil {
		t.Fatal(err)
	}
	pair.ExpiresAt = w.clock.Now().Add(-time.Second)
	version, err := w.vault.SaveTokens(t.Context(), w.account(id), g.Generation, pair)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Update(t.Context(), w.account(id), func(g *credentials.Grant) (bool, error) {
		g.Tokens.Version = version
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
}

// outage makes ports fail until it is over.
type outage struct {
	w     *world
	until time.Time
	calls int
}

func (o *outage) err() error {
	o.calls++
	if o.w.clock.Now().Before(o.until) {
		return fault.New(fault.Transient, "throttled")
	}
	return nil
}

type outVault struct {
	credentials.Vault
	o         *outage
	readsWork bool
}

func (v outVault) App(ctx context.Context, provider string) (credentials.App, error) {
	if err := v.o.err(); err != nil && !v.readsWork {
		return credentials.App{}, err
	}
	return v.Vault.App(ctx, provider)
}

func (v outVault) Tokens(ctx context.Context, account credentials.Account, generation, version int64) (credentials.TokenPair, error) {
	if err := v.o.err(); err != nil && !v.readsWork {
		return credentials.TokenPair{}, err
	}
	return v.Vault.Tokens(ctx, account, generation, version)
}

func (v outVault) SaveTokens(ctx context.Context, account credentials.Account, generation int64, pair credentials.TokenPair) (int64, error) {
	if err := v.o.err(); err != nil {
		return 0, err
	}
	return v.Vault.SaveTokens(ctx, account, generation, pair)
}

type outSealer struct {
	credentials.Sealer
	o *outage
}

func (s outSealer) NewSeal(ctx context.Context, provider string) (credentials.Seal, error) {
	if err := s.o.err(); err != nil {
		return nil, err
	}
	return s.Sealer.NewSeal(ctx, provider)
}

type outGrants struct {
	credentials.Grants
	o *outage
}

func (g outGrants) Grant(ctx context.Context, account credentials.Account) (credentials.Grant, error) {
	if err := g.o.err(); err != nil {
		return credentials.Grant{}, err
	}
	return g.Grants.Grant(ctx, account)
}

func (g outGrants) Update(ctx context.Context, account credentials.Account, change func(*credentials.Grant) (changed bool, err error)) (credentials.Grant, error) {
	if err := g.o.err(); err != nil {
		return credentials.Grant{}, err
	}
	return g.Grants.Update(ctx, account, change)
}

// TestOutages has a store fail for a minute, at a time when tokens are due for
// renewal and are replaced each time.
func TestOutages(t *testing.T) {
	for name, hurt := range map[string]func(*credentials.Tokens, *outage){
		"SSM throttled":          func(p *credentials.Tokens, o *outage) { p.Vault = outVault{p.Vault, o, false} },
		"SSM throttled, writing": func(p *credentials.Tokens, o *outage) { p.Vault = outVault{p.Vault, o, true} },
		"KMS denied": func(p *credentials.Tokens, o *outage) {
			p.Vault, p.Sealer = outVault{p.Vault, o, false}, outSealer{p.Sealer, o}
		},
		"grants table throttled": func(p *credentials.Tokens, o *outage) { p.Grants = outGrants{p.Grants, o} },
	} {
		for _, left := range []time.Duration{-time.Second, 30 * time.Minute} {
			t.Run(name+", "+left.String()+" left", func(t *testing.T) {
				w := newWorld(t, strava.Settings{})
				id := w.athlete(0)
				generation := w.connected(id)
				w.clock.Advance(6*time.Hour - left)
				o := &outage{w: w, until: w.clock.Now().Add(time.Minute)}
				processes := make([]*credentials.Tokens, 3)
				for i := range processes {
					processes[i] = w.process(w.patient)
					hurt(processes[i], o)
				}
				asked := 0
				for w.clock.Now().Before(o.until) {
					for _, p := range processes {
						asked++
						if res := w.by(p, id, generation); res.Outcome != credentialsv1.OutcomeAnswered && res.Outcome != credentialsv1.OutcomeFailed {
							t.Fatalf("outcome %s", res.Outcome)
						}
					}
					w.clock.Advance(5 * time.Second)
				}
				if o.calls > 60*asked {
					t.Errorf("%d calls to a failing store for %d requests", o.calls, asked)
				}
				for _, p := range append(processes, w.process(w.patient)) {
					if res := w.by(p, id, generation); res.Outcome != credentialsv1.OutcomeAnswered || res.Status != 200 {
						t.Errorf("after the outage: %s %d", res.Outcome, res.Status)
					}
				}
				if g := w.grant(id); g.State != credentials.Active || g.Tokens.Sealed != nil {
					t.Errorf("after the outage: state %s, sealed %v", g.State, g.Tokens.Sealed != nil)
				}
				if n := w.strava.Counters().DeadRefreshUses[id]; n != 0 {
					t.Errorf("%d invalid refresh tokens used", n)
				}
				if n := w.counts.Of(metric.Unsaved) + w.counts.Of(metric.Degraded); n != 0 {
					t.Errorf("%d athletes were lost", n)
				}
				if n := w.counts.Of(metric.Sealed); (n > 0) != (name == "SSM throttled, writing") {
					t.Errorf("%d pairs were sealed", n)
				}
				w.mustBeSilent()
			})
		}
	}
}

func TestAPairThatTheVaultRefusesIsSealedAndAdopted(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.age(7 * time.Hour)
	hurt := w.process(w.patient)
	hurt.Vault = failing{w.vault}
	for range 3 {
		if res := w.by(hurt, id, generation); res.Outcome != credentialsv1.OutcomeAnswered {
			t.Fatalf("outcome %s", res.Outcome)
		}
	}
	if g := w.grant(id); g.Tokens.Sealed == nil || g.Lease.Owner != "" {
		t.Fatalf("nothing is sealed, or a lease is left: %+v", g)
	}
	if n := w.counts.Of(metric.Sealed); n != 1 {
		t.Errorf("counted %d times", n)
	}
	if res := w.by(w.process(w.patient), id, generation); res.Outcome != credentialsv1.OutcomeAnswered {
		t.Fatalf("the next reader: %s", res.Outcome)
	}
	if g := w.grant(id); g.Tokens.Sealed != nil || w.counts.Of(metric.Adopted) != 1 {
		t.Error("the next reader did not adopt it")
	}
	if res := w.by(hurt, id, generation); res.Outcome != credentialsv1.OutcomeAnswered {
		t.Errorf("the first process: %s", res.Outcome)
	}
	if n := w.strava.Counters().Total(strava.EndpointRefresh, id); n != 1 {
		t.Errorf("%d refreshes", n)
	}
}

// TestSavingIsRetried has both stores fail as soon as Strava has replaced the
// tokens: for less than a save is tried, and for longer. Only then is the new
// pair lost, and that is counted at once.
func TestSavingIsRetried(t *testing.T) {
	for outageLasts, lost := range map[time.Duration]int{5 * time.Second: 0, time.Minute: 1} {
		t.Run(outageLasts.String(), func(t *testing.T) {
			w := newWorld(t, strava.Settings{})
			id := w.athlete(0)
			generation := w.connected(id)
			w.age(7 * time.Hour)
			o := &outage{w: w}
			var asked time.Time
			process := w.process(func(_ context.Context, d time.Duration) error {
				if w.clock.Advance(d); w.clock.Now().Sub(asked) > 7*time.Second {
					return context.DeadlineExceeded
				}
				return nil
			})
			process.Vault, process.Grants = outVault{process.Vault, o, true}, outGrants{process.Grants, o}
			res := w.by(interceptor(func(p string) {
				if p == "after asking Strava" {
					asked = w.clock.Now()
					o.until = asked.Add(outageLasts)
				}
			}).watch(process), id, generation)
			want := credentialsv1.OutcomeAnswered
			if lost > 0 {
				want = credentialsv1.OutcomeFailed
			}
			if res.Outcome != want || w.counts.Of(metric.Unsaved) != lost {
				t.Errorf("%s, %d lost", res.Outcome, w.counts.Of(metric.Unsaved))
			}
			w.clock.Advance(time.Minute)
			if lost > 0 {
				want = credentialsv1.OutcomeDegraded
			}
			if res := w.forward(id, generation); res.Outcome != want || w.counts.Of(metric.Degraded) != lost {
				t.Errorf("afterwards %s, %d degraded", res.Outcome, w.counts.Of(metric.Degraded))
			}
		})
	}
}

func TestLeavingRevokesWhatAKilledRefreshLeftBehind(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.age(7 * time.Hour) // The old access token has expired.
	func() {
		defer func() { _ = recover() }()
		w.by(interceptor(func(p string) {
			if p == "after saving tokens" {
				panic(killed{})
			}
		}).watch(w.process(w.patient)), id, generation)
	}()
	w.clock.Advance(time.Minute) // The lease is over.
	if err := w.leave(w.t.Context(), w.reconciler, id, generation); err != nil {
		t.Fatal(err)
	}
	if w.atSite(id) {
		t.Error("the athlete fills a slot at Strava for good")
	}
}

func TestACanceledCallLosesNoToken(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.age(7 * time.Hour)
	ctx, giveUp := context.WithCancel(t.Context())
	process := interceptor(func(p string) {
		if p == "after asking Strava" {
			giveUp()
		}
	}).watch(w.process(w.patient))
	process.Vault, process.Grants = cancellableVault{process.Vault}, cancellableGrants{process.Grants}
	if _, err := process.Pair(ctx, w.account(id), generation, credentials.TokenPair{}); err != nil {
		t.Errorf("the pair was not saved: %v", err)
	}
	w.mustAnswer(id, generation)
}

// cancellableVault and cancellableGrants refuse to write for a context that is
// over, as real ones do.
type cancellableVault struct{ credentials.Vault }

func (v cancellableVault) SaveTokens(ctx context.Context, account credentials.Account, generation int64, pair credentials.TokenPair) (int64, error) {
	if ctx.Err() != nil {
		return 0, fault.New(fault.Transient, "canceled")
	}
	return v.Vault.SaveTokens(ctx, account, generation, pair)
}

type cancellableGrants struct{ credentials.Grants }

func (g cancellableGrants) Update(ctx context.Context, account credentials.Account, change func(*credentials.Grant) (changed bool, err error)) (credentials.Grant, error) {
	if ctx.Err() != nil {
		return credentials.Grant{}, fault.New(fault.Transient, "canceled")
	}
	return g.Grants.Update(ctx, account, change)
}

func TestNoRefreshBeginsWithoutTimeToSaveIt(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.age(7 * time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
	defer cancel()
	if _, err := w.tokens.Pair(ctx, w.account(id), generation, credentials.TokenPair{}); !fault.Is(err, fault.Transient) {
		t.Errorf("got %v", err)
	}
	if n := w.strava.Counters().Total(strava.EndpointRefresh, id); n != 0 {
		t.Errorf("%d refreshes", n)
	}
}

// slowSealer is slow to prepare a seal.
type slowSealer struct{ credentials.Sealer }

func (s slowSealer) NewSeal(ctx context.Context, provider string) (credentials.Seal, error) {
	time.Sleep(100 * time.Millisecond)
	return s.Sealer.NewSeal(ctx, provider)
}

// TestStravaIsNotCalledWithoutTimeLeft: the time that the steps before the call take
// counts, too.
func TestStravaIsNotCalledWithoutTimeLeft(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.age(7 * time.Hour)
	w.tokens.Sealer = slowSealer{w.sealer}
	ctx, cancel := context.WithTimeout(t.Context(), 28*time.Second+50*time.Millisecond)
	defer cancel()
	if _, err := w.tokens.Pair(ctx, w.account(id), generation, credentials.TokenPair{}); !fault.Is(err, fault.Transient) {
		t.Errorf("got %v", err)
	}
	if n := w.strava.Counters().Total(strava.EndpointRefresh, id); n != 0 {
		t.Errorf("%d refreshes", n)
	}
	if g := w.grant(id); g.Lease.Owner != "" {
		t.Error("the lease was not released")
	}
}

// TestAMissingPairIsNotReadForever: an operator with access to the vault may delete a
// pair that a grant refers to. Other athletes must not wait for it.
func TestAMissingPairIsNotReadForever(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	if err := w.vault.DeleteTokens(t.Context(), w.account(id), generation); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	before := w.clock.Now()
	if _, err := w.tokens.Pair(ctx, w.account(id), generation, credentials.TokenPair{}); !fault.Is(err, fault.Permanent) {
		t.Errorf("got %v", err)
	}
	if waited := w.clock.Now().Sub(before); waited < 5*time.Second || waited > 10*time.Second {
		t.Errorf("waited %s", waited)
	}
	w.mustAnswer(id, w.connected(id))
}

// TestALateRefreshDoesNotTakeANewConnectsTokensAway: a refresh outlives its
// lease and the authorization, and the athlete connects again while it cleans up.
func TestALateRefreshDoesNotTakeANewConnectsTokensAway(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	first := w.connected(id)
	w.age(7 * time.Hour)
	var second int64
	left := false
	process := interceptor(func(p string) {
		switch {
		case p == "after asking Strava":
			w.clock.Advance(time.Minute)
			if err := w.leave(w.t.Context(), w.reconciler, id, first); err != nil {
				t.Fatal(err)
			}
			left = true
		case left && second == 0 && p == "before writing the grant":
			second = w.connected(id)
		}
	}).watch(w.process(w.patient))
	if res := w.by(process, id, first); res.Outcome != credentialsv1.OutcomeRevoked {
		t.Errorf("the late one: %s", res.Outcome)
	}
	w.reconcileAll()
	w.mustAnswer(id, second)
}

// TestReconnectedAnywhere has an athlete connect again at every point of the
// revocation that a deauthorization led to. An athlete who connected must be
// served.
func TestReconnectedAnywhere(t *testing.T) {
	points := 0
	for k := 0; ; k++ {
		w := newWorld(t, strava.Settings{})
		id := w.athlete(0)
		w.connected(id)
		if err := w.deauthorize(id); err != nil {
			t.Fatal(err)
		}
		// A connect waits for no lease.
		w.connect.Sleep = func(context.Context, time.Duration) error { return context.DeadlineExceeded }
		n, point := 0, ""
		var reconnected bool
		revocation := interceptor(func(p string) {
			if n++; n == k+1 {
				point = p
				_, err := w.connect.Finish(t.Context(), w.consent(id, ""))
				reconnected = err == nil
				if err != nil && !fault.Is(err, fault.Transient) {
					t.Errorf("reconnecting %s: %v", p, err)
				}
			}
		}).watchReconciler(w.reconciler)
		if err := revocation.HandleDeauthorization(t.Context(), cause(), w.account(id)); err != nil {
			t.Fatalf("reconnected %s: %v", point, err)
		}
		if point == "" {
			break
		}
		points++
		g := w.grant(id)
		if !reconnected {
			// The tokens that Strava has just issued are revoked with the rest.
			if g.State != credentials.Erased || w.vault.Holds(w.account(id)) {
				t.Errorf("refused %s: %+v, tokens held %v", point, g, w.vault.Holds(w.account(id)))
			}
			continue
		}
		if g.State != credentials.Active {
			t.Errorf("reconnected %s: state %s", point, g.State)
		}
		if res := w.by(w.process(w.patient), id, g.Generation); res.Outcome != credentialsv1.OutcomeAnswered || res.Status != 200 {
			t.Errorf("reconnected %s: %s %d", point, res.Outcome, res.Status)
		}
	}
	if points < 12 {
		t.Errorf("only %d points were tried", points)
	}
}

func TestAForgedDeauthorizationAfterALostTokenDestroysNothing(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.clock.Advance(5*time.Hour + 10*time.Minute)
	// Strava replaces the refresh token, and its answer is lost on the way.
	if err := w.strava.Inject(strava.Fault{Endpoint: strava.EndpointRefresh, Kind: strava.FaultDrop}); err != nil {
		t.Fatal(err)
	}
	w.forward(id, generation)
	for _, want := range []credentials.State{credentials.Active, credentials.Degraded} {
		if err := w.reconciler.HandleDeauthorization(t.Context(), cause(), w.account(id)); err != nil {
			t.Fatal(err)
		}
		if g := w.grant(id); g.State != want || g.HasPendingTasks() || !w.vault.Holds(w.account(id)) {
			t.Fatalf("grant %+v, tokens held %v", g, w.vault.Holds(w.account(id)))
		}
		w.forward(id, generation) // Finds the refresh token refused.
		w.clock.Advance(10 * time.Minute)
	}
	// A true claim ends the authorization.
	if err := w.deauthorize(id); err != nil {
		t.Fatal(err)
	}
	if err := w.reconciler.HandleDeauthorization(t.Context(), cause(), w.account(id)); err != nil {
		t.Fatal(err)
	}
	w.mustBeErased(id, "after a true one")
}

func TestAFailedPublishIsRetriedLater(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	w.bus.Fail(fault.New(fault.Transient, "boom"))
	if _, err := w.connect.Finish(t.Context(), w.consent(id, "")); err == nil {
		t.Fatal("no error")
	}
	generation := w.grant(id).Generation
	if res := w.forward(id, generation); res.Outcome != credentialsv1.OutcomeFailed {
		t.Errorf("outcome %s", res.Outcome)
	}
	w.bus.Fail(nil)
	for range 2 {
		w.mustAnswer(id, generation)
	}
	if n := len(eventtest.Facts[credentialsv1.AthleteAuthorized](w.bus)); n != 1 {
		t.Errorf("published %d times", n)
	}
}

// degrading is a bus during whose first publish the grant degrades, which it then
// refuses to publish.
type degrading struct {
	credentials.Publisher
	meanwhile func()
	once      sync.Once
}

func (p *degrading) Publish(ctx context.Context, events ...event.Event) error {
	err := p.Publisher.Publish(ctx, events...)
	p.once.Do(p.meanwhile)
	return err
}

func TestAPublishedStateDoesNotCoverALaterOne(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	w.connect.Publisher = &degrading{Publisher: w.bus, meanwhile: func() {
		w.bus.Fail(fault.New(fault.Transient, "boom"))
		defer w.bus.Fail(nil)
		if err := w.tokens.Degrade(t.Context(), w.account(id), w.grant(id).Generation, credentialsv1.DegradedScopeMissing); err == nil {
			t.Error("it was published")
		}
	}}
	w.connected(id)
	w.reconcileAll()
	if n := len(eventtest.Facts[credentialsv1.AuthorizationDegraded](w.bus)); n != 1 {
		t.Errorf("published %d times", n)
	}
}

// TestStoreCallsOfAWarmProcess counts the calls of SSM and KMS that a warm
// process makes for a thousand calls over one token's life, renewal included, and
// those that SSM makes of KMS: a Decrypt for each read, an Encrypt for each write.
func TestStoreCallsOfAWarmProcess(t *testing.T) {
	w := newWorld(t, strava.Settings{ReadLimit: strava.Limit{10_000, 100_000}, OverallLimit: strava.Limit{10_000, 100_000}})
	id := w.athlete(0)
	generation := w.connected(id)
	calls := map[string]int{}
	process := interceptor(func(p string) { calls[p]++ }).watch(w.process(w.patient))
	for life := range 4 {
		for range 1000 {
			if res := w.by(process, id, generation); res.Outcome != credentialsv1.OutcomeAnswered {
				t.Fatalf("outcome %s", res.Outcome)
			}
			w.clock.Advance(21 * time.Second) // 1,000 of them are within a token's six hours.
		}
		ssm := calls["after reading the app"] + calls["after reading tokens"] + calls["after reading the latest tokens"] + calls["after saving tokens"]
		kms := ssm + calls["after preparing a seal"] + calls["after opening a sealed pair"]
		// The first life begins cold: the pair and the application are read.
		if life > 0 && (ssm > 2 || kms > 2) {
			t.Errorf("life %d: %d calls to SSM and %d to KMS: %v", life, ssm, kms, calls)
		}
		clear(calls)
	}
	if n := w.strava.Counters().Total(strava.EndpointRefresh, id); n < 4 || n > 5 {
		t.Errorf("%d refreshes", n)
	}
}

// TestAPairLeftByAProcessWhoseClockIsBehindIsFound: a refresh that was cut off
// left the valid pair in the vault. By the clocks of the two processes it is older
// than the one that Strava refuses.
func TestAPairLeftByAProcessWhoseClockIsBehindIsFound(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.clock.Advance(7 * time.Hour)
	ahead := w.process(w.patient)
	ahead.OAuth = skewedOAuth{ahead.OAuth, 30 * time.Second}
	w.by(ahead, id, generation)
	g := w.grant(id)
	pair, err := w.vault.Tokens(t.Context(), g.Account, g.Generation, g.Tokens.Version)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(5 * time.Second)
	if err := w.strava.SetTokenLife(id, -time.Second); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = interceptor(func(p string) {
			if p == "after saving tokens" {
				panic(killed{})
			}
		}).watch(w.process(w.patient)).Pair(t.Context(), g.Account, generation, pair)
	}()
	w.clock.Advance(2 * time.Minute)
	if _, err := w.process(w.patient).Pair(t.Context(), g.Account, generation, pair); err != nil {
		t.Errorf("%v; %+v", err, w.grant(id))
	}
}

// skewedOAuth belongs to a process whose clock is ahead.
type skewedOAuth struct {
	credentials.OAuth
	by time.Duration
}

func (s skewedOAuth) Refresh(ctx context.Context, app credentials.App, r secret.String) (credentials.TokenPair, error) {
	p, err := s.OAuth.Refresh(ctx, app, r)
	p.IssuedAt, p.ExpiresAt = p.IssuedAt.Add(s.by), p.ExpiresAt.Add(s.by)
	return p, err
}

// TestALostCommitIsRecognized: the grants table writes the new pair and loses its
// answer, with a vault that works and with one that refuses. Nothing is written
// twice.
func TestALostCommitIsRecognized(t *testing.T) {
	for _, works := range []bool{true, false} {
		w := newWorld(t, strava.Settings{Rotation: strava.RotateAlways})
		id := w.athlete(0)
		generation := w.connected(id)
		w.clock.Advance(7 * time.Hour)
		process := w.process(w.patient)
		if !works {
			process.Vault = failing{process.Vault}
		}
		losing := &losesOnce{Grants: process.Grants}
		process.Grants = losing
		res := w.by(interceptor(func(p string) {
			if p == "after asking Strava" {
				losing.armed = true
			}
		}).watch(process), id, generation)
		if g := w.grant(id); res.Outcome != credentialsv1.OutcomeAnswered || losing.armed || len(g.Candidates) > 0 || g.HasPendingTasks() {
			t.Errorf("the vault works %v: %s, %+v", works, res.Outcome, g)
		}
	}
}

// losesOnce is a grants table that loses its answer to one write.
type losesOnce struct {
	credentials.Grants
	armed bool
}

func (l *losesOnce) Update(ctx context.Context, account credentials.Account, change func(*credentials.Grant) (changed bool, err error)) (credentials.Grant, error) {
	g, err := l.Grants.Update(ctx, account, change)
	if err == nil && l.armed {
		l.armed = false
		return credentials.Grant{}, fault.New(fault.Transient, "timeout")
	}
	return g, err
}

// TestTheSamePairIsNotWrittenAgain: with more than an hour left, Strava returns
// the pair that we have.
func TestTheSamePairIsNotWrittenAgain(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: strava.RotateNever})
	id := w.athlete(0)
	generation := w.connected(id)
	before := w.grant(id)
	w.clock.Advance(time.Hour)
	if err := w.tokens.VerifyAuthorization(t.Context(), credentials.Athlete(id), generation); err != nil {
		t.Fatal(err)
	}
	if g := w.grant(id); g.Tokens.Version != before.Tokens.Version || g.Tokens.Generation != before.Tokens.Generation {
		t.Errorf("refers to %+v, before to %+v", g.Tokens, before.Tokens)
	}
	if _, version, err := w.vault.Latest(t.Context(), credentials.Athlete(id), generation); err != nil || version != before.Tokens.Version {
		t.Errorf("version %d, %v", version, err)
	}
}

// TestARefusalEndsNothingWhileACandidateCannotBeRead: two connects crossed, and
// the pair that came into force is not the valid one. SSM refuses to read the
// other one when Strava refuses it.
func TestARefusalEndsNothingWhileACandidateCannotBeRead(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: strava.RotateAlways})
	id := w.athlete(0)
	generation := w.crossed(id)
	w.clock.Advance(7 * time.Hour)
	process := w.process(w.patient)
	process.Vault = unreadable{process.Vault, w.grant(id).Candidates[0].Generation}
	if res := w.by(process, id, generation); res.Outcome != credentialsv1.OutcomeFailed {
		t.Errorf("while SSM refuses: %s", res.Outcome)
	}
	w.mustAnswer(id, w.grant(id).Generation)
}

// crossed connects an athlete twice at once. Strava's later answer, the valid
// pair, stays a candidate.
func (w *world) crossed(id int64) (generation int64) {
	w.t.Helper()
	first, second := w.consent(id, ""), w.consent(id, "")
	_, err := interceptor(func(p string) {
		if p == "after exchanging the code" {
			if _, err := w.connect.Finish(w.t.Context(), second); err != nil {
				w.t.Fatal(err)
			}
			w.clock.Advance(time.Millisecond)
		}
	}).watchConnect(*w.connect).Finish(w.t.Context(), first)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.grant(id).Generation
}

// TestARefusalCrossesASignIn: a sign-in adds its pair after the refresh that Strava
// refused has looked for another pair.
func TestARefusalCrossesASignIn(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: strava.RotateAlways})
	id := w.athlete(0)
	generation := w.connected(id)
	w.clock.Advance(7 * time.Hour)
	cb := w.consent(id, "")
	asked, added := false, false
	connect := interceptor(func(p string) {
		if p == "after exchanging the code" {
			w.by(interceptor(func(p string) {
				asked = asked || p == "after asking Strava"
				if p == "before writing the grant" && asked && !added {
					added = true
					w.killedAt(id, "after writing the grant")
				}
			}).watch(w.process(w.patient)), id, generation)
		}
	}).watchConnect(*w.connect)
	if _, err := connect.Finish(t.Context(), cb); err != nil {
		t.Fatal(err)
	}
	if !added {
		t.Fatal("the refresh was not refused")
	}
	if n := w.counts.Of(metric.Degraded); n != 0 {
		t.Errorf("degraded %d times", n)
	}
}

// unreadable is a vault that cannot read one generation's tokens.
type unreadable struct {
	credentials.Vault
	generation int64
}

func (u unreadable) Tokens(ctx context.Context, account credentials.Account, generation, version int64) (credentials.TokenPair, error) {
	if generation == u.generation {
		return credentials.TokenPair{}, fault.New(fault.Transient, "throttled")
	}
	return u.Vault.Tokens(ctx, account, generation, version)
}

// TestALostResponseIsInDoubt: Strava replaced the refresh token, and its
// answer came too late. The refusal that follows does not prove a claim.
func TestALostResponseIsInDoubt(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: strava.RotateAlways})
	id := w.athlete(0)
	generation := w.connected(id)
	w.clock.Advance(7 * time.Hour)
	late := w.process(w.patient)
	late.OAuth = provider.NewOAuth(w.slow("/oauth/token"), provider.Strava("http://strava.test/oauth", settings.RevocationRevoke), w.clock.Now)
	w.by(late, id, generation)
	if err := w.reconciler.HandleDeauthorization(t.Context(), cause(), credentials.Athlete(id)); err != nil {
		t.Fatal(err)
	}
	if g := w.grant(id); g.State != credentials.Degraded || !g.InDoubt {
		t.Errorf("%+v", g)
	}
}

// TestALateVersionIsDeleted: while a refresh is held up, a sign-in
// and another refresh make its parameter useless, which is deleted, and written
// again by the one that was held up.
func TestALateVersionIsDeleted(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: strava.RotateNever})
	id := w.athlete(0)
	first := w.connected(id)
	w.clock.Advance(7 * time.Hour)
	second := int64(0)
	w.by(interceptor(func(p string) {
		if p == "before saving tokens" && second == 0 {
			second = w.connected(id)
			if err := w.tokens.VerifyAuthorization(t.Context(), credentials.Athlete(id), second); err != nil {
				t.Fatal(err)
			}
			w.reconcileAll()
			if held := w.held(id); !slices.Equal(held, []int64{second}) {
				t.Fatalf("held %v", held)
			}
		}
	}).watch(w.process(w.patient)), id, first)
	w.reconcileAll()
	if held := w.held(id); second == 0 || !slices.Equal(held, []int64{second}) {
		t.Errorf("held %v", held)
	}
}

// TestACanceledCallLeavesNoLease: a refresh fails after its caller has given
// up. Others need not wait for the end of its lease.
func TestACanceledCallLeavesNoLease(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.clock.Advance(7 * time.Hour)
	w.down("refresh")
	ctx, giveUp := context.WithCancel(t.Context())
	process := interceptor(func(p string) {
		if p == "after asking Strava" {
			giveUp()
		}
	}).watch(w.process(w.patient))
	process.Grants = cancellableGrants{process.Grants}
	if _, err := process.Pair(ctx, credentials.Athlete(id), generation, credentials.TokenPair{}); err == nil {
		t.Error("no error")
	}
	if g := w.grant(id); g.Lease.Owner != "" {
		t.Errorf("%+v", g.Lease)
	}
}

// TestAPublishedSignInDoesNotCoverALaterOne: while a sign-in is published, the
// next one comes into force and is killed before it is published itself.
func TestAPublishedSignInDoesNotCoverALaterOne(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	once := false
	connect := interceptor(func(p string) {
		if p == "after publishing" && !once {
			once = true
			w.killedAt(id, "before publishing")
		}
	}).watchConnect(*w.connect)
	if _, err := connect.Finish(t.Context(), w.consent(id, "")); err != nil {
		t.Fatal(err)
	}
	w.reconcileAll()
	published := eventtest.Facts[credentialsv1.AthleteAuthorized](w.bus)
	if len(published) != 2 || published[1].Generation != w.grant(id).Generation {
		t.Errorf("published %+v, in force is %d", published, w.grant(id).Generation)
	}
}
