// Command settle-grants does what grants owe: it publishes events that were cut
// off, asks about deauthorizations that could not be confirmed, sees departures
// through, and gives back authorizations that never came into force. It also
// reports how many athletes there are.
package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/credentials/kms"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/ssm"
	"github.com/paceline/paceline/pkg/credentials/strava"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/ebus"
	"github.com/paceline/paceline/pkg/kit/httpcall"
	"github.com/paceline/paceline/pkg/kit/obs"
)

func main() {
	var s settings.SettleGrants
	cfg, log := boot.Load(context.Background(), &s)
	table := ddb.New(dynamodb.NewFromConfig(cfg), s.GrantsTable)
	vault := ssm.New(awsssm.NewFromConfig(cfg), s.ParameterPath, s.TokenKeyID)
	oauth := provider.NewOAuth(httpcall.NewClient(), provider.Strava(s.StravaOAuthURL, s.StravaRevocation), time.Now)
	bus := ebus.New(eventbridge.NewFromConfig(cfg), s.EventBusName)
	metrics := obs.NewMetrics(os.Stdout, time.Now, settings.MetricNamespace, s.Stage, "settle-grants")
	departure := &credentials.Departure{
		Grants:   table,
		Erasures: table,
		Vault:    vault,
		OAuth:    oauth,
		API:      strava.NewAPI(httpcall.NewClient(), s.StravaAPIURL),
		Tokens: &credentials.Tokens{
			Grants: table, Vault: vault, Sealer: kms.NewSealer(awskms.NewFromConfig(cfg), s.TokenKeyID), OAuth: oauth,
			Publisher: bus, Metrics: metrics, Minter: boot.Minter(), Sleep: boot.Sleep,
		},
		Publisher: bus,
		Metrics:   metrics,
		Minter:    boot.Minter(),
		Log:       log,
		NewSecret: boot.NewSecret,
	}
	lambda.Start(obs.Flushing(metrics, func(ctx context.Context, _ struct{}) (struct{}, error) {
		ctx, cancel := boot.WithReserve(ctx)
		defer cancel()
		return struct{}{}, errors.Join(credentials.ReportAthletes(ctx, table, metrics), departure.Settle(ctx))
	}))
}
