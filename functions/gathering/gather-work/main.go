// Command gather-work does the work in the queue: it reads Strava and passes on
// what it finds.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/ddb"
	"github.com/paceline/paceline/pkg/gathering/lambdain"
	"github.com/paceline/paceline/pkg/gathering/settings"
	"github.com/paceline/paceline/pkg/gathering/sqs"
	"github.com/paceline/paceline/pkg/gathering/strava"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/consume"
	"github.com/paceline/paceline/pkg/kit/ebus"
)

func main() {
	var s settings.GatherWork
	cfg, log := boot.Load(context.Background(), &s)
	table := ddb.New(dynamodb.NewFromConfig(cfg), s.GatheringTable)
	lambda.Start(consume.Batch(log, lambdain.Work(&gathering.Gatherer{
		Athletes:  table,
		Pauses:    table,
		Queue:     sqs.New(awssqs.NewFromConfig(cfg), s.WorkQueueURL),
		Strava:    strava.New(strava.ByLambda(awslambda.NewFromConfig(cfg), s.RequesterFunction), time.Now),
		Publisher: ebus.New(eventbridge.NewFromConfig(cfg), s.EventBusName),
		Minter:    boot.Minter(),
		Log:       log,
	})))
}
