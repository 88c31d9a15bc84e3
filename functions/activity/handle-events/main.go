// Command handle-events takes in what was gathered of activities, and erases
// when an authorization ends.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/ddb"
	"github.com/paceline/paceline/pkg/activity/handler"
	"github.com/paceline/paceline/pkg/activity/settings"
	"github.com/paceline/paceline/pkg/kit/consume"
	"github.com/paceline/paceline/pkg/kit/eventbus"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.HandleEvents
	cfg, log := startup.Load(context.Background(), &s)
	table := ddb.New(dynamodb.NewFromConfig(cfg), s.ActivitiesTable)
	bus := eventbus.New(eventbridge.NewFromConfig(cfg), s.EventBusName)
	recorder := &activity.Recorder{Store: table, Publisher: bus, Events: startup.EventFactory()}
	lambda.Start(consume.Handler(log, handler.EventRoutes(recorder)...))
}
