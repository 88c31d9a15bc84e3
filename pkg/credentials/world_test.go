package credentials_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	vendor "github.com/paceline/paceline/pkg/credentials/strava"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/test/strava"
)

// world is the credentials boundary over memory and the Strava stand-in, with
// a clock that only tests move.
type world struct {
	t      *testing.T
	clock  *strava.ManualClock
	strava *strava.Server
	store  *credentialstest.Store
	vault  *credentialstest.Vault
	sealer *credentialstest.Sealer
	counts *credentialstest.Metrics
	bus    *eventtest.Bus
	log    bytes.Buffer
	minter event.Minter
	ids    atomic.Int64

	client      *http.Client
	oauth       *provider.OAuth
	credentials *credentialstest.Credentials
	sessions    *credentials.Sessions
	connect     *credentials.Connect
	tokens      *credentials.Tokens
	requester   *credentials.Requester
	receipts    credentials.Receipts
	reconciler  *credentials.Reconciler
	admin       *credentials.Admin
}

const redirectURI = "http://localhost:8080/oauth/callback"

func newWorld(t *testing.T, at strava.Settings) *world {
	clock := strava.NewManualClock(time.Date(2026, 11, 22, 10, 1, 0, 0, time.UTC))
	w := &world{
		t: t, clock: clock,
		store: credentialstest.NewStore(), vault: credentialstest.NewVault(), sealer: &credentialstest.Sealer{},
		counts: &credentialstest.Metrics{}, bus: &eventtest.Bus{},
		strava: strava.New(strava.Config{
			Clock: clock, Seed: 1, Athletes: strava.Generate(1, 3, clock.Now()), Settings: at,
			Callbacks: roundTripper(func(*http.Request) (*http.Response, error) { return nil, http.ErrHandlerTimeout }),
		}),
	}
	t.Cleanup(w.strava.Close)
	client := &http.Client{
		Transport:     strava.InProcess(w.strava),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	newID := func() string { return "id-" + strconv.FormatInt(w.ids.Add(1), 10) }
	w.minter = event.Minter{Now: clock.Now, NewID: newID}
	newSecret := func() string { return "secret-" + newID() }
	// Sleeping lets virtual time pass.
	sleep := func(ctx context.Context, d time.Duration) error {
		clock.Advance(d)
		return ctx.Err()
	}
	w.client = client
	w.oauth = provider.NewOAuth(client, provider.Strava("http://strava.test/oauth", settings.RevocationRevoke), clock.Now)
	w.tokens = w.process(sleep)
	w.credentials = credentialstest.NewCredentials(w.store)
	w.sessions = &credentials.Sessions{Store: w.credentials, NewSecret: newSecret, Now: clock.Now}
	w.credentials = credentialstest.NewCredentials(w.store)
	w.sessions = &credentials.Sessions{Store: w.credentials, NewSecret: newSecret, Now: clock.Now}
	w.connect = &credentials.Connect{
		TokenStore: w.tokens.TokenStore, States: w.store, OAuth: w.oauth, NewSecret: newSecret, RedirectURI: redirectURI,
		Capacity: &credentials.Capacity{Census: w.store, Athletes: 10, Now: clock.Now},
	}
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	w.requester = &credentials.Requester{Tokens: w.tokens, API: vendor.NewAPI(client, "http://strava.test/api/v3"), Log: log}
	w.receipts = credentials.Receipts{Erasures: w.store, Publisher: w.bus, Minter: w.minter}
	w.reconciler = &credentials.Reconciler{
		TokenStore: w.tokens.TokenStore,
		Connect:    w.connect,
		Revocation: &credentials.Revocation{
			TokenStore: w.tokens.TokenStore, Receipts: w.receipts, Tokens: w.tokens, OAuth: w.oauth, API: w.requester.API,
			Sessions: w.sessions, NewSecret: newSecret,
		},
		Log: log,
	}
	w.admin = &credentials.Admin{
		Ledger: w.tokens.Ledger, Erasures: w.store, Vault: w.vault, Parameters: w.vault, Providers: []string{"strava", "fitbit"}, Push: vendor.NewPush(client, "http://strava.test/api/v3/push_subscriptions"),
		NewSecret: newSecret, CallbackURL: "http://localhost:8080/webhooks/strava", Sleep: sleep,
	}
	id, key := w.strava.Client()
	if _, err := w.admin.SetApp(t.Context(), strconv.FormatInt(id, 10), secret.New(key), secret.String{}); err != nil {
		t.Fatal(err)
	}
	return w
}

// use has authorizations ended in another way.
func (w *world) use(revocation string) {
	w.oauth = provider.NewOAuth(w.client, provider.Strava("http://strava.test/oauth", revocation), w.clock.Now)
	w.tokens.OAuth, w.connect.OAuth, w.reconciler.Revocation.OAuth = w.oauth, w.oauth, w.oauth
}

// process is a function instance of its own, with nothing in memory.
func (w *world) process(sleep func(context.Context, time.Duration) error) *credentials.Tokens {
	return &credentials.Tokens{
		TokenStore: credentials.TokenStore{
			Ledger: credentials.Ledger{Grants: w.store, Publisher: w.bus, Minter: w.minter},
			Vault:  w.vault, Sealer: w.sealer, Metrics: w.counts, Sleep: sleep,
		},
		OAuth: w.oauth,
	}
}

// rewired is a copy of a reconciler, and of what it uses, over other ports.
type rewired struct{ *credentials.Reconciler }

func rewire(r *credentials.Reconciler, change func(*credentials.TokenStore)) rewired {
	reconciler, connect, revocation := *r, *r.Connect, *r.Revocation
	tokens := &credentials.Tokens{TokenStore: r.Revocation.Tokens.TokenStore, OAuth: r.Revocation.Tokens.OAuth}
	for _, s := range []*credentials.TokenStore{&reconciler.TokenStore, &connect.TokenStore, &revocation.TokenStore, &tokens.TokenStore} {
		change(s)
	}
	revocation.Receipts.Publisher = revocation.Publisher
	revocation.Tokens, reconciler.Connect, reconciler.Revocation = tokens, &connect, &revocation
	return rewired{&reconciler}
}

func (h rewired) setOAuth(o credentials.OAuth) {
	h.Connect.OAuth, h.Revocation.OAuth, h.Revocation.Tokens.OAuth = o, o, o
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// athlete is one of the generated athletes' ids.
func (w *world) athlete(i int) int64 { return w.strava.Athletes()[i].ID }

// consent starts a connect and answers as the browser does after the athlete
// consented; more is added to the authorize URL's query.
func (w *world) consent(athleteID int64, more string) credentials.Callback {
	w.t.Helper()
	w.clock.Advance(time.Millisecond) // No two connects begin at one moment.
	started, err := w.connect.Start(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	client := &http.Client{
		Transport:     strava.InProcess(w.strava),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Get(fmt.Sprintf("%s&as_athlete=%d%s", started.AuthorizeURL, athleteID, more))
	if err != nil {
		w.t.Fatal(err)
	}
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil || back.Query().Get("state") == "" {
		w.t.Fatalf("no way back from Strava: status %d", res.StatusCode)
	}
	q := back.Query()
	return credentials.Callback{
		State: secret.New(q.Get("state")), Code: secret.New(q.Get("code")),
		Scope: q.Get("scope"), Error: q.Get("error"), Nonce: started.Nonce,
	}
}

// connected connects an athlete and returns the generation.
func (w *world) connected(athleteID int64) int64 {
	w.t.Helper()
	if _, err := w.connect.Finish(w.t.Context(), w.consent(athleteID, "")); err != nil {
		w.t.Fatal(err)
	}
	return w.grant(athleteID).Generation
}

func (w *world) grant(athleteID int64) credentials.Grant {
	w.t.Helper()
	g, err := w.store.Grant(w.t.Context(), credentials.Athlete(athleteID))
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

// forward makes a call that every connected athlete may make.
func (w *world) forward(athleteID, generation int64) credentialsv1.ForwardResponse {
	w.t.Helper()
	res, err := w.requester.Forward(w.t.Context(), credentialsv1.ForwardRequest{
		AthleteID: athleteID, Generation: generation, Path: "/athlete",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

func (w *world) mustAnswer(athleteID, generation int64) {
	w.t.Helper()
	if res := w.forward(athleteID, generation); res.Outcome != credentialsv1.OutcomeAnswered || res.Status != 200 {
		w.t.Fatalf("outcome %s, status %d", res.Outcome, res.Status)
	}
}

// settle lets the time pass until every pending task is due, and has them
// reconciled.
func (w *world) settle() {
	w.t.Helper()
	w.clock.Advance(6 * time.Hour)
	if err := w.reconciler.Reconcile(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// mustBeErased checks that an authorization has left nothing behind.
func (w *world) mustBeErased(id int64, when string) {
	w.t.Helper()
	g := w.grant(id)
	if g.State != credentials.Erased || g.Authorized() || len(g.Spares) > 0 || g.HasPending() || w.vault.Holds(credentials.Athlete(id)) {
		w.t.Errorf("%s: grant %+v, tokens held %v", when, g, w.vault.Holds(credentials.Athlete(id)))
	}
	if w.strava.Athletes()[0].Connected {
		w.t.Errorf("%s: Strava still counts the athlete", when)
	}
}
