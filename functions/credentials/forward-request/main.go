// Command forward-request is the requester: it makes one call to Strava on
// behalf of an athlete, so that no other function needs a token.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/credentials/metric"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/wiring"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.UseTokens
	cfg, log := startup.Load(context.Background(), &s)
	metrics := emf.New(os.Stdout, time.Now, metric.Namespace, s.Stage)
	ports := wiring.Strava(cfg, s, metrics, log)
	requester := ports.Requester(ports.Tokens())
	lambda.Start(emf.Flushing(metrics, func(ctx context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
		ctx, cancel := startup.WithMargin(ctx)
		defer cancel()
		res, err := requester.Forward(ctx, req)
		if err != nil {
			log.ErrorContext(ctx, "request refused", "athlete_id", req.AthleteID, "error", err.Error())
		}
		return res, err
	}))
}
