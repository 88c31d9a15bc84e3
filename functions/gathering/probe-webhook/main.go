// Command probe-webhook checks whether Strava's webhooks can arrive.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/ddb"
	"github.com/paceline/paceline/pkg/gathering/lambdain"
	"github.com/paceline/paceline/pkg/gathering/settings"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/invoke"
	"github.com/paceline/paceline/pkg/kit/obs"
)

// checkTime is how long check-subscription is waited for, which may run for 30 s.
const checkTime = 35 * time.Second

func main() {
	var s settings.ProbeWebhook
	cfg, _ := boot.Load(context.Background(), &s)
	metrics := obs.NewMetrics(os.Stdout, time.Now, settings.MetricNamespace, s.Stage, "probe-webhook")
	lambda.Start(obs.Flushing(metrics, lambdain.ProbeWebhook(&gathering.Probe{
		Webhooks: ddb.New(dynamodb.NewFromConfig(cfg), s.GatheringTable),
		Check: invoke.Function[credentialsv1.CheckSubscriptionRequest, credentialsv1.CheckSubscriptionResponse](
			awslambda.NewFromConfig(boot.WithLimits(cfg, boot.Waiting(checkTime))), s.CheckFunction, "check-subscription"),
		Metrics: metrics,
		Now:     time.Now,
	})))
}
