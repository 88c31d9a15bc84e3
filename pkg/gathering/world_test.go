package gathering_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	vendor "github.com/paceline/paceline/pkg/gathering/strava"
	"github.com/paceline/paceline/test/strava"
)

// world is the gathering boundary over memory and the Strava stand-in, with a
// clock that only tests move. In place of the requester it holds access tokens
// of its own.
type world struct {
	t      *testing.T
	clock  *strava.ManualClock
	strava *strava.Server
	client *http.Client
	store  *gatheringtest.Store
	queue  *gatheringtest.Queue
	bus    *eventtest.Bus
	tokens map[int64]string
	// outcome, when not empty, is what the requester answers to everything.
	outcome string

	gatherer       *gathering.Gatherer
	authorizations *gathering.Authorizations
}

const generation = 1_700_000_000_000

func newWorld(t *testing.T, settings strava.Settings, athletes ...strava.Athlete) *world {
	clock := strava.NewManualClock(time.Date(2026, 11, 22, 10, 1, 0, 0, time.UTC))
	if athletes == nil {
		athletes = strava.Generate(1, 2, clock.Now())
	}
	w := &world{
		t: t, clock: clock, tokens: map[int64]string{},
		strava: strava.New(strava.Config{Clock: clock, Seed: 1, Athletes: athletes, Settings: settings}),
		store:  gatheringtest.NewStore(), queue: gatheringtest.NewQueue(clock.Now), bus: &eventtest.Bus{},
	}
	t.Cleanup(w.strava.Close)
	w.client = &http.Client{Transport: strava.InProcess(w.strava)}
	var ids atomic.Int64
	minter := event.Minter{Now: clock.Now, NewID: func() string { return "id-" + strconv.FormatInt(ids.Add(1), 10) }}
	w.gatherer = &gathering.Gatherer{
		Athletes: w.store, Pauses: w.store, Queue: w.queue, Publisher: w.bus, Minter: minter,
		Strava: vendor.New(w.forward, clock.Now), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	w.authorizations = &gathering.Authorizations{Athletes: w.store, Queue: w.queue, Publisher: w.bus, Minter: minter}
	return w
}

// forward stands for the requester.
func (w *world) forward(ctx context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
	if w.outcome != "" {
		return credentialsv1.ForwardResponse{Outcome: w.outcome}, nil
	}
	query := url.Values{}
	for k, v := range req.Query {
		query.Set(k, v)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://strava.test/api/v3"+req.Path+"?"+query.Encode(), nil)
	if err != nil {
		return credentialsv1.ForwardResponse{}, err
	}
	r.Header.Set("Authorization", "Bearer "+w.tokens[req.AthleteID])
	res, err := w.client.Do(r)
	if err != nil {
		return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeUnavailable}, nil
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return credentialsv1.ForwardResponse{}, err
	}
	header := map[string]string{}
	for _, name := range []string{"X-Ratelimit-Limit", "X-Ratelimit-Usage", "X-Readratelimit-Limit", "X-Readratelimit-Usage"} {
		header[name] = res.Header.Get(name)
	}
	return credentialsv1.ForwardResponse{
		Outcome: credentialsv1.OutcomeAnswered, Status: res.StatusCode, Header: header, Body: string(body),
	}, nil
}

// athlete is one of the stand-in's athletes' ids.
func (w *world) athlete(i int) int64 { return w.strava.Athletes()[i].ID }

// authorize gets an access token for the athlete at Strava.
func (w *world) authorize(id int64, scope ...string) {
	w.t.Helper()
	code, err := w.strava.Authorize(id, scope...)
	if err != nil {
		w.t.Fatal(err)
	}
	clientID, clientSecret := w.strava.Client()
	res, err := w.client.PostForm("http://strava.test/oauth/token", url.Values{
		"client_id": {strconv.FormatInt(clientID, 10)}, "client_secret": {clientSecret},
		"grant_type": {"authorization_code"}, "code": {code},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		w.t.Fatalf("no token: %v", err)
	}
	w.tokens[id] = answer.AccessToken
}

// begin authorizes the athlete and starts to gather.
func (w *world) begin(id int64) {
	w.t.Helper()
	w.authorize(id, "read", "activity:read", "activity:read_all")
	if err := w.authorizations.Begin(w.t.Context(), event.Meta{}, id, generation); err != nil {
		w.t.Fatal(err)
	}
}

// work does every job that is due and returns how many failed.
func (w *world) work() (failed int) {
	for {
		job, ok := w.queue.Take()
		if !ok {
			return failed
		}
		if w.gatherer.Do(w.t.Context(), job) != nil {
			failed++
		}
	}
}

// workUntilIdle lets time pass until no job is left.
func (w *world) workUntilIdle() {
	w.t.Helper()
	for range 10_000 {
		w.work()
		due, ok := w.queue.NextDue()
		if !ok {
			return
		}
		w.clock.Advance(due.Sub(w.clock.Now()))
	}
	w.t.Fatal("the work never ends")
}
