package credentials_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	fitbitapi "github.com/paceline/paceline/pkg/credentials/fitbit"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	vendor "github.com/paceline/paceline/pkg/credentials/strava"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/fitbit"
	"github.com/paceline/paceline/standin/strava"
)

// world is the credentials boundary over memory and the Strava stand-in, with
// a clock that only tests move.
//
// With [onFitbit] the accounts are those of the Fitbit stand-in, all linked by one
// athlete, whose grant athletes reconciles. Tests then number the accounts, because
// Fitbit's ids are text.
type world struct {
	t      *testing.T
	clock  *standin.ManualClock
	strava *strava.Server
	fitbit *fitbit.Server
	owner  int64
	// athletes reconciles the athletes' own grants.
	athletes *credentials.Reconciler
	links    *credentials.Links
	store    *credentialstest.Store
	vault    *credentialstest.Vault
	sealer   *credentialstest.Sealer
	counts   *kittest.Metrics
	bus      *eventtest.Bus
	log      bytes.Buffer
	ids      atomic.Int64
	// ports are those of the provider.
	ports credentials.Ports

	client *http.Client
	// stravaClient leads to Strava's stand-in, while client leads to Fitbit's.
	stravaClient *http.Client
	oauth        *provider.OAuth
	credentials  *credentialstest.CredentialStore
	sessions     *credentials.Sessions
	connect      *credentials.Connect
	tokens       *credentials.Tokens
	requester    *credentials.Requester
	reconciler   *credentials.Reconciler
	admin        *credentials.Admin
}

// onFitbit, in place of a way in which Strava replaces refresh tokens, makes the
// world one of linked accounts at Fitbit, which always replaces them.
const onFitbit strava.Rotation = "fitbit"

// allRotations are Strava's, and Fitbit's.
var allRotations = append(slices.Clone(rotations), onFitbit)

const redirectURI = "http://localhost:8080/oauth/callback"

