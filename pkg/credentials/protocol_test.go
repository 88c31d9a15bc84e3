package credentials_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin/strava"
)

// protocol is the arena of the processes that change one athlete's tokens. It
// watches what they do.
type protocol struct {
	*world
	id int64
	x  *explorer

	grants    map[credentials.Account]uint64 // digests of the stored grants
	vaultHeld map[string]uint64              // digests of the parameters
	site      uint64                         // a digest of what the provider has done
	published map[string]bool

	// either is set if the provider may replace a refresh token, or not.
	either bool
	// next is the refresh token that the provider issued in place of another one.
	next map[string]string
	// superseded are the refresh tokens that the grants table no longer refers to,
	// because it refers to one that replaced them.
	superseded map[string]bool
	// refused counts how often the provider refused a refresh token.
	refused map[string]int
	minds   map[string]*mind
	sealed  map[string]credentials.TokenPair
	// lost is set when a pair was lost at a documented point.
	lost bool
	// early is set when an athlete withdraws before the grants table knows of the
	// authorization.
	early bool
	// problems that were seen.
	problems []string
}

// mind is what a process knows.
type mind struct {
	// superseded are the refresh tokens that were superseded when it last read or
	// wrote the grant.
	superseded map[string]bool
	// inHand is a pair that no store has yet; refreshing is set while the provider
	// is asked for one, and until a store has it.
	inHand     *credentials.TokenPair
	refreshing bool
	// generation is that of the grant when it last read or wrote it.
	generation int64
}

func (a *protocol) wrong(format string, args ...any) {
	a.problems = append(a.problems, fmt.Sprintf(format, args...))
}

func (a *protocol) now() time.Time { return a.clock.Now() }

func (a *protocol) advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
	a.clock.Advance(d)
}

func (a *protocol) killed(p *actor) { a.lost = a.lost || a.minds[p.name].inHand != nil }

func (a *protocol) limit(op string) time.Duration {
	if strings.HasPrefix(op, "credentials.OAuth.") || strings.HasPrefix(op, "credentials.API.") {
		return 20 * time.Second
	}
	return 7 * time.Second
}

func (a *protocol) failure(op string) error {
	if strings.HasPrefix(op, "credentials.OAuth.") {
		return fault.New(fault.Transient, "%w", credentials.ErrAnswerLost)
	}
	return fault.New(fault.Transient, "no answer to %s", op)
}

func (a *protocol) state() uint64 {
	k := a.site ^ digest([2]bool{a.lost, a.early})
	for account, d := range a.grants {
		k ^= digest([2]any{account, d})
	}
	for name, d := range a.vaultHeld {
		k ^= digest([2]any{name, d})
	}
	for name := range a.published {
		k ^= digest(name)
	}
	for token := range a.superseded {
		k ^= digest([2]string{"superseded", token})
	}
	for token, n := range a.refused {
		k ^= digest([2]any{token, n})
	}
	for name, m := range a.minds {
		for token := range m.superseded {
			k ^= digest([3]string{"known to", name, token})
		}
		k ^= digest([4]any{name, m.refreshing, m.inHand != nil, m.generation})
	}
	return k
}

func (a *protocol) observable(op string) (k uint64) {
	switch {
	case strings.HasPrefix(op, "credentials.Grants."), strings.HasPrefix(op, "credentials.Counter."):
		for account, d := range a.grants {
			k ^= digest([2]any{account, d})
		}
	case strings.HasPrefix(op, "credentials.Vault."):
		for name, d := range a.vaultHeld {
			k ^= digest([2]any{name, d})
		}
	case strings.HasPrefix(op, "credentials.OAuth."), strings.HasPrefix(op, "credentials.API."):
		return a.site
	}
	return k
}

// mutating are the operations that change something, and so can be cut off
// after that.
var mutating = map[string]bool{
	"credentials.Grants.Update": true, "credentials.States.TakeState": true,
	"credentials.Vault.SaveTokens": true, "credentials.Vault.DeleteTokens": true,
	"credentials.Vault.SavePendingConnect": true, "credentials.Vault.DeletePendingConnect": true,
	"credentials.OAuth.Exchange": true, "credentials.OAuth.Refresh": true, "credentials.OAuth.Revoke": true,
	"credentials.Publisher.Publish": true,
}

