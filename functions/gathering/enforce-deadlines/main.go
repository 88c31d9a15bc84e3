// Command enforce-deadlines drops Strava's data that may no longer be kept, and
// counts data that is kept too long.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/gathering/settings"
	"github.com/paceline/paceline/pkg/gathering/wiring"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.EnforceDeadlines
	cfg, log := startup.Load(context.Background(), &s)
	metrics := wiring.Metrics(s.Stage)
	deadlines := wiring.Storage(cfg, s.GatheringTable).Deadlines()
	lambda.Start(emf.Flushing(metrics, handler.EnforceDeadlines(deadlines, metrics, log)))
}
