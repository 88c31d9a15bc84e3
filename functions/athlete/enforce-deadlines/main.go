// Command enforce-deadlines drops profiles that may no longer be kept,
// publishes again the requests to leave that credentials has not answered, and
// counts overdue erasures.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/athlete/handler"
	"github.com/paceline/paceline/pkg/athlete/metric"
	"github.com/paceline/paceline/pkg/athlete/settings"
	"github.com/paceline/paceline/pkg/athlete/wiring"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.EnforceDeadlines
	cfg, _ := startup.Load(context.Background(), &s)
	deadlines := wiring.Ports(cfg, s.AthletesTable, s.EventBusName).Deadlines()
	metrics := emf.New(os.Stdout, time.Now, metric.Namespace, s.Stage)
	lambda.Start(emf.Flushing(metrics, handler.EnforceDeadlines(deadlines, metrics)))
}
