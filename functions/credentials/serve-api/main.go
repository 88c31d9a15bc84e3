// Command serve-api lets athletes make and revoke keys for programs, and log out
// everywhere.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.ServeAPI
	cfg, log := startup.Load(context.Background(), &s)
	store := ddb.NewCredentials(dynamodb.NewFromConfig(cfg), s.CredentialsTable, s.GrantsTable)
	keys := &handler.API{
		Keys:     &credentials.Keys{Store: store, NewSecret: startup.NewSecret, Now: time.Now},
		Sessions: &credentials.Sessions{Store: store, NewSecret: startup.NewSecret, Now: time.Now},
		SiteURL:  s.SiteURL,
		Cookies:  handler.CookiesOf(s.Stage),
	}
	lambda.Start(api.Mux(log, api.NewLimiter(time.Now).Limit(keys.Routes())))
}
