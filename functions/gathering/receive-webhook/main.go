// Command receive-webhook takes Strava's webhooks in: it answers 200 only once
// the notice is in the work queue or on the bus.
package main

import (
	"context"

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
)

func main() {
	var s settings.ReceiveWebhook
	cfg, log := boot.Load(context.Background(), &s)
	hook := &gathering.Hook{
		Webhooks:  ddb.New(dynamodb.NewFromConfig(cfg), s.GatheringTable),
		Queue:     sqs.New(awssqs.NewFromConfig(cfg), s.WorkQueueURL),
		Publisher: ebus.New(eventbridge.NewFromConfig(cfg), s.EventBusName),
		Minter:    boot.Minter(),
	}
	lambda.Start(httpapi.Mux(log, lambdain.HookRoutes(hook)))
}
