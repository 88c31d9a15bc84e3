// Command receive-webhook receives Strava's webhook events. It answers 200 only
// once the event is stored.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/gathering/settings"
	"github.com/paceline/paceline/pkg/gathering/wiring"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.ReceiveWebhook
	cfg, log := startup.Load(context.Background(), &s)
	metrics := wiring.Metrics(s.Stage)
	ports := wiring.Storage(cfg, s.GatheringTable)
	ports.Waker = wiring.Waker(cfg, s.WakeQueueURL)
	ports.Publisher = wiring.Publisher(cfg, s.EventBusName)
	ports.Metrics, ports.Log = metrics, log
	lambda.Start(emf.Flushing(metrics, api.Mux(log, handler.WebhookRoutes(ports.Receiver()))))
}
