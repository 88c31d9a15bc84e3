// Command serve-oauth leads athletes through OAuth and out of their session.
package main

import (
	"context"
	"os"
	"time"

	"github.com/paceline/paceline/pkg/credentials/metric"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/ssm"
	"github.com/paceline/paceline/pkg/credentials/wiring"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.ServeOAuth
	cfg, log := startup.Load(context.Background(), &s)
	metrics := emf.New(os.Stdout, time.Now, metric.Namespace, s.Stage)
	table := wiring.Table(cfg, s.GrantsTable)
	tokens := wiring.Tokens(cfg, s.UseTokens, table, metrics)
	stored := tokens.Vault
	tokens.Vault = ssm.NewCachingVault(stored, time.Now)
	tokens.OAuth = credentials.ReloadingOAuth{OAuth: tokens.OAuth, Vault: stored}
	connect := wiring.Connect(tokens, table, s.AthleteCapacity)
	connect.States, connect.RedirectURI = table, s.SiteURL+"/oauth/callback"
	sessions := wiring.Sessions(cfg, s.CredentialsTable, s.GrantsTable)
	oauth := &handler.OAuth{
		Connect:       connect,
		Sessions:      sessions,
		Authenticator: &credentials.Authenticator{Store: sessions.Store, Now: time.Now, Log: log},
		Waitlist: &credentials.Waitlist{
			Store: ddb.NewWaitlist(dynamodb.NewFromConfig(cfg), s.WaitingTable), Forms: table, Capacity: connect.Capacity,
			NewSecret: startup.NewSecret, Now: time.Now,
		},
		SiteURL: s.SiteURL,
		Cookies: handler.CookiesOf(s.Stage),
		Log:     log,
	}
	lambda.Start(emf.Flushing(metrics, api.Mux(log, oauth.Routes())))
}
