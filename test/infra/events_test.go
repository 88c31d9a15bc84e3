package infra

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
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

type consumers = []string

// consumersOf lists every event with the stacks that consume it.
var consumersOf = []struct {
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
}

// TestEventsReachTheirConsumers matches every event with the rules of every stack.
func TestEventsReachTheirConsumers(t *testing.T) {
	if unlisted := unlistedEvents(t, filepath.Join(root, "pkg/event")); len(unlisted) > 0 {
		t.Errorf("consumersOf lacks events that are declared: %v", unlisted)
	}
	for _, c := range consumersOf {
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

// declaredEvent matches the method by which a type becomes an [event.Fact].
var declaredEvent = regexp.MustCompile(`(?m)^func \((?:\w+ )?\*?(\w+)\) DetailType\(\)`)

// unlistedEvents returns the events, as package and type, that the packages below
// dir declare and that [consumersOf] does not list.
func unlistedEvents(t *testing.T, dir string) (unlisted []string) {
	t.Helper()
	listed := map[string]bool{}
	for _, c := range consumersOf {
		listed[reflect.TypeOf(c.fact).String()] = true
	}
	files, err := filepath.Glob(filepath.Join(dir, "*v[0-9]*", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("%s has no package of events", dir)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declaredEvent.FindAllSubmatch(source, -1) {
			name := filepath.Base(filepath.Dir(file)) + "." + string(m[1])
			if !listed[name] {
				unlisted = append(unlisted, name)
			}
		}
	}
	return unlisted
}

func TestAnEventThatIsNotListedIsNoticed(t *testing.T) {
	dir := t.TempDir()
	for file, source := range map[string]string{
		"activityv1/activityv1.go": "package activityv1\n\nfunc (RemovalQuestioned) DetailType() string { return RemovalQuestionedType }\n",
		"activityv1/added.go":      "package activityv1\n\nfunc (Added) DetailType() string { return AddedType }\n",
		"activityv2/activityv2.go": "package activityv2\n\nfunc (r RemovalQuestioned) DetailType() string { return RemovalQuestionedType }\n",
	} {
		file = filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := consumers{"activityv1.Added", "activityv2.RemovalQuestioned"}
	if got := unlistedEvents(t, dir); !slices.Equal(got, want) {
		t.Errorf("%v are noticed, want %v", got, want)
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