func newWorld(t *testing.T, at strava.Settings) *world {
	linked := at.Rotation == onFitbit
	if linked {
		at.Rotation = strava.RotateAlways
	}
	clock := standin.NewManualClock(time.Date(2026, 11, 22, 10, 1, 0, 0, time.UTC))
	ports, memory := credentialstest.NewPorts(clock.Now)
	w := &world{
		t: t, clock: clock, ports: ports,
		store: memory.Store, vault: memory.Vault, sealer: memory.Sealer, credentials: memory.Credentials, counts: memory.Metrics, bus: memory.Bus,
		strava: strava.New(strava.Config{
			Clock: clock, Seed: 1, Athletes: strava.Generate(1, 3, clock.Now()), Settings: at,
			Callbacks: roundTripper(func(*http.Request) (*http.Response, error) { return nil, http.ErrHandlerTimeout }),
		}),
	}
	t.Cleanup(w.strava.Close)
	w.client = &http.Client{
		Transport:     standin.InProcess(w.strava),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	w.ports.Events.NewID = func() string { return "id-" + strconv.FormatInt(w.ids.Add(1), 10) }
	w.ports.NewSecret = func() string { return "secret-" + w.ports.Events.NewID() }
	// Sleep advances the virtual clock.
	w.ports.Sleep = func(ctx context.Context, d time.Duration) error {
		clock.Advance(d)
		return ctx.Err()
	}
	w.ports.Log = slog.New(slog.NewTextHandler(&w.log, nil))
	w.ports.API = vendor.NewAPI(w.client, "http://strava.test/api/v3")
	w.ports.Push = vendor.NewPush(w.client, "http://strava.test/api/v3/push_subscriptions")
	w.ports.RedirectURI, w.ports.CallbackURL = redirectURI, "http://localhost:8080/webhooks/strava"
	w.compose(provider.NewOAuth(w.client, provider.Strava("http://strava.test/oauth", settings.RevocationRevoke), clock.Now))
	w.sessions, w.admin, w.athletes = w.ports.Sessions(), w.ports.Admin(), w.reconciler
	id, key := w.strava.Client()
	if _, err := w.admin.SetApp(t.Context(), strconv.FormatInt(id, 10), secret.New(key), secret.String{}); err != nil {
		t.Fatal(err)
	}
	if linked {
		w.linkFitbit()
	}
	return w
}

// compose puts the use cases of a provider together.
func (w *world) compose(oauth *provider.OAuth) {
	w.oauth, w.ports.OAuth = oauth, oauth
	w.tokens = w.process(w.ports.Sleep)
	w.requester, w.reconciler = w.ports.Requester(w.tokens), w.ports.Reconciler(w.tokens)
	w.connect = w.reconciler.Connect
}

// linkFitbit makes the world one of accounts that an athlete links.
func (w *world) linkFitbit() {
	w.owner = w.athlete(0)
	w.connected(w.owner)
	w.fitbit = fitbit.New(fitbit.Config{Now: w.clock.Now, Seed: 1, HourlyLimit: 100_000})
	w.t.Cleanup(w.fitbit.Close)
	id, key := w.fitbit.Client()
	if err := w.vault.SaveApp(w.t.Context(), provider.NameFitbit, credentials.App{ClientID: id, ClientSecret: secret.New(key)}); err != nil {
		w.t.Fatal(err)
	}
	w.stravaClient = w.client
	w.client = &http.Client{
		Transport:     standin.InProcess(w.fitbit),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	w.ports.API, w.ports.ReadToday = fitbitapi.NewAPI(w.client, "http://fitbit.test"), fitbitapi.ReadToday
	w.ports.Counter, w.ports.RedirectURI = nil, linkRedirectURI
	w.compose(provider.NewOAuth(w.client, provider.Fitbit("http://fitbit.test", "http://fitbit.test"), w.clock.Now))
	w.links = w.linksOver(w.reconciler)
}

const linkRedirectURI = "http://localhost:8080/oauth/fitbit/callback"

// linksOver serves links by a reconciler.
func (w *world) linksOver(r *credentials.Reconciler) *credentials.Links {
	links := w.ports.Links(w.tokens)
	links.Reconciler, links.Requester = r, w.requester
	return links
}

// account returns the account of an id.
func (w *world) account(id int64) credentials.Account {
	if w.fitbit == nil {
		return credentials.Athlete(id)
	}
	return credentials.Account{Provider: provider.NameFitbit, ID: w.fitbit.Users()[id-1].ID}
}

// atSite reports whether the provider counts the account as connected.
func (w *world) atSite(id int64) bool {
	if w.fitbit != nil {
		return w.fitbit.Users()[id-1].Connected
	}
	for _, a := range w.strava.Athletes() {
		if a.ID == id {
			return a.Connected
		}
	}
	return false
}

// deauthorize has the account's owner withdraw access at the provider.
func (w *world) deauthorize(id int64) error {
	if w.fitbit == nil {
		return w.strava.Deauthorize(id)
	}
	if err := w.fitbit.Deauthorize(w.account(id).ID); !errors.Is(err, fitbit.ErrNotFound) {
		return err
	}
	return strava.ErrNotFound
}

// leave ends the authorization at its athlete's request.
func (w *world) leave(ctx context.Context, r *credentials.Reconciler, id, generation int64) error {
	if w.fitbit == nil {
		return r.HandleErasureRequest(ctx, cause(), credentials.Athlete(id), generation, "receipt", w.clock.Now())
	}
	_, err := w.linksOver(r).Unlink(ctx, w.asOwner())
	if fault.Is(err, fault.NotFound) || errors.Is(err, credentials.ErrRevoked) {
		return nil // It is not linked.
	}
	return err
}

// asOwner is the athlete who links accounts.
func (w *world) asOwner() credentials.Authorization {
	if w.fitbit == nil {
		return credentials.Authorization{}
	}
	g, err := w.store.Grant(w.t.Context(), credentials.Athlete(w.owner))
	if err != nil {
		w.t.Fatal(err)
	}
	return credentials.Authorization{AthleteID: w.owner, Generation: g.Generation}
}

// age advances the clock. More than 6 hours, after which Strava's access tokens have
// expired, are extended so that Fitbit's have, too.
func (w *world) age(d time.Duration) {
	if w.fitbit != nil && d > 6*time.Hour {
		d += 2 * time.Hour
	}
	w.clock.Advance(d)
}

// use has authorizations revoked by another endpoint.
func (w *world) use(revocation string) {
	w.oauth = provider.NewOAuth(w.client, provider.Strava("http://strava.test/oauth", revocation), w.clock.Now)
	w.ports.OAuth = w.oauth
	w.tokens.OAuth, w.connect.OAuth, w.reconciler.Revocation.OAuth = w.oauth, w.oauth, w.oauth
}

// process is a function instance of its own, with nothing in memory.
func (w *world) process(sleep func(context.Context, time.Duration) error) *credentials.Tokens {
	ports := w.ports
	ports.Sleep = sleep
	return ports.Tokens()
}

// rewired is a copy of a reconciler, and of what it uses, over other ports.
type rewired struct{ *credentials.Reconciler }

func rewire(r *credentials.Reconciler, change func(*credentials.TokenStore)) rewired {
	reconciler, connect, revocation := *r, *r.Connect, *r.Revocation
	tokens := credentials.Ports{OAuth: r.Revocation.Tokens.OAuth}.Tokens()
	tokens.TokenStore = r.Revocation.Tokens.TokenStore
	for _, s := range []*credentials.TokenStore{&reconciler.TokenStore, &connect.TokenStore, &revocation.TokenStore, &tokens.TokenStore} {
		change(s)
	}
	revocation.Tokens, reconciler.Connect, reconciler.Revocation = tokens, &connect, &revocation
	return rewired{&reconciler}
}

func (h rewired) setOAuth(o credentials.OAuth) {
	h.Connect.OAuth, h.Revocation.OAuth, h.Revocation.Tokens.OAuth = o, o, o
}

// confirmed are the parts of an erasure that were confirmed, each once: the
// provider of a linked account, "" for the athlete's own authorization.
func (w *world) confirmed(receipt string) []string {
	parts := []string{}
	for _, f := range eventtest.Facts[credentialsv1.ErasureCompleted](w.bus) {
		if f.Receipt == receipt && !slices.Contains(parts, f.LinkedProvider) {
			parts = append(parts, f.LinkedProvider)
		}
	}
	slices.Sort(parts)
	return parts
}

// mustBeConfirmed fails the test unless these parts of an erasure were confirmed,
// and no others.
func (w *world) mustBeConfirmed(receipt string, parts ...string) {
	w.t.Helper()
	if got := w.confirmed(receipt); !slices.Equal(got, parts) {
		w.t.Errorf("confirmed for %s: %q, want %q", receipt, got, parts)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// athlete is one of the generated athletes' ids.
func (w *world) athlete(i int) int64 {
	if w.fitbit != nil {
		return int64(i + 1)
	}
	return w.strava.Athletes()[i].ID
}

// consent starts a connect and returns the callback after the athlete has consented.
// more is added to the authorize URL's query.
func (w *world) consent(athleteID int64, more string) credentials.Callback {
	w.t.Helper()
	w.clock.Advance(time.Millisecond) // No two connects begin at one moment.
	started, err := w.connect.Start(w.t.Context(), w.asOwner())
	if err != nil {
		w.t.Fatal(err)
	}
	as := fmt.Sprintf("&as_athlete=%d", athleteID)
	if w.fitbit != nil {
		as = "&as_user=" + w.account(athleteID).ID
	}
	res, err := w.client.Get(started.AuthorizeURL + as + more)
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
	g, err := w.store.Grant(w.t.Context(), w.account(athleteID))
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

// forward makes a call that every connected athlete may make.
func (w *world) forward(athleteID, generation int64) credentialsv1.ForwardResponse {
	w.t.Helper()
	res, err := w.requester.Call(w.t.Context(), credentials.Call{Account: w.account(athleteID), Generation: generation, Path: w.oauth.Rules().CheckPath})
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

// reconcileAll advances the clock until every pending task is due, and has them
// reconciled.
func (w *world) reconcileAll() {
	w.t.Helper()
	w.clock.Advance(6 * time.Hour)
	if w.fitbit != nil {
		if err := w.athletes.Reconcile(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.reconciler.Reconcile(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// mustBeErased checks that nothing is left of an authorization.
func (w *world) mustBeErased(id int64, when string) {
	w.t.Helper()
	g := w.grant(id)
	if g.State != credentials.Erased || g.Authorized() || len(g.Candidates) > 0 || g.HasPendingTasks() || w.vault.Holds(w.account(id)) || g.Owner != (credentials.Authorization{}) {
		w.t.Errorf("%s: grant %+v, tokens held %v", when, g, w.vault.Holds(w.account(id)))
	}
	if w.atSite(id) {
		w.t.Errorf("%s: the provider still counts the account", when)
	}
	if w.linked(id) {
		w.t.Errorf("%s: the link is left", when)
	}
}

// linked reports whether the owner's grant has a link to the account.
func (w *world) linked(id int64) bool {
	if w.fitbit == nil {
		return false
	}
	owner, err := w.store.Grant(w.t.Context(), credentials.Athlete(w.owner))
	if err != nil {
		w.t.Fatal(err)
	}
	return slices.ContainsFunc(owner.Links, func(l credentials.Link) bool { return l.Account == w.account(id) })
}

// setTokenLife has the account's access tokens expire after left.
func (w *world) setTokenLife(id int64, left time.Duration) error {
	if w.fitbit == nil {
		return w.strava.SetTokenLife(id, left)
	}
	return w.fitbit.SetTokenLife(w.account(id).ID, left)
}

// refreshCounts returns the most refreshes of an account at one time, how often
// an invalid refresh token was presented, and how many refreshes there were.
func (w *world) refreshCounts(id int64) (atOnce, dead, refreshes int) {
	if w.fitbit == nil {
		c := w.strava.Counters()
		return c.MaxRefreshesInFlight[id], c.DeadRefreshUses[id], c.Total(strava.EndpointRefresh, id)
	}
	c, user := w.fitbit.Counters(), w.account(id).ID
	return c.MaxRefreshesInFlight[user], c.DeadRefreshUses[user] + c.RepeatedRefreshes[user], c.Total(fitbit.EndpointRefresh, user)
}
