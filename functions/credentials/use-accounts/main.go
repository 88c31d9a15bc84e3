// Command use-accounts lists a provider's accounts, in every state, and makes
// single calls to Fitbit on behalf of one, for workers of other systems. It
// never hands out a token. It has no public route; IAM decides who may invoke
// it.
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
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.UseLinks
	cfg, log := startup.Load(context.Background(), &s)
	metrics := emf.New(os.Stdout, time.Now, metric.Namespace, s.Stage)
	ports := wiring.Fitbit(cfg, s, metrics, log)
	accounts := &handler.Accounts{Service: ports.Accounts(ports.Tokens())}
	lambda.Start(emf.Flushing(metrics, func(ctx context.Context, req handler.AccountsRequest) (handler.AccountsResponse, error) {
		ctx, cancel := startup.WithMargin(ctx)
		defer cancel()
		return accounts.Handle(ctx, req)
	}))
}
