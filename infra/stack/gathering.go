package stack

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
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
	// gatherConcurrency is how many gatherers run at once at most. It is as many as
	// may call Strava at once under the limits of an application with 10,000
	// athletes. Gatherers without work end at once.
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

// Gathering reads athletes and activities from Strava: after they connect, in
// regular scans, and when a webhook reports a change.
type Gathering struct {
	awscdk.Stack
	props *GatheringProps
	table *construct.Table
	// work wakes gatherers.
	work *construct.Queue

	receiveWebhook, gatherWork, handleEvents   *construct.Function
	showStatus, probeWebhook, enforceDeadlines *construct.Function
}

// NewGathering makes the gathering stack.
func NewGathering(scope constructs.Construct, id string, props *GatheringProps) *Gathering {
	g := &Gathering{
		Stack: newStack(scope, id, props.Boundary.Config, "gathering", "Paceline: webhook, quota, gatherer"),
		props: props,
	}
	g.addStorage()
	g.addGatherers()
	g.addMaintenance()
	g.allowAccess()
	g.addTriggers()
	g.addRoutes()
	g.addConsumer()
	g.addAlarms()
	output(g.Stack, "GatheringStatusFunctionName", g.showStatus.FunctionName(), "The function that `paceline admin status` invokes")
	return g
}

// addStorage makes the table and the queue of messages that wake gatherers.
func (g *Gathering) addStorage() {
	b := g.props.Boundary
	g.table = construct.NewTable(g.Stack, "Table", &construct.TableProps{
		Config:    b.Config,
		Partition: construct.Text("pk"),
		SortKey:   construct.Text("sk"),
		Indexes: []construct.Index{{
			Name: settings.WorkIndex, Partition: construct.Text("queue"), SortKey: construct.Number("due"), KeysOnly: true,
		}},
	})
	g.work = construct.NewQueue(g.Stack, "Work", &construct.QueueProps{
		Boundary:             b,
		Reader:               gatherWork,
		ReaderTimeoutSeconds: gatherWorkTimeoutSeconds,
	})
}

// addGatherers makes the functions that queue work and do it.
func (g *Gathering) addGatherers() {
	b, stage := g.props.Boundary, string(g.props.Boundary.Config.Stage)
	table, queue, bus := *g.table.TableName(), *g.work.QueueUrl(), *g.props.Bus.EventBusName()
	g.receiveWebhook = construct.NewFunction(g.Stack, "receive-webhook", &construct.FunctionProps{
		Boundary:            b,
		Description:         "Stores Strava's webhook events and acknowledges them",
		TimeoutSeconds:      10,
		ReservedConcurrency: b.Config.WebhookConcurrency,
		Settings: settings.ReceiveWebhook{
			Stage:          stage,
			GatheringTable: table,
			WakeQueueURL:   queue,
			EventBusName:   bus,
		},
	})
	g.gatherWork = construct.NewFunction(g.Stack, gatherWork, &construct.FunctionProps{
		Boundary:       b,
		Description:    "Reads athletes and activities from Strava",
		TimeoutSeconds: gatherWorkTimeoutSeconds,
		SendsToItself:  true,
		Settings: settings.GatherWork{
			Stage:             stage,
			GatheringTable:    table,
			WakeQueueURL:      queue,
			RequesterFunction: *g.props.Requester.FunctionArn(),
			EventBusName:      bus,
		},
	})
	g.handleEvents = construct.NewFunction(g.Stack, "handle-events", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Starts gathering for athletes who connected, and ends it for those who left",
		TimeoutSeconds: 30,
		Settings: settings.HandleEvents{
			GatheringTable: table,
			WakeQueueURL:   queue,
			EventBusName:   bus,
		},
	})
}

// addMaintenance makes the functions that report the state, probe the webhook and
// delete old data.
func (g *Gathering) addMaintenance() {
	b, stage, table := g.props.Boundary, string(g.props.Boundary.Config.Stage), *g.table.TableName()
	g.showStatus = construct.NewFunction(g.Stack, "show-status", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Shows an administrator the quota, the queued work, and the state of the webhook",
		TimeoutSeconds: 30,
		Settings:       settings.ShowStatus{GatheringTable: table},
	})
	g.probeWebhook = construct.NewFunction(g.Stack, "probe-webhook", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Probes whether Strava's webhooks can arrive, and records gaps",
		TimeoutSeconds: 45, // It waits for check-subscription.
		Settings: settings.ProbeWebhook{
			Stage:          stage,
			GatheringTable: table,
			CheckFunction:  *g.props.SubscriptionChecker.FunctionArn(),
		},
	})
	g.enforceDeadlines = construct.NewFunction(g.Stack, "enforce-deadlines", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Deletes Strava's data after seven days, and counts data that is kept too long",
		TimeoutSeconds: 240,
		Infrequent:     true,
		Settings: settings.EnforceDeadlines{
			Stage:          stage,
			GatheringTable: table,
		},
	})
}

