// Command handle-events handles the events of other boundaries: it begins and
// ends gathering for athletes, accepts their requests, and stores the values by
// which the receiver recognizes Strava.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/gathering/settings"
	"github.com/paceline/paceline/pkg/gathering/wiring"
	"github.com/paceline/paceline/pkg/kit/consume"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.HandleEvents
	cfg, log := startup.Load(context.Background(), &s)
	ports := wiring.Storage(cfg, s.GatheringTable)
	ports.Waker = wiring.Waker(cfg, s.WakeQueueURL)
	ports.Publisher = wiring.Publisher(cfg, s.EventBusName)
	lambda.Start(consume.Handler(log, handler.EventRoutes(ports.Authorizations(), ports.Configuration())...))
}
