// Command serve-api answers the athlete plane's routes of the HTTP API.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/ddb"
	"github.com/paceline/paceline/pkg/athlete/lambdain"
	"github.com/paceline/paceline/pkg/athlete/settings"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/ebus"
	"github.com/paceline/paceline/pkg/kit/httpapi"
)

func main() {
	var s settings.ServeAPI
	cfg, log := boot.Load(context.Background(), &s)
	table := ddb.New(dynamodb.NewFromConfig(cfg), s.AthletesTable)
	service := &athlete.Service{
		Accounts:   table,
		Erasures:   table,
		Publisher:  ebus.New(eventbridge.NewFromConfig(cfg), s.EventBusName),
		Minter:     boot.Minter(),
		NewReceipt: boot.NewSecret,
	}
	limiter := httpapi.NewLimiter(time.Now)
	lambda.Start(httpapi.Mux(log, limiter.Limit(lambdain.APIRoutes(service, s.SiteURL))))
}
