package provider_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/httpcall"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/test/strava"
)

// fitbit is a stand-in for Fitbit's authorization server: access tokens of 8
// hours, refresh tokens that are dead once they are used, Basic, PKCE, and
// refusals that repeat the token they refuse (Fitbit Web API, "Authorization";
// bodies as reported by public clients).
type fitbit struct {
	clock *strava.ManualClock
	// repeats is how long an identical refresh is given the same answer; Fitbit
	// does so for two minutes.
	repeats time.Duration
	// trouble, unless nil, answers a call in place of Fitbit and says so.
	trouble func(http.ResponseWriter, *http.Request) bool

	mu        sync.Mutex
	issued    int
	codes     map[string]fitbitConsent
	grants    map[string]*fitbitGrant // by user id
	answers   map[string]fitbitAnswer // by used refresh token
	refreshes int                     // that gave new tokens
	refused   int                     // refreshes with a dead token
}

type fitbitConsent struct{ user, scope, redirect, challenge string }

type fitbitGrant struct {
	scope, refresh string
	access         map[string]time.Time // to when each expires
}

type fitbitAnswer struct {
	until time.Time
	body  map[string]any
}

const (
	fitbitClient = "22942C"
	fitbitSecret = "123456789abcdef"
)

func newFitbit() *fitbit {
	return &fitbit{
		clock: strava.NewManualClock(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)),
		codes: map[string]fitbitConsent{}, grants: map[string]*fitbitGrant{}, answers: map[string]fitbitAnswer{},
	}
}

func (f *fitbit) app() credentials.App {
	return credentials.App{ClientID: fitbitClient, ClientSecret: secret.New(fitbitSecret)}
}

func (f *fitbit) client() *http.Client {
	client := httpcall.NewClient()
	client.Transport = strava.InProcess(f)
	return client
}

func (f *fitbit) oauth() *provider.OAuth {
	return provider.NewOAuth(f.client(), provider.Fitbit("http://www.fitbit.test", "http://api.fitbit.test"), f.clock.Now)
}

// consent has the user answer the consent screen, unticking all scopes but
// those given, if any are, and returns what the browser is sent back with.
func (f *fitbit) consent(t *testing.T, authorizeURL, user string, scopes ...string) url.Values {
	t.Helper()
	res, err := f.client().Get(authorizeURL + "&user=" + user + "&accept=" + url.QueryEscape(strings.Join(scopes, " ")))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil || res.StatusCode != http.StatusFound {
		t.Fatalf("Fitbit's consent screen answered with status %d", res.StatusCode)
	}
	return back.Query()
}

func (f *fitbit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.trouble != nil && f.trouble(w, r) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch r.Method + " " + r.Host + r.URL.Path {
	case "GET www.fitbit.test/oauth2/authorize":
		f.authorize(w, r)
	case "POST api.fitbit.test/oauth2/token", "POST api.fitbit.test/oauth2/revoke":
		id, key, ok := r.BasicAuth()
		if !ok || id != fitbitClient || key != fitbitSecret {
			refuse(w, http.StatusUnauthorized, "invalid_client", "Invalid authorization header format.")
			return
		}
		f.post(w, r)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (f *fitbit) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != fitbitClient || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	scope := q.Get("scope")
	if q.Get("accept") != "" {
		scope = q.Get("accept")
	}
	code := f.token("code")
	f.codes[code] = fitbitConsent{q.Get("user"), scope, q.Get("redirect_uri"), q.Get("code_challenge")}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
}

func (f *fitbit) post(w http.ResponseWriter, r *http.Request) {
	now := f.clock.Now()
	switch {
	case strings.HasSuffix(r.URL.Path, "/revoke"):
		token := r.PostFormValue("token")
		for user, g := range f.grants {
			if g.refresh == token || now.Before(g.access[token]) {
				delete(f.grants, user)
				return
			}
		}
		refuse(w, http.StatusUnauthorized, "invalid_token", "Token invalid: "+token)
	case r.PostFormValue("grant_type") == "authorization_code":
		code := r.PostFormValue("code")
		c, ok := f.codes[code]
		delete(f.codes, code)
		verified := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		if !ok || c.redirect != r.PostFormValue("redirect_uri") || c.challenge != base64.RawURLEncoding.EncodeToString(verified[:]) {
			refuse(w, http.StatusBadRequest, "invalid_grant", "Authorization code invalid: "+code)
			return
		}
		f.grants[c.user] = &fitbitGrant{scope: c.scope, access: map[string]time.Time{}}
		reply(w, f.pair(c.user))
	case r.PostFormValue("grant_type") == "refresh_token":
		token := r.PostFormValue("refresh_token")
		if before := f.answers[token]; now.Before(before.until) {
			reply(w, before.body)
			return
		}
		for user, g := range f.grants {
			if g.refresh == token {
				f.refreshes++
				body := f.pair(user)
				f.answers[token] = fitbitAnswer{now.Add(f.repeats), body}
				reply(w, body)
				return
			}
		}
		f.refused++
		refuse(w, http.StatusBadRequest, "invalid_grant", "Refresh token invalid: "+token)
	default:
		refuse(w, http.StatusBadRequest, "unsupported_grant_type", "Unsupported grant type.")
	}
}

func (f *fitbit) token(kind string) string {
	f.issued++
	return fmt.Sprintf("%s-%064d", kind, f.issued)
}

// pair gives the user a new pair. The old access tokens live on.
func (f *fitbit) pair(user string) map[string]any {
	g, access := f.grants[user], f.token("access")
	g.refresh = f.token("refresh")
	g.access[access] = f.clock.Now().Add(8 * time.Hour)
	return map[string]any{
		"access_token": access, "refresh_token": g.refresh, "expires_in": 28800,
		"scope": g.scope, "token_type": "Bearer", "user_id": user,
	}
}

func reply(w http.ResponseWriter, body map[string]any) { _ = json.NewEncoder(w).Encode(body) }

func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.WriteHeader(status)
	reply(w, map[string]any{"errors": []any{map[string]string{"errorType": kind, "message": message}}, "success": false})
}

