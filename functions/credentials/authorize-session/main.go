// Command authorize-session is the HTTP API's Lambda authorizer: it finds out
// whose session or key a call carries.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// limits fit into the function's 5 s.
var limits = startup.Limits{Dial: time.Second, Attempt: 2 * time.Second, Attempts: 2, Call: 4 * time.Second}

func main() {
	var s settings.AuthorizeSession
	cfg, log := startup.Load(context.Background(), &s)
	authorizer := &handler.Authorizer{
		Authenticator: &credentials.Authenticator{Store: ddb.NewCredentials(dynamodb.NewFromConfig(startup.WithLimits(cfg, limits)), s.CredentialsTable, s.GrantsTable), Now: time.Now, Log: log},
		Cookies:       handler.CookiesOf(s.Stage),
		Log:           log,
	}
	lambda.Start(authorizer.Handle)
}
