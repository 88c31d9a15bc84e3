package infra

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/infra/config"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/athletev1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// TestEventsReachTheirConsumers matches every event with the rules of every stack.
func TestEventsReachTheirConsumers(t *testing.T) {
	type consumers = []string
	for _, c := range []struct {
		fact event.Fact
		want consumers
	}{
		{credentialsv1.AthleteAuthorized{}, consumers{"Gathering", "AthletePlane", "ActivityPlane"}},
		{credentialsv1.AuthorizationDegraded{}, consumers{"Gathering", "AthletePlane", "ActivityPlane"}},
		{credentialsv1.AuthorizationRevoked{}, consumers{"Gathering", "AthletePlane", "ActivityPlane"}},
		{credentialsv1.ErasureCompleted{}, consumers{"AthletePlane"}},
		{credentialsv1.AccountLinked{}, consumers{"AthletePlane"}},
		{credentialsv1.AccountUnlinked{}, consumers{"AthletePlane"}},
		{credentialsv1.WebhookConfigured{}, consumers{"Gathering"}},
		{gatheringv1.AthleteGathered{}, consumers{"AthletePlane"}},
		{gatheringv1.ActivitiesGathered{}, consumers{"ActivityPlane"}},
		{gatheringv1.ActivityGone{}, consumers{"ActivityPlane"}},
		{gatheringv1.ScanProgressed{}, consumers{"ActivityPlane"}},
		{gatheringv1.DeauthorizationReported{}, consumers{"Credentials"}},
		{gatheringv1.ErasureCompleted{}, consumers{"AthletePlane"}},
		{athletev1.GatherRequested{}, consumers{"Gathering"}},
		{athletev1.ErasureRequested{}, consumers{"Credentials"}},
		{activityv1.ErasureCompleted{}, consumers{"AthletePlane"}},
		{activityv1.RemovalQuestioned{}, consumers{"Gathering"}},
	} {
		for _, stage := range stages {
			s := synth(t, stage)
			var got consumers
			for _, r := range s.resources("AWS::Events::Rule") {
				pattern := r.at("EventPattern")
				if slices.Contains(s.list(r.stack, at(pattern, "source")), c.fact.Source()) &&
					slices.Contains(s.list(r.stack, at(pattern, "detail-type")), c.fact.DetailType()) {
					got = append(got, r.stack)
				}
				for key := range pattern.(map[string]any) {
					if key != "source" && key != "detail-type" {
						t.Errorf("%s also matches %s", r, key)
					}
				}
				if bus := owner(s.text(r.stack, r.at("EventBusName"))); bus != s.find(t, "Platform", "AWS::Events::EventBus", "").String() {
					t.Errorf("%s listens to %s", r, bus)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("stage %s: consumers of %s from %s (-want +got):\n%s", stage, c.fact.DetailType(), c.fact.Source(), diff)
			}
		}
	}
}

func TestTheArchiveHoldsAllEventsExceptReadings(t *testing.T) {
	s := synth(t, config.Prod)
	pattern := s.text("Platform", s.find(t, "Platform", "AWS::Events::Archive", "").at("EventPattern"))
	want := `{"detail-type":[{"anything-but":["AthleteGathered.v1","ActivitiesGathered.v1","ActivityGone.v1","RemovalQuestioned.v1"]}],"source":[{"prefix":"paceline."}]}`
	if pattern != want {
		t.Errorf("the archive takes %s", pattern)
	}
}