func failures(p *actor) []failure {
	switch {
	case p.op == "begin" || p.op == "withdraw":
		return nil
	case mutating[p.op]:
		return []failure{killedAfter, answerLost, isRefused, isHung}
	}
	return []failure{isRefused, isHung}
}

// local are the operations that concern no other process: the registration does
// not change, a process opens what it has read, and each connect has a state of
// its own. A fact that is published does not become wrong.
func local(op string) bool {
	switch op {
	case "credentials.States.TakeState", "credentials.Vault.App", "credentials.Sealer.NewSeal", "credentials.Sealer.Open",
		"credentials.Publisher.Publish":
		return true
	}
	return false
}

// newProtocol returns a world whose stores and provider are watched.
func newProtocol(t *testing.T, x *explorer, rotation strava.Rotation) *protocol {
	a := &protocol{
		either: rotation == strava.RotateRandom,
		world:  newWorld(t, strava.Settings{Rotation: rotation}), x: x,
		grants: map[credentials.Account]uint64{}, vaultHeld: map[string]uint64{}, published: map[string]bool{},
		next: map[string]string{}, superseded: map[string]bool{}, refused: map[string]int{}, minds: map[string]*mind{},
		sealed: map[string]credentials.TokenPair{},
	}
	a.id = a.athlete(0)
	a.ports.Sealer = &namedSealer{Sealer: a.sealer, a: a, name: "world"}
	a.compose(a.oauth)
	if a.fitbit != nil {
		a.links = a.linksOver(a.reconciler)
	}
	return a
}

// process returns the ports of a process of its own, whose clock is ahead by skew.
func (a *protocol) process(p *actor, skew time.Duration) credentials.Ports {
	m := &mind{}
	a.minds[p.name] = m
	ports, n := a.ports, 0
	now := func() time.Time { return a.clock.Now().Add(skew) }
	id := func() string { n++; return p.name + "-" + strconv.Itoa(n) }
	ports.Events = event.Factory{Now: now, NewID: id}
	ports.NewSecret, ports.Sleep = id, p.sleep
	ports.Grants = watchedGrants{ports.Grants, a, m, p.name}
	ports.Vault = watchedVault{ports.Vault, a, m}
	ports.Publisher = watchedPublisher{ports.Publisher, a}
	ports.Sealer = &namedSealer{Sealer: a.sealer, a: a, name: p.name}
	description := provider.Strava("http://strava.test/oauth", settings.RevocationRevoke)
	if a.fitbit != nil {
		description = provider.Fitbit("http://fitbit.test", "http://fitbit.test")
	}
	ports.OAuth = watchedOAuth{provider.NewOAuth(a.client, description, now), a, p, m}
	return credentialstest.Intercept(ports, p.around)
}

// watchedGrants keeps the digests of the grants, and what is known by them.
type watchedGrants struct {
	credentials.Grants
	a    *protocol
	m    *mind
	name string
}

func (g watchedGrants) Grant(ctx context.Context, account credentials.Account) (credentials.Grant, error) {
	grant, err := g.Grants.Grant(ctx, account)
	g.know(account, grant)
	// A claim about an authorization of which the grants table does not know yet
	// is dropped.
	inForce := grant.State == credentials.Active || grant.State == credentials.Degraded
	for _, other := range g.a.minds {
		if strings.HasSuffix(g.name, "withdraw") && !inForce && (other.inHand != nil || slices.Contains(g.a.held(g.a.id), 0)) {
			g.a.early = true
		}
	}
	return grant, err
}

func (g watchedGrants) Update(ctx context.Context, account credentials.Account, change func(*credentials.Grant) (bool, error)) (credentials.Grant, error) {
	wrote := false
	grant, err := g.Grants.Update(ctx, account, func(grant *credentials.Grant) (changed bool, err error) {
		changed, err = change(grant)
		wrote = changed && err == nil
		return changed, err
	})
	if err == nil && wrote {
		g.a.stored(account, grant)
		g.m.inHand, g.m.refreshing = nil, false
	}
	if err == nil {
		g.know(account, grant)
	}
	return grant, err
}