func (g *Gathering) allowAccess() {
	g.table.AllowItems(g.receiveWebhook, g.enforceDeadlines)
	g.table.AllowReadWrite(g.gatherWork, g.handleEvents)
	g.table.AllowItems(g.probeWebhook)
	g.table.AllowRead(g.showStatus)
	g.table.AllowScan(g.enforceDeadlines)
	g.work.AllowSend(g.receiveWebhook, g.gatherWork, g.handleEvents)
	g.gatherWork.AllowInvoke(g.props.Requester)
	g.probeWebhook.AllowInvoke(g.props.SubscriptionChecker)
	for _, f := range []*construct.Function{g.receiveWebhook, g.gatherWork, g.handleEvents} {
		f.AllowPublish(g.props.Bus, gatheringv1.Source)
	}
}

// addTriggers connects the queue and makes the schedules.
func (g *Gathering) addTriggers() {
	g.work.SetReader(g.gatherWork, construct.ReaderOptions{BatchSize: 10, MaxConcurrency: gatherConcurrency})
	construct.NewSchedule(g.Stack, "Tick", &construct.ScheduleProps{Function: g.gatherWork, EveryMinutes: 1})
	construct.NewSchedule(g.Stack, "Deadlines", &construct.ScheduleProps{Function: g.enforceDeadlines, EveryMinutes: 60})
	construct.NewSchedule(g.Stack, "Probe", &construct.ScheduleProps{Function: g.probeWebhook, EveryMinutes: 2})
}

func (g *Gathering) addRoutes() {
	construct.NewRoutes(g.Stack, "Webhook", &construct.RoutesProps{
		API:           g.props.WebhookAPI,
		Function:      g.receiveWebhook,
		Keys:          []string{"GET /webhooks/strava/{key}", "POST /webhooks/strava/{key}"},
		PublicBecause: "Strava has no session: the secret key in the path identifies its calls.",
	})
}

func (g *Gathering) addConsumer() {
	construct.NewEventConsumer(g.Stack, "Consumer", &construct.EventConsumerProps{
		Boundary: g.props.Boundary,
		Bus:      g.props.Bus,
		Function: g.handleEvents,
		Facts: []event.Fact{
			credentialsv1.AthleteAuthorized{},
			credentialsv1.AuthorizationRevoked{},
			credentialsv1.AuthorizationDegraded{},
			credentialsv1.WebhookConfigured{},
			athletev1.GatherRequested{},
			activityv1.RemovalQuestioned{},
		},
	})
}

func (g *Gathering) addAlarms() {
	construct.NewMetricAlarms(g.Stack, g.props.Boundary, metric.Namespace,
		construct.MetricAlarm{
			ID: "RateLimitedAlarm", Title: "Strava rate-limited a call",
			Metric: metric.RateLimited, Statistic: construct.Sum, Period: 15 * time.Minute, Threshold: 1,
		},
		construct.MetricAlarm{
			ID: "JobsQuarantinedAlarm", Title: "a job was quarantined",
			Metric: metric.Quarantined, Statistic: construct.Sum, Period: 15 * time.Minute, Threshold: 1,
		},
		construct.MetricAlarm{
			ID: "JobsFailedAlarm", Title: "jobs fail",
			Metric: metric.Failed, Statistic: construct.Sum, Period: 15 * time.Minute, Threshold: 5,
		},
		construct.MetricAlarm{
			ID: "PausedAlarm", Title: "Strava has answered no call for half an hour",
			Metric: metric.Paused, Statistic: construct.Maximum, Period: 5 * time.Minute, Threshold: (30 * time.Minute).Seconds(),
		},
		construct.MetricAlarm{
			ID: "WebhookAgeAlarm", Title: "webhook events wait too long",
			Metric: metric.OldestWebhook, Statistic: construct.Maximum, Period: 5 * time.Minute, Threshold: (15 * time.Minute).Seconds(),
		},
		construct.MetricAlarm{
			ID: "KeptTooLongAlarm", Title: "data is kept too long",
			Metric: metric.KeptTooLong, Statistic: construct.Maximum, Period: 2 * time.Hour, Threshold: 1, AlwaysReported: true,
		},
		// A probe asks Strava every 10 minutes, so the metric can reach 12 minutes
		// while all is well, and twice that for a few minutes after one probe to
		// which Strava did not answer.
		construct.MetricAlarm{
			ID: "WebhookUnhealthyAlarm", Title: "webhooks may not arrive",
			Metric: metric.WebhookUnhealthy, Statistic: construct.Maximum, Period: 5 * time.Minute, Threshold: (15 * time.Minute).Seconds(),
			Periods: 3, AlwaysReported: true,
		},
		construct.MetricAlarm{
			ID: "SubscriptionLostAlarm", Title: "the push subscription is lost",
			Metric: metric.SubscriptionLost, Statistic: construct.Maximum, Period: 5 * time.Minute, Threshold: 1, AlwaysReported: true,
		},
	)
}
