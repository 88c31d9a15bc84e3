package aws_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/ddb"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	"github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/pkg/gathering/quota"
	vendor "github.com/paceline/paceline/pkg/gathering/strava"
	"github.com/paceline/paceline/pkg/gathering/wiring"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/strava"
)

const stormKey, stormSubscription = "callback-key", 120475

// storm is the gathering boundary over its real table and the Strava stand-in.
type storm struct {
	t      *testing.T
	clock  *standin.ManualClock
	strava *strava.Server
	client *http.Client
	tokens map[int64]string
	table  *ddb.Table
	bus    *eventtest.Bus

	metrics  *kittest.Metrics
	receiver *gathering.WebhookReceiver
	gatherer *gathering.Gatherer
}

func newStorm(t *testing.T) *storm {
	clock := standin.NewManualClock(time.Date(2026, 11, 22, 10, 1, 0, 0, time.UTC))
	s := &storm{
		t: t, clock: clock, tokens: map[int64]string{},
		strava: strava.New(strava.Config{Clock: clock, Seed: 1, Athletes: strava.Generate(9, 8, clock.Now()), Settings: strava.Settings{
			ReadLimit: strava.Limit{10_000, 100_000}, OverallLimit: strava.Limit{20_000, 200_000},
		}}),
	}
	t.Cleanup(s.strava.Close)
	s.client = &http.Client{Transport: standin.InProcess(s.strava)}
	name := gatheringTable(t)
	s.table = ddb.New(dynamodb.NewFromConfig(mustConfig(t)), name)
	memory := gatheringtest.NewMemory()
	s.bus, s.metrics = memory.Bus, memory.Metrics
	fakes := memory.Ports(clock.Now)
	ports := wiring.Storage(mustConfig(t), name)
	ports.Events, ports.Strava = fakes.Events, vendor.New(s.forward, clock.Now)
	ports.Waker, ports.Publisher, ports.Metrics, ports.Log = fakes.Waker, fakes.Publisher, fakes.Metrics, fakes.Log
	s.gatherer, s.receiver = ports.Gatherer(), ports.Receiver()
	err := ports.Configuration().Configure(t.Context(), gathering.Webhook{
		CallbackKeySHA256: secret.New(stormKey).SHA256(), SubscriptionID: stormSubscription, Version: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	authorizations := ports.Authorizations()
	for _, a := range s.strava.Athletes() {
		s.authorize(a.ID)
		if err := authorizations.Begin(t.Context(), event.Meta{OccurredAt: clock.Now()}, gathering.Authorization{AthleteID: a.ID, Generation: 1_700_000_000_000}); err != nil {
			t.Fatal(err)
		}
	}
	s.pass(5)
	return s
}

func (s *storm) authorize(id int64) {
	s.t.Helper()
	code, err := s.strava.Authorize(id, "read", "activity:read", "activity:read_all")
	if err != nil {
		s.t.Fatal(err)
	}
	clientID, clientSecret := s.strava.Client()
	res, err := s.client.PostForm("http://strava.test/oauth/token", url.Values{
		"client_id": {strconv.FormatInt(clientID, 10)}, "client_secret": {clientSecret}, "grant_type": {"authorization_code"}, "code": {code},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		s.t.Fatal(err)
	}
	s.tokens[id] = answer.AccessToken
}

// forward stands for the requester.
func (s *storm) forward(ctx context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
	query := url.Values{}
	for k, v := range req.Query {
		query.Set(k, v)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://strava.test/api/v3"+req.Path+"?"+query.Encode(), nil)
	if err != nil {
		return credentialsv1.ForwardResponse{}, err
	}
	r.Header.Set("Authorization", "Bearer "+s.tokens[req.AthleteID])
	res, err := s.client.Do(r)
	if err != nil {
		return credentialsv1.ForwardResponse{}, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	header := map[string]string{}
	for name := range res.Header {
		header[name] = res.Header.Get(name)
	}
	return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeAnswered, Status: res.StatusCode, Header: header, Body: string(body)}, err
}

// pass lets minutes pass; in each of them two gatherers run at once.
func (s *storm) pass(minutes int) {
	for range minutes {
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if _, err := s.gatherer.Run(context.WithoutCancel(s.t.Context()), s.clock.Now().Add(time.Minute)); err != nil {
					s.t.Error(err)
				}
			})
		}
		wg.Wait()
		s.clock.Advance(time.Minute)
	}
}

// events has athletes record, rename and delete activities, and returns the
// webhook events: a fifth of them twice, a fifth in another order, and one in
// twenty forged.
func (s *storm) events(rng *rand.Rand, total int) (events []gathering.WebhookEvent) {
	athletes := s.strava.Athletes()
	must := func(err error) {
		if err != nil {
			s.t.Fatal(err)
		}
	}
	for len(events) < total*3/4 {
		id := athletes[rng.IntN(len(athletes))].ID
		n := gathering.WebhookEvent{ObjectType: "activity", OwnerID: id, SubscriptionID: stormSubscription, EventTime: s.clock.Now().Unix() + int64(len(events))}
		truth, err := s.strava.Activities(id)
		must(err)
		switch k := rng.IntN(10); {
		case k < 5 || len(truth) == 0:
			n.AspectType = gathering.AspectCreate
			n.ObjectID, err = s.strava.AddActivity(id, strava.NewActivity{Start: s.clock.Now().Add(-time.Duration(rng.IntN(2400)) * time.Hour)})
		case k < 8:
			name := fmt.Sprint("Renamed ", len(events))
			n.AspectType, n.ObjectID, n.Updates = gathering.AspectUpdate, truth[rng.IntN(len(truth))].ID, map[string]any{"title": name}
			err = s.strava.EditActivity(id, n.ObjectID, strava.Edit{Name: &name})
		default:
			n.AspectType, n.ObjectID = gathering.AspectDelete, truth[rng.IntN(len(truth))].ID
			err = s.strava.DeleteActivity(id, n.ObjectID)
		}
		must(err)
		events = append(events, n)
	}
	genuine := len(events)
	for range total / 5 {
		events = append(events, events[rng.IntN(genuine)])
	}
	for range total / 20 {
		n := events[rng.IntN(genuine)]
		n.EventTime += 10_000
		switch rng.IntN(4) {
		case 0:
			n.AspectType = gathering.AspectDelete
		case 1:
			n.ObjectID = 1
		case 2:
			n.OwnerID = 99
		case 3:
			n.SubscriptionID++
		}
		events = append(events, n)
	}
	for range len(events) / 5 {
		i, k := rng.IntN(len(events)), rng.IntN(len(events))
		events[i], events[k] = events[k], events[i]
	}
	return events
}

// published returns the names of the athlete's activities by id, as a plane that
// believes every scan shows them: the newest reading of each, without those that
// a later scan covers but did not find.
func (s *storm) published(t *testing.T, id int64) map[int64]string {
	type seen struct {
		at, start time.Time
		name      string
		gone      bool
	}
	held := map[int64]seen{}
	for _, e := range s.bus.Events() {
		switch f := e.Fact.(type) {
		case gatheringv1.ActivitiesGathered:
			for _, a := range f.Activities {
				if f.AthleteID == id && !f.ReadAt.Before(held[a.ID].at) {
					start, err := time.Parse(time.RFC3339, a.StartDate)
					if err != nil {
						t.Error(err)
					}
					held[a.ID] = seen{at: f.ReadAt, start: start, name: a.Name}
				}
			}
		case gatheringv1.ActivityGone:
			if f.AthleteID == id && !f.ReadAt.Before(held[f.ActivityID].at) {
				held[f.ActivityID] = seen{at: f.ReadAt, gone: true}
			}
		case gatheringv1.ScanProgressed:
			if f.AthleteID == id && f.State == gatheringv1.ScanCompleted {
				for a, h := range held {
					covered := slices.ContainsFunc(f.Covered, func(s gatheringv1.Span) bool { return s.Contains(h.start) })
					if !h.gone && covered && h.at.Before(*f.StartedAt) {
						delete(held, a)
					}
				}
			}
		}
	}
	names := map[int64]string{}
	for id, h := range held {
		if !h.gone {
			names[id] = h.name
		}
	}
	return names
}

func TestAfterAStormOfWebhooksAllActivitiesAreCurrent(t *testing.T) {
	s := newStorm(t)
	events := s.events(rand.New(rand.NewPCG(1, 2)), 2000)
	// Eight webhooks at once, while gatherers run.
	var wg sync.WaitGroup
	var stored sync.Map
	for worker := range 8 {
		wg.Go(func() {
			for i := worker; i < len(events); i += 8 {
				n := events[i]
				err := s.receiver.Receive(context.WithoutCancel(t.Context()), stormKey, n)
				for fault.Is(err, fault.Transient) { // As Strava does.
					stored.Store("repeated", true)
					err = s.receiver.Receive(context.WithoutCancel(t.Context()), stormKey, n)
				}
				if err != nil && (n.SubscriptionID == stormSubscription || !fault.Is(err, fault.Invalid)) {
					t.Errorf("%+v: %v", n, err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
			s.pass(1)
		}
	}
	s.pass(45)

	for _, a := range s.strava.Athletes() {
		truth, err := s.strava.Activities(a.ID)
		if err != nil {
			t.Fatal(err)
		}
		got := s.published(t, a.ID)
		for _, activity := range truth {
			var summary struct {
				Name string `json:"name"`
			}
			if err := json.Unmarshal(activity.Summary, &summary); err != nil {
				t.Fatal(err)
			}
			if name, ok := got[activity.ID]; !ok || name != summary.Name {
				t.Errorf("athlete %d, activity %d: published %v %q, at Strava it is %q", a.ID, activity.ID, ok, name, summary.Name)
			}
		}
		if len(got) != len(truth) {
			t.Errorf("athlete %d: %d activities of %d", a.ID, len(got), len(truth))
		}
	}
	for _, class := range []quota.Class{quota.Leave, quota.Webhook, quota.Interactive, quota.Backfill, quota.Reconcile} {
		if w, err := s.table.Waiting(t.Context(), class, s.clock.Now()); err != nil || w.Count != 0 {
			t.Errorf("%d jobs of class %s are due, error %v", w.Count, class, err)
		}
	}
	_, repeated := stored.Load("repeated")
	t.Logf("%d events: %d delivered, %d duplicates, %d unknown, %d rejected, some repeated: %v; %d work failed", len(events),
		s.metrics.Of(metric.WebhookEvents), s.metrics.Of(metric.WebhookDuplicates), s.metrics.Of(metric.WebhookUnknown),
		s.metrics.Of(metric.WebhookRejected), repeated, s.metrics.Of(metric.Failed))
	if n := s.metrics.Of(metric.Quarantined) + s.metrics.Of(metric.Failed); n != 0 {
		t.Errorf("%d jobs failed or were quarantined", n)
	}
}
