package stack

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssnssubscriptions"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/paceline/paceline/infra/config"
	"github.com/paceline/paceline/infra/construct"
	athlete "github.com/paceline/paceline/pkg/athlete/metric"
	credentials "github.com/paceline/paceline/pkg/credentials/metric"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	gathering "github.com/paceline/paceline/pkg/gathering/metric"
)

// archiveDays is how long events can be replayed. It is shorter than the retention
// of queues, so that the archive does not hold the last copy of erased data.
const archiveDays = 3

// readings are events with data that Strava showed or no longer shows. They are
// not archived, because such data may be kept only where it can be erased. The
// next scan reads it again.
var readings = []event.Fact{
	gatheringv1.AthleteGathered{}, gatheringv1.ActivitiesGathered{}, gatheringv1.ActivityGone{}, activityv1.RemovalQuestioned{},
}

// PlatformProps configures the platform.
type PlatformProps struct {
	Config config.Config
}

// Platform holds what all boundaries use: the event bus with its archive, the HTTP
// API to which each boundary adds its routes, the topic for alarms, and the
// dashboard.
type Platform struct {
	awscdk.Stack
	Bus awsevents.EventBus
	API awsapigatewayv2.HttpApi
	// WebhookAPI receives Strava's webhooks, and nothing else.
	WebhookAPI awsapigatewayv2.HttpApi
	Alarms     awssns.Topic
}

// NewPlatform makes the platform's stack.
func NewPlatform(scope constructs.Construct, id string, props *PlatformProps) *Platform {
	c := props.Config
	s := newStack(scope, id, c, "platform", "Paceline: event bus, HTTP API, alarms, dashboard")
	p := &Platform{Stack: s}

	p.Bus = awsevents.NewEventBus(s, jsii.String("Bus"), &awsevents.EventBusProps{
		Description: jsii.String("Events between the boundaries of Paceline"),
	})
	if !omits(c, archive) {
		var excluded []any
		for _, f := range readings {
			excluded = append(excluded, jsii.String(f.DetailType()))
		}
		p.Bus.Archive(jsii.String("Archive"), &awsevents.BaseArchiveProps{
			EventPattern: &awsevents.EventPattern{
				Source:     awsevents.Match_Prefix(jsii.String("paceline.")),
				DetailType: awsevents.Match_AnythingBut(excluded...),
			},
			Retention: awscdk.Duration_Days(jsii.Number(archiveDays)),
		})
	}

	p.Alarms = awssns.NewTopic(s, jsii.String("Alarms"), &awssns.TopicProps{EnforceSSL: jsii.Bool(true)})
	// A topic with a policy of its own lacks SNS's default policy, which lets the
	// account's alarms publish.
	p.Alarms.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sns:Publish"),
		Resources:  &[]*string{p.Alarms.TopicArn()},
		Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": s.Account()}},
	}))
	if c.AlarmEmail != "" {
		p.Alarms.AddSubscription(awssnssubscriptions.NewEmailSubscription(jsii.String(c.AlarmEmail), nil))
	}

	// Without the limit strangers could use up the account's quotas of Lambda and
	// Parameter Store at /oauth/connect, which needs no session.
	p.API, _ = construct.NewHTTPAPI(s, "Api", &construct.HTTPAPIProps{Config: c, RequestsPerSecond: 100, Burst: 200})
	self := &construct.Boundary{Name: "Platform", Config: c, Alarms: p.Alarms}
	construct.NewAlarm(s, "ApiAlarm", &construct.AlarmProps{
		Boundary: self,
		Title:    "the HTTP API returns 5xx",
		Metric: p.API.MetricServerError(&awscloudwatch.MetricOptions{
			Period:    awscdk.Duration_Minutes(jsii.Number(5)),
			Statistic: jsii.String(construct.Sum),
		}),
		Threshold: 5,
	})
	p.WebhookAPI = newWebhookAPI(s, self)
	newDashboard(s, c, p.API)

	output(s, "EventBusName", p.Bus.EventBusName(), "The event bus of all boundaries")
	output(s, "HttpApiId", p.API.ApiId(), "The HTTP API's id")
	output(s, "WebhookApiId", p.WebhookAPI.ApiId(), "The id of the HTTP API that receives Strava's webhooks")
	output(s, "HttpApiUrl", p.API.ApiEndpoint(), "The HTTP API's own address, behind the site's")
	if c.Stage == config.Local {
		list, err := json.Marshal(Omissions)
		if err != nil {
			panic(err)
		}
		output(s, "LocalOmissions", jsii.String(string(list)), "Parts that stage local lacks, with the reasons")
	}
	return p
}

