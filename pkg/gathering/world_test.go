package gathering_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	vendor "github.com/paceline/paceline/pkg/gathering/strava"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/strava"
)

// world is the gathering boundary over memory and the Strava stand-in, with a
// clock that only tests move. In place of the requester it holds access tokens
// of its own.
type world struct {
	ports   gathering.Ports
	t       *testing.T
	clock   *standin.ManualClock
	strava  *strava.Server
	client  *http.Client
	store   *gatheringtest.Store
	wakeups *gatheringtest.Waker
	metrics *kittest.Metrics
	bus     *eventtest.Bus
	planes  *planes
	tokens  map[int64]string
	// outcome, when not empty, is what the requester answers to everything.
	outcome string

	receiver       *gathering.WebhookReceiver
	gatherer       *gathering.Gatherer
	authorizations *gathering.Authorizations
	configuration  *gathering.Configuration
}

const (
	generation   = 1_700_000_000_000
	callbackKey  = "the-callback-key"
	verifyToken  = "the-verify-token"
	subscription = 120475
)

func configured(subscriptionID, version int64) gathering.Webhook {
	return gathering.Webhook{
		CallbackKeySHA256: secret.New(callbackKey).SHA256(), VerifyTokenSHA256: secret.New(verifyToken).SHA256(),
		SubscriptionID: subscriptionID, Version: version,
	}
}

func authorization(athleteID, generation int64) gathering.Authorization {
	return gathering.Authorization{AthleteID: athleteID, Generation: generation}
}

// start is when the world begins.
var start = time.Date(2026, 11, 22, 10, 1, 0, 0, time.UTC)

// histories are athletes with so many activities each, a day apart.
func histories(sizes ...int) (athletes []strava.Athlete) {
	for i, n := range sizes {
		id := 7_000_001 + i
		list := []string{}
		for k := range n {
			at := start.Add(-time.Duration(k+1) * 24 * time.Hour).Format(time.RFC3339)
			list = append(list, fmt.Sprintf(`{"id":%d,"resource_state":2,"athlete":{"id":%d,"resource_state":1},"name":"Ride %d","distance":1000.5,`+
				`"moving_time":100,"elapsed_time":100,"total_elevation_gain":1,"type":"Ride","sport_type":"Ride","start_date":%q,"start_date_local":%q,`+
				`"timezone":"(GMT+00:00) UTC","utc_offset":0,"visibility":"everyone","private":false,`+
				`"start_latlng":[1.5,2.5],"end_latlng":[1.5,2.5],"map":{"summary_polyline":"SYNTHETICPOLYLINE"},"location_city":"Here"}`,
				100_000_000*i+n-k, id, k, at, at))
		}
		a, err := strava.LoadHistory(strings.NewReader("[" + strings.Join(list, ",") + "]"))
		if err != nil {
			panic(err)
		}
		athletes = append(athletes, a)
	}
	return athletes
}

// plenty are limits that only tests of the limits reach.
var plenty = strava.Settings{ReadLimit: strava.Limit{10_000, 100_000}, OverallLimit: strava.Limit{20_000, 200_000}}

func newWorld(t *testing.T, settings strava.Settings, athletes ...strava.Athlete) *world {
	clock := standin.NewManualClock(start)
	if athletes == nil {
		athletes = strava.Generate(1, 2, clock.Now())
	}
	memory := gatheringtest.NewMemory()
	w := &world{
		t: t, clock: clock, tokens: map[int64]string{}, ports: memory.Ports(clock.Now),
		strava: strava.New(strava.Config{Clock: clock, Seed: 1, Athletes: athletes, Settings: settings}),
		store:  memory.Store, wakeups: memory.Waker, metrics: memory.Metrics, bus: memory.Bus,
	}
	t.Cleanup(w.strava.Close)
	w.planes = &planes{t: t, Bus: w.bus, held: map[int64]map[int64]reading{}, chunks: map[string]int{}, complete: map[int64]bool{}}
	w.client = &http.Client{Transport: standin.InProcess(w.strava)}
	w.ports.Strava = vendor.New(w.forward, clock.Now)
	w.gatherer, w.authorizations, w.receiver = w.ports.Gatherer(), w.ports.Authorizations(), w.ports.Receiver()
	w.gatherer.Publisher = w.planes
	w.configuration = w.ports.Configuration()
	w.configure(subscription, 1)
	return w
}

