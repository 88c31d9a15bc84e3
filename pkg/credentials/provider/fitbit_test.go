package provider_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	vendor "github.com/paceline/paceline/pkg/credentials/fitbit"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/httpcall"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin"
	fitbitstandin "github.com/paceline/paceline/standin/fitbit"
)

// fitbit is the stand-in for Fitbit and a client of it.
type fitbit struct {
	*fitbitstandin.Server
	clock *standin.ManualClock
}

func newFitbit(t *testing.T) *fitbit {
	clock := standin.NewManualClock(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
	f := &fitbit{fitbitstandin.New(fitbitstandin.Config{Now: clock.Now, ClientID: "22942C", ClientSecret: "123456789abcdef"}), clock}
	t.Cleanup(f.Close)
	return f
}

func (f *fitbit) app() credentials.App {
	id, key := f.Client()
	return credentials.App{ClientID: id, ClientSecret: secret.New(key)}
}

const (
	fitbitSite = "http://www.fitbit.test"
	fitbitAPI  = "http://api.fitbit.test"
)

// client finds the consent screen at Fitbit's site and everything else at its
// API, as with Fitbit itself, which has them at different hosts.
func (f *fitbit) client() *http.Client {
	client := httpcall.NewClient()
	client.Transport = standin.InProcess(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if atSite := r.Host == "www.fitbit.test"; atSite != (r.URL.Path == "/oauth2/authorize") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		f.ServeHTTP(w, r)
	}))
	return client
}

func (f *fitbit) oauth() *provider.OAuth {
	return provider.NewOAuth(f.client(), provider.Fitbit(fitbitSite, fitbitAPI), f.clock.Now)
}

// inject has Fitbit fail until the next inject.
func (f *fitbit) inject(t *testing.T, fault fitbitstandin.Fault) {
	t.Helper()
	fault.Count = -1
	if err := f.Inject(fault); err != nil {
		t.Fatal(err)
	}
}