// newWebhookAPI makes the HTTP API for Strava's webhooks. It is separate so that
// strangers' traffic on /v1 and /oauth cannot use up its rate. The other API
// cannot limit single routes, because its stage is deployed before the routes and
// API Gateway refuses settings for a missing route.
func newWebhookAPI(s awscdk.Stack, self *construct.Boundary) awsapigatewayv2.HttpApi {
	scope := constructs.NewConstruct(s, jsii.String("Webhook"))
	// Strava pushes one event for each change of each athlete: a few a second for
	// 10,000 athletes.
	api, accessLogs := construct.NewHTTPAPI(scope, "Api", &construct.HTTPAPIProps{Config: self.Config, RequestsPerSecond: 50, Burst: 100})
	// The access log is counted because API Gateway's metrics do not distinguish 429
	// from the 404 of a stranger who guesses keys (API Gateway developer guide,
	// "Monitor CloudWatch metrics for HTTP APIs"). It may log only some of excessive
	// 429s ("Monitor HTTP APIs"), which is enough for an alarm.
	accessLogs.AddMetricFilter(jsii.String("Refused"), &awslogs.MetricFilterOptions{
		MetricNamespace: jsii.String(gathering.Namespace),
		MetricName:      jsii.String(gathering.WebhooksRefused),
		FilterPattern:   awslogs.FilterPattern_Literal(jsii.String(`{ ($.status = "429") || ($.status = "5*") }`)),
		MetricValue:     jsii.String("1"),
		Dimensions:      &map[string]*string{construct.StageDimension: jsii.String("$.stage")},
	})
	construct.NewMetricAlarms(scope, self, gathering.Namespace, construct.MetricAlarm{
		ID: "RefusedAlarm", Title: "webhooks are throttled or fail",
		Metric: gathering.WebhooksRefused, Statistic: construct.Sum, Period: 5 * time.Minute, Threshold: 5,
	})
	return api
}

// newDashboard makes the dashboard, which shows application health and the
// functions and queues of all stacks of the stage. It finds those by the first
// words of their names, because the platform is deployed before them. (CloudWatch
// matches unquoted words within names and quoted terms with whole names.)
func newDashboard(s awscdk.Stack, c config.Config, api awsapigatewayv2.HttpApi) {
	search := func(namespace, dimension, metric, statistic string) awscloudwatch.IMetric {
		return awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
			Expression: jsii.String(fmt.Sprintf(`SEARCH('{%s,%s} MetricName="%s" Paceline %s', '%s')`,
				namespace, dimension, metric, c.Stage, statistic)),
			UsingMetrics: &map[string]awscloudwatch.IMetric{},
			Label:        jsii.String(""),
		})
	}
	graph := func(title string, metrics ...awscloudwatch.IMetric) awscloudwatch.IWidget {
		return awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{
			Title: jsii.String(title),
			Left:  &metrics,
			Width: jsii.Number(12),
		})
	}
	stageMetrics := func(namespace, statistic string, names ...string) (out []awscloudwatch.IMetric) {
		for _, name := range names {
			out = append(out, construct.StageMetric(c, namespace, name, statistic, 15*time.Minute))
		}
		return out
	}
	d := awscloudwatch.NewDashboard(s, jsii.String("Dashboard"), nil)
	d.AddWidgets(
		graph(fmt.Sprintf("Connected athletes (capacity %d)", c.Strava.AthleteCapacity),
			stageMetrics(credentials.Namespace, construct.Maximum, credentials.Authorized)...),
		graph("Webhook events stored", stageMetrics(gathering.Namespace, construct.Sum, gathering.WebhookEvents)...),
		graph("Calls to Strava, by class of work", stageMetrics(gathering.Namespace, construct.Sum, callsByClass()...)...),
		graph("Age of the oldest due webhook job, s", stageMetrics(gathering.Namespace, construct.Maximum, gathering.OldestWebhook)...),
		graph("Erasures: pending, overdue, completed in seven days", stageMetrics(athlete.Namespace, construct.Maximum,
			athlete.ErasuresPending, athlete.ErasuresOverdue, athlete.ErasuresCompleted)...),
		graph("HTTP API: requests and failures", api.MetricCount(nil), api.MetricClientError(nil), api.MetricServerError(nil)),
		graph("HTTP API: latency, ms", api.MetricLatency(&awscloudwatch.MetricOptions{Statistic: jsii.String("p95")})),
		graph("Functions: errors", search("AWS/Lambda", "FunctionName", "Errors", construct.Sum)),
		graph("Functions: duration, ms", search("AWS/Lambda", "FunctionName", "Duration", "p95")),
		graph("Queues: waiting messages", search("AWS/SQS", "QueueName", "ApproximateNumberOfMessagesVisible", construct.Maximum)),
		graph("Queues: age of the oldest message, s", search("AWS/SQS", "QueueName", "ApproximateAgeOfOldestMessage", construct.Maximum)),
	)
}

// callsByClass returns the metrics of the calls to Strava.
func callsByClass() (names []string) {
	for _, class := range gathering.Classes {
		names = append(names, gathering.Calls(class))
	}
	return names
}