// connected has a user connect and returns the tokens.
func (f *fitbit) connected(t *testing.T, user string) credentials.TokenPair {
	t.Helper()
	verifier := secret.New(strings.Repeat("v", 43))
	o := f.oauth()
	back := f.consent(t, o.AuthorizeURL(fitbitClient, redirectURI, "s", verifier), user)
	auth, err := o.Exchange(t.Context(), f.app(), redirectURI, secret.New(back.Get("code")), verifier)
	if err != nil {
		t.Fatal(err)
	}
	return auth.Tokens
}

func TestFitbitExchange(t *testing.T) {
	f := newFitbit()
	o, verifier := f.oauth(), secret.New(strings.Repeat("v", 43))
	target := o.AuthorizeURL(fitbitClient, redirectURI, "a state", verifier)
	if u, err := url.Parse(target); err != nil || u.Query().Get("scope") != "activity profile" {
		t.Errorf("asks for %s", target)
	}
	if strings.Contains(target, verifier.Reveal()) {
		t.Error("the verifier is shown to the browser")
	}
	back := f.consent(t, target, "GGNJL9", "activity")
	if back.Get("state") != "a state" {
		t.Errorf("state %q", back.Get("state"))
	}
	auth, err := o.Exchange(t.Context(), f.app(), redirectURI, secret.New(back.Get("code")), verifier)
	if err != nil {
		t.Fatal(err)
	}
	if auth.Account != (credentials.Account{Provider: "fitbit", ID: "GGNJL9"}) || !slices.Equal(auth.Scopes, []string{"activity"}) {
		t.Errorf("%v with scopes %v", auth.Account, auth.Scopes)
	}
	if want := f.clock.Now().Add(8 * time.Hour); !auth.Tokens.ExpiresAt.Equal(want) {
		t.Errorf("expires at %v, not %v", auth.Tokens.ExpiresAt, want)
	}
	if _, err = o.Exchange(t.Context(), f.app(), redirectURI, secret.New(back.Get("code")), verifier); !errors.Is(err, credentials.ErrCodeRefused) {
		t.Errorf("the code a second time: %v", err)
	}
}

