// Command serve-oauth leads athletes through OAuth and out of their session.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/credentials/lambdain"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/ssm"
	"github.com/paceline/paceline/pkg/credentials/wiring"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/ebus"
	"github.com/paceline/paceline/pkg/kit/httpapi"
	"github.com/paceline/paceline/pkg/kit/httpcall"
)

func main() {
	var s settings.ServeOAuth
	cfg, log := boot.Load(context.Background(), &s)
	table := ddb.New(dynamodb.NewFromConfig(cfg), s.GrantsTable)
	sessions := wiring.Sessions(cfg, s.CredentialsTable, s.GrantsTable)
	capacity := &credentials.Capacity{Census: table, Athletes: s.AthleteCapacity, Now: time.Now}
	oauth := &lambdain.OAuth{
		Connect: &credentials.Connect{
			Grants:      table,
			States:      table,
			Vault:       ssm.NewRemembering(ssm.New(awsssm.NewFromConfig(cfg), s.ParameterPath, s.TokenKeyID), time.Now),
			OAuth:       provider.NewOAuth(httpcall.NewClient(), provider.Strava(s.StravaOAuthURL, s.StravaRevocation), time.Now),
			Publisher:   ebus.New(eventbridge.NewFromConfig(cfg), s.EventBusName),
			Minter:      boot.Minter(),
			Capacity:    capacity,
			NewSecret:   boot.NewSecret,
			RedirectURI: s.SiteURL + "/oauth/callback",
			Sleep:       boot.Sleep,
		},
		Sessions: sessions,
		Callers:  &credentials.Authenticator{Store: sessions.Store, Now: time.Now, Log: log},
		Waitlist: &credentials.Waitlist{
			Room: ddb.NewWaiting(dynamodb.NewFromConfig(cfg), s.WaitingTable), Forms: table, Capacity: capacity,
			NewSecret: boot.NewSecret, Now: time.Now,
		},
		SiteURL: s.SiteURL,
		Cookies: lambdain.CookiesOf(s.Stage),
		Log:     log,
	}
	lambda.Start(httpapi.Mux(log, oauth.Routes()))
}