// consent has the user answer the consent screen, unticking all scopes but
// those given, if any are, and returns the callback's query.
func (f *fitbit) consent(t *testing.T, authorizeURL, user string, scopes ...string) url.Values {
	t.Helper()
	target := authorizeURL + "&as_user=" + user
	if len(scopes) > 0 {
		target += "&accept_scope=" + url.QueryEscape(strings.Join(scopes, " "))
	}
	res, err := f.client().Get(target)
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

// alive reports whether Fitbit accepts the access token for the scope activity.
func (f *fitbit) alive(t *testing.T, access secret.String) bool {
	t.Helper()
	answer, err := vendor.NewAPI(f.client(), fitbitAPI).Get(t.Context(), access, "/1/user/-/activities/date/2026-11-21.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status == http.StatusOK
}

// connected has a user connect and returns the tokens.
func (f *fitbit) connected(t *testing.T, user string) credentials.TokenPair {
	t.Helper()
	verifier := secret.New(strings.Repeat("v", 43))
	o := f.oauth()
	back := f.consent(t, o.AuthorizeURL(f.app().ClientID, redirectURI, "s", verifier), user)
	auth, err := o.Exchange(t.Context(), f.app(), redirectURI, secret.New(back.Get("code")), verifier)
	if err != nil {
		t.Fatal(err)
	}
	return auth.Tokens
}

func TestFitbitExchange(t *testing.T) {
	f := newFitbit(t)
	o, verifier := f.oauth(), secret.New(strings.Repeat("v", 43))
	target := o.AuthorizeURL(f.app().ClientID, redirectURI, "a state", verifier)
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
		f := newFitbit(t)
		f.inject(t, fitbitstandin.Fault{Endpoint: fitbitstandin.EndpointExchange, Status: 200, Body: fmt.Sprintf(
			`{"access_token":"a","refresh_token":"r","expires_in":28800,"user_id":%q}`, id)})
		if _, err := f.oauth().Exchange(t.Context(), f.app(), redirectURI, secret.New("c"), secret.New("v")); !fault.Is(err, fault.Transient) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestFitbitCodeIsRefusedFromAnotherBrowser(t *testing.T) {
	f := newFitbit(t)
	o := f.oauth()
	back := f.consent(t, o.AuthorizeURL(f.app().ClientID, redirectURI, "s", secret.New(strings.Repeat("v", 43))), "GGNJL9")
	_, err := o.Exchange(t.Context(), f.app(), redirectURI, secret.New(back.Get("code")), secret.New(strings.Repeat("w", 43)))
	if !errors.Is(err, credentials.ErrCodeRefused) {
		t.Error(err)
	}
}

func TestFitbitRefreshTokensCountOnce(t *testing.T) {
	f := newFitbit(t)
	o, first := f.oauth(), f.connected(t, "GGNJL9")
	second, err := o.Refresh(t.Context(), f.app(), first.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	if second.Access.Equal(first.Access) || second.Refresh.Equal(first.Refresh) {
		t.Error("a token came back")
	}
	if !f.alive(t, second.Access) {
		t.Error("the new access token is invalid")
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
			f := newFitbit(t)
			o, pair := f.oauth(), f.connected(t, "GGNJL9")
			lost(&pair)
			for range 2 { // The second finds both invalid, which is no error.
				if err := o.Revoke(t.Context(), f.app(), pair); err != nil {
					t.Fatal(err)
				}
			}
			if len(f.Connected()) > 0 {
				t.Error("the grant stands")
			}
		})
	}
}

func TestFitbitRefusesTheApplication(t *testing.T) {
	f := newFitbit(t)
	o, pair := f.oauth(), f.connected(t, "GGNJL9")
	app := credentials.App{ClientID: f.app().ClientID, ClientSecret: secret.New("another")}
	_, refresh := o.Refresh(t.Context(), app, pair.Refresh)
	_, exchange := o.Exchange(t.Context(), app, redirectURI, secret.New("c"), secret.New("v"))
	revoke := o.Revoke(t.Context(), app, pair)
	for _, err := range []error{refresh, exchange, revoke} {
		if !errors.Is(err, credentials.ErrAppRefused) {
			t.Error(err)
		}
	}
	if len(f.Connected()) != 1 {
		t.Error("it cost the user the grant")
	}
}

func TestFitbitForbidsTheApplicationByName(t *testing.T) {
	for _, kind := range []string{"invalid_client", "unauthorized_client"} {
		f := newFitbit(t)
		o, pair := f.oauth(), f.connected(t, "GGNJL9")
		f.inject(t, fitbitstandin.Fault{Status: http.StatusForbidden, Body: `{"errors":[{"errorType":"` + kind + `","message":"n/a"}],"success":false}`})
		if _, err := o.Refresh(t.Context(), f.app(), pair.Refresh); !errors.Is(err, credentials.ErrAppRefused) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestFitbitOutagesAreTransientFaults(t *testing.T) {
	answer := func(status int, header, body string) fitbitstandin.Fault {
		fault := fitbitstandin.Fault{Status: status, Body: body}
		if name, value, ok := strings.Cut(header, ": "); ok {
			fault.Header = map[string]string{name: value}
		}
		return fault
	}
	for name, trouble := range map[string]fitbitstandin.Fault{
		"too many requests": answer(429, "Retry-After: 120", `{"errors":[{"errorType":"request","message":"Too Many Requests"}],"success":false}`),
		"the hour is used":  answer(429, "Fitbit-Rate-Limit-Reset: 1800", ``),
		"an error":          answer(500, "", `{"errors":[{"errorType":"system","message":"n/a"}],"success":false}`),
		"maintenance":       answer(502, "", `<html>We will be back soon`),
		"unavailable":       answer(503, "", ``),
		"errors as a text":  answer(400, "", `{"errors":"invalid_grant"}`),
		"another 400":       answer(400, "", `{"errors":[{"errorType":"invalid_request","message":"Missing parameters"}],"success":false}`),
		"a conflict":        answer(409, "", ``),
		"a firewall's page": answer(403, "Content-Type: text/html", `<html>invalid_client`),
		"forbidden":         answer(403, "", `{"errors":[{"errorType":"request","message":"x"}],"success":false}`),
		"a reset":           {Kind: fitbitstandin.FaultReset},
		"a lost answer":     {Kind: fitbitstandin.FaultDrop},
		"forbidden, empty":  answer(403, "", ``),
		"forbidden to one":  answer(403, "", `{"errors":[{"errorType":"insufficient_scope","message":"This application does not have permission"}],"success":false}`),
		"forbidden grant":   answer(403, "", `{"errors":[{"errorType":"invalid_grant","message":"n/a"}],"success":false}`),
		"a page under 400":  answer(400, "", `<html>`),
		"a page under 401":  answer(401, "", `<html>`),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFitbit(t)
			o, pair := f.oauth(), f.connected(t, "GGNJL9")
			f.inject(t, trouble)
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

func TestFitbitThatIsTooSlowIsATransientFault(t *testing.T) {
	f := newFitbit(t)
	o, pair := f.oauth(), f.connected(t, "GGNJL9")
	f.inject(t, fitbitstandin.Fault{Kind: fitbitstandin.FaultHang})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := o.Refresh(ctx, f.app(), pair.Refresh); !fault.Is(err, fault.Transient) {
		t.Errorf("refresh: %v", err)
	}
	if _, err := vendor.NewAPI(f.client(), fitbitAPI).Get(ctx, pair.Access, "/1/user/-/profile.json", nil); !fault.Is(err, fault.Transient) {
		t.Errorf("call: %v", err)
	}
}

// fitbitError is a refusal in Fitbit's shape.
func fitbitError(kind string) string {
	return fmt.Sprintf(`{"errors":[{"errorType":%q,"message":"x"}],"success":false}`, kind)
}

func TestFitbitMeaning(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		want   provider.Meaning
	}{
		"bad code or refresh token": {400, fitbitError("invalid_grant"), provider.GrantRefused},
		"invalid token":             {401, fitbitError("invalid_token"), provider.GrantRefused},
		"expired token":             {401, fitbitError("expired_token"), provider.GrantRefused},
		"bad client":                {401, fitbitError("invalid_client"), provider.AppRefused},
		"client of another kind":    {400, fitbitError("unauthorized_client"), provider.AppRefused},
		"forbidden client":          {403, fitbitError("insufficient_permissions"), provider.AppRefused},
		"malformed":                 {400, fitbitError("invalid_request"), provider.Unclear},
		"rate limit":                {429, fitbitError("invalid_client"), provider.Unclear},
		"outage that names it":      {503, fitbitError("invalid_grant"), provider.Unclear},
		"forbidden, no reason":      {403, ``, provider.Unclear},
		"a firewall's page":         {403, `<html>invalid_client`, provider.Unclear},
		"unauthorized, as a page":   {401, `<html>`, provider.Unclear},
		"as a text":                 {400, `{"errors":"invalid_grant"}`, provider.Unclear},
	} {
		if got := provider.Fitbit("", "").Meaning(tc.status, []byte(tc.body)); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestFitbitRefusal(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"success":                   {200, `{}`, nil},
		"expired token":             {401, fitbitError("expired_token"), credentials.ErrAccessTokenInvalid},
		"invalid token":             {401, fitbitError("invalid_token"), credentials.ErrAccessTokenInvalid},
		"scope not allowed":         {403, fitbitError("insufficient_scope"), credentials.ErrInsufficientScope},
		"not for the application":   {403, fitbitError("insufficient_permissions"), credentials.ErrInsufficientScope},
		"bad client":                {401, fitbitError("invalid_client"), credentials.ErrAppRefused},
		"client of another kind":    {403, fitbitError("unauthorized_client"), credentials.ErrAppRefused},
		"another's private data":    {401, fitbitError("request"), nil},
		"unauthorized, as a page":   {401, `<html>expired_token`, nil},
		"unauthorized, as a text":   {401, `{"errors":"expired_token"}`, nil},
		"a firewall's page":         {403, `<html>`, nil},
		"outage that names a token": {503, fitbitError("expired_token"), nil},
		"a day that is none":        {400, fitbitError("validation"), nil},
		"rate limit":                {429, fitbitError("system"), nil},
	} {
		if got := provider.FitbitRefusal(tc.status, []byte(tc.body)); !errors.Is(got, tc.want) || (got == nil) != (tc.want == nil) {
			t.Errorf("%s: %v", name, got)
		}
	}
}
