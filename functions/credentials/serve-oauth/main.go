// Command serve-oauth leads athletes through OAuth and out of their session.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/credentials/kms"
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
	tokens.Vault = ssm.NewCachingVault(tokens.Vault, time.Now)
	connect := wiring.Connect(tokens, table, s.AthleteCapacity)
	connect.States, connect.NewSecret, connect.RedirectURI = table, boot.NewSecret, s.SiteURL+"/oauth/callback"
	oauth := &lambdain.OAuth{
		Connect:       connect,
		Sessions:      kms.NewSigner(awskms.NewFromConfig(cfg), s.SessionKeyID),
		Waitlist:      &credentials.Waitlist{Room: ddb.NewWaiting(dynamodb.NewFromConfig(cfg), s.WaitingTable), Now: time.Now},
		SiteURL:       s.SiteURL,
		SecureCookies: s.Stage != "local",
		Now:           time.Now,
		Log:           log,
	}
	lambda.Start(obs.Flushing(metrics, httpapi.Mux(log, oauth.Routes())))
}
