// Command authorize-session is the HTTP API's Lambda authorizer: it tells whose
// session a call belongs to.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/paceline/paceline/pkg/credentials/kms"
	"github.com/paceline/paceline/pkg/credentials/lambdain"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/kit/boot"
)

// limits fit into the function's 5 s.
var limits = boot.Limits{Dial: time.Second, Attempt: 2 * time.Second, Attempts: 2, Call: 4 * time.Second}

func main() {
	var s settings.AuthorizeSession
	ctx := context.Background()
	cfg, log := boot.Load(ctx, &s)
	sessions, err := kms.NewVerifier(ctx, awskms.NewFromConfig(boot.WithLimits(cfg, limits)), s.SessionKeyID, time.Now)
	boot.Must(log, err)
	lambda.Start((&lambdain.Authorizer{Sessions: sessions}).Handle)
}
