package handler_test

import (
	"math"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/activity/handler"
	"github.com/paceline/paceline/pkg/kit/consume"
)

// The samples of the consumed events arrive as messages of the queue.
func TestEventsOfTheContracts(t *testing.T) {
	ports := activitytest.NewPorts(func() time.Time { return time.Date(2026, 11, 20, 13, 0, 0, 0, time.UTC) })
	store := ports.Store
	handle := consume.Handler(discard, handler.EventRoutes(ports.Recorder())...)
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
		if d := cmp.Diff([]int{step.held, step.gathered}, []int{store.Held(athleteID), s.Progress(time.Time{}).Gathered}); d != "" {
			t.Errorf("after %s (-want +got)\n%s", step.sample, d)
		}
	}
	published := ports.Bus.Events()
	if len(published) != 1 || published[0].Fact.DetailType() != "ErasureCompleted.v1" || published[0].Meta.CausationID == "" {
		t.Errorf("published %+v", published)
	}
}
