// Command handle-events ends authorizations: it handles requests to leave,
// deauthorizations reported by webhook, and confirmed erasures.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/credentials/metric"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/wiring"
	"github.com/paceline/paceline/pkg/kit/consume"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.UseTokens
	cfg, log := startup.Load(context.Background(), &s)
	metrics := emf.New(os.Stdout, time.Now, metric.Namespace, s.Stage)
	ports := wiring.Strava(cfg, s, metrics, log)
	reconciler := ports.Reconciler(ports.Tokens())
	lambda.Start(emf.Flushing(metrics, consume.Handler(log, handler.EventRoutes(reconciler)...)))
}
