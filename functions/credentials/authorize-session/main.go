// Command authorize-session is the HTTP API's Lambda authorizer: it identifies
// the session or key of a call.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/credentials/sessionwiring"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// limits fit into the function's 5 s.
var limits = startup.Limits{Dial: time.Second, Attempt: 2 * time.Second, Attempts: 2, Call: 4 * time.Second}

func main() {
	var s settings.AuthorizeSession
	cfg, log := startup.Load(context.Background(), &s)
	ports := sessionwiring.Ports(startup.WithLimits(cfg, limits), s.CredentialsTable, s.GrantsTable, log)
	authorizer := &handler.Authorizer{Authenticator: ports.Authenticator(), Cookies: handler.CookiesOf(s.Stage), Log: log}
	lambda.Start(authorizer.Handle)
}
