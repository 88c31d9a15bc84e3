package provider_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/httpcall"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/strava"
)

const redirectURI = "http://localhost:8080/oauth/callback"

func TestStravaAuthorizeURL(t *testing.T) {
	o := provider.NewOAuth(nil, provider.Strava("https://www.strava.com/oauth", settings.RevocationRevoke), time.Now)
	target, err := url.Parse(o.AuthorizeURL("42", redirectURI, "a-state", secret.New("a-verifier")))
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{
		"client_id": {"42"}, "redirect_uri": {redirectURI}, "response_type": {"code"}, "state": {"a-state"},
		"scope": {"read,activity:read,activity:read_all"},
	}
	if target.Host+target.Path != "www.strava.com/oauth/authorize" || target.Query().Encode() != want.Encode() {
		t.Error(target)
	}
}

// stravaWorld is Strava's stand-in with one athlete, and a client of it.
type stravaWorld struct {
	*strava.Server
	t     *testing.T
	clock *standin.ManualClock
	oauth *provider.OAuth
	app   credentials.App
}

func newStrava(t *testing.T, with strava.Settings) *stravaWorld {
	clock := standin.NewManualClock(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
	server := strava.New(strava.Config{Clock: clock, Seed: 1, Athletes: strava.Generate(1, 2, clock.Now()), Settings: with})
	t.Cleanup(server.Close)
	id, key := server.Client()
	client := httpcall.NewClient()
	client.Transport = standin.InProcess(server)
	return &stravaWorld{
		server, t, clock,
		provider.NewOAuth(client, provider.Strava("http://strava.test/oauth", settings.RevocationRevoke), clock.Now),
		credentials.App{ClientID: strconv.FormatInt(id, 10), ClientSecret: secret.New(key)},
	}
}

func (w *stravaWorld) athlete() int64 { return w.Athletes()[0].ID }

func (w *stravaWorld) exchange(scopes ...string) (credentials.TokenResponse, error) {
	code, err := w.Authorize(w.athlete(), scopes...)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.oauth.Exchange(w.t.Context(), w.app, redirectURI, secret.New(code), secret.String{})
}

func (w *stravaWorld) mustExchange() credentials.TokenPair {
	w.t.Helper()
	auth, err := w.exchange("read", "activity:read")
	if err != nil {
		w.t.Fatal(err)
	}
	return auth.Tokens
}

func (w *stravaWorld) mustRefresh(pair credentials.TokenPair) credentials.TokenPair {
	w.t.Helper()
	pair, err := w.oauth.Refresh(w.t.Context(), w.app, pair.Refresh)
	if err != nil {
		w.t.Fatal(err)
	}
	return pair
}

func TestStravaExchange(t *testing.T) {
	w := newStrava(t, strava.Settings{})
	auth, err := w.exchange("read", "activity:read")
	if err != nil {
		t.Fatal(err)
	}
	if want := (credentials.Account{Provider: "strava", ID: strconv.FormatInt(w.athlete(), 10)}); auth.Account != want {
		t.Errorf("account %v", auth.Account)
	}
	if !slices.Equal(auth.Scopes, []string{"read", "activity:read"}) {
		t.Errorf("scopes %v", auth.Scopes)
	}
	if want := w.clock.Now().Add(6 * time.Hour); !auth.Tokens.ExpiresAt.Equal(want) {
		t.Errorf("expires at %v, not %v", auth.Tokens.ExpiresAt, want)
	}
}

func TestStravaRefreshIsUselessBeforeTheMargin(t *testing.T) {
	w := newStrava(t, strava.Settings{})
	first := w.mustExchange()
	w.clock.Advance(6*time.Hour - w.oauth.Rules().RefreshMargin - time.Second)
	early := w.mustRefresh(first)
	if !early.Access.Equal(first.Access) || !early.ExpiresAt.Equal(first.ExpiresAt) {
		t.Error("a refresh before the margin gave another access token")
	}
	w.clock.Advance(time.Second)
	if due := w.mustRefresh(early); due.Access.Equal(first.Access) || !due.ExpiresAt.Equal(w.clock.Now().Add(6*time.Hour)) {
		t.Error("a refresh at the margin gave the old access token")
	}
	if _, err := w.oauth.Refresh(t.Context(), w.app, first.Refresh); !errors.Is(err, credentials.ErrTokenRefused) {
		t.Errorf("a replaced refresh token: %v", err)
	}
}

func TestStravaRevoke(t *testing.T) {
	for name, lost := range map[string]func(*credentials.TokenPair){
		"both tokens":            func(*credentials.TokenPair) {},
		"the access token alone": func(p *credentials.TokenPair) { p.Refresh = secret.New("replaced") },
		"the refresh token":      func(p *credentials.TokenPair) { p.Access = secret.New("expired") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newStrava(t, strava.Settings{})
			pair := w.mustExchange()
			known := pair
			lost(&known)
			for range 2 { // The second finds both invalid, which is no error.
				if err := w.oauth.Revoke(t.Context(), w.app, known); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := w.oauth.Refresh(t.Context(), w.app, pair.Refresh); !errors.Is(err, credentials.ErrTokenRefused) {
				t.Errorf("a refresh afterwards: %v", err)
			}
		})
	}
}

func TestStravaRefusals(t *testing.T) {
	t.Run("a made-up code", func(t *testing.T) {
		w := newStrava(t, strava.Settings{})
		_, err := w.oauth.Exchange(t.Context(), w.app, redirectURI, secret.New("x"), secret.String{})
		if !errors.Is(err, credentials.ErrCodeRefused) {
			t.Error(err)
		}
	})
	t.Run("no room for the athlete", func(t *testing.T) {
		w := newStrava(t, strava.Settings{Capacity: 1})
		other, err := w.Authorize(w.Athletes()[1].ID, "read")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.oauth.Exchange(t.Context(), w.app, redirectURI, secret.New(other), secret.String{}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.exchange("read"); !errors.Is(err, credentials.ErrAppFull) {
			t.Error(err)
		}
	})
	for name, spoil := range map[string]func(*stravaWorld) error{
		"another secret": func(w *stravaWorld) error { w.app.ClientSecret = secret.New("x"); return nil },
		"the owner's subscription has lapsed": func(w *stravaWorld) error {
			return w.UpdateSettings(func(s *strava.Settings) { s.Inactive = true })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newStrava(t, strava.Settings{})
			pair := w.mustExchange()
			if err := spoil(w); err != nil {
				t.Fatal(err)
			}
			_, refresh := w.oauth.Refresh(t.Context(), w.app, pair.Refresh)
			_, exchange := w.exchange("read")
			revoke := w.oauth.Revoke(t.Context(), w.app, pair)
			for _, err := range []error{refresh, exchange, revoke} {
				if !errors.Is(err, credentials.ErrAppRefused) {
					t.Error(err)
				}
			}
		})
	}
}

func TestStravaOutagesAreTransientFaults(t *testing.T) {
	for _, kind := range []strava.FaultKind{
		strava.FaultReset, strava.FaultDrop, strava.Fault429, strava.Fault429Text,
		strava.Fault500, strava.Fault502, strava.Fault503, strava.Fault597,
	} {
		t.Run(string(kind), func(t *testing.T) {
			w := newStrava(t, strava.Settings{Rotation: strava.RotateNever})
			pair := w.mustExchange()
			if err := w.Inject(strava.Fault{Endpoint: "oauth", Kind: kind, Count: 3}); err != nil {
				t.Fatal(err)
			}
			_, exchange := w.exchange("read")
			_, refresh := w.oauth.Refresh(t.Context(), w.app, pair.Refresh)
			revoke := w.oauth.Revoke(t.Context(), w.app, pair)
			for _, err := range []error{exchange, refresh, revoke} {
				if !fault.Is(err, fault.Transient) {
					t.Error(err)
				}
			}
			noSecret(t, errors.Join(exchange, refresh, revoke), w.app, pair)
		})
	}
}

func TestStravaRefusal(t *testing.T) {
	fields := func(resource, field, code string) string {
		return fmt.Sprintf(`{"message":"x","errors":[{"resource":%q,"field":%q,"code":%q}]}`, resource, field, code)
	}
	answer := func(resource, code string) string { return fields(resource, "f", code) }
	for name, tc := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"success":                {200, `{}`, nil},
		"invalid token":          {401, answer("Application", "invalid"), credentials.ErrAccessTokenInvalid},
		"invalid token, as text": {401, `{"errors":"Authorization Error"}`, credentials.ErrAccessTokenInvalid},
		"missing scope":          {401, fields("AccessToken", "activity:read_permission", "missing"), credentials.ErrInsufficientScope},
		"a newer name of it":     {401, fields("AccessToken", "activity:read_all", "missing"), credentials.ErrInsufficientScope},
		"another scope":          {401, fields("AccessToken", "profile:read_permission", "missing"), nil},
		"who knows what":         {401, answer("AccessToken", "missing"), nil},
		"nothing named":          {401, `{"errors":[{"resource":"AccessToken","code":"missing"}]}`, nil},
		"of another thing":       {401, fields("Athlete", "activity:read_permission", "missing"), credentials.ErrAccessTokenInvalid},
		"inactive app":           {403, answer("Application", "Inactive"), credentials.ErrAppRefused},
		"a forbidden thing":      {403, answer("Athlete", "invalid"), nil},
		"an error page":          {403, `<html>`, nil},
		"nothing there":          {404, ``, nil},
		"rate limit":             {429, answer("Application", "exceeded"), nil},
	} {
		if got := provider.StravaRefusal(tc.status, []byte(tc.body)); !errors.Is(got, tc.want) || (got == nil) != (tc.want == nil) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestStravaMeaning(t *testing.T) {
	answer := func(resource, field, code string) string {
		return fmt.Sprintf(`{"message":"x","errors":[{"resource":%q,"field":%q,"code":%q}]}`, resource, field, code)
	}
	for name, tc := range map[string]struct {
		status int
		body   string
		want   provider.Meaning
	}{
		"bad client":              {400, answer("Application", "client_id", "invalid"), provider.AppRefused},
		"bad refresh token":       {400, answer("RefreshToken", "refresh_token", "invalid"), provider.GrantRefused},
		"bad code":                {400, answer("RequestToken", "code", "invalid"), provider.GrantRefused},
		"inactive application":    {403, answer("Application", "Status", "Inactive"), provider.AppRefused},
		"too many athletes":       {403, `{"message":"Limit of connected athletes exceeded"}`, provider.AppFull},
		"too many, as text":       {403, `Limit of connected athletes exceeded`, provider.AppFull},
		"a firewall's page":       {403, `<html><body>Application blocked</body></html>`, provider.Unclear},
		"forbidden, no reason":    {403, ``, provider.Unclear},
		"forbidden, as text":      {403, `{"message":"Forbidden","errors":"Application"}`, provider.Unclear},
		"forbidden to one":        {403, answer("Athlete", "", "invalid"), provider.Unclear},
		"rate limit":              {429, answer("Application", "overall rate limit", "exceeded"), provider.Unclear},
		"outage that names it":    {503, answer("Application", "Status", "Inactive"), provider.Unclear},
		"unauthorized, as a page": {401, `<html>`, provider.Unclear},
	} {
		if got := provider.StravaMeaning(tc.status, []byte(tc.body)); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// noSecret checks that the error contains no secret.
func noSecret(t *testing.T, err error, app credentials.App, pair credentials.TokenPair) {
	t.Helper()
	for _, s := range []secret.String{app.ClientSecret, pair.Access, pair.Refresh} {
		if strings.Contains(err.Error(), s.Reveal()) {
			t.Error("the error gives a secret away")
		}
	}
}

func TestUnusableResponsesAreTransientFaults(t *testing.T) {
	app := credentials.App{ClientID: "1", ClientSecret: secret.New("the-secret")}
	elsewhere := false
	for name, answer := range map[string]http.HandlerFunc{
		"no JSON":       func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"nothing in it": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) },
		"no refresh token": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"access_token":"a","expires_in":9}`))
		},
		"far too much":        func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, httpcall.MaxBody+1)) },
		"a status not listed": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			elsewhere = elsewhere || r.URL.Host == "elsewhere.test"
			http.Redirect(w, r, "http://elsewhere.test/token", http.StatusTemporaryRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := httpcall.NewClient()
			client.Transport = standin.InProcess(answer)
			for _, d := range []provider.Description{provider.Strava("http://idp.test", settings.RevocationRevoke), provider.Fitbit("http://idp.test", "http://idp.test")} {
				o := provider.NewOAuth(client, d, time.Now)
				if _, err := o.Refresh(t.Context(), app, secret.New("r")); !fault.Is(err, fault.Transient) {
					t.Errorf("%s: %v", d.Provider, err)
				}
				if _, err := o.Exchange(t.Context(), app, redirectURI, secret.New("c"), secret.New("v")); !fault.Is(err, fault.Transient) {
					t.Errorf("%s: %v", d.Provider, err)
				}
			}
		})
	}
	if elsewhere {
		t.Error("the client secret was carried to another host")
	}
}