func TestFitbitAccountIDsAreNames(t *testing.T) {
	for _, id := range []string{"", "../app", "A/B", "A B", strings.Repeat("A", 65)} {
		f := newFitbit()
		f.trouble = func(w http.ResponseWriter, _ *http.Request) bool {
			reply(w, map[string]any{"access_token": "a", "refresh_token": "r", "expires_in": 28800, "user_id": id})
			return true
		}
		if _, err := f.oauth().Exchange(t.Context(), f.app(), redirectURI, secret.New("c"), secret.New("v")); !fault.Is(err, fault.Transient) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestFitbitCodeIsOfNoUseToAnotherBrowser(t *testing.T) {
	f := newFitbit()
	o := f.oauth()
	back := f.consent(t, o.AuthorizeURL(fitbitClient, redirectURI, "s", secret.New(strings.Repeat("v", 43))), "GGNJL9")
	_, err := o.Exchange(t.Context(), f.app(), redirectURI, secret.New(back.Get("code")), secret.New(strings.Repeat("w", 43)))
	if !errors.Is(err, credentials.ErrCodeRefused) {
		t.Error(err)
	}
}

func TestFitbitRefreshTokensCountOnce(t *testing.T) {
	f := newFitbit()
	o, first := f.oauth(), f.connected(t, "GGNJL9")
	second, err := o.Refresh(t.Context(), f.app(), first.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	if second.Access.Equal(first.Access) || second.Refresh.Equal(first.Refresh) {
		t.Error("a token came back")
	}
	_, err = o.Refresh(t.Context(), f.app(), first.Refresh)
	if !errors.Is(err, credentials.ErrTokenRefused) {
		t.Fatalf("the used token: %v", err)
	}
	noSecret(t, err, f.app(), first)
}

func TestFitbitRevoke(t *testing.T) {
	for name, lost := range map[string]func(*credentials.TokenPair){
		"both tokens":            func(*credentials.TokenPair) {},
		"the access token alone": func(p *credentials.TokenPair) { p.Refresh = secret.New("used") },
		"the refresh token":      func(p *credentials.TokenPair) { p.Access = secret.New("expired") },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFitbit()
			o, pair := f.oauth(), f.connected(t, "GGNJL9")
			lost(&pair)
			for range 2 { // The second finds both dead, which is no error.
				if err := o.Revoke(t.Context(), f.app(), pair); err != nil {
					t.Fatal(err)
				}
			}
			if len(f.grants) > 0 {
				t.Error("the grant stands")
			}
		})
	}
}

func TestFitbitRefusesTheApplication(t *testing.T) {
	f := newFitbit()
	o, pair := f.oauth(), f.connected(t, "GGNJL9")
	app := credentials.App{ClientID: fitbitClient, ClientSecret: secret.New("another")}
	_, refresh := o.Refresh(t.Context(), app, pair.Refresh)
	_, exchange := o.Exchange(t.Context(), app, redirectURI, secret.New("c"), secret.New("v"))
	revoke := o.Revoke(t.Context(), app, pair)
	for _, err := range []error{refresh, exchange, revoke} {
		if !errors.Is(err, credentials.ErrAppRefused) {
			t.Error(err)
		}
	}
	if len(f.grants) != 1 {
		t.Error("it cost the user the grant")
	}
}

func TestFitbitTroublePasses(t *testing.T) {
	answer := func(status int, header, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			if name, value, ok := strings.Cut(header, ": "); ok {
				w.Header().Set(name, value)
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	for name, trouble := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"too many requests": answer(429, "Retry-After: 120", `{"errors":[{"errorType":"request","message":"Too Many Requests"}],"success":false}`),
		"the hour is used":  answer(429, "Fitbit-Rate-Limit-Reset: 1800", ``),
		"an error":          answer(500, "", `{"errors":[{"errorType":"system","message":"n/a"}],"success":false}`),
		"maintenance":       answer(502, "", `<html>We will be back soon`),
		"unavailable":       answer(503, "", ``),
		"errors as a text":  answer(400, "", `{"errors":"invalid_grant"}`),
		"another 400":       answer(400, "", `{"errors":[{"errorType":"invalid_request","message":"Missing parameters"}],"success":false}`),
		"a conflict":        answer(409, "", ``),
		"a reset":           func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFitbit()
			o, pair := f.oauth(), f.connected(t, "GGNJL9")
			f.trouble = trouble
			_, refresh := o.Refresh(t.Context(), f.app(), pair.Refresh)
			_, exchange := o.Exchange(t.Context(), f.app(), redirectURI, secret.New("c"), secret.New("v"))
			revoke := o.Revoke(t.Context(), f.app(), pair)
			for _, err := range []error{refresh, exchange, revoke} {
				if !fault.Is(err, fault.Transient) {
					t.Error(err)
				}
			}
			noSecret(t, errors.Join(refresh, exchange, revoke), f.app(), pair)
		})
	}
}
