package infra

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/infra/config"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// An invariant is a rule that holds for every stage.
type invariant struct {
	name string
	// check returns the violations.
	check func(*testing.T, *system) []string
	// breaks are changes that the check must notice.
	breaks map[string]func(*testing.T, *system)
}

func TestInvariants(t *testing.T) { testInvariants(t, invariants) }

func testInvariants(t *testing.T, all []invariant) {
	for _, inv := range all {
		t.Run(inv.name, func(t *testing.T) {
			for _, stage := range stages {
				for _, v := range inv.check(t, synth(t, stage)) {
					t.Errorf("stage %s: %s", stage, v)
				}
			}
			for name, damage := range inv.breaks {
				s := synth(t, config.Prod).clone(t)
				damage(t, s)
				if len(inv.check(t, s)) == 0 {
					t.Errorf("the check does not notice: %s", name)
				}
			}
		})
	}
}

var invariants = []invariant{
	{
		name: "every finding of cdk-nag and the CDK is acknowledged",
		check: func(_ *testing.T, s *system) []string {
			return s.violations
		},
	},
	{
		name: "a missing count of overdue data or erasures is an alarm",
		check: func(t *testing.T, s *system) (bad []string) {
			// counters are the functions that always report these metrics.
			counters := map[string]string{
				"Paceline/Gathering KeptTooLong":   s.find(t, "Gathering", "AWS::Lambda::Function", "enforcedeadlines").String(),
				"Paceline/Athlete KeptTooLong":     s.find(t, "AthletePlane", "AWS::Lambda::Function", "enforcedeadlines").String(),
				"Paceline/Athlete ErasuresOverdue": s.find(t, "AthletePlane", "AWS::Lambda::Function", "enforcedeadlines").String(),
				"Paceline/Activity KeptTooLong":    s.find(t, "ActivityPlane", "AWS::Lambda::Function", "auditactivities").String(),
			}
			seconds := map[string]float64{} // from one run of a function to the next
			for _, r := range s.resources("AWS::Scheduler::Schedule") {
				minutes := 0.0
				if _, err := fmt.Sscanf(fmt.Sprint(r.at("ScheduleExpression")), "rate(%f minute", &minutes); err == nil && r.at("State") != "DISABLED" {
					seconds[owner(s.text(r.stack, r.at("Target", "Arn")))] = 60 * minutes
				}
			}
			watched := map[string]bool{}
			for _, a := range s.resources("AWS::CloudWatch::Alarm") {
				metric, _ := a.at("MetricName").(string)
				if metric != "KeptTooLong" && metric != "ErasuresOverdue" {
					continue
				}
				watched[fmt.Sprint(a.at("Namespace"), " ", metric)] = true
				if a.at("TreatMissingData") != "breaching" {
					bad = append(bad, fmt.Sprintf("%s ignores missing data", a))
				}
				every := seconds[counters[fmt.Sprint(a.at("Namespace"), " ", metric)]]
				if period, _ := a.at("Period").(float64); every == 0 || period < 2*every {
					bad = append(bad, fmt.Sprintf("%s evaluates %v s, and there is a value every %v s", a, period, every))
				}
			}
			for metric := range counters {
				if !watched[metric] {
					bad = append(bad, metric+" has no alarm")
				}
			}
			return bad
		},
		breaks: map[string]func(*testing.T, *system){
			"missing data that counts as good": func(t *testing.T, s *system) {
				s.find(t, "Gathering", "AWS::CloudWatch::Alarm", "KeptTooLong").props()["TreatMissingData"] = "notBreaching"
			},
			"CloudWatch's default for missing data": func(t *testing.T, s *system) {
				delete(s.find(t, "AthletePlane", "AWS::CloudWatch::Alarm", "ErasuresOverdue").props(), "TreatMissingData")
			},
			"a period that may hold no value": func(t *testing.T, s *system) {
				s.find(t, "ActivityPlane", "AWS::CloudWatch::Alarm", "KeptTooLong").props()["Period"] = 6 * 3600.0
			},
			"an audit that runs once a day": func(t *testing.T, s *system) {
				s.find(t, "ActivityPlane", "AWS::Scheduler::Schedule", "Audit").props()["ScheduleExpression"] = "rate(1440 minutes)"
			},
			"a disabled schedule": func(t *testing.T, s *system) {
				s.find(t, "Gathering", "AWS::Scheduler::Schedule", "Deadlines").props()["State"] = "DISABLED"
			},
			"an alarm on another metric": func(t *testing.T, s *system) {
				s.find(t, "AthletePlane", "AWS::CloudWatch::Alarm", "KeptTooLong").props()["MetricName"] = "KeptToLong"
			},
		},
	},
	{
		name: "every rule's target has dead letters",
		check: func(_ *testing.T, s *system) (bad []string) {
			for _, r := range s.resources("AWS::Events::Rule") {
				targets, _ := r.at("Targets").([]any)
				if len(targets) == 0 {
					bad = append(bad, r.String()+" has no target")
				}
				for _, target := range targets {
					if at(target, "DeadLetterConfig", "Arn") == nil {
						bad = append(bad, r.String()+" has a target without dead letters")
					}
				}
			}
			return bad
		},
		breaks: map[string]func(*testing.T, *system){
			"a target without dead letters": func(t *testing.T, s *system) {
				r := s.find(t, "ActivityPlane", "AWS::Events::Rule", "ConsumerFromgathering")
				delete(r.at("Targets").([]any)[0].(map[string]any), "DeadLetterConfig")
			},
		},
	},
	{
		name: "every queue that is read has dead letters, a sufficient visibility timeout, and failures by message",
		check: func(_ *testing.T, s *system) (bad []string) {
			queues, functions := map[string]resource{}, map[string]resource{}
			for _, r := range s.resources("AWS::SQS::Queue") {
				queues[r.String()] = r
			}
			for _, r := range s.resources("AWS::Lambda::Function") {
				functions[r.String()] = r
			}
			for _, m := range s.resources("AWS::Lambda::EventSourceMapping") {
				q, ok := queues[owner(s.text(m.stack, m.at("EventSourceArn")))]
				f, ok2 := functions[owner(s.text(m.stack, m.at("FunctionName")))]
				if !ok || !ok2 {
					bad = append(bad, m.String()+" connects an unknown queue or function")
					continue
				}
				if dead := owner(s.text(q.stack, q.at("RedrivePolicy", "deadLetterTargetArn"))); queues[dead].id == "" {
					bad = append(bad, q.String()+" has no dead letters")
				}
				visibility, _ := q.at("VisibilityTimeout").(float64)
				if timeout, _ := f.at("Timeout").(float64); visibility < 6*timeout {
					bad = append(bad, fmt.Sprintf("%s hides messages for %v s, less than 6 times the timeout of %s", q, visibility, f))
				}
				receives, _ := q.at("RedrivePolicy", "maxReceiveCount").(float64)
				if keep, _ := q.at("MessageRetentionPeriod").(float64); receives*visibility >= keep {
					bad = append(bad, fmt.Sprintf("%s deletes messages before %v attempts", q, receives))
				}
				if !slices.Contains(s.list(m.stack, m.at("FunctionResponseTypes")), "ReportBatchItemFailures") {
					bad = append(bad, m.String()+" does not report failures by message")
				}
			}
			return bad
		},
		breaks: map[string]func(*testing.T, *system){
			"a queue without dead letters": func(t *testing.T, s *system) {
				delete(s.find(t, "Gathering", "AWS::SQS::Queue", "WorkQueue").props(), "RedrivePolicy")
			},
			"a visibility timeout that is too short": func(t *testing.T, s *system) {
				s.find(t, "Gathering", "AWS::SQS::Queue", "WorkQueue").props()["VisibilityTimeout"] = 60.0
			},
			"more attempts than the retention allows": func(t *testing.T, s *system) {
				q := s.find(t, "Credentials", "AWS::SQS::Queue", "ConsumerEventsQueue")
				q.at("RedrivePolicy").(map[string]any)["maxReceiveCount"] = 1000.0
				q.props()["VisibilityTimeout"] = 360.0
			},
			"failures by batch": func(t *testing.T, s *system) {
				delete(s.find(t, "Credentials", "AWS::Lambda::EventSourceMapping", "").props(), "FunctionResponseTypes")
			},
		},
	},
	{
		name: "no queue, archive, recovery or log keeps data longer than erasure receipts promise",
		check: func(_ *testing.T, s *system) (bad []string) {
			const days = float64(retention.Copies / (24 * time.Hour))
			for _, q := range s.resources("AWS::SQS::Queue") {
				if keep, _ := q.at("MessageRetentionPeriod").(float64); keep == 0 || keep > days*24*3600 {
					bad = append(bad, fmt.Sprintf("%s keeps messages for %v s", q, keep))
				}
			}
			for _, a := range s.resources("AWS::Events::Archive") {
				if keep, _ := a.at("RetentionDays").(float64); keep == 0 || keep > days {
					bad = append(bad, fmt.Sprintf("%s keeps events for %v days", a, keep))
				}
			}
			for _, l := range s.resources("AWS::Logs::LogGroup") {
				if keep, _ := l.at("RetentionInDays").(float64); keep == 0 || keep > days {
					bad = append(bad, fmt.Sprintf("%s keeps logs for %v days", l, keep))
				}
			}
			for _, r := range s.resources("AWS::DynamoDB::Table") {
				spec, _ := r.at("PointInTimeRecoverySpecification").(map[string]any)
				if keep, _ := spec["RecoveryPeriodInDays"].(float64); spec != nil && (keep == 0 || keep > days) {
					bad = append(bad, fmt.Sprintf("%s can be restored for %v days", r, keep))
				}
			}
			return bad
		},
		breaks: map[string]func(*testing.T, *system){
			"SQS's longest retention": func(t *testing.T, s *system) {
				s.find(t, "ActivityPlane", "AWS::SQS::Queue", "ConsumerEventsDeadLetters").props()["MessageRetentionPeriod"] = 1209600.0
			},
			"SQS's default retention": func(t *testing.T, s *system) {
				delete(s.find(t, "ActivityPlane", "AWS::SQS::Queue", "ConsumerEventsQueue").props(), "MessageRetentionPeriod")
			},
			"a longer archive": func(t *testing.T, s *system) {
				s.find(t, "Platform", "AWS::Events::Archive", "").props()["RetentionDays"] = 8.0
			},
			"a month of logs": func(t *testing.T, s *system) {
				s.find(t, "Gathering", "AWS::Logs::LogGroup", "gatherwork").props()["RetentionInDays"] = 30.0
			},
			"DynamoDB's default of 35 days": func(t *testing.T, s *system) {
				table := s.find(t, "ActivityPlane", "AWS::DynamoDB::Table", "")
				delete(table.at("PointInTimeRecoverySpecification").(map[string]any), "RecoveryPeriodInDays")
			},
		},
	},
	{
		name: "every function has a log group with retention, JSON logs, a timeout and a role of its own",
		check: func(_ *testing.T, s *system) (bad []string) {
			groups := map[string]resource{}
			for _, g := range s.resources("AWS::Logs::LogGroup") {
				groups[g.String()] = g
			}
			users := map[string]resource{}
			for _, f := range s.resources("AWS::Lambda::Function") {
				if ofTheCDK(f) {
					continue
				}
				group := groups[owner(s.text(f.stack, f.at("LoggingConfig", "LogGroup")))]
				if days, _ := group.at("RetentionInDays").(float64); days == 0 {
					bad = append(bad, f.String()+" has no log group with a retention")
				}
				if f.at("LoggingConfig", "LogFormat") != "JSON" {
					bad = append(bad, f.String()+" does not log JSON")
				}
				if f.at("Timeout") == nil {
					bad = append(bad, f.String()+" has no timeout")
				}
				for _, own := range []string{group.String(), owner(s.text(f.stack, f.at("Role")))} {
					if other, shared := users[own]; shared || own == "" {
						bad = append(bad, fmt.Sprintf("%s shares %q with %s", f, own, other))
					}
					users[own] = f
				}
			}
			for _, r := range s.resources("AWS::IAM::Role") {
				if !ofTheCDK(r) && r.at("ManagedPolicyArns") != nil {
					bad = append(bad, r.String()+" has a managed policy")
				}
			}
			return bad
		},
		breaks: map[string]func(*testing.T, *system){
			"logs without a retention": func(t *testing.T, s *system) {
				delete(s.find(t, "AthletePlane", "AWS::Logs::LogGroup", "serveapi").props(), "RetentionInDays")
			},
			"no log group": func(t *testing.T, s *system) {
				delete(s.find(t, "AthletePlane", "AWS::Lambda::Function", "serveapi").at("LoggingConfig").(map[string]any), "LogGroup")
			},
			"text logs": func(t *testing.T, s *system) {
				s.find(t, "AthletePlane", "AWS::Lambda::Function", "serveapi").at("LoggingConfig").(map[string]any)["LogFormat"] = "Text"
			},
			"no timeout": func(t *testing.T, s *system) {
				delete(s.find(t, "AthletePlane", "AWS::Lambda::Function", "serveapi").props(), "Timeout")
			},
			"a shared role": func(t *testing.T, s *system) {
				s.find(t, "AthletePlane", "AWS::Lambda::Function", "serveapi").props()["Role"] =
					s.find(t, "AthletePlane", "AWS::Lambda::Function", "handleevents").at("Role")
			},
			"a managed policy": func(t *testing.T, s *system) {
				s.find(t, "AthletePlane", "AWS::IAM::Role", "serveapi").props()["ManagedPolicyArns"] = []any{"arn:aws:iam::aws:policy/AdministratorAccess"}
			},
		},
	},
	{
		name: "no policy allows all actions of a service, or one on everything",
		check: func(_ *testing.T, s *system) (bad []string) {
			for _, st := range s.statements() {
				if st.effect != "Allow" || ofTheCDK(st.of) {
					continue
				}
				for _, action := range st.actions {
					if strings.Contains(action, "*") {
						bad = append(bad, fmt.Sprintf("%s allows %s", st.of, action))
					}
				}
				// A key's policy has no other name for the key.
				if slices.Contains(st.resources, "*") && st.of.kind != "AWS::KMS::Key" {
					bad = append(bad, fmt.Sprintf("%s allows %v on everything", st.of, st.actions))
				}
				if slices.Contains(st.principals, "*") {
					bad = append(bad, fmt.Sprintf("%s allows %v to everyone", st.of, st.actions))
				}
			}
			return bad
		},
		breaks: map[string]func(*testing.T, *system){
			"all of DynamoDB": func(t *testing.T, s *system) { allow(t, s, "AthletePlane", "serve-api", "dynamodb:*", "x") },
			"any resource":    func(t *testing.T, s *system) { allow(t, s, "AthletePlane", "serve-api", "dynamodb:GetItem", "*") },
		},
	},
	{
		name: "stateful resources of prod are retained and can be restored",
		check: func(_ *testing.T, s *system) (bad []string) {
			if s.stage != config.Prod {
				return nil
			}
			for _, r := range s.resources("AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::S3::Bucket", "AWS::Logs::LogGroup") {
				if r.body["DeletionPolicy"] != "Retain" || r.body["UpdateReplacePolicy"] != "Retain" {
					bad = append(bad, r.String()+" is deleted with its stack")
				}
				if r.kind != "AWS::DynamoDB::Table" {
					continue
				}
				if r.at("DeletionProtectionEnabled") != true {
					bad = append(bad, r.String()+" is not protected against deletion")
				}
				if r.at("PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled") != true {
					bad = append(bad, r.String()+" cannot be restored")
				}
			}
			return bad
		},
		breaks: map[string]func(*testing.T, *system){
			"a key that is deleted with its stack": func(t *testing.T, s *system) {
				s.find(t, "Credentials", "AWS::KMS::Key", "TokenKey").body["DeletionPolicy"] = "Delete"
			},
			"a table without protection": func(t *testing.T, s *system) {
				delete(s.find(t, "Credentials", "AWS::DynamoDB::Table", "Grants").props(), "DeletionProtectionEnabled")
			},
			"a table without recovery": func(t *testing.T, s *system) {
				delete(s.find(t, "Credentials", "AWS::DynamoDB::Table", "Grants").props(), "PointInTimeRecoverySpecification")
			},
		},
	},
	{
		name: "items of every table expire",
		check: func(_ *testing.T, s *system) (bad []string) {
			for _, r := range s.resources("AWS::DynamoDB::Table") {
				if r.at("TimeToLiveSpecification", "AttributeName") != "expires_at" || r.at("TimeToLiveSpecification", "Enabled") != true {
					bad = append(bad, r.String()+" does not expire items at expires_at")
				}
			}
			return bad
		},
		breaks: map[string]func(*testing.T, *system){
			"a table without expiry": func(t *testing.T, s *system) {
				delete(s.find(t, "Gathering", "AWS::DynamoDB::Table", "").props(), "TimeToLiveSpecification")
			},
		},
	},
	{
		name: "functions publish only as their own boundary",
		check: func(_ *testing.T, s *system) (bad []string) {
			sources := map[string]string{
				"Credentials": "paceline.credentials", "Gathering": "paceline.gathering",
				"AthletePlane": "paceline.athlete", "ActivityPlane": "paceline.activity",
			}
			for _, st := range s.statements() {
				if !may(st, "events:PutEvents") {
					continue
				}
				if got := at(st.conditions, "StringEquals", "events:source"); got != sources[st.of.stack] || got == nil {
					bad = append(bad, fmt.Sprintf("%s publishes as %v", st.of, got))
				}
			}
			return bad
		},
		breaks: map[string]func(*testing.T, *system){
			"any source": func(t *testing.T, s *system) {
				allow(t, s, "AthletePlane", "serve-api", "events:PutEvents", "arn:aws:events:us-east-1:1:event-bus/b")
			},
		},
	},
	{
		name: "all routes have the session authorizer except the known public ones",
		check: func(t *testing.T, s *system) (bad []string) {
			authorizer := s.find(t, "Credentials", "AWS::ApiGatewayV2::Authorizer", "SessionAuthorizer").String()
			for _, r := range s.resources("AWS::ApiGatewayV2::Route") {
				key, _ := r.at("RouteKey").(string)
				authorized := r.at("AuthorizationType") == "CUSTOM" && owner(s.text(r.stack, r.at("AuthorizerId"))) == authorizer
				if authorized == slices.Contains(publicRoutes, key) {
					bad = append(bad, fmt.Sprintf("%s: %s: has the authorizer: %t", r, key, authorized))
				}
			}
			return bad
		},
		breaks: map[string]func(*testing.T, *system){
			"a public profile": func(t *testing.T, s *system) {
				delete(s.find(t, "AthletePlane", "AWS::ApiGatewayV2::Route", "ApiDELETEv1me").props(), "AuthorizerId")
			},
		},
	},
	{
		name: "stacks export only the bus, the HTTP APIs, the alarm topic, the requester, check-subscription and the authorizer",
		check: func(_ *testing.T, s *system) (bad []string) {
			shared := regexp.MustCompile(`^\{(Platform\.(Bus|Api|WebhookApi|Alarms)[0-9A-F]{8}(\.Arn)?|Credentials\.(forwardrequest|checksubscription)Function[0-9A-F]{8}\.Arn|Credentials\.SessionAuthorizer)\}$`)
			for _, name := range stackNames {
				outputs, _ := s.templates[name]["Outputs"].(map[string]any)
				for key, o := range outputs {
					if export := at(o, "Export", "Name"); export != nil && !shared.MatchString(s.text(name, at(o, "Value"))) {
						bad = append(bad, fmt.Sprintf("%s exports %s", name, key))
					}
				}
			}
			return bad
		},
		breaks: map[string]func(*testing.T, *system){
			"an exported table": func(t *testing.T, s *system) {
				s.templates["AthletePlane"]["Outputs"] = map[string]any{"Table": map[string]any{
					"Value":  map[string]any{"Ref": s.find(t, "AthletePlane", "AWS::DynamoDB::Table", "").id},
					"Export": map[string]any{"Name": "table"},
				}}
			},
		},
	},
	{
		name: "only alarms have fixed names",
		check: func(_ *testing.T, s *system) (bad []string) {
			for _, r := range s.resources() {
				for _, property := range []string{
					"FunctionName", "RoleName", "TableName", "QueueName", "TopicName", "BucketName", "LogGroupName",
					"DashboardName", "ArchiveName", "KeyAlias",
				} {
					if name, fixed := r.at(property).(string); fixed {
						bad = append(bad, fmt.Sprintf("%s has the fixed name %q", r, name))
					}
				}
			}
			return bad
		},
		breaks: map[string]func(*testing.T, *system){
			"a named table": func(t *testing.T, s *system) {
				s.find(t, "AthletePlane", "AWS::DynamoDB::Table", "").props()["TableName"] = "athletes"
			},
		},
	},
	{
		name: "all resources are tagged with app, stage and context",
		check: func(_ *testing.T, s *system) (bad []string) {
			for _, r := range s.resources("AWS::Lambda::Function", "AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::KMS::Key",
				"AWS::S3::Bucket", "AWS::Logs::LogGroup", "AWS::IAM::Role", "AWS::SNS::Topic") {
				tags := map[string]any{}
				items, _ := r.at("Tags").([]any)
				for _, tag := range items {
					if key, ok := at(tag, "Key").(string); ok {
						tags[key] = at(tag, "Value")
					}
				}
				if tags["app"] != "paceline" || tags["stage"] != string(s.stage) || tags["context"] == nil {
					bad = append(bad, fmt.Sprintf("%s has the tags %v", r, tags))
				}
			}
			return bad
		},
		breaks: map[string]func(*testing.T, *system){
			"an untagged table": func(t *testing.T, s *system) {
				delete(s.find(t, "AthletePlane", "AWS::DynamoDB::Table", "").props(), "Tags")
			},
		},
	},
}

