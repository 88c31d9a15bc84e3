// Command serve-api lets athletes make and revoke keys for programs, and log out
// everywhere.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/credentials/lambdain"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/httpapi"
)

func main() {
	var s settings.ServeAPI
	cfg, log := boot.Load(context.Background(), &s)
	store := ddb.NewCredentials(dynamodb.NewFromConfig(cfg), s.CredentialsTable, s.GrantsTable)
	api := &lambdain.API{
		Keys:     &credentials.Keys{Store: store, NewSecret: boot.NewSecret, Now: time.Now},
		Sessions: &credentials.Sessions{Store: store, NewSecret: boot.NewSecret, Now: time.Now},
		SiteURL:  s.SiteURL,
		Cookies:  lambdain.CookiesOf(s.Stage),
	}
	lambda.Start(httpapi.Mux(log, httpapi.NewLimiter(time.Now).Limit(api.Routes())))
}
