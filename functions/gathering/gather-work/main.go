// Command gather-work runs the gatherer: it reads athletes and activities from
// Strava and publishes them.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/gathering/requester"
	"github.com/paceline/paceline/pkg/gathering/settings"
	"github.com/paceline/paceline/pkg/gathering/wiring"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.GatherWork
	cfg, log := startup.Load(context.Background(), &s)
	metrics := wiring.Metrics(s.Stage)
	ports := wiring.Storage(cfg, s.GatheringTable)
	ports.Strava = requester.Strava(cfg, s.RequesterFunction)
	ports.Waker = wiring.Waker(cfg, s.WakeQueueURL)
	ports.Publisher = wiring.Publisher(cfg, s.EventBusName)
	ports.Metrics, ports.Log = metrics, log
	lambda.Start(emf.Flushing(metrics, handler.Work(ports.Gatherer())))
}
