package handler_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/strava"
	"github.com/paceline/paceline/test/openapi"
)

// oauthFixture is the OAuth routes over memory and the Strava stand-in.
type oauthFixture struct {
	t        *testing.T
	document *openapi.Document
	strava   *strava.Server
	browser  *http.Client // at Strava
	oauth    *handler.OAuth
	waitlist *credentialstest.WaitlistStore
	log      *bytes.Buffer
	sessions *credentials.Sessions
	callers  *credentials.Authenticator
	store    *credentialstest.CredentialStore
	serve    func(context.Context, api.Request) (api.Response, error)
}

// newOAuthFixture returns the routes of a stage: the one named "local" has no TLS.
func newOAuthFixture(t *testing.T, stage string) *oauthFixture {
	server := strava.New(strava.Config{Seed: 1, Athletes: strava.Generate(1, 2, time.Now())})
	t.Cleanup(server.Close)
	browser := &http.Client{
		Transport:     standin.InProcess(server),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ports, memory := credentialstest.NewPorts(time.Now)
	id, key := server.Client()
	if err := memory.Vault.SaveApp(t.Context(), credentials.ProviderStrava, credentials.App{ClientID: itoa(id), ClientSecret: secret.New(key)}); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	ports.Log = slog.New(slog.NewTextHandler(&log, nil))
	ports.OAuth = provider.NewOAuth(browser, provider.Strava("http://strava.test/oauth", "revoke"), time.Now)
	ports.RedirectURI = "http://localhost/oauth/callback"
	sessions, callers, connect := ports.Sessions(), ports.Authenticator(), ports.Connect()
	oauth := &handler.OAuth{
		Connect:       connect,
		Sessions:      sessions,
		Authenticator: callers,
		Waitlist:      ports.Waitlist(connect.Capacity),
		SiteURL:       "http://localhost",
		Cookies:       handler.CookiesOf(stage),
		Log:           ports.Log,
	}
	return &oauthFixture{t, openapi.MustLoad(t), server, browser, oauth, memory.Waitlist, &log, sessions, callers, memory.Credentials, api.Mux(oauth.Log, oauth.Routes())}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func (s *oauthFixture) call(route string, query map[string]string, cookies ...string) api.Response {
	s.t.Helper()
	return s.send(api.Request{RouteKey: route, QueryStringParameters: query, Cookies: cookies})
}

// send sends a request and checks the response against the document.
func (s *oauthFixture) send(req api.Request) api.Response {
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

// cookies parses the response's Set-Cookie lines.
func cookies(t *testing.T, res api.Response) map[string]*http.Cookie {
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

// pairs returns the cookies that a response sets, as a browser sends them.
func pairs(t *testing.T, res api.Response) (out []string) {
	t.Helper()
	for _, c := range cookies(t, res) {
		if c.MaxAge > 0 {
			out = append(out, c.Name+"="+c.Value)
		}
	}
	return out
}

// the returns the one cookie with the prefix.
func the(t *testing.T, res api.Response, prefix string) (found *http.Cookie) {
	t.Helper()
	for name, c := range cookies(t, res) {
		if strings.HasPrefix(name, prefix) {
			if found != nil {
				t.Fatalf("two cookies %s", prefix)
			}
			found = c
		}
	}
	return found
}

// Names of cookies in a stage with TLS.
const (
	sessionName = "__Host-paceline_session"
	noncePrefix = "__Host-paceline_oauth_"
	formName    = "__Host-paceline_waitlist"
)

// connect goes through OAuth as a browser does and returns the callback's
// answer.
func (s *oauthFixture) connect(more string) api.Response {
	s.t.Helper()
	return s.connectAs(0, more)
}

// connectAs does so as one of Strava's athletes.
func (s *oauthFixture) connectAs(athlete int, more string) api.Response {
	s.t.Helper()
	back := s.consented(athlete, more)
	return s.send(back)
}

// consented goes as far as the callback's request.
func (s *oauthFixture) consented(athlete int, more string) api.Request {
	s.t.Helper()
	start := s.call("GET /oauth/connect", nil)
	if start.StatusCode != 302 || len(start.Cookies) != 1 {
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
	return api.Request{RouteKey: "GET /oauth/callback", QueryStringParameters: query, Cookies: append(pairs(s.t, start), "other=1")}
}

// signedIn is the session's cookie of a browser that has connected.
func (s *oauthFixture) signedIn() string {
	s.t.Helper()
	res := s.connect("")
	c := cookies(s.t, res)[sessionName]
	if c == nil {
		s.t.Fatalf("no session: %+v", res)
	}
	return c.Name + "=" + c.Value
}

// live reports whether the session of the cookie is valid.
func (s *oauthFixture) live(cookie string) bool {
	s.t.Helper()
	_, value, _ := strings.Cut(cookie, "=")
	_, err := s.callers.Authenticate(s.t.Context(), credentials.SessionCredential, secret.New(value), true)
	return err == nil
}

// TestCookiesCannotBeUsedByScriptsAndOtherSites, nor planted by another host of
// the domain where there is TLS, which is in every stage but the local one.
func TestCookiesCannotBeUsedByScriptsAndOtherSites(t *testing.T) {
	for stage, secure := range map[string]bool{"local": false, "dev": true, "prod": true, "": true, "Local": true} {
		s := newOAuthFixture(t, stage)
		full := newOAuthFixture(t, stage)
		full.oauth.Connect.Capacity.Athletes = 0
		for name, res := range map[string]api.Response{
			"paceline_oauth_": s.call("GET /oauth/connect", nil), "paceline_session": s.connect(""), "paceline_waitlist": full.call("GET /oauth/connect", nil),
		} {
			if secure {
				name = "__Host-" + name
			}
			c := the(t, res, name)
			if c == nil {
				t.Fatalf("stage %q: no cookie %s in %v", stage, name, res.Cookies)
			}
			if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure != secure || c.MaxAge <= 0 || c.Domain != "" || c.Path != "/" {
				t.Errorf("stage %q: %s", stage, res.Cookies)
			}
			if name == sessionName && c.MaxAge != 30*24*3600 {
				t.Errorf("the session's cookie lives %d s", c.MaxAge)
			}
		}
	}
}

func TestCallbackLeadsToTheSite(t *testing.T) {
	s := newOAuthFixture(t, "dev")
	for more, want := range map[string]string{
		"":                   "/",
		"&deny=1":            "/?error=access_denied",
		"&accept_scope=read": "/?error=missing_scope",
	} {
		res := s.connect(more)
		if res.StatusCode != 302 || res.Headers["Location"] != want {
			t.Errorf("%s: %d %s", more, res.StatusCode, res.Headers["Location"])
		}
		if _, ok := cookies(t, res)[sessionName]; ok != (want == "/") {
			t.Errorf("%s: session %v", more, ok)
		}
		if done := the(t, res, noncePrefix); done == nil || done.MaxAge >= 0 {
			t.Errorf("%s: the nonce stays: %v", more, res.Cookies)
		}
	}
	if res := s.call("GET /oauth/callback", map[string]string{"state": "x", "code": "y", "scope": "activity:read"}); res.Headers["Location"] != "/?error=state" {
		t.Errorf("a made-up callback: %s", res.Headers["Location"])
	}
}

func TestCallbackOpensASession(t *testing.T) {
	s := newOAuthFixture(t, "dev")
	session := s.signedIn()
	_, value, _ := strings.Cut(session, "=")
	caller, err := s.callers.Authenticate(t.Context(), credentials.SessionCredential, secret.New(value), true)
	if err != nil || caller.AthleteID != s.strava.Athletes()[0].ID {
		t.Errorf("%+v, %v", caller, err)
	}
	// Connecting again in the same browser replaces its session.
	again := s.consented(0, "")
	again.Cookies = append(again.Cookies, session)
	res := s.send(again)
	if c := cookies(t, res)[sessionName]; res.Headers["Location"] != "/" || c == nil || !s.live(c.Name+"="+c.Value) {
		t.Errorf("%+v", res)
	}
	if s.live(session) {
		t.Error("the replaced session is valid")
	}
}

func TestARepeatedCallback(t *testing.T) {
	s := newOAuthFixture(t, "dev")
	back := s.consented(0, "")
	first := s.send(back)
	if first.Headers["Location"] != "/" {
		t.Fatalf("%+v", first)
	}
	session := the(t, first, sessionName)
	live := session.Name + "=" + session.Value
	for name, tc := range map[string]struct {
		cookies []string
		want    string
	}{
		"in the same browser":       {append(slices.Clone(back.Cookies), live), "/"},
		"without the nonce":         {[]string{live}, "/"},
		"beside another session":    {[]string{sessionName + "=1_x", live}, "/"},
		"in another browser":        {nil, "/?error=state"},
		"with a session that ended": {append(slices.Clone(back.Cookies), sessionName+"=1_x"), "/?error=state"},
	} {
		again := back
		again.Cookies = tc.cookies
		res := s.send(again)
		if res.Headers["Location"] != tc.want || len(pairs(t, res)) > 0 || the(t, res, sessionName) != nil {
			t.Errorf("%s: %+v", name, res)
		}
	}
	if !s.live(live) {
		t.Error("the session is over")
	}
}

// TestPrefetchingDoesNothing: a browser that prefetches a link starts no connect
// and consumes no callback.
func TestPrefetchingDoesNothing(t *testing.T) {
	s := newOAuthFixture(t, "dev")
	back := s.consented(0, "")
	head := events.APIGatewayV2HTTPRequestContext{HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: "HEAD"}}
	for name, change := range map[string]func(*api.Request){
		"Sec-Purpose":                 func(r *api.Request) { r.Headers = map[string]string{"sec-purpose": "prefetch"} },
		"Sec-Purpose, with prerender": func(r *api.Request) { r.Headers = map[string]string{"sec-purpose": "prefetch;prerender"} },
		"Purpose":                     func(r *api.Request) { r.Headers = map[string]string{"purpose": "Prefetch"} },
		"X-Moz":                       func(r *api.Request) { r.Headers = map[string]string{"x-moz": "prefetch"} },
		"HEAD":                        func(r *api.Request) { r.RequestContext = head },
	} {
		for _, req := range []api.Request{{RouteKey: "GET /oauth/connect"}, back} {
			change(&req)
			res := s.send(req)
			if res.StatusCode != http.StatusNoContent || len(res.Cookies) > 0 || res.Headers["Location"] != "" || res.Headers["Cache-Control"] != "no-store" {
				t.Errorf("%s: %s: %+v", name, req.RouteKey, res)
			}
		}
	}
	if res := s.send(back); res.Headers["Location"] != "/" {
		t.Errorf("the callback itself: %+v", res)
	}
}

func TestTwoTabsOfOneBrowserConnect(t *testing.T) {
	s := newOAuthFixture(t, "dev")
	first, second := s.consented(0, ""), s.consented(1, "")
	jar := append(slices.Clone(first.Cookies), second.Cookies...)
	for _, back := range []api.Request{second, first} {
		back.Cookies = jar
		if res := s.send(back); res.Headers["Location"] != "/" {
			t.Errorf("%+v", res)
		}
	}
}

func TestAPlantedNonceIsNotAdopted(t *testing.T) {
	s := newOAuthFixture(t, "dev")
	start := s.call("GET /oauth/connect", nil)
	nonce := the(t, start, noncePrefix)
	for _, planted := range []string{nonce.Name + "=planted", noncePrefix + "00000000=planted", "__Host-paceline_oauth=planted", "paceline_oauth=planted"} {
		res := s.call("GET /oauth/connect", nil, planted)
		if c := the(t, res, noncePrefix); c == nil || c.Value == "planted" || c.Value == nonce.Value || len(c.Value) < 43 {
			t.Errorf("%s: %v", planted, res.Cookies)
		}
	}
	// A stage whose cookies have the prefix ignores the name without it.
	back := s.consented(0, "")
	back.Cookies[0] = strings.TrimPrefix(back.Cookies[0], "__Host-")
	if res := s.send(back); res.Headers["Location"] != "/?error=state" {
		t.Errorf("a cookie without the prefix: %+v", res)
	}
}

func TestConnectsDoNotAccumulateCookies(t *testing.T) {
	s := newOAuthFixture(t, "dev")
	jar := map[string]string{"other": "1"}
	for range 20 {
		var sent []string
		for name, value := range jar {
			sent = append(sent, name+"="+value)
		}
		for name, c := range cookies(t, s.call("GET /oauth/connect", nil, sent...)) {
			if jar[name] = c.Value; c.MaxAge < 0 {
				delete(jar, name)
			}
		}
		if len(jar) > 6 {
			t.Fatalf("%d cookies", len(jar))
		}
	}
	if jar["other"] != "1" {
		t.Error("another's cookie is gone")
	}
}

func TestLogoutEndsTheSession(t *testing.T) {
	s := newOAuthFixture(t, "dev")
	session := s.signedIn()
	s.store.Fail(fault.New(fault.Transient, "down"))
	if res := s.call("POST /oauth/logout", nil, session); res.StatusCode != http.StatusServiceUnavailable || len(res.Cookies) > 0 {
		t.Errorf("while the store is down: %+v", res)
	}
	s.store.Fail(nil)
	if !s.live(session) {
		t.Fatal("the session is over")
	}
	for _, jar := range [][]string{{sessionName + "=1_x", session}, {session}, nil} {
		res := s.call("POST /oauth/logout", nil, jar...)
		c := cookies(t, res)[sessionName]
		if res.StatusCode != 204 || c == nil || c.MaxAge >= 0 || c.Value != "" || c.Path != "/" || !c.Secure {
			t.Fatalf("%+v", res)
		}
		if s.live(session) {
			t.Error("the session is valid")
		}
	}
}

func TestLogoutLeavesNoCookie(t *testing.T) {
	s := newOAuthFixture(t, "dev")
	givenUp := pairs(t, s.call("GET /oauth/connect", nil))
	jar := append(slices.Clone(givenUp), s.signedIn(), formName+"=f", "other=1")
	gone := cookies(t, s.call("POST /oauth/logout", nil, jar...))
	for _, pair := range jar {
		name, _, _ := strings.Cut(pair, "=")
		if c := gone[name]; (c != nil && c.MaxAge < 0) != (name != "other") {
			t.Errorf("%s: %v", name, c)
		}
	}
}

func TestAnotherSitesPageCannotLogOut(t *testing.T) {
	s := newOAuthFixture(t, "dev")
	session := s.signedIn()
	for name, value := range map[string]string{"sec-fetch-site": "cross-site", "origin": "https://evil.example"} {
		res := s.send(api.Request{RouteKey: "POST /oauth/logout", Headers: map[string]string{name: value}, Cookies: []string{session}})
		if res.StatusCode != http.StatusForbidden || len(res.Cookies) > 0 || !s.live(session) {
			t.Errorf("%s %s: %+v", name, value, res)
		}
	}
}
