// Command gather-work runs the gatherer: it reads athletes and activities from
// Strava and publishes them.
package main

import (
	"context"
	"os"
	"time"

	"github.com/paceline/paceline/pkg/gathering/metric"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/ddb"
	"github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/gathering/settings"
	"github.com/paceline/paceline/pkg/gathering/sqs"
	"github.com/paceline/paceline/pkg/gathering/strava"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/eventbus"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// requesterTime is how long the requester is waited for: it may run for 45 s, and
// a gatherer starts no job in its last minute.
const requesterTime = 50 * time.Second

func main() {
	var s settings.GatherWork
	cfg, log := startup.Load(context.Background(), &s)
	client := dynamodb.NewFromConfig(cfg)
	table := ddb.New(client, s.GatheringTable)
	metrics := emf.New(os.Stdout, time.Now, metric.Namespace, s.Stage)
	lambda.Start(emf.Flushing(metrics, handler.Work(&gathering.Gatherer{
		Athletes:  table,
		Inboxes:   table,
		Jobs:      table,
		Webhooks:  table,
		Quota:     &quota.Engine{Budgets: ddb.NewBudgets(client, s.GatheringTable), Now: time.Now},
		Strava:    strava.New(strava.ByLambda(awslambda.NewFromConfig(startup.WithLimits(cfg, startup.Waiting(requesterTime))), s.RequesterFunction), time.Now),
		Waker:     sqs.New(awssqs.NewFromConfig(cfg), s.WakeQueueURL),
		Publisher: eventbus.New(eventbridge.NewFromConfig(cfg), s.EventBusName),
		Events:    startup.EventFactory(),
		Metrics:   metrics,
		Log:       log,
	})))
}
