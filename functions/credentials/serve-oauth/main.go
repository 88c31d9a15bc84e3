// Command serve-oauth leads athletes through OAuth and out of their session.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/credentials/kms"
	"github.com/paceline/paceline/pkg/credentials/lambdain"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/ssm"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/ebus"
	"github.com/paceline/paceline/pkg/kit/httpapi"
	"github.com/paceline/paceline/pkg/kit/httpcall"
)

func main() {
	var s settings.ServeOAuth
	cfg, log := boot.Load(context.Background(), &s)
	table := ddb.New(dynamodb.NewFromConfig(cfg), s.GrantsTable)
	vault := ssm.New(awsssm.NewFromConfig(cfg), s.ParameterPath, s.TokenKeyID, s.ParameterTier)
	strava := provider.NewOAuth(httpcall.NewClient(), provider.Strava(s.StravaOAuthURL, s.StravaRevocation), time.Now)
	oauth := &lambdain.OAuth{
		Connect: &credentials.Connect{
			Grants:      table,
			States:      table,
			Vault:       ssm.NewRemembering(vault, time.Now),
			OAuth:       credentials.ReloadingOAuth{OAuth: strava, Vault: vault},
			Sessions:    kms.NewSigner(awskms.NewFromConfig(cfg), s.SessionKeyID),
			Publisher:   ebus.New(eventbridge.NewFromConfig(cfg), s.EventBusName),
			Minter:      boot.Minter(),
			Capacity:    &credentials.Capacity{Census: table, Athletes: s.AthleteCapacity, Now: time.Now},
			NewSecret:   boot.NewSecret,
			RedirectURI: s.SiteURL + "/oauth/callback",
			Sleep:       boot.Sleep,
		},
		Waitlist:      &credentials.Waitlist{Room: ddb.NewWaiting(dynamodb.NewFromConfig(cfg), s.WaitingTable), Now: time.Now},
		SiteURL:       s.SiteURL,
		SecureCookies: s.Stage != "local",
		Log:           log,
	}
	lambda.Start(httpapi.Mux(log, oauth.Routes()))
}
