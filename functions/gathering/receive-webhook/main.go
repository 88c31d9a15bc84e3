// Command receive-webhook receives Strava's webhook events. It answers 200 only
// once the event is stored.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/ddb"
	"github.com/paceline/paceline/pkg/gathering/lambdain"
	"github.com/paceline/paceline/pkg/gathering/settings"
	"github.com/paceline/paceline/pkg/gathering/sqs"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/ebus"
	"github.com/paceline/paceline/pkg/kit/httpapi"
	"github.com/paceline/paceline/pkg/kit/obs"
)

func main() {
	var s settings.ReceiveWebhook
	cfg, log := boot.Load(context.Background(), &s)
	table := ddb.New(dynamodb.NewFromConfig(cfg), s.GatheringTable)
	metrics := obs.NewMetrics(os.Stdout, time.Now, settings.MetricNamespace, s.Stage, "receive-webhook")
	lambda.Start(obs.Flushing(metrics, httpapi.Mux(log, lambdain.WebhookRoutes(&gathering.WebhookReceiver{
		Webhooks:  table,
		Inboxes:   table,
		Waker:     sqs.New(awssqs.NewFromConfig(cfg), s.WakeQueueURL),
		Publisher: ebus.New(eventbridge.NewFromConfig(cfg), s.EventBusName),
		Minter:    boot.Minter(),
		Metrics:   metrics,
		Log:       log,
	}))))
}
