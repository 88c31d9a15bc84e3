// Command handle-events handles the events of other boundaries: it begins and
// ends gathering for athletes, takes their requests, and learns what the
// webhook accepts.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/ddb"
	"github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/gathering/settings"
	"github.com/paceline/paceline/pkg/gathering/sqs"
	"github.com/paceline/paceline/pkg/kit/consume"
	"github.com/paceline/paceline/pkg/kit/eventbus"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.HandleEvents
	cfg, log := startup.Load(context.Background(), &s)
	table := ddb.New(dynamodb.NewFromConfig(cfg), s.GatheringTable)
	lambda.Start(consume.Handler(log, handler.EventRoutes(&gathering.Authorizations{
		Athletes:  table,
		Inboxes:   table,
		Waker:     sqs.New(awssqs.NewFromConfig(cfg), s.WakeQueueURL),
		Publisher: eventbus.New(eventbridge.NewFromConfig(cfg), s.EventBusName),
		Events:    startup.EventFactory(),
	}, &gathering.Configuration{Webhooks: table, Now: time.Now})...))
}
