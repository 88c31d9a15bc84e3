package infra

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/infra/config"
	"github.com/paceline/paceline/infra/construct"
	"github.com/paceline/paceline/infra/stack"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/site"
)

// It also compares their timeouts, which callers depend on.
func TestDeployedFunctionsAreTheBuiltOnes(t *testing.T) {
	want := map[string]float64{
		"Credentials.serve-oauth": 28, "Credentials.authorize-session": 5, "Credentials.serve-api": 28, "Credentials.forward-request": 45,
		"Credentials.check-subscription": 30, "Gathering.probe-webhook": 45,
		"Credentials.administer-app": 60, "Credentials.handle-events": 45, "Credentials.reconcile-grants": 240,
		"Credentials.serve-links": 28, "Credentials.reconcile-links": 240, "Credentials.use-accounts": 45,
		"Gathering.receive-webhook": 10, "Gathering.gather-work": 300, "Gathering.handle-events": 30,
		"Gathering.show-status": 30, "Gathering.enforce-deadlines": 240,
		"AthletePlane.serve-api": 10, "AthletePlane.handle-events": 30, "AthletePlane.enforce-deadlines": 240,
		"AthletePlane.count-erasures": 30,
		"ActivityPlane.serve-api":     15, "ActivityPlane.handle-events": 60,
		"ActivityPlane.expire-activities": 600, "ActivityPlane.audit-activities": 600,
	}
	for _, stage := range stages {
		s := synth(t, stage)
		for name, timeout := range want {
			stackName, function, _ := strings.Cut(name, ".")
			f := s.find(t, stackName, "AWS::Lambda::Function", strings.ReplaceAll(function, "-", ""))
			if f.at("Timeout") != timeout {
				t.Errorf("%s may take %v s, not %v s", name, f.at("Timeout"), timeout)
			}
			if f.at("Runtime") != "provided.al2023" {
				t.Errorf("%s runs on %v", name, f.at("Runtime"))
			}
			architecture := "arm64"
			if stage == config.Local {
				architecture = "x86_64" // which these tests take for the host's
			}
			if got := s.list(stackName, f.at("Architectures")); !slices.Equal(got, []string{architecture}) {
				t.Errorf("stage %s: %s is built for %v", stage, name, got)
			}
		}
		own := slices.DeleteFunc(s.resources("AWS::Lambda::Function"), ofTheCDK)
		if len(own) != len(want) {
			t.Errorf("stage %s has %d functions: %v", stage, len(own), own)
		}
	}

	mains, err := filepath.Glob(filepath.Join(root, "functions/*/*/main.go"))
	if err != nil {
		t.Fatal(err)
	}
	var built []string
	for _, m := range mains {
		rel, err := filepath.Rel(filepath.Join(root, "functions"), filepath.Dir(m))
		if err != nil {
			t.Fatal(err)
		}
		built = append(built, filepath.ToSlash(rel))
	}
	deployed := slices.Sorted(slices.Values(functions))
	if diff := cmp.Diff(slices.Sorted(slices.Values(built)), deployed); diff != "" {
		t.Errorf("functions that are built differ from those deployed (-built +deployed):\n%s", diff)
	}
}

func TestTablesHaveTheKeysThatTheCodeUses(t *testing.T) {
	s := synth(t, config.Prod)
	for name, want := range map[string]string{
		"Credentials.Grants":  "pk S; by-provider ALL: provider S, pk S; pending ALL: pending_of S, due N",
		"Credentials.Waiting": "list S, contact S",
		"Gathering":           "pk S, sk S; work KEYS_ONLY: queue S, due N",
		"AthletePlane":        "pk S",
		"ActivityPlane":       "athlete_id N, sk S; by-start ALL: athlete_id N, start S; by-age KEYS_ONLY: kind S, oldest N",
	} {
		stackName, prefix, _ := strings.Cut(name, ".")
		table := s.find(t, stackName, "AWS::DynamoDB::Table", prefix)
		types := map[any]any{}
		for _, a := range table.at("AttributeDefinitions").([]any) {
			types[at(a, "AttributeName")] = at(a, "AttributeType")
		}
		keys := func(schema any) string {
			var parts []string
			for i, k := range schema.([]any) {
				if role := []string{"HASH", "RANGE"}[i]; at(k, "KeyType") != role {
					t.Errorf("%s: key %d is %v", table, i, at(k, "KeyType"))
				}
				parts = append(parts, fmt.Sprintf("%v %v", at(k, "AttributeName"), types[at(k, "AttributeName")]))
			}
			return strings.Join(parts, ", ")
		}
		got := keys(table.at("KeySchema"))
		indexes, _ := table.at("GlobalSecondaryIndexes").([]any)
		for _, i := range indexes {
			got += fmt.Sprintf("; %v %v: %s", at(i, "IndexName"), at(i, "Projection", "ProjectionType"), keys(at(i, "KeySchema")))
		}
		if got != want {
			t.Errorf("%s has the keys %q, not %q", table, got, want)
		}
		if table.at("BillingMode") != "PAY_PER_REQUEST" {
			t.Errorf("%s has the billing mode %v", table, table.at("BillingMode"))
		}
	}
}

// Every function may also write its log and read its queue.
func TestFunctionsMayDoExactlyTheListedActions(t *testing.T) {
	for _, stage := range stages {
		t.Run(string(stage), func(t *testing.T) { testFunctionPermissions(t, stage) })
	}
}

func testFunctionPermissions(t *testing.T, stage config.Stage) {
	s := synth(t, stage)
	want, got := wantPermissions(stage), s.permissions()
	reading := regexp.MustCompile(`^sqs:(ReceiveMessage|DeleteMessage|ChangeMessageVisibility|GetQueueAttributes|GetQueueUrl) (ConsumerEventsQueue|WorkQueue)$`)
	listed := map[string]bool{}
	for function, allowed := range want {
		stackName, verbNoun, _ := strings.Cut(function, ".")
		role := s.roleOf(t, stackName, verbNoun)
		listed[role] = true
		may := got[role]
		maps.DeleteFunc(may, func(p string, _ bool) bool { return reading.MatchString(p) })
		if diff := cmp.Diff(slices.Sorted(slices.Values(allowed)), slices.Sorted(maps.Keys(may))); diff != "" {
			t.Errorf("permissions of %s (-want +got):\n%s", function, diff)
		}
	}
	for _, f := range s.resources("AWS::Lambda::Function") {
		if !ofTheCDK(f) && !listed[owner(s.text(f.stack, f.at("Role")))] {
			t.Errorf("this test does not list the permissions of %s", f)
		}
	}
}

