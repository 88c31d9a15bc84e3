package lambdain_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/credentials/lambdain"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/httpapi"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/test/api"
	"github.com/paceline/paceline/test/strava"
)

// site is the OAuth routes over memory and the Strava stand-in.
type site struct {
	t        *testing.T
	document *api.Document
	strava   *strava.Server
	browser  *http.Client // at Strava
	oauth    *lambdain.OAuth
	room     *credentialstest.WaitingRoom
	log      *bytes.Buffer
	serve    func(context.Context, httpapi.Request) (httpapi.Response, error)
}

func newSite(t *testing.T, secure bool) *site {
	server := strava.New(strava.Config{Seed: 1, Athletes: strava.Generate(1, 2, time.Now())})
	t.Cleanup(server.Close)
	browser := &http.Client{
		Transport:     strava.InProcess(server),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	store, vault, room := credentialstest.NewStore(), credentialstest.NewVault(), &credentialstest.WaitingRoom{}
	id, key := server.Client()
	if err := vault.SaveApp(t.Context(), credentials.ProviderStrava, credentials.App{ClientID: itoa(id), ClientSecret: secret.New(key)}); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	oauth := &lambdain.OAuth{
		Connect: &credentials.Connect{
			TokenStore: credentials.TokenStore{
				Ledger: credentials.Ledger{Grants: store, Publisher: &eventtest.Bus{}, Minter: event.Minter{Now: time.Now, NewID: boot.NewSecret}},
				Vault:  vault, Sealer: &credentialstest.Sealer{}, Metrics: &credentialstest.Metrics{}, Sleep: boot.Sleep,
			},
			States: store, OAuth: provider.NewOAuth(browser, provider.Strava("http://strava.test/oauth", "revoke"), time.Now),
			NewSecret: boot.NewSecret, RedirectURI: "http://localhost/oauth/callback",
			Capacity: &credentials.Capacity{Census: store, Athletes: 10, Now: time.Now},
		},
		Sessions: credentialstest.Sessions{}, Now: time.Now,
		Waitlist:      &credentials.Waitlist{Room: room, Now: time.Now},
		SiteURL:       "http://localhost",
		SecureCookies: secure,
		Log:           slog.New(slog.NewTextHandler(&log, nil)),
	}
	return &site{t, api.MustLoad(t), server, browser, oauth, room, &log, httpapi.Mux(oauth.Log, oauth.Routes())}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func (s *site) call(route string, query map[string]string, cookies ...string) httpapi.Response {
	s.t.Helper()
	return s.send(httpapi.Request{RouteKey: route, QueryStringParameters: query, Cookies: cookies})
}

// send has a request answered as the document says.
func (s *site) send(req httpapi.Request) httpapi.Response {
	s.t.Helper()
	res, err := s.serve(s.t.Context(), req)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.document.Check(req, res); err != nil {
		s.t.Error(err)
	}
	return res
}

// cookies parses the answer's Set-Cookie lines.
func cookies(t *testing.T, res httpapi.Response) map[string]*http.Cookie {
	t.Helper()
	out := map[string]*http.Cookie{}
	for _, line := range res.Cookies {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			t.Fatal(err)
		}
		out[c.Name] = c
	}
	return out
}

// connect goes through OAuth as a browser does and returns the callback's
// answer.
func (s *site) connect(more string) httpapi.Response {
	s.t.Helper()
	return s.connectAs(0, more)
}

// connectAs does so as one of Strava's athletes.
func (s *site) connectAs(athlete int, more string) httpapi.Response {
	s.t.Helper()
	start := s.call("GET /oauth/connect", nil)
	nonce := cookies(s.t, start)["paceline_oauth"]
	if start.StatusCode != 302 || nonce == nil {
		s.t.Fatalf("connect: %+v", start)
	}
	res, err := s.browser.Get(start.Headers["Location"] + "&as_athlete=" + itoa(s.strava.Athletes()[athlete].ID) + more)
	if err != nil {
		s.t.Fatal(err)
	}
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil {
		s.t.Fatal(err)
	}
	query := map[string]string{}
	for k, v := range back.Query() {
		query[k] = v[0]
	}
	return s.call("GET /oauth/callback", query, "other=1", nonce.Name+"="+nonce.Value)
}

func TestConnectSetsCookiesThatScriptsAndOtherSitesCannotUse(t *testing.T) {
	for _, secure := range []bool{true, false} {
		s := newSite(t, secure)
		for _, res := range []httpapi.Response{s.call("GET /oauth/connect", nil), s.connect("")} {
			if len(res.Cookies) != 1 {
				t.Fatalf("%d cookies", len(res.Cookies))
			}
			for name, c := range cookies(t, res) {
				if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure != secure || c.MaxAge <= 0 || c.Domain != "" {
					t.Errorf("%s: %s", name, res.Cookies[0])
				}
			}
		}
	}
}

func TestCallbackLeadsToTheSite(t *testing.T) {
	s := newSite(t, true)
	for more, want := range map[string]string{
		"":                   "/",
		"&deny=1":            "/?error=access_denied",
		"&accept_scope=read": "/?error=missing_scope",
	} {
		res := s.connect(more)
		if res.StatusCode != 302 || res.Headers["Location"] != want {
			t.Errorf("%s: %d %s", more, res.StatusCode, res.Headers["Location"])
		}
		if _, ok := cookies(t, res)["paceline_session"]; ok != (want == "/") {
			t.Errorf("%s: session %v", more, ok)
		}
	}
	if res := s.call("GET /oauth/callback", map[string]string{"state": "x", "code": "y", "scope": "activity:read"}); res.Headers["Location"] != "/?error=state" {
		t.Errorf("a made-up callback: %s", res.Headers["Location"])
	}
}

func TestLogoutTakesTheSessionAway(t *testing.T) {
	s := newSite(t, true)
	res := s.call("POST /oauth/logout", nil)
	c := cookies(t, res)["paceline_session"]
	if res.StatusCode != 204 || c == nil || c.MaxAge >= 0 || c.Value != "" || c.Path != "/" {
		t.Fatalf("%+v", res)
	}
}

func TestAnotherSitesPageCannotLogOut(t *testing.T) {
	s := newSite(t, true)
	for name, value := range map[string]string{"sec-fetch-site": "cross-site", "origin": "https://evil.example"} {
		res := s.send(httpapi.Request{RouteKey: "POST /oauth/logout", Headers: map[string]string{name: value}})
		if res.StatusCode != http.StatusForbidden || len(res.Cookies) > 0 {
			t.Errorf("%s %s: %+v", name, value, res)
		}
	}
}

type verifier map[string]credentials.Session

func (v verifier) Verify(token secret.String) (credentials.Session, error) {
	if s, ok := v[token.Reveal()]; ok {
		return s, nil
	}
	return credentials.Session{}, fault.New(fault.Invalid, "no")
}

func TestAuthorizerIdentifiesAndLetsPass(t *testing.T) {
	a := &lambdain.Authorizer{Sessions: verifier{"good": {AthleteID: 42, Generation: 7}}}
	for name, tc := range map[string]struct {
		cookies []string
		header  string
		want    any
	}{
		"a session":        {[]string{"x=1", "paceline_session=good"}, "", "42"},
		"in the header":    {nil, "x=1; paceline_session=good", "42"},
		"beside a bad one": {nil, `prefs={"a":"b"}; paceline_session=good`, "42"},
		"a bad session":    {[]string{"paceline_session=bad"}, "", nil},
		"no cookie":        {nil, "", nil},
		"an empty session": {[]string{"paceline_session="}, "", nil},
	} {
		res, err := a.Handle(t.Context(), events.APIGatewayV2CustomAuthorizerV2Request{
			Cookies: tc.cookies, Headers: map[string]string{"cookie": tc.header},
		})
		if err != nil || !res.IsAuthorized {
			t.Fatalf("%s: %+v %v", name, res, err)
		}
		if res.Context["athlete_id"] != tc.want {
			t.Errorf("%s: identity %v", name, res.Context)
		}
	}
}
