package fitbit_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/fitbit"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/httpcall"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin"
	fitbitstandin "github.com/paceline/paceline/standin/fitbit"
)

const (
	user    = "GGNJL9"
	profile = "/1/user/-/profile.json"
	day     = "/1/user/-/activities/date/2026-11-21.json"
)

// world is the stand-in with one person, who allowed the scope activity, and the
// adapter under test.
type world struct {
	*fitbitstandin.Server
	t      *testing.T
	clock  *standin.ManualClock
	client *http.Client
	access secret.String
	// sent is the last request.
	sent *http.Request
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func newWorld(t *testing.T) *world {
	clock := standin.NewManualClock(time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC))
	w := &world{Server: fitbitstandin.New(fitbitstandin.Config{Now: clock.Now, HourlyLimit: 3}), t: t, clock: clock, client: httpcall.NewClient()}
	t.Cleanup(w.Close)
	wire := standin.InProcess(w)
	w.client.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		w.sent = r
		return wire.RoundTrip(r)
	})
	w.access = w.connect()
	return w
}

// connect speaks OAuth by hand, so that this test knows of no other adapter.
func (w *world) connect() secret.String {
	w.t.Helper()
	const redirect, verifier = "http://localhost/callback", "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
	id, key := w.Client()
	challenge := sha256.Sum256([]byte(verifier))
	res, err := w.client.Get("http://fitbit.test/oauth2/authorize?" + url.Values{
		"client_id": {id}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"activity"}, "as_user": {user},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode())
	if err != nil {
		w.t.Fatal(err)
	}
	_ = res.Body.Close()
	back, err := res.Location()
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := httpcall.Form(http.MethodPost, "http://fitbit.test/oauth2/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {redirect}, "code_verifier": {verifier},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	req.SetBasicAuth(id, key)
	answer, err := httpcall.Do(w.t.Context(), w.client, time.Minute, req)
	if err != nil {
		w.t.Fatal(err)
	}
	var tokens struct {
		Access string `json:"access_token"`
	}
	if err := json.Unmarshal(answer.Body, &tokens); err != nil || tokens.Access == "" {
		w.t.Fatalf("status %d, %v", answer.Status, err)
	}
	return secret.New(tokens.Access)
}

func (w *world) get(path string) (credentials.APIResponse, error) {
	return fitbit.NewAPI(w.client, "http://fitbit.test/").Get(w.t.Context(), w.access, path, nil)
}

func (w *world) mustGet(path string) credentials.APIResponse {
	w.t.Helper()
	answer, err := w.get(path)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer
}

func TestADayIsReturnedWithItsRateLimit(t *testing.T) {
	w := newWorld(t)
	answer := w.mustGet(day)
	var got fitbitstandin.Day
	if err := json.Unmarshal(answer.Body, &got); err != nil || answer.Status != http.StatusOK || answer.Refused != nil || !answer.Sent {
		t.Fatalf("%d, %v, %v", answer.Status, answer.Refused, err)
	}
	if want, err := w.Day(user, "2026-11-21"); err != nil || got.Summary.Steps != want.Summary.Steps {
		t.Errorf("%d steps, not %d; %v", got.Summary.Steps, want.Summary.Steps, err)
	}
	for name, want := range map[string]string{"Fitbit-Rate-Limit-Limit": "3", "Fitbit-Rate-Limit-Remaining": "2", "Fitbit-Rate-Limit-Reset": "1800"} {
		if answer.Header[name] != want {
			t.Errorf("%s is %q", name, answer.Header[name])
		}
	}
	if len(answer.Header) != 3 {
		t.Errorf("header fields that no caller needs: %v", answer.Header)
	}
}

func TestRefusalsSayWhy(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(*world)
		path    string
		status  int
		want    error
	}{
		"an expired token":  {func(w *world) { w.clock.Advance(8 * time.Hour) }, day, 401, credentials.ErrAccessTokenInvalid},
		"a revoked token":   {func(w *world) { w.mustDeauthorize() }, day, 401, credentials.ErrAccessTokenInvalid},
		"no scope for it":   {func(*world) {}, profile, 403, credentials.ErrInsufficientScope},
		"no such path":      {func(*world) {}, "/1/user/-/sleep.json", 404, nil},
		"a day that isn't":  {func(*world) {}, "/1/user/-/activities/date/x.json", 400, nil},
		"maintenance":       {func(w *world) { w.mustInject(fitbitstandin.Fault{Status: 502, Body: "<html>"}) }, day, 502, nil},
		"a firewall's page": {func(w *world) { w.mustInject(fitbitstandin.Fault{Status: 401, Body: "<html>"}) }, day, 401, nil},
	} {
		w := newWorld(t)
		tc.prepare(w)
		answer := w.mustGet(tc.path)
		if answer.Status != tc.status || !errors.Is(answer.Refused, tc.want) || (answer.Refused == nil) != (tc.want == nil) {
			t.Errorf("%s: status %d, refused: %v", name, answer.Status, answer.Refused)
		}
	}
}

func TestARateLimitIsNoRefusal(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		w.mustGet(day)
	}
	answer := w.mustGet(day)
	if answer.Status != http.StatusTooManyRequests || answer.Refused != nil || answer.Header["Retry-After"] != "1800" || answer.Header["Fitbit-Rate-Limit-Remaining"] != "0" {
		t.Errorf("%d, %v, %v", answer.Status, answer.Refused, answer.Header)
	}
}

func TestAMissingResponseIsATransientFault(t *testing.T) {
	for _, kind := range []fitbitstandin.FaultKind{fitbitstandin.FaultReset, fitbitstandin.FaultDrop} {
		w := newWorld(t)
		w.mustInject(fitbitstandin.Fault{Kind: kind})
		answer, err := w.get(day)
		if !fault.Is(err, fault.Transient) || !answer.Sent {
			t.Errorf("%s: sent %v, %v", kind, answer.Sent, err)
		} else if strings.Contains(err.Error(), w.access.Reveal()) {
			t.Errorf("%s: the error gives the token away", kind)
		}
	}
}

func TestTheTokenTravelsInTheHeaderOnly(t *testing.T) {
	w := newWorld(t)
	w.mustGet(day)
	if strings.Contains(w.sent.URL.String(), w.access.Reveal()) || w.sent.Header.Get("Authorization") != "Bearer "+w.access.Reveal() || w.sent.URL.Path != day {
		t.Errorf("asked %s", w.sent.URL.Path)
	}
}

func (w *world) mustDeauthorize() {
	if err := w.Deauthorize(user); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) mustInject(f fitbitstandin.Fault) {
	if err := w.Inject(f); err != nil {
		w.t.Fatal(err)
	}
}
