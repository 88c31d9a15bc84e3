// Command probe-webhook checks whether Strava's webhooks can arrive.
package main

import (
	"context"
	"os"
	"time"

	"github.com/paceline/paceline/pkg/gathering/metric"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/ddb"
	"github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/gathering/settings"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/invoke"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// checkTime is how long check-subscription is waited for, which may run for 30 s.
const checkTime = 35 * time.Second

func main() {
	var s settings.ProbeWebhook
	cfg, _ := startup.Load(context.Background(), &s)
	metrics := emf.New(os.Stdout, time.Now, metric.Namespace, s.Stage)
	lambda.Start(emf.Flushing(metrics, handler.ProbeWebhook(&gathering.Probe{
		Webhooks: ddb.New(dynamodb.NewFromConfig(cfg), s.GatheringTable),
		Check: invoke.Function[credentialsv1.CheckSubscriptionRequest, credentialsv1.CheckSubscriptionResponse](
			awslambda.NewFromConfig(startup.WithLimits(cfg, startup.Waiting(checkTime))), s.CheckFunction, "check-subscription"),
		Metrics: metrics,
		Now:     time.Now,
	})))
}
