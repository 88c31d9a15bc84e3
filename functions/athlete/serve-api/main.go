// Command serve-api answers the athlete plane's routes of the HTTP API.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/ddb"
	"github.com/paceline/paceline/pkg/athlete/handler"
	"github.com/paceline/paceline/pkg/athlete/settings"
	"github.com/paceline/paceline/pkg/kit/eventbus"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.ServeAPI
	cfg, log := startup.Load(context.Background(), &s)
	table := ddb.New(dynamodb.NewFromConfig(cfg), s.AthletesTable)
	service := &athlete.Service{
		Accounts:   table,
		Erasures:   table,
		Publisher:  eventbus.New(eventbridge.NewFromConfig(cfg), s.EventBusName),
		Events:     startup.EventFactory(),
		NewReceipt: startup.NewSecret,
	}
	limiter := api.NewLimiter(time.Now)
	lambda.Start(api.Mux(log, limiter.Limit(handler.APIRoutes(service, s.SiteURL))))
}