// know notes what the process knows by a grant.
func (g watchedGrants) know(account credentials.Account, grant credentials.Grant) {
	g.m.superseded = maps.Clone(g.a.superseded)
	if account == g.a.account(g.a.id) {
		g.m.generation = grant.Generation
	}
}

// stored notes what a stored grant shows.
func (a *protocol) stored(account credentials.Account, grant credentials.Grant) {
	text, err := json.Marshal(grant)
	if err != nil {
		a.t.Fatal(err)
	}
	a.grants[account] = maphash.Bytes(digestSeed, text)
	if account != a.account(a.id) {
		return
	}
	valid := a.pair(grant.Tokens).Refresh.Reveal()
	for token, next := range a.next {
		for next != valid && a.next[next] != "" {
			next = a.next[next]
		}
		if next == valid && token != valid {
			a.superseded[token] = true
		}
	}
}

// pair returns the pair that a reference names; the zero value if there is none.
func (a *protocol) pair(ref credentials.TokenRef) credentials.TokenPair {
	var pair credentials.TokenPair
	if ref.Sealed != nil {
		pair, _ = a.ports.Sealer.Open(a.t.Context(), a.account(a.id), ref.Sealed)
	} else if ref.Version != 0 {
		pair, _ = a.vault.Tokens(a.t.Context(), a.account(a.id), ref.Generation, ref.Version)
	}
	return pair
}

// watchedVault keeps the digests of the parameters.
type watchedVault struct {
	credentials.Vault
	a *protocol
	m *mind
}

func (v watchedVault) SaveTokens(ctx context.Context, account credentials.Account, generation int64, pair credentials.TokenPair) (int64, error) {
	name := fmt.Sprintf("%s/%d", account, generation)
	v.a.vaultHeld[name] = digest([2]any{v.a.vaultHeld[name], pair.Access.Reveal() + pair.Refresh.Reveal()})
	v.m.inHand, v.m.refreshing = nil, false
	return v.Vault.SaveTokens(ctx, account, generation, pair)
}

func (v watchedVault) DeleteTokens(ctx context.Context, account credentials.Account, generation int64) error {
	delete(v.a.vaultHeld, fmt.Sprintf("%s/%d", account, generation))
	return v.Vault.DeleteTokens(ctx, account, generation)
}

func (v watchedVault) SavePendingConnect(ctx context.Context, r credentials.PendingConnect) error {
	v.a.vaultHeld["received/"+r.ID] = digest(r.Tokens.Refresh.Reveal())
	v.m.inHand, v.m.refreshing = nil, false
	return v.Vault.SavePendingConnect(ctx, r)
}

func (v watchedVault) DeletePendingConnect(ctx context.Context, r credentials.PendingConnect) error {
	delete(v.a.vaultHeld, "received/"+r.ID)
	return v.Vault.DeletePendingConnect(ctx, r)
}

// namedSealer names sealed pairs after the process that seals them, so that the
// names do not depend on other processes.
type namedSealer struct {
	credentials.Sealer
	a    *protocol
	name string
	n    int
}

func (s *namedSealer) NewSeal(context.Context, string) (credentials.Seal, error) {
	return func(account credentials.Account, pair credentials.TokenPair) ([]byte, error) {
		s.n++
		key := fmt.Sprintf("%s/%s-%d", account, s.name, s.n)
		s.a.sealed[key] = pair
		return []byte(key), nil
	}, nil
}

func (s *namedSealer) Open(ctx context.Context, account credentials.Account, sealed []byte) (credentials.TokenPair, error) {
	if pair, ok := s.a.sealed[string(sealed)]; ok {
		return pair, nil
	}
	return s.Sealer.Open(ctx, account, sealed)
}

// watchedPublisher checks that a fact is published only once it is stored.
type watchedPublisher struct {
	credentials.Publisher
	a *protocol
}

func (w watchedPublisher) Publish(ctx context.Context, events ...event.Event) error {
	for _, e := range events {
		w.a.published[fmt.Sprintf("%T %+v", e.Fact, e.Fact)] = true
		w.a.checkFact(e.Fact)
	}
	return w.Publisher.Publish(ctx, events...)
}

