package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/paceline/paceline/infra/construct"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering/settings"
)

const (
	gatherWork               = "gather-work"
	gatherWorkTimeoutSeconds = 60
	// gatherConcurrency is how many calls to Strava are under way at once.
	// It is the least that Lambda takes; Strava's quota is used up by fewer.
	gatherConcurrency = 2
)

// GatheringProps configures the gathering boundary.
type GatheringProps struct {
	Boundary *construct.Boundary
	Bus      awsevents.IEventBus
	API      awsapigatewayv2.IHttpApi
	// Requester makes the calls to Strava.
	Requester awslambda.IFunction
}

// Gathering reads athletes and activities from Strava: on connecting, and when
// a webhook says that something changed.
type Gathering struct {
	awscdk.Stack
}

// NewGathering makes the gathering stack.
func NewGathering(scope constructs.Construct, id string, props *GatheringProps) *Gathering {
	b := props.Boundary
	s := newStack(scope, id, b.Config, "gathering", "Paceline: webhook, work queue, gatherer")

	table := construct.NewTable(s, "Table", &construct.TableProps{
		Config:    b.Config,
		Partition: construct.Text("pk"),
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
		Settings: settings.ReceiveWebhook{
			GatheringTable: *table.TableName(),
			WorkQueueURL:   *work.QueueUrl(),
			EventBusName:   *props.Bus.EventBusName(),
		},
	})
	gather := construct.NewFunction(s, gatherWork, &construct.FunctionProps{
		Boundary:       b,
		Description:    "Reads athletes and activities from Strava",
		TimeoutSeconds: gatherWorkTimeoutSeconds,
		FeedsItself:    true,
		Settings: settings.GatherWork{
			GatheringTable:    *table.TableName(),
			WorkQueueURL:      *work.QueueUrl(),
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
			WorkQueueURL:   *work.QueueUrl(),
			EventBusName:   *props.Bus.EventBusName(),
		},
	})

	table.AllowGet(receiveWebhook)
	table.AllowReadWrite(gather, handleEvents)
	work.AllowSend(receiveWebhook, gather, handleEvents)
	work.Feed(gather, construct.FeedOptions{BatchSize: 1, MaxConcurrency: gatherConcurrency})
	gather.AllowInvoke(props.Requester)
	for _, f := range []*construct.Function{receiveWebhook, gather, handleEvents} {
		f.AllowPublish(props.Bus, gatheringv1.Source)
	}

	construct.NewRoutes(s, "Webhook", &construct.RoutesProps{
		API:           props.API,
		Function:      receiveWebhook,
		Keys:          []string{"GET /webhooks/strava/{key}", "POST /webhooks/strava/{key}"},
		PublicBecause: "Strava has no session: the path's secret key tells its calls.",
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
		},
	})
	return &Gathering{Stack: s}
}
