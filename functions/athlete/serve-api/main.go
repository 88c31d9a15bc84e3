// Command serve-api answers the athlete plane's routes of the HTTP API.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/athlete/handler"
	"github.com/paceline/paceline/pkg/athlete/settings"
	"github.com/paceline/paceline/pkg/athlete/wiring"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.ServeAPI
	cfg, log := startup.Load(context.Background(), &s)
	service := wiring.Ports(cfg, s.AthletesTable, s.EventBusName).Service()
	limiter := api.NewLimiter(time.Now)
	lambda.Start(api.Mux(log, limiter.Limit(handler.APIRoutes(service, s.SiteURL))))
}