func (a *protocol) checkFact(f event.Fact) {
	g, _ := a.store.Grant(a.t.Context(), a.account(a.id))
	known := func(receipt string) bool {
		return slices.ContainsFunc(g.Revocations, func(r credentials.PendingRevocation) bool { return r.Receipt == receipt }) ||
			slices.ContainsFunc(g.Completed, func(r credentials.CompletedRevocation) bool { return r.Receipt == receipt })
	}
	switch f := f.(type) {
	case credentialsv1.AthleteAuthorized:
		if g.Generation < f.Generation {
			a.wrong("published %+v before it is in force: %+v", f, g)
		}
	case credentialsv1.AuthorizationDegraded:
		if g.Generation < f.Generation {
			a.wrong("published %+v before it is recorded: %+v", f, g)
		}
	case credentialsv1.AuthorizationRevoked:
		if !known(f.Receipt) {
			a.wrong("published %+v before it is recorded: %+v", f, g)
		}
	case credentialsv1.ErasureCompleted:
		if !known(f.Receipt) {
			a.wrong("published %+v before it is recorded: %+v", f, g)
		}
		for _, r := range g.Revocations {
			held := slices.ContainsFunc(a.held(a.id), func(n int64) bool { return n != 0 && n <= r.Generation })
			if r.Receipt == f.Receipt && (g.State == credentials.Revoked || g.State == credentials.Erased) && (held || g.Authorized()) {
				a.wrong("published %+v while tokens are left: %+v, held %v", f, g, a.held(a.id))
			}
		}
	}
}

// watchedOAuth checks which tokens are presented, and when.
type watchedOAuth struct {
	credentials.OAuth
	a *protocol
	p *actor
	m *mind
}

// answers has the provider replace the refresh token, or not, if it does so at
// random.
func (o watchedOAuth) answers() {
	if !o.a.either {
		return
	}
	rotation := []strava.Rotation{strava.RotateAlways, strava.RotateNever}[o.a.x.choose(2)]
	if err := o.a.strava.UpdateSettings(func(s *strava.Settings) { s.Rotation = rotation }); err != nil {
		o.a.t.Fatal(err)
	}
}

func (o watchedOAuth) received(pair credentials.TokenPair) {
	o.m.inHand = &pair
	o.a.site = digest([3]any{o.a.site, pair.Access.Reveal(), pair.Refresh.Reveal()})
	if o.p.failure == answerLost {
		o.a.lost = true
	}
}

func (o watchedOAuth) Exchange(ctx context.Context, app credentials.App, redirectURI string, code, verifier secret.String) (credentials.TokenResponse, error) {
	o.answers()
	res, err := o.OAuth.Exchange(ctx, app, redirectURI, code, verifier)
	if err == nil {
		o.received(res.Tokens)
	}
	return res, err
}

func (o watchedOAuth) Refresh(ctx context.Context, app credentials.App, refresh secret.String) (credentials.TokenPair, error) {
	token := refresh.Reveal()
	for _, other := range o.a.x.actors {
		if m := o.a.minds[other.name]; other != o.p && !other.done && m.generation == o.m.generation && (m.refreshing || other.making == "credentials.OAuth.Refresh") {
			o.a.wrong("%s begins a refresh during that of %s", o.p.name, other.name)
		}
	}
	if o.m.superseded[token] {
		o.a.wrong("%s presents a refresh token that it knows to be superseded", o.p.name)
	}
	o.answers()
	pair, err := o.OAuth.Refresh(ctx, app, refresh)
	switch {
	case err == nil:
		if next := pair.Refresh.Reveal(); next != token {
			o.a.next[token] = next
		}
		o.received(pair)
		o.m.refreshing = true
	case errors.Is(err, credentials.ErrTokenRefused):
		if !o.a.atSite(o.a.id) { // The athlete withdrew access: every token is refused.
			break
		}
		if o.a.refused[token]++; o.a.refused[token] > 2 {
			o.a.wrong("%s presents a refresh token that was refused twice", o.p.name)
		}
	}
	return pair, err
}

