// Command receive-webhook receives Strava's webhook events. It answers 200 only
// once the event is stored.
package main

import (
	"context"
	"os"
	"time"

	"github.com/paceline/paceline/pkg/gathering/metric"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/ddb"
	"github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/gathering/settings"
	"github.com/paceline/paceline/pkg/gathering/sqs"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/eventbus"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.ReceiveWebhook
	cfg, log := startup.Load(context.Background(), &s)
	table := ddb.New(dynamodb.NewFromConfig(cfg), s.GatheringTable)
	metrics := emf.New(os.Stdout, time.Now, metric.Namespace, s.Stage)
	lambda.Start(emf.Flushing(metrics, api.Mux(log, handler.WebhookRoutes(&gathering.WebhookReceiver{
		Webhooks:  table,
		Inboxes:   table,
		Waker:     sqs.New(awssqs.NewFromConfig(cfg), s.WakeQueueURL),
		Publisher: eventbus.New(eventbridge.NewFromConfig(cfg), s.EventBusName),
		Events:    startup.EventFactory(),
		Metrics:   metrics,
		Log:       log,
	}))))
}
