package fitbit_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/fitbit"
)

const (
	ada      = "GGNJL9"
	redirect = "http://localhost:8080/callback"
	verifier = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
)

// world is a stand-in with a client.
type world struct {
	*fitbit.Server
	t      *testing.T
	clock  *standin.ManualClock
	client *http.Client
}

func newWorld(t *testing.T) *world {
	clock := standin.NewManualClock(time.Date(2026, 11, 22, 10, 20, 0, 0, time.UTC))
	w := &world{fitbit.New(fitbit.Config{Now: clock.Now, Seed: 1, CallbackDomain: "paceline.test", HourlyLimit: 5}), t, clock, nil}
	t.Cleanup(w.Close)
	w.client = &http.Client{
		Transport:     standin.InProcess(w),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return w
}

// reply is a response with its body.
type reply struct {
	status int
	header http.Header
	body   string
}

// errorType returns the error of a refusal in Fitbit's shape, or "" for any other
// response.
func (r reply) errorType() string {
	var f struct {
		Errors []struct {
			ErrorType, Message string
		}
		Success *bool
	}
	if json.Unmarshal([]byte(r.body), &f) != nil || len(f.Errors) != 1 || f.Errors[0].Message == "" || f.Success == nil || *f.Success {
		return ""
	}
	return f.Errors[0].ErrorType
}

func (w *world) do(r *http.Request) reply {
	w.t.Helper()
	res, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(body)}
}