func (o watchedOAuth) Revoke(ctx context.Context, app credentials.App, pair credentials.TokenPair) error {
	before := o.a.atSite(o.a.id)
	err := o.OAuth.Revoke(ctx, app, pair)
	if before && !o.a.atSite(o.a.id) {
		o.a.site = digest([2]any{o.a.site, "revoked"})
	}
	return err
}

// part is what a process of the protocol does.
type part struct {
	name  string
	limit time.Duration // of its function
	run   func(a *protocol, ports credentials.Ports, p *actor) func(context.Context) error
	// again says that the queue delivers its event again if it fails.
	again bool
}

const (
	handleEventsLimit    = 45 * time.Second
	forwardRequestLimit  = 45 * time.Second
	serveOAuthLimit      = 28 * time.Second
	reconcileGrantsLimit = 240 * time.Second
)

var (
	refreshPart = part{"refresh", forwardRequestLimit, func(a *protocol, ports credentials.Ports, _ *actor) func(context.Context) error {
		requester, generation := ports.Requester(ports.Tokens()), a.generation()
		return func(ctx context.Context) error {
			_, err := requester.Call(ctx, credentials.Call{Account: a.account(a.id), Generation: generation, Path: a.oauth.Rules().CheckPath})
			return err
		}
	}, false}
	connectPart = part{"connect", serveOAuthLimit, func(a *protocol, ports credentials.Ports, _ *actor) func(context.Context) error {
		connect, callback := ports.Connect(), a.consent(a.id, "")
		return func(ctx context.Context) error {
			_, err := connect.Finish(ctx, callback)
			return err
		}
	}, false}
	claimPart = part{"claim", handleEventsLimit, func(a *protocol, ports credentials.Ports, _ *actor) func(context.Context) error {
		reconciler := ports.Reconciler(ports.Tokens())
		return func(ctx context.Context) error {
			return reconciler.HandleDeauthorization(ctx, cause(), a.account(a.id))
		}
	}, true}
	withdrawPart = part{"withdraw", handleEventsLimit, func(a *protocol, ports credentials.Ports, p *actor) func(context.Context) error {
		reconciler := ports.Reconciler(ports.Tokens())
		return func(ctx context.Context) error {
			err := p.around(ctx, "withdraw", func(context.Context) error {
				a.site = digest([2]any{a.site, "withdrawn"})
				return a.deauthorize(a.id)
			})
			if err != nil && !errors.Is(err, strava.ErrNotFound) {
				return err
			}
			return reconciler.HandleDeauthorization(ctx, cause(), a.account(a.id))
		}
	}, true}
	leavePart = part{"leave", handleEventsLimit, func(a *protocol, ports credentials.Ports, p *actor) func(context.Context) error {
		reconciler, generation, at := ports.Reconciler(ports.Tokens()), a.generation(), a.clock.Now()
		return func(ctx context.Context) error {
			if a.fitbit != nil {
				return a.leave(ctx, reconciler, a.id, generation)
			}
			return reconciler.HandleErasureRequest(ctx, cause(), credentials.Athlete(a.id), generation, "receipt", at)
		}
	}, true}
	settlePart = part{"settle", reconcileGrantsLimit, func(a *protocol, ports credentials.Ports, _ *actor) func(context.Context) error {
		reconciler := ports.Reconciler(ports.Tokens())
		return reconciler.Reconcile
	}, false}
)

// generation is that of the athlete's grant, or 1 if there is none.
func (a *protocol) generation() int64 {
	g, err := a.store.Grant(a.t.Context(), a.account(a.id))
	if err != nil {
		return 1
	}
	return g.Generation
}

// situation is an initial state.
type situation struct {
	name     string
	rotation strava.Rotation
	set      func(a *protocol)
}

func connectedSince(age time.Duration) func(*protocol) {
	return func(a *protocol) {
		a.connected(a.id)
		a.age(age)
	}
}

// fewSituations is how many of the situations are tried by default.
const fewSituations = 3

