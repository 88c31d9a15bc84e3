package sim

import (
	"bytes"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func mustLoadDeployment(t *testing.T) *deployment {
	t.Helper()
	d, err := loadDeployment()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// templateFiles returns the templates of stage prod by their stacks.
func templateFiles(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := readTemplates()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestTheDeploymentHasEveryFunction(t *testing.T) {
	folders, err := filepath.Glob(filepath.Join(moduleRoot(), "functions/*/*/main.go"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, f := range folders {
		name, _ := filepath.Rel(filepath.Join(moduleRoot(), "functions"), filepath.Dir(f))
		want = append(want, filepath.ToSlash(name))
	}
	d := mustLoadDeployment(t)
	if got := slices.Sorted(maps.Keys(d.functions)); !slices.Equal(got, want) {
		t.Errorf("functions %v, want %v", got, want)
	}
	for name, f := range d.functions {
		if f.name != name || f.timeout < 5*time.Second {
			t.Errorf("function %s: %+v", name, f)
		}
	}
}

// TestTheDeploymentHasAllOfTheTemplates counts the resources by a plain search.
func TestTheDeploymentHasAllOfTheTemplates(t *testing.T) {
	d := mustLoadDeployment(t)
	all := slices.Concat(slices.Collect(maps.Values(templateFiles(t)))...)
	for kind, got := range map[string]int{
		"Lambda::Function":           len(d.functions) + 1, // and the CDK's own
		"Lambda::EventSourceMapping": len(d.queues),
		"SQS::Queue":                 2 * len(d.queues), // each with dead letters
		"Events::Rule":               len(d.rules),
		"Scheduler::Schedule":        len(d.schedules),
		"ApiGatewayV2::Route":        len(d.routes),
	} {
		if want := bytes.Count(all, []byte(`"Type": "AWS::`+kind+`"`)); got != want || got == 0 {
			t.Errorf("%d of %d resources of type %s are there", got, want, kind)
		}
	}
}

func TestQueuesHaveTheirReaders(t *testing.T) {
	d := mustLoadDeployment(t)
	const day = 24 * time.Hour
	want := map[string]*queueSpec{
		"credentials/ConsumerEventsQueue": {
			name: "credentials/ConsumerEventsQueue", visibility: 270 * time.Second, retention: 4 * day, maxReceives: 5,
			reader: "credentials/handle-events", batchSize: 1,
		},
		"gathering/ConsumerEventsQueue": {
			name: "gathering/ConsumerEventsQueue", visibility: 180 * time.Second, retention: 4 * day, maxReceives: 5,
			reader: "gathering/handle-events", batchSize: 10,
		},
		"gathering/WorkQueue": {
			name: "gathering/WorkQueue", visibility: 30 * time.Minute, retention: 4 * day, maxReceives: 5,
			reader: "gathering/gather-work", batchSize: 10, maxConcurrency: 4,
		},
		"athlete/ConsumerEventsQueue": {
			name: "athlete/ConsumerEventsQueue", visibility: 180 * time.Second, retention: 4 * day, maxReceives: 5,
			reader: "athlete/handle-events", batchSize: 10,
		},
		"activity/ConsumerEventsQueue": {
			name: "activity/ConsumerEventsQueue", visibility: 6 * time.Minute, retention: 4 * day, maxReceives: 5,
			reader: "activity/handle-events", batchSize: 10,
		},
	}
	if diff := cmp.Diff(want, d.queues, cmp.AllowUnexported(queueSpec{})); diff != "" {
		t.Error(diff)
	}
}

// TestEveryEventHasARule takes the events from the schemas of their contracts.
func TestEveryEventHasARule(t *testing.T) {
	d := mustLoadDeployment(t)
	schemas, err := filepath.Glob(filepath.Join(moduleRoot(), "pkg/event/*/testdata/*.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(schemas) == 0 {
		t.Fatal("there are no events")
	}
	matched := map[string]bool{}
	for _, path := range schemas {
		pkg := filepath.Base(filepath.Dir(filepath.Dir(path)))
		v := strings.LastIndex(pkg, "v")
		source := "paceline." + pkg[:v]
		detailType := strings.TrimSuffix(filepath.Base(path), ".schema.json") + "." + pkg[v:]
		if len(d.consumers(source, detailType)) == 0 {
			t.Errorf("no rule takes %s of %s", detailType, source)
		}
		matched[source+" "+detailType] = true
	}
	for _, r := range d.rules {
		for _, detailType := range r.detailTypes {
			if !matched[r.source+" "+detailType] {
				t.Errorf("queue %s takes %s of %s, which is no event", r.queue, detailType, r.source)
			}
		}
	}
}

func TestRulesSchedulesRoutesAndArchive(t *testing.T) {
	d := mustLoadDeployment(t)
	if got := d.consumers("paceline.credentials", "AthleteAuthorized.v1"); !slices.Equal(got, []string{
		"activity/ConsumerEventsQueue", "athlete/ConsumerEventsQueue", "gathering/ConsumerEventsQueue",
	}) {
		t.Errorf("AthleteAuthorized reaches %v", got)
	}
	if got := d.consumers("paceline.activity", "AthleteAuthorized.v1"); len(got) != 0 {
		t.Errorf("an event of another source reaches %v", got)
	}
	for _, want := range []scheduleSpec{
		{"activity/audit-activities", 6 * time.Hour}, {"gathering/gather-work", time.Minute}, {"credentials/reconcile-grants", 5 * time.Minute},
	} {
		if !slices.Contains(d.schedules, want) {
			t.Errorf("no schedule %v", want)
		}
	}
	for _, want := range []routeSpec{
		{"http", "GET", "/v1/me/activities/{id}", "activity/serve-api", "credentials/authorize-session"},
		{"http", "GET", "/oauth/{provider}/connect", "credentials/serve-links", "credentials/authorize-session"},
		{"http", "GET", "/v1/erasures/{receipt}", "athlete/serve-api", ""},
		{"http", "", "", "athlete/serve-api", ""},
		{"webhook", "POST", "/webhooks/strava/{key}", "gathering/receive-webhook", ""},
	} {
		if !slices.Contains(d.routes, want) {
			t.Errorf("no route %v", want)
		}
	}
	want := archiveSpec{[]string{"AthleteGathered.v1", "ActivitiesGathered.v1", "ActivityGone.v1", "RemovalQuestioned.v1"}, 72 * time.Hour}
	if diff := cmp.Diff(want, d.archive, cmp.AllowUnexported(archiveSpec{})); diff != "" {
		t.Error(diff)
	}
}

// deadLettersOfRules is how the templates begin the dead letters of a rule.
const deadLettersOfRules = `"DeadLetterConfig": {
              "Arn": {
                "Fn::GetAtt": [
                  "ConsumerEventsDeadLettersEDB8A7DA"`

func TestWhatIsNotUnderstoodFails(t *testing.T) {
	for name, c := range map[string]struct {
		stack, old, now, want string
	}{
		"a type":                    {"Credentials", `"AWS::KMS::Key"`, `"AWS::SNS::Subscription"`, "type AWS::SNS::Subscription is unknown"},
		"a property":                {"Gathering", `"BatchSize"`, `"FilterCriteria"`, `unknown field "FilterCriteria"`},
		"a pattern":                 {"Gathering", `"source": [`, `"account": [`, `unknown field "account"`},
		"a rate":                    {"Gathering", `rate(1 minute)`, `cron(0 * * * ? *)`, "cron(0 * * * ? *) is not a rate"},
		"a disabled rule":           {"Gathering", `"ENABLED"`, `"DISABLED"`, "the rule is not one of the bus, enabled"},
		"an export":                 {"Credentials", `ExportsOutputRefSessionAuthorizer`, `ExportsOutputRefAuthorizer`, "no stack exports"},
		"a function without source": {"AthletePlane", `"counterasuresFunction`, `"countallFunction`, "no folder below functions/athlete"},
		"other responses":           {"Gathering", `"ReportBatchItemFailures"`, ``, "response types [] are unknown"},
		"a cached authorizer":       {"Credentials", `"AuthorizerResultTtlInSeconds": 0`, `"AuthorizerResultTtlInSeconds": 300`, "does not see every request"},
		"repeated invocations":      {"Gathering", `"MaximumRetryAttempts": 0`, `"MaximumRetryAttempts": 2`, "invocations are repeated"},
		"a queue of two readers":    {"Gathering", `"WorkQueue1CAC4D2F"`, `"ConsumerEventsQueueF7DB3325"`, "has two readers"},
		"a queue without a reader":  {"Gathering", `"AWS::Lambda::EventSourceMapping"`, `"AWS::Lambda::Permission"`, "no function reads queue gathering/WorkQueue"},
		"an ambiguous text":         {"Credentials", `"AWS::Region"`, `"TokenKeyD1D1A236"`, "refers to several resources"},
		"other dead letters":        {"Gathering", deadLettersOfRules, `"DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["WorkDeadLetters7D6F983C"`, "is no queue with the dead letters"},
		"retries":                   {"Gathering", `"MaximumRetryAttempts": 0`, `"MaximumRetryAttempts": 2`, "without retries"},
		"another payload":           {"Gathering", `"PayloadFormatVersion": "2.0"`, `"PayloadFormatVersion": "1.0"`, "payloads 1.0 is unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			files := templateFiles(t)
			changed := bytes.ReplaceAll(files[c.stack], []byte(c.old), []byte(c.now))
			if bytes.Equal(changed, files[c.stack]) {
				t.Fatal("the template has no such text")
			}
			if !json.Valid(changed) {
				t.Fatal("the change makes no JSON")
			}
			files[c.stack] = changed
			_, err := newDeployment(files, filepath.Join(moduleRoot(), "functions"))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}