func request(method, path string, form url.Values) *http.Request {
	r, err := http.NewRequest(method, "http://fitbit.test"+path, strings.NewReader(form.Encode()))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// post sends a form as the application.
func (w *world) post(path string, form url.Values) reply {
	w.t.Helper()
	r := request(http.MethodPost, path, form)
	r.SetBasicAuth(w.Client())
	return w.do(r)
}

func (w *world) get(path, access string) reply {
	w.t.Helper()
	r := request(http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer "+access)
	return w.do(r)
}

// authorization returns the parameters of a valid authorization request.
func (w *world) authorization() url.Values {
	id, _ := w.Client()
	challenge := sha256.Sum256([]byte(verifier))
	return url.Values{
		"client_id": {id}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"activity profile"}, "state": {"a state"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
}

func (w *world) authorize(q url.Values) reply {
	w.t.Helper()
	return w.do(request(http.MethodGet, "/oauth2/authorize?"+q.Encode(), nil))
}

// consent makes the user consent to the scopes, by default to all, and returns
// the query of the redirect.
func (w *world) consent(user string, scopes ...string) url.Values {
	w.t.Helper()
	q := w.authorization()
	q.Set("as_user", user)
	if len(scopes) > 0 {
		q["accept_scope"] = scopes
	}
	back, err := url.Parse(w.authorize(q).header.Get("Location"))
	if err != nil || back.Query().Get("code") == "" {
		w.t.Fatalf("redirected to %v", back)
	}
	return back.Query()
}

type pair struct {
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	ExpiresIn int    `json:"expires_in"`
	Scope     string `json:"scope"`
	TokenType string `json:"token_type"`
	UserID    string `json:"user_id"`
}

func (w *world) tokens(r reply) pair {
	w.t.Helper()
	var p pair
	if err := json.Unmarshal([]byte(r.body), &p); err != nil || r.status != http.StatusOK {
		w.t.Fatalf("status %d, %s", r.status, r.body)
	}
	return p
}

func (w *world) exchange(code string) reply {
	w.t.Helper()
	return w.post("/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {verifier}})
}

func (w *world) refresh(token string) reply {
	w.t.Helper()
	return w.post("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

func (w *world) revoke(token string) reply {
	w.t.Helper()
	return w.post("/oauth2/revoke", url.Values{"token": {token}})
}

func (w *world) connect(user string, scopes ...string) pair {
	w.t.Helper()
	return w.tokens(w.exchange(w.consent(user, scopes...).Get("code")))
}

const (
	profile = "/1/user/-/profile.json"
	day     = "/1/user/-/activities/date/2026-11-21.json"
)

// accepts reports whether the API accepts the access token.
func (w *world) accepts(access string) bool {
	w.t.Helper()
	return w.get(profile, access).status == http.StatusOK
}

func (w *world) want(what string, got reply, status int, errorType string) {
	w.t.Helper()
	if got.status != status || got.errorType() != errorType {
		w.t.Errorf("%s: status %d, %s", what, got.status, got.body)
	}
}

func TestConsent(t *testing.T) {
	w := newWorld(t)
	q := w.authorization()
	page := w.authorize(q)
	for _, want := range []string{"Ada Kowalska", `value="26FWFL"`, `value="activity" checked`, `name="deny"`, `name="state" value="a state"`} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the consent page lacks %s", want)
		}
	}
	q.Set("deny", "1")
	if got := w.authorize(q).header.Get("Location"); got != redirect+"?error=access_denied&error_description=The+user+denied+the+request.&state=a+state#_=_" {
		t.Errorf("denied: redirected to %s", got)
	}
	if back := w.consent(ada); back.Get("state") != "a state" {
		t.Errorf("redirected with %v", back)
	}
	if len(w.Connected()) != 0 {
		t.Error("a consent without an exchange connects")
	}
}

func TestAuthorizeRefusesOnItsPage(t *testing.T) {
	for name, change := range map[string]url.Values{
		"another client":      {"client_id": {"22942C"}},
		"another type":        {"response_type": {"token"}},
		"a foreign redirect":  {"redirect_uri": {"http://elsewhere.test/"}},
		"no redirect":         {"redirect_uri": nil},
		"a script":            {"redirect_uri": {"javascript://localhost/%0aalert(1)"}},
		"no scope":            {"scope": nil},
		"an unknown scope":    {"scope": {"activity everything"}},
		"commas":              {"scope": {"activity,profile"}},
		"no challenge":        {"code_challenge": nil},
		"a short challenge":   {"code_challenge": {"x"}},
		"a plain challenge":   {"code_challenge_method": {"plain"}},
		"no challenge method": {"code_challenge_method": nil},
		"a stranger":          {"as_user": {"UNKNOWN"}},
		"no scope accepted":   {"as_user": {ada}, "accept_scope": {""}},
	} {
		w := newWorld(t)
		q := w.authorization()
		for k, v := range change {
			q[k] = v
		}
		if r := w.authorize(q); r.status != http.StatusBadRequest || r.header.Get("Location") != "" {
			t.Errorf("%s: status %d, sent to %q", name, r.status, r.header.Get("Location"))
		}
	}
}

// TestAuthorizeRedirectsToTheCallbackDomain: to no other domain, see
// TestAuthorizeRefusesOnItsPage.
func TestAuthorizeRedirectsToTheCallbackDomain(t *testing.T) {
	w := newWorld(t)
	q := w.authorization()
	q.Set("redirect_uri", "https://paceline.test/callback")
	q.Set("as_user", ada)
	if to := w.authorize(q).header.Get("Location"); !strings.HasPrefix(to, "https://paceline.test/callback?") {
		t.Errorf("sent to %q", to)
	}
}

func TestExchange(t *testing.T) {
	w := newWorld(t)
	p := w.connect(ada, "activity")
	if p.UserID != ada || p.Scope != "activity" || p.TokenType != "Bearer" || p.ExpiresIn != 28_800 || len(p.Refresh) != 64 || strings.Count(p.Access, ".") != 2 {
		t.Errorf("%+v", p)
	}
	if !slices.Equal(w.Connected(), []string{ada}) || !slices.Equal(w.Users()[0].Scope, []string{"activity"}) {
		t.Errorf("users %+v", w.Users())
	}
}

func TestCodesWorkOnceForTenMinutesWithTheirVerifier(t *testing.T) {
	w := newWorld(t)
	used := w.consent(ada).Get("code")
	w.tokens(w.exchange(used))
	w.want("a used code", w.exchange(used), 400, "invalid_grant")
	w.want("an unknown code", w.exchange("x"), 400, "invalid_grant")
	w.want("no code", w.exchange(""), 400, "invalid_request")
	for name, change := range map[string]url.Values{
		"another verifier": {"code_verifier": {strings.Repeat("w", 43)}},
		"no verifier":      {"code_verifier": nil},
		"another redirect": {"redirect_uri": {redirect + "/x"}},
	} {
		code := w.consent(ada).Get("code")
		form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {verifier}}
		for k, v := range change {
			form[k] = v
		}
		w.want(name, w.post("/oauth2/token", form), 400, "invalid_grant")
		w.want(name+", then the right one", w.exchange(code), 400, "invalid_grant")
	}
	late := w.consent(ada).Get("code")
	w.clock.Advance(10*time.Minute - time.Second)
	w.tokens(w.exchange(late))
	late = w.consent(ada).Get("code")
	w.clock.Advance(10 * time.Minute)
	w.want("an old code", w.exchange(late), 400, "invalid_grant")
}

func TestTokenEndpointNeedsTheClientAndAGrantType(t *testing.T) {
	w := newWorld(t)
	p := w.connect(ada)
	id, secret := w.Client()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {p.Refresh}, "token": {p.Refresh}, "client_id": {id}, "client_secret": {secret}}
	for _, path := range []string{"/oauth2/token", "/oauth2/revoke"} {
		w.want("no Basic", w.do(request(http.MethodPost, path, form)), 401, "invalid_client")
		r := request(http.MethodPost, path, form)
		r.SetBasicAuth(id, secret+"x")
		w.want("another secret", w.do(r), 401, "invalid_client")
		r = request(http.MethodPost, path, form)
		r.SetBasicAuth("x", secret)
		w.want("another id", w.do(r), 401, "invalid_client")
	}
	w.want("no grant type", w.post("/oauth2/token", nil), 400, "invalid_request")
	w.want("another grant type", w.post("/oauth2/token", url.Values{"grant_type": {"password"}}), 400, "unsupported_grant_type")
	w.want("no token", w.refresh(""), 400, "invalid_request")
	if !w.accepts(p.Access) {
		t.Error("a refused call ended the grant")
	}
}

func TestRefreshTokensWorkOnce(t *testing.T) {
	w := newWorld(t)
	first := w.connect(ada)
	second := w.tokens(w.refresh(first.Refresh))
	if second.Access == first.Access || second.Refresh == first.Refresh || second.UserID != ada {
		t.Errorf("%+v", second)
	}
	if !w.accepts(first.Access) {
		t.Error("a refresh made the older access token invalid")
	}
	if again := w.tokens(w.refresh(first.Refresh)); again != second {
		t.Error("an identical refresh got another response")
	}
	w.clock.Advance(2 * time.Minute)
	refused := w.refresh(first.Refresh)
	w.want("two minutes later", refused, 400, "invalid_grant")
	if !strings.Contains(refused.body, first.Refresh) {
		t.Error("the refusal does not repeat the token, as Fitbit's does")
	}
	w.want("an access token", w.refresh(second.Access), 400, "invalid_grant")
	w.tokens(w.refresh(second.Refresh))
	c := w.Counters()
	if c.DeadRefreshUses[ada] != 1 || c.RepeatedRefreshes[ada] != 1 || c.MaxRefreshesInFlight[ada] != 1 || c.Total(fitbit.EndpointRefresh, ada) != 5 {
		t.Errorf("%+v", c)
	}
}

// TestRefreshIsRepeatedUntilItsTokensAreUsed uses either token, ends the
// authorization, or renews it.
func TestRefreshIsRepeatedUntilItsTokensAreUsed(t *testing.T) {
	for name, end := range map[string]func(*world, pair){
		"the access token":  func(w *world, p pair) { w.get(profile, p.Access) },
		"the refresh token": func(w *world, p pair) { w.refresh(p.Refresh) },
		"revoked":           func(w *world, p pair) { w.revoke(p.Access) },
		"connected again":   func(w *world, p pair) { w.connect(ada) },
	} {
		w := newWorld(t)
		first := w.connect(ada)
		end(w, w.tokens(w.refresh(first.Refresh)))
		w.want(name, w.refresh(first.Refresh), 400, "invalid_grant")
	}
}

func TestConnectingAgainReplacesTheRefreshTokenOnly(t *testing.T) {
	w := newWorld(t)
	first := w.connect(ada)
	second := w.connect(ada, "profile")
	w.want("the older refresh token", w.refresh(first.Refresh), 400, "invalid_grant")
	if !w.accepts(first.Access) || !w.accepts(second.Access) {
		t.Error("an access token is invalid")
	}
	if third := w.tokens(w.refresh(second.Refresh)); third.Scope != "profile" {
		t.Errorf("scope %q", third.Scope)
	}
	w.want("the narrower scope", w.get(day, second.Access), 403, "insufficient_scope")
	if r := w.get(day, first.Access); r.status != http.StatusOK {
		t.Errorf("the older access token lost its scope: status %d", r.status)
	}
}

func TestEitherTokenRevokesAll(t *testing.T) {
	for name, of := range map[string]func(pair) string{
		"access":  func(p pair) string { return p.Access },
		"refresh": func(p pair) string { return p.Refresh },
	} {
		w := newWorld(t)
		other := w.connect("26FWFL")
		older := w.connect(ada)
		p := w.connect(ada)
		if r := w.revoke(of(p)); r.status != 200 || r.body != "" {
			t.Errorf("%s: status %d, %s", name, r.status, r.body)
		}
		w.want(name+": again", w.revoke(of(p)), 401, "invalid_token")
		w.want(name+": a refresh", w.refresh(p.Refresh), 400, "invalid_grant")
		w.want(name+": a call", w.get(profile, p.Access), 401, "invalid_token")
		w.want(name+": a call with an older token", w.get(profile, older.Access), 401, "invalid_token")
		if !slices.Equal(w.Connected(), []string{"26FWFL"}) || !w.accepts(other.Access) {
			t.Errorf("%s: it ended another user's authorization, or none", name)
		}
		w.connect(ada)
		w.want(name+": after connecting again", w.get(profile, p.Access), 401, "invalid_token")
	}
	w := newWorld(t)
	w.want("nothing", w.revoke(""), 400, "invalid_request")
}

func TestAccessTokensAreValidForEightHours(t *testing.T) {
	w := newWorld(t)
	p := w.connect(ada)
	w.clock.Advance(8*time.Hour - time.Second)
	if !w.accepts(p.Access) {
		t.Error("it is invalid too early")
	}
	w.clock.Advance(time.Second)
	w.want("after 8 hours", w.get(profile, p.Access), 401, "expired_token")
	w.want("revoking by it", w.revoke(p.Access), 401, "invalid_token")
	w.want("an unknown token", w.get(profile, "x"), 401, "invalid_token")
	w.want("a refresh token", w.get(profile, p.Refresh), 401, "invalid_token")
	w.want("no token", w.do(request(http.MethodGet, profile, nil)), 401, "invalid_token")
	p = w.tokens(w.refresh(p.Refresh))
	if err := w.SetTokenLife(ada, 0); err != nil {
		t.Fatal(err)
	}
	w.want("made to expire", w.get(profile, p.Access), 401, "expired_token")
	w.tokens(w.refresh(p.Refresh))
	if err := w.Deauthorize(ada); err != nil {
		t.Fatal(err)
	}
	w.want("deauthorized", w.get(profile, p.Access), 401, "invalid_token")
	if w.Deauthorize(ada) == nil || w.SetTokenLife(ada, 0) == nil || w.Deauthorize("UNKNOWN") == nil {
		t.Error("a user who is not connected has a grant")
	}
}

func TestSecretsListsEverythingEverIssued(t *testing.T) {
	w := newWorld(t)
	code := w.consent(ada).Get("code")
	first := w.tokens(w.exchange(code))
	second := w.tokens(w.refresh(first.Refresh))
	w.revoke(second.Refresh)
	all := w.Secrets()
	_, secret := w.Client()
	if all.ClientSecret != secret || len(all.AccessTokens) != 2 || len(all.RefreshTokens) != 2 || !slices.Contains(all.AccessTokens, first.Access) ||
		!slices.Contains(all.RefreshTokens, second.Refresh) || !slices.Equal(all.Codes, []string{code}) {
		t.Errorf("%+v", all)
	}
}

func TestNewRefusesTwoUsersWithOneID(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("two users with one id were accepted")
		}
	}()
	fitbit.New(fitbit.Config{Users: []fitbit.User{{ID: ada}, {ID: ada}}})
}
