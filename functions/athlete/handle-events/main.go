// Command handle-events handles the events of other boundaries: it stores
// athletes' profiles and what they allowed, erases both when an authorization
// ends, and keeps the state of each erasure.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/athlete/handler"
	"github.com/paceline/paceline/pkg/athlete/settings"
	"github.com/paceline/paceline/pkg/athlete/wiring"
	"github.com/paceline/paceline/pkg/kit/consume"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.HandleEvents
	cfg, log := startup.Load(context.Background(), &s)
	service := wiring.Stores(cfg, s.AthletesTable).Service() // Handling events publishes none.
	lambda.Start(consume.Handler(log, handler.EventRoutes(service)...))
}