func (w *world) configure(subscriptionID, version int64) {
	w.t.Helper()
	if err := w.configuration.Configure(w.t.Context(), configured(subscriptionID, version)); err != nil {
		w.t.Fatal(err)
	}
}

// forward stands for the requester: a refused access token is renewed, and the
// call made once more.
func (w *world) forward(ctx context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
	res, err := w.forwardOnce(ctx, req)
	if err != nil || res.Status != http.StatusUnauthorized {
		return res, err
	}
	if res, err = w.forwardOnce(ctx, req); res.Status == http.StatusUnauthorized {
		res.Outcome, res.Status, res.Body = credentialsv1.OutcomeUnavailable, 0, ""
	}
	res.Calls++
	return res, err
}

func (w *world) forwardOnce(ctx context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
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
		return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeUnavailable, Calls: 1}, nil
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeUnavailable, Calls: 1}, nil
	}
	if res.StatusCode == http.StatusForbidden && strings.Contains(string(body), `"Application"`) {
		return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeApplication, Calls: 1}, nil
	}
	header := map[string]string{}
	for _, name := range []string{"X-Ratelimit-Limit", "X-Ratelimit-Usage", "X-Readratelimit-Limit", "X-Readratelimit-Usage", "Date"} {
		header[name] = res.Header.Get(name)
	}
	return credentialsv1.ForwardResponse{
		Outcome: credentialsv1.OutcomeAnswered, Status: res.StatusCode, Header: header, Body: string(body), Calls: 1,
	}, nil
}

// bend makes change alter every answer of the requester from now on.
func (w *world) bend(change func(credentialsv1.ForwardRequest, *credentialsv1.ForwardResponse)) {
	w.gatherer.Strava = vendor.New(func(ctx context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
		res, err := w.forward(ctx, req)
		change(req, &res)
		return res, err
	}, w.clock.Now)
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
	// Renewing tokens is the requester's business.
	if err := w.strava.SetTokenLife(id, 365*24*time.Hour); err != nil {
		w.t.Fatal(err)
	}
}

// news returns the metadata of an event that has just occurred.
func (w *world) news() event.Meta { return event.Meta{OccurredAt: w.clock.Now()} }

// begin authorizes the athlete and starts to gather.
func (w *world) begin(id int64) {
	w.t.Helper()
	w.authorize(id, "read", "activity:read", "activity:read_all")
	if err := w.authorizations.Begin(w.t.Context(), w.news(), authorization(id, generation)); err != nil {
		w.t.Fatal(err)
	}
}

// gather begins and works until the whole history is there.
func (w *world) gather(id int64) {
	w.t.Helper()
	w.begin(id)
	w.until("the history is gathered", func() bool { return w.completed(id) > 0 })
}

// completed is how many scans of the athlete are reported complete.
func (w *world) completed(id int64) (n int) {
	for _, p := range eventtest.Facts[gatheringv1.ScanProgressed](w.bus) {
		if p.AthleteID == id && p.State == gatheringv1.ScanCompleted {
			n++
		}
	}
	return n
}

// work does everything that can be done now.
func (w *world) work() {
	w.t.Helper()
	for range 10_000 {
		more, err := w.gatherer.Run(w.t.Context(), w.clock.Now().Add(time.Minute))
		if err != nil {
			w.t.Fatal(err)
		}
		if w.recheck() {
			continue
		}
		if !more {
			return
		}
	}
	w.t.Fatal("after 10,000 runs jobs are still due")
}

