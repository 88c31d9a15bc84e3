// Command reconcile-grants performs the pending tasks of grants: it publishes
// events, completes connects and revocations that were cut off, verifies claims
// of deauthorization, and deletes parameters that are no longer used. It also
// reports how many athletes are authorized.
package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/metric"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/wiring"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.UseTokens
	cfg, log := startup.Load(context.Background(), &s)
	metrics := emf.New(os.Stdout, time.Now, metric.Namespace, s.Stage)
	ports := wiring.Strava(cfg, s, metrics, log)
	reconciler := ports.Reconciler(ports.Tokens())
	lambda.Start(emf.Flushing(metrics, func(ctx context.Context, _ struct{}) (struct{}, error) {
		ctx, cancel := startup.WithMargin(ctx)
		defer cancel()
		return struct{}{}, errors.Join(credentials.ReportAthletes(ctx, ports.Counter, metrics), reconciler.Reconcile(ctx))
	}))
}