// wantPermissions returns the permissions of each function, an action and a
// resource each.
func wantPermissions(stage config.Stage) map[string][]string {
	const (
		read  = "dynamodb:BatchGetItem dynamodb:GetItem dynamodb:Query"
		write = "dynamodb:BatchWriteItem dynamodb:ConditionCheckItem dynamodb:DeleteItem dynamodb:PutItem dynamodb:UpdateItem"
	)
	path := " parameter/paceline/" + string(stage) + "/credentials"
	app, athletes := path+"/apps/strava", path+"/accounts/strava/*"
	received, receivedPath := path+"/received/strava/*", path+"/received/strava"
	fitbitApp, fitbits := path+"/apps/fitbit", path+"/accounts/fitbit/*"
	fitbitReceived, fitbitReceivedPath := path+"/received/fitbit/*", path+"/received/fitbit"
	on := func(actions, resources string) (all []string) {
		for resource := range strings.FieldsSeq(resources) {
			for action := range strings.FieldsSeq(actions) {
				all = append(all, action+" "+resource)
			}
		}
		return all
	}
	grants := "Grants Grants/index/by-provider Grants/index/pending"
	activities := "Activities Activities/index/by-start Activities/index/by-age"
	work := "Table Table/index/work"
	want := map[string][]string{
		"Credentials.serve-oauth": slices.Concat(on(read+" "+write, grants+" Waiting Credentials"), []string{
			"events:PutEvents Bus",
			"ssm:GetParameter" + app, "kms:Decrypt TokenKey" + app,
			"ssm:PutParameter" + athletes, "kms:Encrypt TokenKey" + athletes,
			"ssm:PutParameter" + received, "kms:Encrypt TokenKey" + received,
			"kms:GenerateDataKey TokenKey provider=strava",
		}),
		"Credentials.authorize-session":  append(on("dynamodb:GetItem dynamodb:BatchGetItem", grants+" Credentials"), "dynamodb:UpdateItem Credentials"),
		"Credentials.serve-api":          append(on(read+" "+write, "Credentials"), on("dynamodb:GetItem dynamodb:BatchGetItem", grants)...),
		"Credentials.check-subscription": {"ssm:GetParameter" + app, "kms:Decrypt TokenKey" + app},
		"Credentials.forward-request": slices.Concat(on(read+" "+write, grants), []string{
			"events:PutEvents Bus",
			"ssm:GetParameter" + app, "kms:Decrypt TokenKey" + app,
			"ssm:GetParameter" + athletes, "kms:Decrypt TokenKey" + athletes,
			"ssm:PutParameter" + athletes, "kms:Encrypt TokenKey" + athletes,
			"kms:GenerateDataKey TokenKey provider=strava", "kms:Decrypt TokenKey provider=strava",
		}),
		"Credentials.administer-app": slices.Concat(on(read+" "+write, grants+" Waiting"), []string{
			"events:PutEvents Bus",
			"ssm:GetParameter" + app, "kms:Decrypt TokenKey" + app,
			"ssm:PutParameter" + app, "kms:Encrypt TokenKey" + app,
			"ssm:GetParameterHistory" + app, "ssm:GetParameterHistory" + fitbitApp,
			"ssm:GetParametersByPath" + path, "ssm:GetParametersByPath" + path + "/*", "ssm:DeleteParameters" + path + "/*",
			"ssm:GetParameter" + fitbitApp, "kms:Decrypt TokenKey" + fitbitApp,
			"ssm:PutParameter" + fitbitApp, "kms:Encrypt TokenKey" + fitbitApp,
			"dynamodb:Scan Credentials", "dynamodb:BatchWriteItem Credentials",
		}),
		"Credentials.handle-events": slices.Concat(on(read+" "+write, grants+" Credentials"), []string{
			"events:PutEvents Bus",
			"ssm:GetParameter" + app, "kms:Decrypt TokenKey" + app,
			"ssm:GetParameter" + athletes, "kms:Decrypt TokenKey" + athletes,
			"ssm:PutParameter" + athletes, "kms:Encrypt TokenKey" + athletes,
			"ssm:DeleteParameter" + athletes,
			"kms:GenerateDataKey TokenKey provider=strava", "kms:Decrypt TokenKey provider=strava",
		}),
		"Credentials.reconcile-grants": slices.Concat(on(read+" "+write, grants+" Credentials"), []string{
			"events:PutEvents Bus",
			"ssm:GetParameter" + app, "kms:Decrypt TokenKey" + app,
			"ssm:GetParameter" + athletes, "kms:Decrypt TokenKey" + athletes,
			"ssm:PutParameter" + athletes, "kms:Encrypt TokenKey" + athletes,
			"ssm:DeleteParameter" + athletes, "ssm:DeleteParameter" + received,
			"ssm:GetParametersByPath" + received, "kms:Decrypt TokenKey" + received,
			"ssm:GetParametersByPath" + receivedPath, "kms:Decrypt TokenKey" + receivedPath,
			"kms:GenerateDataKey TokenKey provider=strava", "kms:Decrypt TokenKey provider=strava",
		}),
		"Gathering.receive-webhook": append(on("dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem", work), "events:PutEvents Bus", "sqs:SendMessage WorkQueue"),
		"Gathering.show-status":     on(read, work),
		"Gathering.probe-webhook": append(on("dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem", work),
			"lambda:InvokeFunction checksubscriptionFunction"),
		"Gathering.enforce-deadlines": append(on("dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem", work),
			"dynamodb:Scan Table"),
		"Gathering.gather-work": slices.Concat(on(read+" "+write, work), []string{
			"events:PutEvents Bus", "lambda:InvokeFunction forwardrequestFunction", "sqs:SendMessage WorkQueue",
		}),
		"Gathering.handle-events": slices.Concat(on(read+" "+write, work), []string{
			"events:PutEvents Bus", "sqs:SendMessage WorkQueue",
		}),
		"AthletePlane.serve-api":      append(on("dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem", "Athletes"), "events:PutEvents Bus"),
		"AthletePlane.handle-events":  on("dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem", "Athletes"),
		"AthletePlane.count-erasures": {"dynamodb:Scan Athletes"},
		"AthletePlane.enforce-deadlines": append(on("dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem", "Athletes"),
			"dynamodb:Scan Athletes", "events:PutEvents Bus"),
		"ActivityPlane.serve-api":         on(read, activities),
		"ActivityPlane.handle-events":     append(on(read+" "+write, activities), "events:PutEvents Bus"),
		"ActivityPlane.expire-activities": on(read+" "+write, activities),
		"ActivityPlane.audit-activities":  {"dynamodb:Scan Activities"},
	}

	// Linked accounts have parameters and seals of their own, which Strava's
	// functions do not reach, and the other way round.
	linked := slices.Concat(on(read+" "+write, grants), []string{
		"events:PutEvents Bus",
		"ssm:GetParameter" + fitbitApp, "kms:Decrypt TokenKey" + fitbitApp,
		"ssm:GetParameter" + fitbits, "kms:Decrypt TokenKey" + fitbits,
		"ssm:PutParameter" + fitbits, "kms:Encrypt TokenKey" + fitbits,
		"kms:GenerateDataKey TokenKey provider=fitbit", "kms:Decrypt TokenKey provider=fitbit",
	})
	want["Credentials.use-accounts"] = linked
	want["Credentials.serve-links"] = slices.Concat(linked, []string{
		"ssm:DeleteParameter" + fitbits, "ssm:PutParameter" + fitbitReceived, "kms:Encrypt TokenKey" + fitbitReceived,
	})
	want["Credentials.reconcile-links"] = slices.Concat(linked, []string{
		"ssm:DeleteParameter" + fitbits, "ssm:DeleteParameter" + fitbitReceived,
		"ssm:GetParametersByPath" + fitbitReceived, "kms:Decrypt TokenKey" + fitbitReceived,
		"ssm:GetParametersByPath" + fitbitReceivedPath, "kms:Decrypt TokenKey" + fitbitReceivedPath,
	})
	return want
}

