// Command serve-oauth leads athletes through OAuth and out of their session.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/credentials/lambdain"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/ssm"
	"github.com/paceline/paceline/pkg/credentials/wiring"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/httpapi"
	"github.com/paceline/paceline/pkg/kit/obs"
)

func main() {
	var s settings.ServeOAuth
	cfg, log := boot.Load(context.Background(), &s)
	metrics := obs.NewMetrics(os.Stdout, time.Now, settings.MetricNamespace, s.Stage, "serve-oauth")
	table := wiring.Table(cfg, s.GrantsTable)
	tokens := wiring.Tokens(cfg, s.UseTokens, table, metrics)
	stored := tokens.Vault
	tokens.Vault = ssm.NewCachingVault(stored, time.Now)
	tokens.OAuth = credentials.ReloadingOAuth{OAuth: tokens.OAuth, Vault: stored}
	connect := wiring.Connect(tokens, table, s.AthleteCapacity)
	connect.States, connect.RedirectURI = table, s.SiteURL+"/oauth/callback"
	sessions := wiring.Sessions(cfg, s.CredentialsTable, s.GrantsTable)
	oauth := &lambdain.OAuth{
		Connect:  connect,
		Sessions: sessions,
		Callers:  &credentials.Authenticator{Store: sessions.Store, Now: time.Now, Log: log},
		Waitlist: &credentials.Waitlist{
			Store: ddb.NewWaitlist(dynamodb.NewFromConfig(cfg), s.WaitingTable), Forms: table, Capacity: connect.Capacity,
			NewSecret: boot.NewSecret, Now: time.Now,
		},
		SiteURL: s.SiteURL,
		Cookies: lambdain.CookiesOf(s.Stage),
		Log:     log,
	}
	lambda.Start(obs.Flushing(metrics, httpapi.Mux(log, oauth.Routes())))
}
