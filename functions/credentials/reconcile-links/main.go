// Command reconcile-links performs the pending tasks of linked accounts: it
// publishes events, completes connects and revocations that were cut off, and
// revokes the accounts of athletes who left.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/credentials/metric"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/wiring"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.UseLinks
	cfg, log := startup.Load(context.Background(), &s)
	metrics := emf.New(os.Stdout, time.Now, metric.Namespace, s.Stage)
	ports := wiring.Fitbit(cfg, s, metrics, log)
	reconciler := ports.Reconciler(ports.Tokens())
	lambda.Start(emf.Flushing(metrics, func(ctx context.Context, _ struct{}) (struct{}, error) {
		ctx, cancel := startup.WithMargin(ctx)
		defer cancel()
		return struct{}{}, reconciler.Reconcile(ctx)
	}))
}