// recheck delivers the activity plane's questions and reports whether there
// were any.
func (w *world) recheck() bool {
	w.t.Helper()
	questions := w.planes.questions
	w.planes.questions = nil
	for _, q := range questions {
		if err := w.authorizations.Recheck(w.t.Context(), authorization(q.AthleteID, q.Generation), q.ScanID, q.Sample); err != nil {
			w.t.Fatal(err)
		}
	}
	return len(questions) > 0
}

// stepping returns a function that lets a gatherer make one call, which takes
// that long.
func (w *world) stepping(d time.Duration) func() {
	return func() {
		w.t.Helper()
		if _, err := w.gatherer.Step(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		w.clock.Advance(d)
	}
}

// pass lets time pass and a gatherer run every minute.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	for end := w.clock.Now().Add(d); ; {
		w.work()
		left := end.Sub(w.clock.Now())
		if left <= 0 {
			return
		}
		w.clock.Advance(min(left, time.Minute))
	}
}

// passSeconds lets time pass and a gatherer run every second.
func (w *world) passSeconds(d time.Duration) {
	w.t.Helper()
	for range d / time.Second {
		w.clock.Advance(time.Second)
		w.work()
	}
}

// until lets time pass until something is so.
func (w *world) until(what string, so func() bool) {
	w.t.Helper()
	for range 3 * 24 * 60 {
		w.work()
		if so() {
			return
		}
		w.clock.Advance(time.Minute)
	}
	w.t.Fatalf("not within three days: %s", what)
}

// event is the webhook event that Strava sends about an activity.
func (w *world) event(id, activityID int64, aspect string) gathering.WebhookEvent {
	return gathering.WebhookEvent{
		ObjectType: "activity", ObjectID: activityID, AspectType: aspect, OwnerID: id,
		SubscriptionID: subscription, EventTime: w.clock.Now().Unix(),
	}
}

// receive delivers a webhook event.
func (w *world) receive(n gathering.WebhookEvent) {
	w.t.Helper()
	if err := w.receiver.Receive(w.t.Context(), callbackKey, n); err != nil {
		w.t.Fatal(err)
	}
}

// truth returns the athlete's activities at Strava.
func (w *world) truth(id int64) []strava.Activity {
	w.t.Helper()
	list, err := w.strava.Activities(id)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func (w *world) lists(id int64) int { return w.strava.Counters().Total(strava.EndpointActivities, id) }

func (w *world) rereads(id int64) int { return w.strava.Counters().Total(strava.EndpointActivity, id) }

// answers counts the calls that Strava answered with a status.
func (w *world) answers(status int) (n int) {
	for _, c := range w.strava.Counters().Calls {
		if c.Status == status {
			n += c.Count
		}
	}
	return n
}

func (w *world) stored(id int64) gathering.Athlete {
	w.t.Helper()
	a, err := w.store.Athlete(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) inbox(id int64) gathering.Inbox {
	w.t.Helper()
	m, err := w.store.UpdateInbox(w.t.Context(), id, func(*gathering.Inbox) (bool, error) { return false, nil })
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// plane returns the athlete's activities in the activity plane.
func (w *world) plane(id int64) map[int64]gatheringv1.Activity {
	out := map[int64]gatheringv1.Activity{}
	for id, r := range w.planes.held[id] {
		if r.activity != nil {
			out[id] = *r.activity
		}
	}
	return out
}

// same checks that the published activities of the athlete are those at Strava.
func (w *world) same(id int64) {
	w.t.Helper()
	if err := w.differs(id); err != nil {
		w.t.Error(err)
	}
}

func (w *world) differs(id int64) error {
	got, truth := w.plane(id), w.truth(id)
	for _, a := range truth {
		var s struct {
			Name string `json:"name"`
		}
		if err := json.Unmarshal(a.Summary, &s); err != nil {
			w.t.Fatal(err)
		}
		if held, ok := got[a.ID]; !ok || held.Name != s.Name {
			return fmt.Errorf("athlete %d, activity %d: published %v %q, true is %q", id, a.ID, ok, held.Name, s.Name)
		}
	}
	if len(got) != len(truth) {
		return fmt.Errorf("athlete %d: %d activities of %d", id, len(got), len(truth))
	}
	return nil
}
