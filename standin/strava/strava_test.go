package strava_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/strava"
)

const (
	site     = "http://strava.test"
	clientID = 4711
	secret   = "the-client-secret"
	callback = "http://app.test/webhooks/strava/key"
)

var everyScope = []string{"read", "activity:read", "activity:read_all"}

// start is the beginning of a quarter hour in the middle of a day.
var start = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// world is a stand-in with its clock and a callback for its webhooks.
type world struct {
	*strava.Server
	t      *testing.T
	clock  *standin.ManualClock
	client *http.Client
	hook   *hook
}

// hook is the application's callback. By default it validates and returns 200.
type hook struct {
	answer http.HandlerFunc // nil for the default
	events []strava.Event
	header []http.Header
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.answer != nil {
		h.answer(w, r)
		return
	}
	if r.Method == http.MethodGet {
		echo(w, r)
		return
	}
	var e strava.Event
	if json.NewDecoder(r.Body).Decode(&e) == nil {
		h.events = append(h.events, e)
		h.header = append(h.header, r.Header)
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"hub.challenge": r.URL.Query().Get("hub.challenge")})
}

// newWorld has three generated athletes unless c names others.
func newWorld(t *testing.T, c strava.Config) *world {
	t.Helper()
	w := &world{t: t, clock: standin.NewManualClock(start), hook: &hook{}}
	c.Clock, c.Seed, c.ClientID, c.ClientSecret = w.clock, 1, clientID, secret
	if c.Athletes == nil {
		c.Athletes = strava.Generate(7, 3, start)
	}
	if c.Callbacks == nil {
		c.Callbacks = standin.InProcess(w.hook)
	}
	w.Server = strava.New(c)
	t.Cleanup(w.Close)
	w.client = &http.Client{
		Transport:     standin.InProcess(w.Server),
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

func (w *world) do(r *http.Request) reply {
	w.t.Helper()
	res, err := w.client.Do(r)
	if err != nil {
		w.t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(body)}
}

func (w *world) request(method, path, token string, body io.Reader) *http.Request {
	w.t.Helper()
	r, err := http.NewRequest(method, site+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

func (w *world) get(token, path string) reply {
	w.t.Helper()
	return w.do(w.request(http.MethodGet, path, token, nil))
}

func (w *world) post(path string, form url.Values) reply {
	w.t.Helper()
	r := w.request(http.MethodPost, path, "", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.do(r)
}

// tokens is a response of the token endpoint.
type tokens struct {
	TokenType string `json:"token_type"`
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	ExpiresAt int64  `json:"expires_at"`
	ExpiresIn int64  `json:"expires_in"`
}

func credentials(more ...string) url.Values {
	form := url.Values{"client_id": {fmt.Sprint(clientID)}, "client_secret": {secret}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

// exchange connects an athlete and returns the response.
func (w *world) exchange(athlete int64, scope ...string) reply {
	w.t.Helper()
	code, err := w.Authorize(athlete, scope...)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.post("/oauth/token", credentials("grant_type", "authorization_code", "code", code))
}

func (w *world) connect(athlete int64, scope ...string) tokens {
	w.t.Helper()
	return w.tokens(w.exchange(athlete, scope...))
}

func (w *world) refresh(token string) reply {
	w.t.Helper()
	return w.post("/oauth/token", credentials("grant_type", "refresh_token", "refresh_token", token))
}

func (w *world) tokens(r reply) tokens {
	w.t.Helper()
	if r.status != http.StatusOK {
		w.t.Fatalf("token endpoint: %d %s", r.status, r.body)
	}
	return decoded[tokens](w.t, r.body)
}

// subscribe creates a push subscription to the world's hook.
func (w *world) subscribe() strava.Subscription {
	w.t.Helper()
	r := w.post("/api/v3/push_subscriptions", credentials("callback_url", callback, "verify_token", "verify"))
	if r.status != http.StatusCreated {
		w.t.Fatalf("subscribe: %d %s", r.status, r.body)
	}
	return decoded[strava.Subscription](w.t, r.body)
}

// events delivers the due events and returns those since the last call.
func (w *world) events() []strava.Event {
	w.clock.Advance(0)
	events := w.hook.events
	w.hook.events = nil
	return events
}

func decoded[T any](t *testing.T, body string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return v
}

func (r reply) expect(t *testing.T, status int, body string) {
	t.Helper()
	if r.status != status || r.body != body {
		t.Errorf("got %d %s\nwant %d %s", r.status, r.body, status, body)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// fault is the body of a Strava error.
func fault(message, resource, field, code string) string {
	return fmt.Sprintf(`{"message":%q,"errors":[{"resource":%q,"field":%q,"code":%q}]}`, message, resource, field, code)
}

func badRequest(resource, field, code string) string {
	return fault("Bad Request", resource, field, code)
}

// serveWorld serves a world on a socket, for tests of connections.
func serveWorld(t *testing.T, c strava.Config) (*world, *httptest.Server) {
	t.Helper()
	w := newWorld(t, c)
	server := httptest.NewServer(w.Server)
	t.Cleanup(server.Close)
	return w, server
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}