// situations are the initial states.
var situations = []situation{
	{"alive", strava.RotateAlways, connectedSince(time.Hour)},
	{"expired", strava.RotateRandom, connectedSince(7 * time.Hour)},
	{"newcomer", strava.RotateAlways, func(*protocol) {}},
	{"sign-in to complete", strava.RotateAlways, func(a *protocol) {
		a.connected(a.id)
		a.age(7 * time.Hour)
		a.cutOff("after writing the grant", func(at interceptor) {
			_, _ = at.watchConnect(*a.connect).Finish(a.t.Context(), a.consent(a.id, ""))
		})
	}},
	{"refresh cut off", strava.RotateAlways, func(a *protocol) {
		generation := a.connected(a.id)
		a.age(7 * time.Hour)
		a.cutOff("after saving tokens", func(at interceptor) { a.by(at.watch(a.world.process(a.patient)), a.id, generation) })
		a.clock.Advance(2 * time.Minute)
	}},
	{"end to complete", strava.RotateAlways, func(a *protocol) {
		generation := a.connected(a.id)
		a.age(time.Hour)
		a.cutOff("before revoking", func(at interceptor) {
			_ = a.leave(a.t.Context(), at.watchReconciler(a.reconciler), a.id, generation)
		})
		a.clock.Advance(2 * time.Minute)
	}},
}

// cutOff kills what run does at a point.
func (a *protocol) cutOff(point string, run func(interceptor)) {
	defer func() {
		if r := recover(); r != (killed{}) {
			a.t.Fatalf("not killed: %v", r)
		}
	}()
	run(func(p string) {
		if p == point {
			panic(killed{})
		}
	})
}

// TestTheRefreshProtocol explores the interleavings of two processes: those
// without a failure, with up to two switches from a process that could go on,
// and those with one failure, with switches only from a process that could not.
// PACELINE_PROTOCOL_MORE is how many switches more; if it is set, the other
// situations are tried, too.
func TestTheRefreshProtocol(t *testing.T) {
	more, err := strconv.Atoi(cmp.Or(os.Getenv("PACELINE_PROTOCOL_MORE"), "0"))
	if err != nil {
		t.Fatal(err)
	}
	tried := situations
	if more == 0 {
		tried = tried[:fewSituations]
	}
	parts := []part{refreshPart, connectPart, claimPart, withdrawPart, leavePart, settlePart}
	executions, states := 0, 0
	for n, s := range tried {
		more := more
		if n >= fewSituations {
			more--
		}
		for i, first := range parts {
			for _, second := range parts[i:] {
				t.Run(s.name+", "+first.name+" and "+second.name, func(t *testing.T) {
					for failed, switches := range []int{2 + more, more} {
						x := &explorer{failures: failed, switches: switches, possible: failures, local: local}
						x.runProtocol(t, s, first, second)
						executions, states = executions+x.executions, states+len(x.visited)
					}
				})
			}
		}
	}
	t.Logf("%d executions, %d states", executions, states)
}

func (x *explorer) runProtocol(t *testing.T, s situation, first, second part) {
	var a *protocol
	x.explore(t, func(t *testing.T, x *explorer) (arena, []*actor) {
		a = newProtocol(t, x, s.rotation)
		s.set(a)
		var actors []*actor
		for i, part := range []part{first, second} {
			p := &actor{x: x, name: string(rune('A'+i)) + " " + part.name, limit: part.limit}
			p.run = part.run(a, a.process(p, time.Duration(i)*(x.skew+time.Millisecond)), p)
			actors = append(actors, p)
		}
		return a, actors
	}, func(t *testing.T) {
		a.recover(x, first, second)
		for _, p := range a.problems {
			t.Error(p)
		}
	})
}