// publicRoutes are the routes without an authorizer.
var publicRoutes = []string{
	"GET /oauth/connect", "GET /oauth/callback", "GET /oauth/{provider}/callback", "POST /oauth/logout", "POST /oauth/waitlist",
	"GET /webhooks/strava/{key}", "POST /webhooks/strava/{key}",
	"GET /v1/erasures/{receipt}",
	"$default",
}

// ofTheCDK reports whether the CDK added the resource, to upload the site.
func ofTheCDK(r resource) bool { return strings.HasPrefix(r.id, "CustomCDKBucketDeployment") }

// may reports whether the statement covers the action.
func may(st statement, action string) bool {
	service, _, _ := strings.Cut(action, ":")
	for _, a := range st.actions {
		if a == action || a == "*" || a == service+":*" {
			return true
		}
	}
	return false
}

// allow adds a statement to the role of a function, to break a rule.
func allow(t *testing.T, s *system, stack, function, action string, resource any) {
	t.Helper()
	role := s.roleOf(t, stack, function)
	for _, p := range s.resources("AWS::IAM::Policy") {
		if p.stack == stack && slices.Contains(s.list(stack, p.at("Roles")), "{"+role+"}") {
			document := p.at("PolicyDocument").(map[string]any)
			document["Statement"] = append(document["Statement"].([]any),
				map[string]any{"Effect": "Allow", "Action": action, "Resource": resource})
			return
		}
	}
	t.Fatalf("%s has no policy", role)
}
