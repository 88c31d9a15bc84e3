package handler_test

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	"github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/kit/consume"
)

// TestEventsOfTheContractsLeadToTheirUseCases: the queue delivers the samples
// of all events that are consumed.
func TestEventsOfTheContractsLeadToTheirUseCases(t *testing.T) {
	const athleteID, generation = 4242424, 1795175000123 // The samples'.
	now := time.Date(2026, 11, 20, 13, 0, 0, 0, time.UTC)
	memory := gatheringtest.NewMemory()
	store, bus, ports := memory.Store, memory.Bus, memory.Ports(func() time.Time { return now })
	handle := consume.Handler(ports.Log, handler.EventRoutes(ports.Authorizations(), ports.Configuration())...)
	athlete := func() gathering.Athlete {
		a, err := store.Athlete(t.Context(), athleteID)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	inbox := func() gathering.Inbox {
		m, err := store.UpdateInbox(t.Context(), athleteID, func(*gathering.Inbox) (bool, error) { return false, nil })
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	webhook := func() gathering.Webhook {
		w, err := store.Webhook(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	for _, step := range []struct {
		sample string
		done   func() bool
	}{
		{"credentialsv1/testdata/AthleteAuthorized.json", func() bool {
			return athlete().State == gathering.Active && athlete().Generation == generation && inbox().Generation == generation
		}},
		{"athletev1/testdata/GatherRequested.json", func() bool { return inbox().GatherRequested }},
		{"activityv1/testdata/RemovalQuestioned.json", func() bool {
			return inbox().Question.ScanID == strconv.Itoa(generation) && len(inbox().Hints) == 5 && inbox().Hints[0].ActivityID == 10853372529
		}},
		{"credentialsv1/testdata/AuthorizationDegraded.json", func() bool {
			return athlete().State == gathering.Degraded && len(inbox().Hints) == 0
		}},
		{"credentialsv1/testdata/AuthorizationRevoked.json", func() bool {
			f := eventtest.Facts[gatheringv1.ErasureCompleted](bus)
			return athlete().State == gathering.Revoked && inbox().Generation == 0 && len(f) == 1 && f[0].Receipt == "q3Zt9oV1mXcR7yLwKd2uH5sBf0aNgJePiTzCxE8vQ4M"
		}},
		{"credentialsv1/testdata/WebhookConfigured.json", func() bool {
			w := webhook()
			return w.SubscriptionID == 131300 && w.Version == 2 && w.CallbackKeySHA256 != "" && w.VerifyTokenSHA256 != "" && w.CallbackKeySHA256 != w.VerifyTokenSHA256
		}},
	} {
		body, err := os.ReadFile("../../event/" + step.sample)
		if err != nil {
			t.Fatal(err)
		}
		if step.done() {
			t.Errorf("%s: done before the event arrived", step.sample)
		}
		out, err := handle(context.Background(), events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m", Body: string(body)}}})
		if err != nil || len(out.BatchItemFailures) > 0 {
			t.Fatalf("%s: response %v, error %v", step.sample, out, err)
		}
		if !step.done() {
			t.Errorf("%s: athlete %+v, inbox %+v, webhook %+v", step.sample, athlete(), inbox(), webhook())
		}
	}
	for _, e := range bus.Events() {
		if e.Meta.CausationID == "" {
			t.Errorf("%s names no cause", e.Fact.DetailType())
		}
	}
}