// permissions returns the permissions of each role, in the form of
// [wantPermissions].
func (s *system) permissions() map[string]map[string]bool {
	got := map[string]map[string]bool{}
	ids := regexp.MustCompile(`^\{\w+\.([A-Za-z]+)[0-9A-F]{8}(?:\.Arn)?\}`)
	arn := regexp.MustCompile(`^arn:.*:parameter/`)
	name := func(resource string) string {
		return arn.ReplaceAllString(ids.ReplaceAllString(resource, "$1"), "parameter/")
	}
	for _, st := range s.statements() {
		roles := st.roles
		if st.of.kind == "AWS::KMS::Key" {
			roles = nil
			for _, p := range st.principals {
				roles = append(roles, owner(p))
			}
		}
		for _, role := range roles {
			for _, action := range st.actions {
				if st.effect != "Allow" || action == "logs:CreateLogStream" || action == "logs:PutLogEvents" {
					continue
				}
				if got[role] == nil {
					got[role] = map[string]bool{}
				}
				if st.of.kind != "AWS::KMS::Key" {
					for _, r := range st.resources {
						got[role][action+" "+name(r)] = true
					}
					continue
				}
				key := name("{Credentials." + st.of.id + "}")
				contexts := s.list(st.of.stack, at(st.conditions, "StringLike", "kms:EncryptionContext:PARAMETER_ARN"))
				if provider, ok := at(st.conditions, "StringEquals", "kms:EncryptionContext:provider").(string); ok {
					contexts = []string{"provider=" + provider}
				}
				if contexts == nil {
					got[role][action+" "+key] = true
				}
				for _, c := range contexts {
					got[role][action+" "+key+" "+name(c)] = true
				}
			}
		}
	}
	return got
}

func TestTheTokenKeyIsRotatedAndTheOnlyKey(t *testing.T) {
	for _, stage := range stages {
		t.Run(string(stage), func(t *testing.T) { testTokenKey(t, stage) })
	}
}

func testTokenKey(t *testing.T, stage config.Stage) {
	s := synth(t, stage)
	token := s.find(t, "Credentials", "AWS::KMS::Key", "TokenKey")
	if token.at("EnableKeyRotation") != true || token.at("KeySpec") != nil {
		t.Errorf("the token key is %v, rotated: %v", token.at("KeySpec"), token.at("EnableKeyRotation"))
	}
	if all := s.resources("AWS::KMS::Key"); len(all) != 1 {
		t.Errorf("there are %d keys", len(all))
	}
}

func TestTheSessionAuthorizerSeesEveryRequest(t *testing.T) {
	a := synth(t, config.Prod).find(t, "Credentials", "AWS::ApiGatewayV2::Authorizer", "")
	for property, want := range map[string]any{
		"AuthorizerType":                 "REQUEST",
		"AuthorizerPayloadFormatVersion": "2.0",
		"EnableSimpleResponses":          true,
		"AuthorizerResultTtlInSeconds":   0.0,
	} {
		if got := a.at(property); got != want {
			t.Errorf("%s is %v, not %v", property, got, want)
		}
	}
	// An identity source that a request lacks would be answered by a bare 401.
	if sources, ok := a.at("IdentitySource").([]any); !ok || len(sources) != 0 {
		t.Errorf("IdentitySource is %v, not an empty list", a.at("IdentitySource"))
	}
}

func TestAQueueAndAScheduleRunGatherers(t *testing.T) {
	s := synth(t, config.Prod)
	m := s.find(t, "Gathering", "AWS::Lambda::EventSourceMapping", "gatherwork")
	if m.at("BatchSize") != 10.0 || m.at("ScalingConfig", "MaximumConcurrency") != 4.0 {
		t.Errorf("batches of %v, %v at once", m.at("BatchSize"), m.at("ScalingConfig", "MaximumConcurrency"))
	}
	tick := s.find(t, "Gathering", "AWS::Scheduler::Schedule", "Tick")
	if tick.at("ScheduleExpression") != "rate(1 minute)" || !strings.Contains(s.text("Gathering", tick.at("Target", "Arn")), "gatherwork") {
		t.Errorf("%v runs %v", tick.at("ScheduleExpression"), tick.at("Target", "Arn"))
	}
	for _, f := range s.resources("AWS::Lambda::Function") {
		// Lambda would stop a gatherer that woke its 16th successor.
		allow := strings.HasPrefix(f.id, "gatherwork")
		if got := f.at("RecursiveLoop") == "Allow"; got != allow {
			t.Errorf("%s may send to itself: %t", f, got)
		}
	}
}

