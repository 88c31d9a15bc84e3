// Command administer-app is the admin function. It has no public route: who may
// invoke it is IAM's to say.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/ssm"
	"github.com/paceline/paceline/pkg/credentials/strava"
	"github.com/paceline/paceline/pkg/credentials/wiring"
	"github.com/paceline/paceline/pkg/kit/httpcall"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.AdministerApp
	cfg, log := startup.Load(context.Background(), &s)
	table := wiring.Table(cfg, s.GrantsTable)
	vault := ssm.New(awsssm.NewFromConfig(cfg), s.ParameterPath, s.TokenKeyID, s.ParameterTier)
	admin := &handler.Admin{Service: &credentials.Admin{
		Ledger:      wiring.Ledger(cfg, s.EventBusName, table),
		Erasures:    table,
		Waitlist:    &credentials.Waitlist{Store: ddb.NewWaitlist(dynamodb.NewFromConfig(cfg), s.WaitingTable), Now: time.Now},
		Sessions:    wiring.Sessions(cfg, s.CredentialsTable, s.GrantsTable),
		Vault:       vault,
		Parameters:  vault,
		Push:        strava.NewPush(httpcall.NewClient(), s.StravaPushURL),
		Providers:   provider.Names,
		NewSecret:   startup.NewSecret,
		Capacity:    s.AthleteCapacity,
		CallbackURL: s.SiteURL + settings.WebhookPath,
		Sleep:       startup.Sleep,
	}, Log: log}
	lambda.Start(func(ctx context.Context, req handler.AdminRequest) (handler.AdminResponse, error) {
		ctx, cancel := startup.WithReserve(ctx)
		defer cancel()
		return admin.Handle(ctx, req)
	})
}
