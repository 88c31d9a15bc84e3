// Command serve-api lets athletes make and revoke keys for programs, and log out
// everywhere.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/lambdain"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/wiring"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/httpapi"
)

func main() {
	var s settings.ServeAPI
	cfg, log := boot.Load(context.Background(), &s)
	sessions := wiring.Sessions(cfg, s.CredentialsTable, s.GrantsTable)
	api := &lambdain.API{
		Keys:     &credentials.Keys{Store: sessions.Store, NewSecret: boot.NewSecret, Now: time.Now},
		Sessions: sessions,
		SiteURL:  s.SiteURL,
		Cookies:  lambdain.CookiesOf(s.Stage),
	}
	lambda.Start(httpapi.Mux(log, httpapi.NewLimiter(time.Now).Limit(api.Routes())))
}
