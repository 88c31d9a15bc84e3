// Command probe-webhook checks whether Strava's webhooks can arrive.
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
	var s settings.ProbeWebhook
	cfg, _ := startup.Load(context.Background(), &s)
	metrics := wiring.Metrics(s.Stage)
	ports := wiring.Storage(cfg, s.GatheringTable)
	ports.CheckSubscription = requester.CheckSubscription(cfg, s.CheckFunction)
	ports.Metrics = metrics
	lambda.Start(emf.Flushing(metrics, handler.ProbeWebhook(ports.Probe())))
}
