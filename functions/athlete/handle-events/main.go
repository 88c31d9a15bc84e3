// Command handle-events takes in what was gathered of athletes and what they
// allowed, and erases when an authorization ends.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/ddb"
	"github.com/paceline/paceline/pkg/athlete/handler"
	"github.com/paceline/paceline/pkg/athlete/settings"
	"github.com/paceline/paceline/pkg/kit/consume"
	"github.com/paceline/paceline/pkg/kit/eventbus"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.HandleEvents
	cfg, log := startup.Load(context.Background(), &s)
	table := ddb.New(dynamodb.NewFromConfig(cfg), s.AthletesTable)
	service := &athlete.Service{
		Accounts:   table,
		Erasures:   table,
		Publisher:  eventbus.New(eventbridge.NewFromConfig(cfg), s.EventBusName),
		Events:     startup.EventFactory(),
		NewReceipt: startup.NewSecret,
	}
	lambda.Start(consume.Handler(log, handler.EventRoutes(service)...))
}
