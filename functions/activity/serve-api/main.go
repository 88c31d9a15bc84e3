// Command serve-api answers the activity plane's routes of the HTTP API.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/activity/handler"
	"github.com/paceline/paceline/pkg/activity/settings"
	"github.com/paceline/paceline/pkg/activity/wiring"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.ServeAPI
	cfg, log := startup.Load(context.Background(), &s)
	reader := wiring.Storage(cfg, s.ActivitiesTable).Reader()
	lambda.Start(api.Mux(log, api.NewLimiter(time.Now).Limit(handler.APIRoutes(reader))))
}
