package provider_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	vendor "github.com/paceline/paceline/pkg/credentials/strava"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/strava"
)

// revocationFixture is one athlete who has authorized, and the wire to Strava.
type revocationFixture struct {
	strava *strava.Server
	oauth  *provider.OAuth
	api    *provider.API
	app    credentials.App
	id     int64
	pair   credentials.TokenPair
	// sent is every request so far, without its body.
	sent []*http.Request
}

func newRevocationFixture(t *testing.T, revocation string) *revocationFixture {
	clock := standin.NewManualClock(time.Date(2026, 11, 22, 10, 1, 0, 0, time.UTC))
	p := &revocationFixture{strava: strava.New(strava.Config{Clock: clock, Seed: 1, Athletes: strava.Generate(1, 1, clock.Now())})}
	t.Cleanup(p.strava.Close)
	wire := standin.InProcess(p.strava)
	client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		p.sent = append(p.sent, r)
		return wire.RoundTrip(r)
	})}
	p.oauth = provider.NewOAuth(client, provider.Strava("http://strava.test/oauth/", revocation), clock.Now)
	p.api = vendor.NewAPI(client, "http://strava.test/api/v3")
	id, key := p.strava.Client()
	p.app = credentials.App{ClientID: strconv.FormatInt(id, 10), ClientSecret: secret.New(key)}
	p.id = p.strava.Athletes()[0].ID
	code, err := p.strava.Authorize(p.id, "read", "activity:read")
	if err != nil {
		t.Fatal(err)
	}
	auth, err := p.oauth.Exchange(t.Context(), p.app, redirectURI, secret.New(code), secret.String{})
	if err != nil {
		t.Fatal(err)
	}
	p.pair = auth.Tokens
	return p
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (p *revocationFixture) connected() bool { return p.strava.Athletes()[0].Connected }

func TestRevocation(t *testing.T) {
	for _, revocation := range settings.Revocations {
		t.Run(revocation, func(t *testing.T) {
			p := newRevocationFixture(t, revocation)
			if err := p.oauth.Revoke(t.Context(), p.app, p.pair); err != nil || p.connected() {
				t.Fatalf("connected: %v, %v", p.connected(), err)
			}
			if last := p.sent[len(p.sent)-1]; last.Method != http.MethodPost || last.URL.Path != "/oauth/"+revocation {
				t.Errorf("asked %s %s", last.Method, last.URL.Path)
			}
			// Again, with tokens that are invalid now.
			err := p.oauth.Revoke(t.Context(), p.app, p.pair)
			if want := map[string]error{settings.RevocationDeauthorize: credentials.ErrAccessTokenInvalid}[revocation]; !errors.Is(err, want) {
				t.Errorf("invalid tokens: %v", err)
			}
			for _, kind := range []strava.FaultKind{strava.Fault500, strava.Fault502, strava.Fault503, strava.Fault597, strava.Fault429, strava.FaultReset, strava.FaultDrop, strava.Fault200HTML, strava.Fault200Message} {
				if err := p.strava.Inject(strava.Fault{Endpoint: revocation, Kind: kind}); err != nil {
					t.Fatal(err)
				}
				if err := p.oauth.Revoke(t.Context(), p.app, p.pair); !fault.Is(err, fault.Transient) {
					t.Errorf("%s: %v", kind, err)
				}
			}
		})
	}
}

func TestRevocationByARefreshTokenWithAnInvalidAccessToken(t *testing.T) {
	p := newRevocationFixture(t, settings.RevocationRevoke)
	if err := p.strava.SetTokenLife(p.id, -time.Second); err != nil {
		t.Fatal(err)
	}
	if err := p.oauth.Revoke(t.Context(), p.app, p.pair); err != nil || p.connected() {
		t.Fatalf("connected: %v, %v", p.connected(), err)
	}
}

// TestTokensNeverTravelInURLs: Strava takes them in the query of some calls
// until June 2027, and access logs keep URLs.
func TestTokensNeverTravelInURLs(t *testing.T) {
	for _, revocation := range settings.Revocations {
		p := newRevocationFixture(t, revocation)
		fresh, err := p.oauth.Refresh(t.Context(), p.app, p.pair.Refresh)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.api.Get(t.Context(), fresh.Access, "/athlete/activities", map[string]string{"per_page": "1"}); err != nil {
			t.Fatal(err)
		}
		if err := p.oauth.Revoke(t.Context(), p.app, fresh); err != nil {
			t.Fatal(err)
		}
		if len(p.sent) < 4 {
			t.Fatalf("%d requests", len(p.sent))
		}
		secrets := p.strava.Secrets()
		for _, r := range p.sent {
			for _, token := range append(append(secrets.AccessTokens, secrets.RefreshTokens...), secrets.ClientSecret) {
				if strings.Contains(r.URL.String(), token) {
					t.Errorf("%s %s carries a secret in its URL", r.Method, r.URL.Path)
				}
			}
		}
	}
}

func TestStravaThatIsTooSlowIsATransientFault(t *testing.T) {
	p := newRevocationFixture(t, settings.RevocationRevoke)
	if err := p.strava.Inject(strava.Fault{Endpoint: "any", Kind: strava.FaultHang, Count: -1}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.oauth.Refresh(ctx, p.app, p.pair.Refresh); !fault.Is(err, fault.Transient) {
		t.Errorf("refresh: %v", err)
	}
	if _, err := p.api.Get(ctx, p.pair.Access, "/athlete", nil); !fault.Is(err, fault.Transient) {
		t.Errorf("call: %v", err)
	}
}
