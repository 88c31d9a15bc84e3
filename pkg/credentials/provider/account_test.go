package provider_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/paceline/paceline/pkg/credentials/metric"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	fitbitstandin "github.com/paceline/paceline/standin/fitbit"
)

// boundary is the credentials boundary for Fitbit's accounts: the domain as it
// is, over memory and the stand-in.
type boundary struct {
	*fitbit
	t          *testing.T
	store      *credentialstest.Store
	vault      *credentialstest.Vault
	sealer     *credentialstest.Sealer
	counts     *kittest.Metrics
	bus        *eventtest.Bus
	ports      credentials.Ports
	connect    *credentials.Connect
	reconciler *credentials.Reconciler
}

// owner is the athlete who links accounts.
var owner = credentials.Authorization{AthleteID: 42, Generation: 1}

var ggnjl9 = credentials.Account{Provider: "fitbit", ID: "GGNJL9"}

func newBoundary(t *testing.T) *boundary {
	f := newFitbit(t)
	var ids atomic.Int64
	newID := func() string { return "id-" + strconv.FormatInt(ids.Add(1), 10) }
	ports, memory := credentialstest.NewPorts(f.clock.Now)
	b := &boundary{
		fitbit: f, t: t, ports: ports, store: memory.Store, vault: memory.Vault, sealer: memory.Sealer, counts: memory.Metrics, bus: memory.Bus,
	}
	b.ports.Events.NewID, b.ports.NewSecret, b.ports.Sleep = newID, newID, b.sleep
	b.ports.OAuth, b.ports.Counter, b.ports.RedirectURI = f.oauth(), nil, redirectURI
	if err := b.vault.SaveApp(t.Context(), "fitbit", f.app()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Update(t.Context(), credentials.Athlete(owner.AthleteID), func(g *credentials.Grant) (bool, error) {
		g.State, g.Generation, g.Since = credentials.Active, owner.Generation, owner.Generation
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	b.reconciler = b.ports.Reconciler(b.process())
	b.connect = b.reconciler.Connect
	return b
}

// sleep advances the virtual clock.
func (b *boundary) sleep(ctx context.Context, d time.Duration) error {
	b.clock.Advance(d)
	return ctx.Err()
}

// process is a function instance of its own, with nothing in memory.
func (b *boundary) process() *credentials.Tokens {
	return b.ports.Tokens()
}

// answered starts a connect in a browser of its own and has the user answer the
// consent screen; see [fitbit.consent].
func (b *boundary) answered(user string, scopes ...string) credentials.Callback {
	b.t.Helper()
	started, err := b.connect.Start(b.t.Context(), owner)
	if err != nil {
		b.t.Fatal(err)
	}
	back := b.consent(b.t, started.AuthorizeURL, user, scopes...)
	return credentials.Callback{State: secret.New(back.Get("state")), Code: secret.New(back.Get("code")), Nonce: started.Nonce}
}

// mustConnect connects the account and returns the generation.
func (b *boundary) mustConnect() int64 {
	b.t.Helper()
	if _, err := b.connect.Finish(b.t.Context(), b.answered(ggnjl9.ID)); err != nil {
		b.t.Fatal(err)
	}
	return b.grant().Generation
}

func (b *boundary) grant() credentials.Grant {
	b.t.Helper()
	g, err := b.store.Grant(b.t.Context(), ggnjl9)
	if err != nil {
		b.t.Fatal(err)
	}
	return g
}

// pair returns the pair that a new process makes a call with.
func (b *boundary) pair(generation int64) (credentials.TokenPair, error) {
	return b.process().Pair(b.t.Context(), ggnjl9, generation, credentials.TokenPair{})
}

// mustPair returns a pair that Fitbit accepts.
func (b *boundary) mustPair(generation int64) credentials.TokenPair {
	b.t.Helper()
	pair, err := b.pair(generation)
	if err != nil {
		b.t.Fatal(err)
	}
	if !b.alive(b.t, pair.Access) {
		b.t.Fatal("the access token is invalid")
	}
	return pair
}

// due is how long after its issue an access token is renewed.
const due = 7*time.Hour + time.Minute

func TestFitbitAccountFromConnectToRevocation(t *testing.T) {
	b := newBoundary(t)
	session, err := b.connect.Finish(t.Context(), b.answered(ggnjl9.ID, "activity"))
	if err != nil || session != (credentials.Authorization{}) {
		t.Fatalf("session %+v; %v", session, err)
	}
	g := b.grant()
	if g.State != credentials.Active || g.Account != ggnjl9 || !slices.Equal(g.Scopes, []string{"activity"}) || g.HasPendingTasks() {
		t.Fatalf("%+v", g)
	}
	first := b.mustPair(g.Generation)
	b.clock.Advance(due)
	second := b.mustPair(g.Generation)
	if second.Access.Equal(first.Access) || second.Refresh.Equal(first.Refresh) {
		t.Error("the pair was not renewed")
	}
	links := b.ports.Links(b.process())
	links.NewSecret = func() string { return "receipt" }
	if _, err := links.Unlink(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	if g := b.grant(); g.State != credentials.Erased || g.HasPendingTasks() || b.vault.Holds(ggnjl9) || len(b.Connected()) != 0 {
		t.Errorf("after the revocation: %+v; tokens here: %v, at Fitbit: %v", g, b.vault.Holds(ggnjl9), b.Connected())
	}
	if _, err := b.pair(g.Generation); !errors.Is(err, credentials.ErrRevoked) {
		t.Errorf("a call after the revocation: %v", err)
	}
	// Nothing is gathered from Fitbit: the link, its end and the confirmation are all.
	confirmed := eventtest.Facts[credentialsv1.ErasureCompleted](b.bus)
	if n := len(b.bus.Events()); n != 3 || !slices.Equal(confirmed, []credentialsv1.ErasureCompleted{{Receipt: "receipt", LinkedProvider: "fitbit"}}) {
		t.Errorf("%d events, confirmed %v", n, confirmed)
	}
}

func TestFitbitAccountWithoutActivitiesIsRevoked(t *testing.T) {
	b := newBoundary(t)
	if _, err := b.connect.Finish(t.Context(), b.answered(ggnjl9.ID, "profile")); !errors.Is(err, credentials.ErrMissingScope) {
		t.Fatal(err)
	}
	if g := b.grant(); g.State != credentials.Erased || g.HasPendingTasks() || len(b.Connected()) != 0 {
		t.Errorf("%+v; at Fitbit: %v", g, b.Connected())
	}
}

// TestStolenFitbitCodeIsRefused: the thief redeems it in a connect of their own,
// whose state and cookie are valid.
func TestStolenFitbitCodeIsRefused(t *testing.T) {
	b := newBoundary(t)
	theft := b.answered("26FWFL")
	theft.Code = b.answered(ggnjl9.ID).Code
	if _, err := b.connect.Finish(t.Context(), theft); !errors.Is(err, credentials.ErrState) {
		t.Error(err)
	}
	if _, err := b.store.Grant(t.Context(), ggnjl9); !fault.Is(err, fault.NotFound) {
		t.Errorf("there is a grant: %v", err)
	}
}

// TestFitbitTokensAreRefreshedOnce: of several processes at once, again and
// again. Fitbit counts a second refresh by the same token, refused or repeated.
func TestFitbitTokensAreRefreshedOnce(t *testing.T) {
	const workers, rounds = 20, 50
	b := newBoundary(t)
	generation := b.mustConnect()
	for range rounds {
		b.clock.Advance(9 * time.Hour) // Until nothing but a new token will do.
		var wg sync.WaitGroup
		got := make([]credentials.TokenPair, workers)
		for i := range workers {
			process := b.process()
			process.Sleep = func(ctx context.Context, _ time.Duration) error {
				time.Sleep(50 * time.Microsecond)
				return ctx.Err()
			}
			wg.Go(func() {
				var err error
				if got[i], err = process.Pair(t.Context(), ggnjl9, generation, credentials.TokenPair{}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		want := b.mustPair(generation)
		for _, pair := range got {
			if !pair.Access.Equal(want.Access) {
				t.Fatal("one process got another pair")
			}
		}
	}
	c := b.Counters()
	if c.Total(fitbitstandin.EndpointRefresh, ggnjl9.ID) != rounds || c.MaxRefreshesInFlight[ggnjl9.ID] != 1 ||
		c.DeadRefreshUses[ggnjl9.ID] != 0 || c.RepeatedRefreshes[ggnjl9.ID] != 0 {
		t.Errorf("for %d expiries: %+v", rounds, c)
	}
}

// killed is an authorization server whose response to a refresh is lost, because the
// caller was killed.
type killed struct{ credentials.OAuth }

func (k killed) Refresh(ctx context.Context, app credentials.App, token secret.String) (credentials.TokenPair, error) {
	_, _ = k.OAuth.Refresh(ctx, app, token)
	runtime.Goexit()
	panic("unreachable")
}

// cutOff kills a process between Fitbit's response to a refresh and the first write,
// and waits until its lease expires.
func (b *boundary) cutOff(generation int64) {
	process := b.process()
	process.OAuth = killed{process.OAuth}
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = process.Pair(b.t.Context(), ggnjl9, generation, credentials.TokenPair{}) })
	wg.Wait()
	b.clock.Advance(61 * time.Second)
}

func TestFitbitRefreshIsCutOffAndRepeatedInTime(t *testing.T) {
	b := newBoundary(t)
	generation := b.mustConnect()
	b.clock.Advance(due)
	b.cutOff(generation)
	b.mustPair(generation)
	b.clock.Advance(due)
	b.mustPair(generation)
	c := b.Counters()
	if g := b.grant(); g.State != credentials.Active || c.DeadRefreshUses[ggnjl9.ID] != 0 || c.RepeatedRefreshes[ggnjl9.ID] != 1 {
		t.Errorf("%s, %+v", g.State, c)
	}
}

// TestFitbitRefreshIsCutOffForGood: the one point at which a token is lost. The
// loss is reported, nothing is erased, and connecting again repairs it.
func TestFitbitRefreshIsCutOffForGood(t *testing.T) {
	b := newBoundary(t)
	generation := b.mustConnect()
	b.clock.Advance(due)
	b.cutOff(generation)
	b.clock.Advance(time.Minute) // Until Fitbit no longer repeats its answer.
	if _, err := b.pair(generation); !errors.Is(err, credentials.ErrDegraded) {
		t.Errorf("a call: %v", err)
	}
	if g := b.grant(); g.State != credentials.Degraded || g.HasPendingTasks() || b.counts.Of(metric.Degraded) != 1 || len(b.bus.Events()) != 2 {
		t.Errorf("%+v, %d events", g, len(b.bus.Events()))
	}
	again := b.mustConnect()
	if again <= generation {
		t.Errorf("generation %d after %d", again, generation)
	}
	b.mustPair(again)
}

// shut is a vault that refuses writes.
type shut struct{ credentials.Vault }

func (shut) SaveTokens(context.Context, credentials.Account, int64, credentials.TokenPair) (int64, error) {
	return 0, fault.New(fault.Transient, "shut")
}

func TestFitbitTokensAreSealedAndAdopted(t *testing.T) {
	b := newBoundary(t)
	generation := b.mustConnect()
	b.clock.Advance(due)
	process := b.process()
	process.Vault = shut{b.vault}
	if _, err := process.Pair(t.Context(), ggnjl9, generation, credentials.TokenPair{}); err != nil {
		t.Fatal(err)
	}
	if b.grant().Tokens.Sealed == nil {
		t.Fatal("nothing is sealed")
	}
	b.mustPair(generation)
	if g := b.grant(); g.Tokens.Sealed != nil || b.Counters().Total(fitbitstandin.EndpointRefresh, ggnjl9.ID) != 1 {
		t.Errorf("still sealed: %v; %+v", g.Tokens.Sealed != nil, b.Counters())
	}
}