func TestRoutesReachTheirFunctions(t *testing.T) {
	want := map[string]string{
		"GET /oauth/{provider}/connect": "Credentials.servelinks", "GET /oauth/{provider}/callback": "Credentials.servelinks",
		"GET /v1/me/links/{provider}": "Credentials.servelinks", "DELETE /v1/me/links/{provider}": "Credentials.servelinks",
		"GET /oauth/connect": "Credentials.serveoauth", "GET /oauth/callback": "Credentials.serveoauth",
		"POST /oauth/logout":   "Credentials.serveoauth",
		"POST /oauth/waitlist": "Credentials.serveoauth",
		"GET /v1/me/keys":      "Credentials.serveapi", "POST /v1/me/keys": "Credentials.serveapi",
		"DELETE /v1/me/keys/{id}": "Credentials.serveapi", "DELETE /v1/me/sessions": "Credentials.serveapi",
		"GET /webhooks/strava/{key}": "Gathering.receivewebhook", "POST /webhooks/strava/{key}": "Gathering.receivewebhook",
		"GET /v1/me": "AthletePlane.serveapi", "DELETE /v1/me": "AthletePlane.serveapi",
		"GET /v1/me/export": "AthletePlane.serveapi", "POST /v1/me/sync": "AthletePlane.serveapi",
		"GET /v1/erasures/{receipt}": "AthletePlane.serveapi", "$default": "AthletePlane.serveapi",
		"GET /v1/me/activities": "ActivityPlane.serveapi", "GET /v1/me/activities/{id}": "ActivityPlane.serveapi",
		"GET /v1/me/stats": "ActivityPlane.serveapi", "GET /v1/me/sync": "ActivityPlane.serveapi",
	}
	s := synth(t, config.Prod)
	integrations := map[string]resource{}
	for _, i := range s.resources("AWS::ApiGatewayV2::Integration") {
		if i.at("PayloadFormatVersion") != "2.0" {
			t.Errorf("%s has the payload format %v", i, i.at("PayloadFormatVersion"))
		}
		integrations[i.String()] = i
	}
	got := map[string]string{}
	function := regexp.MustCompile(`(\w+\.[a-z]+)Function[0-9A-F]{8}`)
	for _, r := range s.resources("AWS::ApiGatewayV2::Route") {
		target := owner(strings.TrimPrefix(s.text(r.stack, r.at("Target")), "integrations/"))
		if m := function.FindStringSubmatch(s.text(r.stack, integrations[target].at("IntegrationUri"))); m != nil {
			got[r.at("RouteKey").(string)] = m[1]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
}

// A task that handle-events cannot do at once becomes a pending task of a grant,
// which a schedule retries. So its queue retries a message no more than others.
func TestPendingTasksAreReconciled(t *testing.T) {
	for _, stage := range stages {
		s := synth(t, stage)
		schedule := s.find(t, "Credentials", "AWS::Scheduler::Schedule", "Reconciliation")
		if schedule.at("ScheduleExpression") != "rate(5 minutes)" || schedule.at("State") == "DISABLED" {
			t.Errorf("stage %s: tasks are reconciled at %v", stage, schedule.at("ScheduleExpression"))
		}
		reconcile := s.find(t, "Credentials", "AWS::Lambda::Function", "reconcilegrants")
		if got := owner(s.text("Credentials", schedule.at("Target", "Arn"))); got != reconcile.String() {
			t.Errorf("stage %s: the schedule runs %s", stage, got)
		}
		// A run that fails is followed by the next one, not by itself.
		if n := schedule.at("Target", "RetryPolicy", "MaximumRetryAttempts"); n != 0.0 {
			t.Errorf("stage %s: Scheduler repeats a run %v times", stage, n)
		}
		if n := s.find(t, "Credentials", "AWS::Lambda::EventInvokeConfig", "reconcilegrants").at("MaximumRetryAttempts"); n != 0.0 {
			t.Errorf("stage %s: Lambda repeats a run %v times", stage, n)
		}
		if m := s.find(t, "Credentials", "AWS::Lambda::EventSourceMapping", ""); m.at("BatchSize") != 1.0 {
			t.Errorf("stage %s: handle-events gets batches of %v", stage, m.at("BatchSize"))
		}
		for _, q := range s.resources("AWS::SQS::Queue") {
			if n := q.at("RedrivePolicy", "maxReceiveCount"); n != nil && n != 5.0 {
				t.Errorf("stage %s: %s tries %v times", stage, q, n)
			}
		}
	}
}

// They are deleted every hour and counted four times a day. The first one that
// remains, and the first run that fails, raises an alarm.
func TestOldActivitiesAreDeletedAndCounted(t *testing.T) {
	for _, stage := range stages {
		s := synth(t, stage)
		for function, want := range map[string]string{"expireactivities": "rate(60 minutes)", "auditactivities": "rate(360 minutes)"} {
			deployed := s.find(t, "ActivityPlane", "AWS::Lambda::Function", function).String()
			runs := slices.DeleteFunc(s.resources("AWS::Scheduler::Schedule"), func(r resource) bool {
				return owner(s.text(r.stack, r.at("Target", "Arn"))) != deployed
			})
			if len(runs) != 1 || runs[0].at("ScheduleExpression") != want || runs[0].at("State") == "DISABLED" {
				t.Errorf("stage %s: %s is run by %v", stage, function, runs)
			}
			if alarm := s.find(t, "ActivityPlane", "AWS::CloudWatch::Alarm", function+"ErrorsAlarm"); alarm.at("Threshold") != 1.0 {
				t.Errorf("stage %s: %s may fail %v times", stage, function, alarm.at("Threshold"))
			}
		}
		alarm := s.find(t, "ActivityPlane", "AWS::CloudWatch::Alarm", "KeptTooLong")
		if alarm.at("MetricName") != "KeptTooLong" || alarm.at("Namespace") != "Paceline/Activity" || alarm.at("Threshold") != 1.0 {
			t.Errorf("stage %s: the alarm evaluates %v %v from %v", stage, alarm.at("Namespace"), alarm.at("MetricName"), alarm.at("Threshold"))
		}
	}
}

func TestMissedDeadlinesAreAnAlarm(t *testing.T) {
	for _, stage := range stages {
		s := synth(t, stage)
		for _, plane := range []struct {
			stack, namespace, rate string
			metrics                []string
		}{
			{"Gathering", "Paceline/Gathering", "rate(60 minutes)", []string{"KeptTooLong"}},
			{"AthletePlane", "Paceline/Athlete", "rate(15 minutes)", []string{"KeptTooLong", "ErasuresOverdue"}},
		} {
			run := s.find(t, plane.stack, "AWS::Scheduler::Schedule", "Deadlines")
			deployed := s.find(t, plane.stack, "AWS::Lambda::Function", "enforcedeadlines").String()
			if owner(s.text(run.stack, run.at("Target", "Arn"))) != deployed || run.at("ScheduleExpression") != plane.rate {
				t.Errorf("stage %s: %v runs %v", stage, run.at("ScheduleExpression"), run.at("Target", "Arn"))
			}
			for _, metric := range plane.metrics {
				alarm := s.find(t, plane.stack, "AWS::CloudWatch::Alarm", metric)
				if alarm.at("MetricName") != metric || alarm.at("Namespace") != plane.namespace || alarm.at("Threshold") != 1.0 {
					t.Errorf("stage %s: the alarm evaluates %v %v from %v", stage, alarm.at("Namespace"), alarm.at("MetricName"), alarm.at("Threshold"))
				}
			}
		}
	}
}

func TestTheRateOfBothAPIsIsLimited(t *testing.T) {
	for _, stage := range stages {
		for id, want := range map[string][2]any{"ApiStage": {100.0, 200.0}, "WebhookApiStage": {50.0, 100.0}} {
			r := synth(t, stage).find(t, "Platform", "AWS::ApiGatewayV2::Stage", id).at("DefaultRouteSettings")
			if at(r, "ThrottlingRateLimit") != want[0] || at(r, "ThrottlingBurstLimit") != want[1] {
				t.Errorf("stage %s: %s has the limits %v", stage, id, r)
			}
		}
	}
}

// They have an API of their own, to which CloudFront forwards /webhooks.
func TestOnlyTheWebhooksRoutesUseItsRate(t *testing.T) {
	for _, stage := range stages {
		s := synth(t, stage)
		webhook := s.find(t, "Platform", "AWS::ApiGatewayV2::Api", "WebhookApi").String()
		for _, r := range s.resources("AWS::ApiGatewayV2::Route") {
			key, _ := r.at("RouteKey").(string)
			own := owner(s.text(r.stack, r.at("ApiId"))) == webhook
			if own != strings.Contains(key, " /webhooks/") {
				t.Errorf("stage %s: %s is in the webhook's API: %t", stage, key, own)
			}
		}
		distribution := s.find(t, "AthleteUi", "AWS::CloudFront::Distribution", "").at("DistributionConfig")
		origins := map[any]string{}
		for _, o := range at(distribution, "Origins").([]any) {
			origins[at(o, "Id")] = s.text("AthleteUi", at(o, "DomainName"))
		}
		for _, b := range at(distribution, "CacheBehaviors").([]any) {
			path, _ := at(b, "PathPattern").(string)
			origin := origins[at(b, "TargetOriginId")]
			if forwarded := strings.HasPrefix(origin, "{"+webhook+"}.execute-api."); forwarded != (path == "/webhooks/*") {
				t.Errorf("stage %s: %s is forwarded to %s", stage, path, origin)
			}
		}
	}
}

// A stage without a domain deploys it first to learn its siteUrl, which Credentials
// needs.
func TestTheAthleteUIDependsOnThePlatformAlone(t *testing.T) {
	imported := regexp.MustCompile(`"Fn::ImportValue":"([^"]*)"`)
	for _, stage := range stages {
		b, err := json.Marshal(synth(t, stage).templates["AthleteUi"])
		if err != nil {
			t.Fatal(err)
		}
		names := imported.FindAllStringSubmatch(string(b), -1)
		if len(names) == 0 {
			t.Errorf("stage %s: the athlete UI imports no HTTP API", stage)
		}
		for _, name := range names {
			if !strings.HasPrefix(name[1], "Paceline-"+string(stage)+"-Platform:") {
				t.Errorf("stage %s: the athlete UI imports %s", stage, name[1])
			}
		}
	}
}

// A new account refuses to reserve any.
func TestConcurrencyIsReservedOnlyOnRequest(t *testing.T) {
	for _, stage := range stages {
		for _, f := range synth(t, stage).resources("AWS::Lambda::Function") {
			if reserved := f.at("ReservedConcurrentExecutions"); reserved != nil {
				t.Errorf("stage %s: %v executions are reserved for %s", stage, reserved, f)
			}
		}
	}
	s := synthesise(t, context(t, config.Prod), func(c *config.Config, _ *stack.Assets) { c.WebhookConcurrency = 7 })
	for _, f := range s.resources("AWS::Lambda::Function") {
		if reserved := f.at("ReservedConcurrentExecutions"); (reserved == 7.0) != strings.Contains(f.String(), "receivewebhook") {
			t.Errorf("with 7 reserved for webhooks, %s has %v", f, reserved)
		}
	}
}

func TestTheAccessLogsFilterFeedsTheAlarmOnRefusedWebhooks(t *testing.T) {
	for _, stage := range stages {
		s := synth(t, stage)
		filter := s.find(t, "Platform", "AWS::Logs::MetricFilter", "")
		log := owner(s.text("Platform", filter.at("LogGroupName")))
		webhook := s.find(t, "Platform", "AWS::ApiGatewayV2::Stage", "WebhookApiStage")
		if got := owner(s.text("Platform", webhook.at("AccessLogSettings", "DestinationArn"))); got != log || log == "" {
			t.Errorf("stage %s: the filter reads %s, the access log is %s", stage, log, got)
		}
		if got := filter.at("FilterPattern"); got != `{ ($.status = "429") || ($.status = "5*") }` {
			t.Errorf("stage %s: it counts %v", stage, got)
		}
		transform := filter.at("MetricTransformations").([]any)[0]
		alarm := s.find(t, "Platform", "AWS::CloudWatch::Alarm", "WebhookRefused")
		if at(transform, "MetricName") != alarm.at("MetricName") || at(transform, "MetricNamespace") != alarm.at("Namespace") {
			t.Errorf("stage %s: the filter counts %v, the alarm evaluates %v", stage, transform, alarm.at("MetricName"))
		}
		format, _ := webhook.at("AccessLogSettings", "Format").(string)
		dimension := at(transform, "Dimensions").([]any)[0]
		if at(dimension, "Key") != "stage" || at(dimension, "Value") != "$.stage" || !strings.Contains(format, `"stage":"`+string(stage)+`"`) ||
			at(alarm.at("Dimensions").([]any)[0], "Value") != string(stage) {
			t.Errorf("stage %s: the dimension %v of %s", stage, dimension, format)
		}
	}
}

// A refusal of the application raises one at once, the others when they repeat.
func TestEachKindOfForwardingErrorHasAnAlarm(t *testing.T) {
	for _, stage := range stages {
		s := synth(t, stage)
		for metric, threshold := range map[string]float64{"CallsFailed": 5, "CallsUnavailable": 5, "CallsAppRefused": 1} {
			a := s.find(t, "Credentials", "AWS::CloudWatch::Alarm", metric)
			got := [6]any{a.at("Namespace"), a.at("MetricName"), a.at("Statistic"), a.at("Period"), a.at("Threshold"), a.at("TreatMissingData")}
			if want := [6]any{"Paceline/Credentials", metric, "Sum", 900.0, threshold, "notBreaching"}; got != want {
				t.Errorf("stage %s: the alarm evaluates %v, want %v", stage, got, want)
			}
		}
	}
}

// So is a probe that does not run.
func TestWebhooksThatMayNotArriveAreAnAlarm(t *testing.T) {
	for _, stage := range stages {
		s := synth(t, stage)
		for id, want := range map[string][4]any{
			"WebhookUnhealthy": {"WebhookUnhealthySeconds", 900.0, 3.0, 300.0},
			"SubscriptionLost": {"SubscriptionLost", 1.0, 1.0, 300.0},
		} {
			a := s.find(t, "Gathering", "AWS::CloudWatch::Alarm", id)
			got := [4]any{a.at("MetricName"), a.at("Threshold"), a.at("EvaluationPeriods"), a.at("Period")}
			if got != want || a.at("TreatMissingData") != "breaching" || a.at("Statistic") != "Maximum" {
				t.Errorf("stage %s: %s evaluates %v, and missing data is %v", stage, id, got, a.at("TreatMissingData"))
			}
		}
		schedule := s.find(t, "Gathering", "AWS::Scheduler::Schedule", "Probe")
		if schedule.at("ScheduleExpression") != "rate(2 minutes)" ||
			!strings.Contains(s.text("Gathering", schedule.at("Target", "Arn")), "probewebhook") {
			t.Errorf("stage %s: %v runs %v", stage, schedule.at("ScheduleExpression"), schedule.at("Target", "Arn"))
		}
	}
}

// Paths hold the webhook's key and receipts, and queries OAuth codes.
func TestAccessLogsHoldNoSecrets(t *testing.T) {
	for _, stage := range stages {
		for _, s := range synth(t, stage).resources("AWS::ApiGatewayV2::Stage") {
			format, _ := s.at("AccessLogSettings", "Format").(string)
			if !strings.Contains(format, "$context.routeKey") || !strings.Contains(format, "$context.requestId") {
				t.Errorf("the access log %s lacks the route or the request: %s", s, format)
			}
			for _, secret := range []string{".path", "queryString", "rawPath", "sourceIp", "$request", "header", "cookie"} {
				if strings.Contains(format, secret) {
					t.Errorf("the access log %s holds %s: %s", s, secret, format)
				}
			}
		}
	}
}

func TestCloudFrontForwardsToTheAPIsUnchanged(t *testing.T) {
	for _, stage := range stages {
		s := synth(t, stage)
		d := s.find(t, "AthleteUi", "AWS::CloudFront::Distribution", "").at("DistributionConfig")
		policy := s.find(t, "AthleteUi", "AWS::CloudFront::ResponseHeadersPolicy", "")
		api := map[any]bool{}
		for _, o := range at(d, "Origins").([]any) {
			if domain := s.text("AthleteUi", at(o, "DomainName")); strings.Contains(domain, ".execute-api.") {
				api[at(o, "Id")] = true
			} else if at(o, "OriginAccessControlId") == nil {
				t.Errorf("CloudFront reads %s without an access control", domain)
			}
		}
		var paths []string
		for _, b := range at(d, "CacheBehaviors").([]any) {
			paths = append(paths, at(b, "PathPattern").(string))
			const cachingDisabled, allViewerExceptHostHeader = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad", "b689b0a8-53d0-40ab-baf2-68738e2966ac"
			if !api[at(b, "TargetOriginId")] || at(b, "CachePolicyId") != cachingDisabled || at(b, "OriginRequestPolicyId") != allViewerExceptHostHeader {
				t.Errorf("%v does not reach the HTTP API uncached and whole", at(b, "PathPattern"))
			}
			if methods := s.list("", at(b, "AllowedMethods")); !slices.Contains(methods, "POST") || !slices.Contains(methods, "DELETE") {
				t.Errorf("%v lets through only %v", at(b, "PathPattern"), methods)
			}
		}
		if diff := cmp.Diff([]string{"/oauth/*", "/v1/*", "/webhooks/*"}, slices.Sorted(slices.Values(paths))); diff != "" {
			t.Errorf("paths of the HTTP API (-want +got):\n%s", diff)
		}
		for _, b := range append(at(d, "CacheBehaviors").([]any), at(d, "DefaultCacheBehavior")) {
			if owner(s.text("AthleteUi", at(b, "ResponseHeadersPolicyId"))) != policy.String() {
				t.Errorf("%v is served without the security headers", at(b, "PathPattern"))
			}
		}
	}
}

// The edge proxy of a local cloud sets the same.
func TestCloudFrontSetsTheHeadersOfPackageSite(t *testing.T) {
	p := synth(t, config.Prod).find(t, "AthleteUi", "AWS::CloudFront::ResponseHeadersPolicy", "").at("ResponseHeadersPolicyConfig")
	got := http.Header{}
	security := at(p, "SecurityHeadersConfig")
	set := func(name string, v any) { got.Set(name, fmt.Sprint(v)) }
	set("Content-Security-Policy", at(security, "ContentSecurityPolicy", "ContentSecurityPolicy"))
	if at(security, "ContentSecurityPolicy", "Override") != false {
		t.Error("the HTTP API's stricter policy is replaced")
	}
	set("X-Frame-Options", at(security, "FrameOptions", "FrameOption"))
	set("Referrer-Policy", at(security, "ReferrerPolicy", "ReferrerPolicy"))
	if at(security, "ContentTypeOptions") != nil {
		set("X-Content-Type-Options", "nosniff")
	}
	if at(security, "StrictTransportSecurity", "IncludeSubdomains") == true {
		age, _ := at(security, "StrictTransportSecurity", "AccessControlMaxAgeSec").(float64)
		set("Strict-Transport-Security", fmt.Sprintf("max-age=%.0f; includeSubDomains", age))
	}
	for _, h := range at(p, "CustomHeadersConfig", "Items").([]any) {
		set(at(h, "Header").(string), at(h, "Value"))
	}
	want := http.Header{}
	site.SetHeaders(want, true)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("security headers (-package site +CloudFront):\n%s", diff)
	}
}

func TestStacksHaveTheDocumentedOutputs(t *testing.T) {
	for _, stage := range stages {
		s := synth(t, stage)
		want := map[string][]string{
			"Platform": {"EventBusName", "HttpApiId", "HttpApiUrl", "WebhookApiId"}, "Credentials": {"AdminFunctionName", "ReconcileFunctionName", "UseAccountsFunctionName"},
			"Gathering": {"GatheringStatusFunctionName"}, "AthletePlane": {"CountErasuresFunctionName"}, "AthleteUi": {"SiteUrl"},
		}
		if stage == config.Local {
			want["Platform"] = slices.Insert(want["Platform"], 3, "LocalOmissions")
			delete(want, "AthleteUi")
		}
		got := map[string][]string{}
		for _, name := range stackNames {
			outputs, _ := s.templates[name]["Outputs"].(map[string]any)
			for _, key := range slices.Sorted(maps.Keys(outputs)) {
				if at(outputs[key], "Export") == nil {
					got[name] = append(got[name], key)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("stage %s: outputs (-want +got):\n%s", stage, diff)
		}
	}
}

func TestStageLocalLacksExactlyItsOmissions(t *testing.T) {
	kinds := func(s *system) (all []string) {
		for _, r := range s.resources() {
			all = append(all, r.stack+" "+r.kind)
		}
		return slices.Compact(slices.Sorted(slices.Values(all)))
	}
	local := kinds(synth(t, config.Local))
	var missing []string
	for _, kind := range kinds(synth(t, config.Dev)) {
		if !slices.Contains(local, kind) {
			missing = append(missing, kind)
		}
	}
	want := []string{
		"AthleteUi AWS::IAM::Policy", "AthleteUi AWS::IAM::Role", "AthleteUi AWS::Lambda::Function", "AthleteUi AWS::Lambda::LayerVersion",
		"AthleteUi AWS::Logs::LogGroup", "AthleteUi Custom::CDKBucketDeployment", "Platform AWS::Events::Archive",
	}
	if diff := cmp.Diff(want, missing); diff != "" {
		t.Errorf("stage local lacks other kinds of resources (-want +got):\n%s", diff)
	}
	b, err := json.Marshal(stack.Omissions)
	if err != nil {
		t.Fatal(err)
	}
	if got := at(map[string]any(synth(t, config.Local).templates["Platform"]), "Outputs", "LocalOmissions", "Value"); got != string(b) {
		t.Errorf("LocalOmissions is %v, not %s", got, b)
	}
}

func TestOverridesReachTheFunctions(t *testing.T) {
	context := context(t, config.Local)
	context["siteUrl"] = "http://localhost:18080"
	context["stravaApiUrl"] = "http://localhost:9001/api/v3"
	context["stravaOauthUrl"] = "http://localhost:9001/oauth"
	context["stravaPushUrl"] = "http://localhost:9001/push"
	s := synthesise(t, context, func(c *config.Config, _ *stack.Assets) {
		if c.Architecture != runtime.GOARCH {
			t.Errorf("stage local is built for %s", c.Architecture)
		}
	})
	for function, want := range map[string]map[string]string{
		"serveoauth":     {"STAGE": "local", "SITE_URL": "http://localhost:18080", "STRAVA_OAUTH_URL": "http://localhost:9001/oauth"},
		"forwardrequest": {"STRAVA_API_URL": "http://localhost:9001/api/v3", "PARAMETER_PATH": "/paceline/local/credentials"},
		"administerapp":  {"STRAVA_PUSH_URL": "http://localhost:9001/push"},
	} {
		f := s.find(t, "Credentials", "AWS::Lambda::Function", function)
		for name, value := range want {
			if got := f.at("Environment", "Variables", name); got != value {
				t.Errorf("%s: %s is %v, not %s", function, name, got, value)
			}
		}
	}
}

// Functions that set or read cookies get the name of the stage, and stage local is
// the only one without TLS.
func TestOnlyTheLocalStageHasPlainCookies(t *testing.T) {
	if config.Local != settings.StageLocal {
		t.Errorf("the local stage is %q here and %q there", config.Local, settings.StageLocal)
	}
	for _, stage := range stages {
		for _, function := range []string{"serveoauth", "serveapi", "authorizesession"} {
			f := synth(t, stage).find(t, "Credentials", "AWS::Lambda::Function", function)
			if got := f.at("Environment", "Variables", "STAGE"); got != string(stage) {
				t.Errorf("%s of stage %s has the stage %v", function, stage, got)
			}
		}
	}
}

// Neither the CDK CLI nor CloudFormation deploys a stack with a parameter that has
// no value.
func TestAPlaceholderSiteURLBlocksTheDeployment(t *testing.T) {
	const parameter = "SetSiteUrlInCdkJson"
	parameters := func(s *system) map[string]any {
		p, _ := s.templates["Credentials"]["Parameters"].(map[string]any)
		return p
	}
	for _, stage := range []config.Stage{config.Dev, config.Prod} {
		committed := context(t, stage)
		delete(committed, "siteUrl")
		asks := parameters(synthesise(t, committed, func(*config.Config, *stack.Assets) {}))[parameter]
		if asks == nil || at(asks, "Default") != nil {
			t.Errorf("stage %s can be deployed with the siteUrl of cdk.json: %v", stage, asks)
		}
	}
	for _, stage := range stages {
		if asks := parameters(synth(t, stage))[parameter]; asks != nil {
			t.Errorf("stage %s cannot be deployed with a siteUrl of its own", stage)
		}
	}
}

// Without `-c stage` all built stages are in one app.
func TestAStageIsTheSameAloneAndWithOthers(t *testing.T) {
	synth(t, config.Dev) // which makes the stubs
	values := context(t, config.Dev)
	out, err := os.MkdirTemp(workDir, "cdk.out-")
	if err != nil {
		t.Fatal(err)
	}
	app := awscdk.NewApp(&awscdk.AppProps{Context: &values, Outdir: jsii.String(out), AnalyticsReporting: jsii.Bool(false)})
	both := []config.Stage{config.Dev, config.Prod}
	for _, stage := range both {
		stack.NewPaceline(app, load(t, context(t, stage)), stubs(t))
	}
	app.Synth(nil)
	for _, stage := range both {
		for _, name := range stackNames {
			b, err := os.ReadFile(filepath.Join(out, "Paceline-"+string(stage)+"-"+name+".template.json"))
			if err != nil {
				t.Fatal(err)
			}
			alone, together := normalize(t, synth(t, stage).templates[name]), normalize(t, decode[template](t, b))
			if diff := cmp.Diff(lines(t, alone), lines(t, together)); diff != "" {
				t.Errorf("stage %s: %s (-alone +together):\n%s", stage, name, diff)
			}
		}
	}
}

func TestAStageWithACertificateHasItsOwnDomain(t *testing.T) {
	const certificate = "arn:aws:acm:us-east-1:111122223333:certificate/x"
	s := synthesise(t, context(t, config.Prod), func(c *config.Config, _ *stack.Assets) {
		c.CertificateARN, c.AlarmEmail = certificate, "ops@paceline.example"
	})
	if len(s.violations) > 0 {
		t.Errorf("findings: %v", s.violations)
	}
	d := s.find(t, "AthleteUi", "AWS::CloudFront::Distribution", "").at("DistributionConfig")
	if got := s.list("", at(d, "Aliases")); !slices.Equal(got, []string{"prod.paceline.test"}) {
		t.Errorf("the distribution has the aliases %v", got)
	}
	viewer := at(d, "ViewerCertificate")
	if at(viewer, "AcmCertificateArn") != certificate || at(viewer, "MinimumProtocolVersion") != "TLSv1.2_2021" {
		t.Errorf("the distribution has the certificate %v", viewer)
	}
	if got := at(map[string]any(s.templates["AthleteUi"]), "Outputs", "SiteUrl", "Value"); got != "https://prod.paceline.test" {
		t.Errorf("SiteUrl is %v", got)
	}
	if got := s.find(t, "Platform", "AWS::SNS::Subscription", "").at("Endpoint"); got != "ops@paceline.example" {
		t.Errorf("alarms go to %v", got)
	}
}

// A heading is the alarm's name without the stage's.
func TestEveryAlarmHasAHeadingInTheRunbook(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "docs/runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	var headings []string
	for line := range strings.Lines(string(b)) {
		if title, ok := strings.CutPrefix(line, "### "); ok {
			headings = append(headings, strings.TrimSpace(title))
		}
	}
	for _, stage := range stages {
		var alarms []string
		for _, a := range synth(t, stage).resources("AWS::CloudWatch::Alarm") {
			title, ok := strings.CutPrefix(a.at("AlarmName").(string), "Paceline-"+string(stage)+" ")
			if !ok {
				t.Errorf("%s does not begin with the stage's name", a.at("AlarmName"))
			}
			if a.at("AlarmActions") == nil {
				t.Errorf("%s has no action", a)
			}
			alarms = append(alarms, title)
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(headings)), slices.Sorted(slices.Values(alarms))); diff != "" {
			t.Errorf("stage %s: alarms differ from the runbook's headings (-runbook +alarms):\n%s", stage, diff)
		}
	}
}

func TestCloudWatchMayPublishAlarms(t *testing.T) {
	for _, stage := range stages {
		s := synth(t, stage)
		topic := s.find(t, "Platform", "AWS::SNS::Topic", "Alarms").String()
		allowed := slices.ContainsFunc(s.statements(), func(st statement) bool {
			return st.of.kind == "AWS::SNS::TopicPolicy" && st.effect == "Allow" && may(st, "sns:Publish") &&
				slices.Contains(st.principals, "cloudwatch.amazonaws.com") && owner(st.resources[0]) == topic
		})
		if !allowed {
			t.Errorf("stage %s: CloudWatch may not publish to %s", stage, topic)
		}
	}
}

func TestAFindingOfCDKNagStopsTheSynthesis(t *testing.T) {
	synth(t, config.Dev) // which makes the stubs
	out, err := os.MkdirTemp(workDir, "cdk.out-")
	if err != nil {
		t.Fatal(err)
	}
	context := context(t, config.Dev)
	app := awscdk.NewApp(&awscdk.AppProps{Context: &context, Outdir: jsii.String(out), AnalyticsReporting: jsii.Bool(false)})
	p := stack.NewPaceline(app, load(t, context), stubs(t))
	awssns.NewTopic(p.Platform.Stack, jsii.String("Careless"), nil)

	var stopped any
	func() {
		defer func() { stopped = recover() }()
		app.Synth(nil)
	}()
	if stopped == nil {
		t.Error("the synthesis continued")
	}
	found := violations(t, filepath.Join(out, "validation-report.json"))
	if len(found) != 1 || !strings.Contains(found[0], "Careless") || !strings.Contains(found[0], "AwsSolutions-SNS3") {
		t.Errorf("found %v", found)
	}
}

func TestAMissingFileIsReportedWithTheRemedy(t *testing.T) {
	synth(t, config.Dev) // which makes the stubs
	for missing, change := range map[string]func(*stack.Assets){
		"nowhere/credentials/serve-oauth/bootstrap is missing: run `make build STAGE=dev` first": func(a *stack.Assets) { a.Functions = "nowhere" },
		"nowhere/index.html is missing: run `make build STAGE=dev` first":                        func(a *stack.Assets) { a.Site = "nowhere" },
	} {
		func() {
			defer func() {
				err, _ := recover().(error)
				if m := (construct.MissingFile{}); !errors.As(err, &m) || err.Error() != missing {
					t.Errorf("reported %v, not %q", err, missing)
				}
			}()
			synthesise(t, context(t, config.Dev), func(_ *config.Config, a *stack.Assets) { change(a) })
		}()
	}
}
