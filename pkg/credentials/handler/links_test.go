package handler_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	fitbitapi "github.com/paceline/paceline/pkg/credentials/fitbit"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/fitbit"
)

// linkFixture is the routes by which an athlete links an account, over the stand-in
// for Fitbit.
type linkFixture struct {
	t        *testing.T
	fitbit   *fitbit.Server
	client   *http.Client
	links    *handler.Links
	accounts *handler.Accounts
	serve    func(context.Context, api.Request) (api.Response, error)
	log      bytes.Buffer
}

const linkingAthlete, linkingGeneration = 42, 7

// noon is the time of these tests, when a day at Fitbit has steps in every time zone
// of its people.
func noon() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

func newLinkFixture(t *testing.T) *linkFixture {
	l := &linkFixture{t: t, fitbit: fitbit.New(fitbit.Config{Now: noon})}
	t.Cleanup(l.fitbit.Close)
	l.client = &http.Client{
		Transport:     standin.InProcess(l.fitbit),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ports, memory := credentialstest.NewPorts(noon)
	id, key := l.fitbit.Client()
	if err := memory.Vault.SaveApp(t.Context(), provider.NameFitbit, credentials.App{ClientID: id, ClientSecret: secret.New(key)}); err != nil {
		t.Fatal(err)
	}
	if _, err := memory.Store.Update(t.Context(), credentials.Athlete(linkingAthlete), func(g *credentials.Grant) (bool, error) {
		g.State, g.Generation, g.Since = credentials.Active, linkingGeneration, linkingGeneration
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	ports.Log = slog.New(slog.NewTextHandler(&l.log, nil))
	ports.OAuth = provider.NewOAuth(l.client, provider.Fitbit("http://fitbit.test", "http://fitbit.test"), noon)
	ports.API, ports.ReadToday = fitbitapi.NewAPI(l.client, "http://fitbit.test"), fitbitapi.ReadToday
	ports.Counter, ports.RedirectURI = nil, "http://localhost/oauth/fitbit/callback"
	tokens := ports.Tokens()
	l.links = &handler.Links{
		Provider: provider.NameFitbit, Connect: ports.Connect(), Service: ports.Links(tokens), SiteURL: "http://localhost", Log: ports.Log,
	}
	l.accounts = &handler.Accounts{Service: ports.Accounts(tokens)}
	l.serve = api.Mux(ports.Log, l.links.Routes())
	return l
}

// send calls a route with the athlete's session, unless change says otherwise.
func (l *linkFixture) send(route string, change ...func(*api.Request)) api.Response {
	l.t.Helper()
	req := api.Request{RouteKey: route, PathParameters: map[string]string{"provider": "fitbit"}, Headers: map[string]string{}}
	as(api.Identity{AthleteID: linkingAthlete, Generation: linkingGeneration})(&req)
	for _, f := range change {
		f(&req)
	}
	res, err := l.serve(l.t.Context(), req)
	if err != nil {
		l.t.Fatal(err)
	}
	return res
}

// as is a call by an identity.
func as(id api.Identity) func(*api.Request) {
	return func(r *api.Request) {
		r.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{Lambda: id.Context()}
	}
}

// Calls from elsewhere than the athlete's page.
var (
	byStranger     = func(r *api.Request) { r.RequestContext.Authorizer = nil }
	byKey          = as(api.Identity{AthleteID: linkingAthlete, Generation: linkingGeneration, Key: true})
	byForeignSite  = func(r *api.Request) { r.Headers["sec-fetch-site"] = "cross-site" }
	byPrefetch     = func(r *api.Request) { r.Headers["sec-purpose"] = "prefetch" }
	atAnother      = func(r *api.Request) { r.PathParameters["provider"] = "garmin" }
	ofAnother      = as(api.Identity{AthleteID: 43, Generation: 1})
	earlierSession = as(api.Identity{AthleteID: linkingAthlete, Generation: linkingGeneration - 1})
)

// link links an account at Fitbit and returns the callback's response.
func (l *linkFixture) link(more string, change ...func(*api.Request)) api.Response {
	l.t.Helper()
	begun := l.send("GET /oauth/{provider}/connect")
	if begun.StatusCode != http.StatusFound || len(begun.Cookies) != 1 {
		l.t.Fatalf("%+v", begun)
	}
	res, err := l.client.Get(begun.Headers["Location"] + more)
	if err != nil {
		l.t.Fatal(err)
	}
	back, err := res.Location()
	if err != nil {
		l.t.Fatal(err)
	}
	return l.send("GET /oauth/{provider}/callback", append([]func(*api.Request){byStranger, func(r *api.Request) {
		r.QueryStringParameters = map[string]string{}
		for name, values := range back.Query() {
			r.QueryStringParameters[name] = values[0]
		}
		r.Cookies = []string{strings.Split(begun.Cookies[0], ";")[0]}
	}}, change...)...)
}

func TestLinkingByTheRoutes(t *testing.T) {
	l := newLinkFixture(t)
	begun := l.send("GET /oauth/{provider}/connect")
	c := begun.Cookies[0]
	if !strings.HasPrefix(c, "__Host-paceline_oauth_") || !strings.Contains(c, "HttpOnly; Secure; SameSite=Lax") || strings.Contains(begun.Headers["Location"], "secret") {
		t.Errorf("%s, %s", c, begun.Headers["Location"])
	}
	if res := l.send("GET /v1/me/links/{provider}"); res.StatusCode != http.StatusNotFound {
		t.Errorf("before: %d %s", res.StatusCode, res.Body)
	}
	res := l.link("&as_user=GGNJL9")
	if res.Headers["Location"] != "/" || len(res.Cookies) != 1 || !strings.Contains(res.Cookies[0], "Max-Age=0") {
		t.Fatalf("%+v", res)
	}
	res = l.send("GET /v1/me/links/{provider}")
	var shown map[string]any
	if err := json.Unmarshal([]byte(res.Body), &shown); err != nil || res.StatusCode != http.StatusOK || res.Headers["Cache-Control"] != "no-store" ||
		shown["display_name"] != "Ada K." || shown["steps"] == 0.0 {
		t.Errorf("%+v", res)
	}
	res = l.send("DELETE /v1/me/links/{provider}")
	if res.StatusCode != http.StatusAccepted || !strings.Contains(res.Body, `"status_url":"/v1/erasures/`) {
		t.Errorf("%d %s", res.StatusCode, res.Body)
	}
	if got := l.fitbit.Connected(); len(got) > 0 {
		t.Errorf("connected at Fitbit: %v", got)
	}
}

func TestLinksAreRefused(t *testing.T) {
	l := newLinkFixture(t)
	const connect, callback = "GET /oauth/{provider}/connect", "GET /oauth/{provider}/callback"
	const show, unlink = "GET /v1/me/links/{provider}", "DELETE /v1/me/links/{provider}"
	l.link("&as_user=GGNJL9")
	for name, c := range map[string]struct {
		res  api.Response
		want int
	}{
		"a stranger connects":              {l.send(connect, byStranger), 401},
		"a key connects":                   {l.send(connect, byKey), 403},
		"another site connects":            {l.send(connect, byForeignSite), 403},
		"a prefetch connects":              {l.send(connect, byPrefetch), 204},
		"another provider connects":        {l.send(connect, atAnother), 404},
		"a prefetch calls back":            {l.send(callback, byPrefetch), 204},
		"another provider calls back":      {l.send(callback, atAnother), 404},
		"a stranger looks":                 {l.send(show, byStranger), 401},
		"a key looks":                      {l.send(show, byKey), 200},
		"another athlete looks":            {l.send(show, ofAnother), 401},
		"a session of an ended one looks":  {l.send(show, earlierSession), 401},
		"another provider is looked at":    {l.send(show, atAnother), 404},
		"a stranger unlinks":               {l.send(unlink, byStranger), 401},
		"a key unlinks":                    {l.send(unlink, byKey), 403},
		"another site unlinks":             {l.send(unlink, byForeignSite), 403},
		"another provider is unlinked":     {l.send(unlink, atAnother), 404},
		"another athlete unlinks":          {l.send(unlink, ofAnother), 401},
		"a session of an ended one unlink": {l.send(unlink, earlierSession), 401},
	} {
		if c.res.StatusCode != c.want || len(c.res.Cookies) > 0 {
			t.Errorf("%s: %d %s", name, c.res.StatusCode, c.res.Body)
		}
	}
	if got := l.fitbit.Connected(); len(got) != 1 {
		t.Errorf("connected at Fitbit: %v", got)
	}
}

func TestAFailedLinkReturnsItsReason(t *testing.T) {
	l := newLinkFixture(t)
	noCookie := func(r *api.Request) { r.Cookies = nil }
	if got := l.link("&as_user=GGNJL9").Headers["Location"]; got != "/" {
		t.Fatal(got)
	}
	for want, location := range map[string]string{
		"link_denied": l.link("&deny=1").Headers["Location"],
		"link_scope":  l.link("&as_user=26FWFL&accept_scope=profile").Headers["Location"],
		"link_state":  l.link("&as_user=GGNJL9", noCookie).Headers["Location"],
		"link_other":  l.link("&as_user=26FWFL").Headers["Location"],
	} {
		if location != "/?error="+want {
			t.Errorf("%s: %s", want, location)
		}
	}
	l.inject(fitbit.Fault{Endpoint: fitbit.EndpointExchange, Kind: fitbit.FaultReset})
	if got := l.link("&as_user=GGNJL9").Headers["Location"]; got != "/?error=link_failed" {
		t.Errorf("Fitbit is away: %s", got)
	}
	// In this order: a degraded account is not called any more.
	for _, c := range []struct {
		name  string
		fault fitbit.Fault
		want  int
	}{
		{"away", fitbit.Fault{Endpoint: "api", Kind: fitbit.FaultReset}, 503},
		{"degraded", fitbit.Fault{Endpoint: "any", Kind: fitbit.FaultAnswer, Status: 401, Body: `{"errors":[{"errorType":"invalid_grant"},{"errorType":"expired_token"}]}`}, 409},
	} {
		l.inject(c.fault)
		if res := l.send("GET /v1/me/links/{provider}"); res.StatusCode != c.want || res.Headers["Content-Type"] != "application/problem+json" {
			t.Errorf("%s: %d %s", c.name, res.StatusCode, res.Body)
		}
		l.fitbit.ClearFaults()
	}
	secrets := l.fitbit.Secrets()
	for _, s := range append(append(secrets.AccessTokens, secrets.RefreshTokens...), append(secrets.Codes, secrets.ClientSecret)...) {
		if strings.Contains(l.log.String(), s) {
			t.Error("the log holds a secret")
		}
	}
}

func (l *linkFixture) inject(f fitbit.Fault) {
	l.t.Helper()
	f.Count = -1
	if err := l.fitbit.Inject(f); err != nil {
		l.t.Fatal(err)
	}
	if f.Endpoint == fitbit.EndpointExchange {
		l.t.Cleanup(l.fitbit.ClearFaults)
	}
}

func TestUseAccounts(t *testing.T) {
	l := newLinkFixture(t)
	l.link("&as_user=GGNJL9")
	list := func(req handler.AccountsRequest) string {
		req.Action = handler.ActionListAccounts
		res, err := l.accounts.Handle(t.Context(), req)
		if err != nil {
			return err.Error()
		}
		b, _ := json.Marshal(res)
		return string(b)
	}
	if got := list(handler.AccountsRequest{Provider: "fitbit"}); got != `{"accounts":[{"account_id":"GGNJL9","state":"active","owner":42,"scopes":["activity","profile"]}]}` {
		t.Error(got)
	}
	if got := list(handler.AccountsRequest{Provider: "strava", Limit: 1}); got != `{"accounts":[{"account_id":"42","state":"active","scopes":[]}]}` {
		t.Error(got)
	}
	call := handler.AccountsRequest{Action: handler.ActionCall, Provider: "fitbit", AccountID: "GGNJL9", Path: "/1/user/-/profile.json"}
	res, err := l.accounts.Handle(t.Context(), call)
	if err != nil || res.Answer.Outcome != "answered" || res.Answer.Status != 200 || !strings.Contains(res.Answer.Body, "Ada K.") {
		t.Errorf("%+v, %v", res, err)
	}
	if said := l.log.String(); strings.Count(said, "msg=\"call forwarded\"") != 1 || !strings.Contains(said, "provider=fitbit endpoint=profile outcome=answered") || strings.Contains(said, "Ada") {
		t.Errorf("logged %s", said)
	}
	for name, change := range map[string]func(*handler.AccountsRequest){
		"another path":                 func(r *handler.AccountsRequest) { r.Path = "/1/user/-/sleep.json" },
		"Strava":                       func(r *handler.AccountsRequest) { r.Provider, r.AccountID, r.Path = "strava", "42", "/athlete" },
		"a provider that there is not": func(r *handler.AccountsRequest) { r.Provider = "garmin" },
		"no action":                    func(r *handler.AccountsRequest) { r.Action = "" },
		"an unknown list":              func(r *handler.AccountsRequest) { r.Action, r.Provider = handler.ActionListAccounts, "garmin" },
		"too long a list":              func(r *handler.AccountsRequest) { r.Action, r.Limit = handler.ActionListAccounts, 201 },
		"a malformed cursor":           func(r *handler.AccountsRequest) { r.Action, r.Cursor = handler.ActionListAccounts, "§" },
	} {
		req := call
		change(&req)
		if res, err := l.accounts.Handle(t.Context(), req); err == nil {
			t.Errorf("%s: %+v", name, res)
		}
	}
	call.AccountID = "26FWFL"
	if res, err := l.accounts.Handle(t.Context(), call); err != nil || res.Answer.Outcome != "revoked" {
		t.Errorf("not linked: %+v, %v", res, err)
	}
	all, _ := json.Marshal(res)
	for _, token := range append(l.fitbit.Secrets().AccessTokens, l.fitbit.Secrets().RefreshTokens...) {
		if bytes.Contains(all, []byte(token)) {
			t.Error("a token was handed out")
		}
	}
}
