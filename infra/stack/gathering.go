package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/paceline/paceline/infra/construct"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/athletev1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/pkg/gathering/settings"
)

const (
	gatherWork               = "gather-work"
	gatherWorkTimeoutSeconds = 300
	// gatherConcurrency is how many gatherers are woken at once: as many as may
	// call Strava at once under the limits of an application with 10,000 athletes.
	// Gatherers that are not needed end at once.
	gatherConcurrency = 4
)

// GatheringProps configures the gathering boundary.
type GatheringProps struct {
	Boundary *construct.Boundary
	Bus      awsevents.IEventBus
	// WebhookAPI receives Strava's webhooks, and nothing else.
	WebhookAPI awsapigatewayv2.IHttpApi
	// Requester makes the calls to Strava.
	Requester awslambda.IFunction
	// SubscriptionChecker checks whether Strava's webhooks can arrive.
	SubscriptionChecker awslambda.IFunction
}

// Gathering reads athletes and activities from Strava: on connecting, and when
// a webhook says that something changed.
type Gathering struct {
	awscdk.Stack
}

// NewGathering makes the gathering stack.
func NewGathering(scope constructs.Construct, id string, props *GatheringProps) *Gathering {
	b := props.Boundary
	s := newStack(scope, id, b.Config, "gathering", "Paceline: webhook, quota, gatherer")

	table := construct.NewTable(s, "Table", &construct.TableProps{
		Config:    b.Config,
		Partition: construct.Text("pk"),
		SortKey:   construct.Text("sk"),
		Indexes: []construct.Index{{
			Name: settings.WorkIndex, Partition: construct.Text("queue"), SortKey: construct.Number("due"), KeysOnly: true,
		}},
	})
	work := construct.NewQueue(s, "Work", &construct.QueueProps{
		Boundary:             b,
		Reader:               gatherWork,
		ReaderTimeoutSeconds: gatherWorkTimeoutSeconds,
	})

	receiveWebhook := construct.NewFunction(s, "receive-webhook", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Answers Strava's webhook once its event is stored durably",
		TimeoutSeconds: 10,

		ReservedConcurrency: b.Config.WebhookConcurrency,
		Settings: settings.ReceiveWebhook{
			Stage:          string(b.Config.Stage),
			GatheringTable: *table.TableName(),
			WakeQueueURL:   *work.QueueUrl(),
			EventBusName:   *props.Bus.EventBusName(),
		},
	})
	gather := construct.NewFunction(s, gatherWork, &construct.FunctionProps{
		Boundary:       b,
		Description:    "Reads athletes and activities from Strava",
		TimeoutSeconds: gatherWorkTimeoutSeconds,
		FeedsItself:    true,
		Settings: settings.GatherWork{
			Stage:             string(b.Config.Stage),
			GatheringTable:    *table.TableName(),
			WakeQueueURL:      *work.QueueUrl(),
			RequesterFunction: *props.Requester.FunctionArn(),
			EventBusName:      *props.Bus.EventBusName(),
		},
	})
	handleEvents := construct.NewFunction(s, "handle-events", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Starts gathering for athletes who connected, ends it for those who left",
		TimeoutSeconds: 30,
		Settings: settings.HandleEvents{
			GatheringTable: *table.TableName(),
			WakeQueueURL:   *work.QueueUrl(),
			EventBusName:   *props.Bus.EventBusName(),
		},
	})

	showStatus := construct.NewFunction(s, "show-status", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Shows an admin the quota, the work that waits, and the webhook",
		TimeoutSeconds: 30,
		Settings:       settings.ShowStatus{GatheringTable: *table.TableName()},
	})

	probeWebhook := construct.NewFunction(s, "probe-webhook", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Notes when Strava's webhooks cannot arrive",
		TimeoutSeconds: 45, // It waits for check-subscription.
		Settings: settings.ProbeWebhook{
			Stage:          string(b.Config.Stage),
			GatheringTable: *table.TableName(),
			CheckFunction:  *props.SubscriptionChecker.FunctionArn(),
		},
	})

	enforceDeadlines := construct.NewFunction(s, "enforce-deadlines", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Drops data of Strava after seven days, counts what is kept too long",
		TimeoutSeconds: 240,
		Seldom:         true,
		Settings: settings.EnforceDeadlines{
			Stage:          string(b.Config.Stage),
			GatheringTable: *table.TableName(),
		},
	})

	table.AllowItems(receiveWebhook, enforceDeadlines)
	table.AllowReadWrite(gather, handleEvents)
	table.AllowItems(probeWebhook)
	table.AllowRead(showStatus)
	table.AllowScan(enforceDeadlines)
	work.AllowSend(receiveWebhook, gather, handleEvents)
	work.Feed(gather, construct.FeedOptions{BatchSize: 10, MaxConcurrency: gatherConcurrency})
	construct.NewSchedule(s, "Tick", &construct.ScheduleProps{Function: gather, EveryMinutes: 1})
	construct.NewSchedule(s, "Deadlines", &construct.ScheduleProps{Function: enforceDeadlines, EveryMinutes: 60})
	construct.NewSchedule(s, "Probe", &construct.ScheduleProps{Function: probeWebhook, EveryMinutes: 2})
	gather.AllowInvoke(props.Requester)
	probeWebhook.AllowInvoke(props.SubscriptionChecker)
	for _, f := range []*construct.Function{receiveWebhook, gather, handleEvents} {
		f.AllowPublish(props.Bus, gatheringv1.Source)
	}

	construct.NewRoutes(s, "Webhook", &construct.RoutesProps{
		API:           props.WebhookAPI,
		Function:      receiveWebhook,
		Keys:          []string{"GET /webhooks/strava/{key}", "POST /webhooks/strava/{key}"},
		PublicBecause: "Strava has no session: the secret key in the path identifies its calls.",
	})
	construct.NewEventConsumer(s, "Consumer", &construct.EventConsumerProps{
		Boundary: b,
		Bus:      props.Bus,
		Function: handleEvents,
		Facts: []event.Fact{
			credentialsv1.AthleteAuthorized{},
			credentialsv1.AuthorizationRevoked{},
			credentialsv1.AuthorizationDegraded{},
			credentialsv1.WebhookConfigured{},
			athletev1.GatherRequested{},
			activityv1.RemovalQuestioned{},
		},
	})
	for _, a := range []struct {
		id, what, metric, statistic string
		minutes, threshold          float64
		periods                     int
		alwaysReported              bool
	}{
		{"RateLimitedAlarm", "Strava refused a call for the rate limit", metric.RateLimited, "Sum", 15, 1, 1, false},
		{"JobsParkedAlarm", "work was parked", metric.Parked, "Sum", 15, 1, 1, false},
		{"JobsFailedAlarm", "gatherers fail", metric.Failed, "Sum", 15, 5, 1, false},
		{"PausedAlarm", "Strava has answered no call for half an hour", metric.Paused, "Maximum", 5, 30 * 60, 1, false},
		{"WebhookAgeAlarm", "webhooks wait for too long", metric.OldestWebhook, "Maximum", 5, 15 * 60, 1, false},
		{"KeptTooLongAlarm", "data is kept too long", metric.KeptTooLong, "Maximum", 120, 1, 1, true},
		// Probes ask Strava every 10 minutes, so the figure may reach 12 minutes when
		// all is well, and twice that for a few minutes after one question without an
		// answer.
		{"WebhookUnwellAlarm", "webhooks may not arrive", metric.WebhookUnwell, "Maximum", 5, 15 * 60, 3, true},
		{"SubscriptionLostAlarm", "the push subscription is lost", metric.SubscriptionLost, "Maximum", 5, 1, 1, true},
	} {
		construct.NewAlarm(s, a.id, &construct.AlarmProps{
			Boundary: b,
			What:     a.what,
			Metric: awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
				Namespace:     jsii.String(metric.Namespace),
				MetricName:    jsii.String(a.metric),
				DimensionsMap: &map[string]*string{"stage": jsii.String(string(b.Config.Stage))},
				Statistic:     jsii.String(a.statistic),
				Period:        awscdk.Duration_Minutes(jsii.Number(a.minutes)),
			}),
			Threshold:      a.threshold,
			Periods:        a.periods,
			AlwaysReported: a.alwaysReported,
		})
	}
	output(s, "GatheringStatusFunctionName", showStatus.FunctionName(), "The function that `paceline admin status` calls")
	return &Gathering{Stack: s}
}