// recover lets time pass without failures, and checks the state at rest.
func (a *protocol) recover(x *explorer, parts ...part) {
	a.clock.Advance(3 * time.Minute)
	for i, p := range x.actors {
		if parts[i].again && (p.err != nil || p.dead) {
			again := a.ports
			if parts[i].name == "withdraw" {
				parts[i] = claimPart
			}
			if err := parts[i].run(a, again, p)(a.t.Context()); err != nil {
				a.wrong("%s again: %v", p.name, err)
			}
		}
	}
	if a.early {
		a.reconcileAll()                             // imports a connect, and
		a.reconcileAll()                             // completes it.
		a.by(a.ports.Tokens(), a.id, a.generation()) // It is noticed at the next call.
		if g, err := a.store.Grant(a.t.Context(), a.account(a.id)); err == nil && g.State == credentials.Active && !a.atSite(a.id) {
			a.wrong("a withdrawal is not noticed: %+v", g)
		}
		return
	}
	atRest := a.agree(a.id)
	if !atRest && !a.lost {
		g, err := a.store.Grant(a.t.Context(), a.account(a.id))
		a.wrong("at the provider %v, here %+v, %v", a.atSite(a.id), g, err)
	}
	if a.lost && a.atSite(a.id) {
		a.connected(a.id)
		if !a.agree(a.id) {
			a.wrong("connecting again does not help: %+v", a.grant(a.id))
		}
	}
	a.age(7 * time.Hour)
	a.agree(a.id)
	a.reconcileAll()
	g, err := a.store.Grant(a.t.Context(), a.account(a.id))
	if err == nil && (len(g.Candidates) > 0 || g.HasPendingTasks() || len(a.held(a.id)) > 1) {
		a.wrong("not at rest: %+v, tokens held %v", g, a.held(a.id))
	}
}

// clocksApart is how far apart the clocks of two processes may be, in whole
// seconds, while a lease still outlasts its holder.
const clocksApart = 24 * time.Second

// TestALeaseOutlastsSlowCalls: however long each call of a refresh takes, and
// even by a clock that is ahead, no other process begins one.
func TestALeaseOutlastsSlowCalls(t *testing.T) {
	x := &explorer{failures: 4, switches: 0, local: local, possible: func(p *actor) []failure {
		switch p.op {
		case "credentials.Sealer.NewSeal", "credentials.Vault.App", "credentials.OAuth.Refresh", "credentials.Vault.SaveTokens":
			if p.name == "A refresh" {
				return []failure{takesLong}
			}
		}
		return nil
	}, skew: clocksApart}
	x.runProtocol(t, situation{"expired", strava.RotateAlways, connectedSince(7 * time.Hour)}, refreshPart, refreshPart)
	t.Logf("%d executions, %d states", x.executions, len(x.visited))
}

// TestARefreshCutOffBesideASignInIsAdopted: an athlete signs in during a refresh,
// Strava replaces the token only then, and the process dies once it has saved
// the new pair in the parameter of the authorization before.
func TestARefreshCutOffBesideASignInIsAdopted(t *testing.T) {
	a := newProtocol(t, nil, strava.RotateNever)
	generation := a.connected(a.id)
	a.age(7 * time.Hour)
	func() {
		defer func() { _ = recover() }()
		a.by(interceptor(func(point string) {
			switch point {
			case "before asking Strava":
				a.connected(a.id)
				if err := a.strava.UpdateSettings(func(s *strava.Settings) { s.Rotation = strava.RotateAlways }); err != nil {
					t.Error(err)
				}
			case "after saving tokens":
				panic(killed{})
			}
		}).watch(a.world.process(a.patient)), a.id, generation)
	}()
	a.age(7 * time.Hour)
	if !a.agree(a.id) {
		t.Errorf("at Strava %v, here %+v", a.atSite(a.id), a.grant(a.id))
	}
}

// TestASignInDuringALateRevocation: an athlete left, and signs in minutes later,
// while the tokens are revoked at Strava.
func TestASignInDuringALateRevocation(t *testing.T) {
	a := newProtocol(t, nil, strava.RotateAlways)
	a.connected(a.id)
	a.leftAndKilled(a.id, a.generation(), "before revoking")
	a.clock.Advance(2 * time.Minute)
	connect := interceptor(func(point string) {
		if point == "after exchanging the code" {
			if err := a.reconciler.Reconcile(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}).watchConnect(*a.connect)
	_, _ = connect.Finish(t.Context(), a.consent(a.id, ""))
	if !a.agree(a.id) {
		t.Errorf("at Strava %v, here %+v", a.atSite(a.id), a.grant(a.id))
	}
}
