// Command forward-request is the requester: it makes one call to Strava in one
// athlete's name, so that no other function ever holds a token.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/credentials/kms"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/ssm"
	"github.com/paceline/paceline/pkg/credentials/strava"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/ebus"
	"github.com/paceline/paceline/pkg/kit/httpcall"
	"github.com/paceline/paceline/pkg/kit/obs"
)

func main() {
	var s settings.ForwardRequest
	cfg, log := boot.Load(context.Background(), &s)
	metrics := obs.NewMetrics(os.Stdout, time.Now, settings.MetricNamespace, s.Stage, "forward-request")
	requester := &credentials.Requester{
		Tokens: &credentials.Tokens{
			Grants:    ddb.New(dynamodb.NewFromConfig(cfg), s.GrantsTable),
			Vault:     ssm.New(awsssm.NewFromConfig(cfg), s.ParameterPath, s.TokenKeyID),
			Sealer:    kms.NewSealer(awskms.NewFromConfig(cfg), s.TokenKeyID),
			OAuth:     provider.NewOAuth(httpcall.NewClient(), provider.Strava(s.StravaOAuthURL, s.StravaRevocation), time.Now),
			Publisher: ebus.New(eventbridge.NewFromConfig(cfg), s.EventBusName),
			Metrics:   metrics,
			Minter:    boot.Minter(),
			Sleep:     boot.Sleep,
		},
		API: strava.NewAPI(httpcall.NewClient(), s.StravaAPIURL),
	}
	lambda.Start(obs.Flushing(metrics, func(ctx context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
		ctx, cancel := boot.WithReserve(ctx)
		defer cancel()
		res, err := requester.Forward(ctx, req)
		if err != nil { // The caller is not told why.
			log.ErrorContext(ctx, "a call cannot be made", "athlete_id", req.AthleteID, "error", err.Error())
		}
		return res, err
	}))
}
