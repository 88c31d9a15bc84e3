// Command serve-api answers the activity plane's routes of the HTTP API.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/ddb"
	"github.com/paceline/paceline/pkg/activity/handler"
	"github.com/paceline/paceline/pkg/activity/settings"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.ServeAPI
	cfg, log := startup.Load(context.Background(), &s)
	table := ddb.New(dynamodb.NewFromConfig(cfg), s.ActivitiesTable)
	limiter := api.NewLimiter(time.Now)
	lambda.Start(api.Mux(log, limiter.Limit(handler.APIRoutes(&activity.Reader{Store: table, Now: time.Now}))))
}
