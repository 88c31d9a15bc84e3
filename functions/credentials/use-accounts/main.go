// Command use-accounts lists a provider's accounts, whatever their state, and
// makes single calls to Fitbit on behalf of one, for workers of other systems.
// It never hands out a token. It has no public route; IAM decides who may
// invoke it.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/lambdain"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/wiring"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/obs"
)

func main() {
	var s settings.UseLinks
	cfg, log := boot.Load(context.Background(), &s)
	metrics := obs.NewMetrics(os.Stdout, time.Now, settings.MetricNamespace, s.Stage, "use-accounts")
	table := wiring.Table(cfg, s.GrantsTable)
	accounts := &lambdain.Accounts{Service: &credentials.Accounts{
		Grants: table, Requester: wiring.LinkRequester(cfg, s, table, metrics, log), Providers: provider.Names,
	}}
	lambda.Start(obs.Flushing(metrics, func(ctx context.Context, req lambdain.AccountsRequest) (lambdain.AccountsResponse, error) {
		ctx, cancel := boot.WithReserve(ctx)
		defer cancel()
		return accounts.Handle(ctx, req)
	}))
}
