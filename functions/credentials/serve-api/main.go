// Command serve-api lets athletes make and revoke keys for programs, and log
// out everywhere.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/credentials/sessionwiring"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.ServeAPI
	cfg, log := startup.Load(context.Background(), &s)
	ports := sessionwiring.Ports(cfg, s.CredentialsTable, s.GrantsTable, log)
	routes := &handler.API{Keys: ports.Keys(), Sessions: ports.Sessions(), SiteURL: s.SiteURL, Cookies: handler.CookiesOf(s.Stage)}
	lambda.Start(api.Mux(log, api.NewLimiter(time.Now).Limit(routes.Routes())))
}
