package handler_test

import (
	"context"
	"math"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/activity/handler"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/kit/consume"
)

type publisher []event.Event

func (p *publisher) Publish(_ context.Context, events ...event.Event) error {
	*p = append(*p, events...)
	return nil
}

// The samples of the events that are consumed come in as messages of the queue.
func TestEventsOfTheContracts(t *testing.T) {
	store, published := activitytest.NewStore(), &publisher{}
	handle := consume.Handler(quiet, handler.EventRoutes(&activity.Recorder{
		Store: store, Publisher: published,
		Events: event.Factory{
			Now:   func() time.Time { return time.Date(2026, 11, 20, 13, 0, 0, 0, time.UTC) },
			NewID: func() string { return "new" },
		},
	})...)
	const athleteID = 4242424 // the samples'
	for _, step := range []struct {
		sample   string
		held     int
		gathered int
	}{
		{"credentialsv1/testdata/AthleteAuthorized.json", 0, 0},
		{"gatheringv1/testdata/ActivitiesGathered.json", 2, 1},
		{"gatheringv1/testdata/ActivitiesGathered.single.json", 3, 1},
		{"gatheringv1/testdata/ScanProgressed.json", 3, 1},
		{"gatheringv1/testdata/ActivityGone.json", 3, 1},
		{"credentialsv1/testdata/AuthorizationRevoked.json", 0, 0},
	} {
		body, err := os.ReadFile("../../event/" + step.sample)
		if err != nil {
			t.Fatal(err)
		}
		out, err := handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m", Body: string(body)}}})
		if err != nil || len(out.BatchItemFailures) > 0 {
			t.Fatalf("%s: %v %v", step.sample, out, err)
		}
		s, err := store.Sync(t.Context(), activity.Authorization{AthleteID: athleteID, Generation: math.MaxInt64})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]int{step.held, step.gathered}, []int{store.Held(athleteID), s.Status(time.Time{}).Gathered}); d != "" {
			t.Errorf("after %s (-want +got)\n%s", step.sample, d)
		}
	}
	if len(*published) != 1 || (*published)[0].Fact.DetailType() != "ErasureCompleted.v1" || (*published)[0].Meta.CausationID == "" {
		t.Errorf("published %+v", *published)
	}
}
