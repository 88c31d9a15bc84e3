// Command enforce-deadlines drops Strava's data that may no longer be kept, and
// counts data that is kept too long.
package main

import (
	"context"
	"os"
	"time"

	"github.com/paceline/paceline/pkg/gathering/metric"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/ddb"
	"github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/gathering/settings"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.EnforceDeadlines
	cfg, log := startup.Load(context.Background(), &s)
	table := ddb.New(dynamodb.NewFromConfig(cfg), s.GatheringTable)
	deadlines := &gathering.Deadlines{Athletes: table, Inboxes: table, Inventory: table, Now: time.Now}
	metrics := emf.New(os.Stdout, time.Now, metric.Namespace, s.Stage)
	lambda.Start(emf.Flushing(metrics, handler.EnforceDeadlines(deadlines, metrics, log)))
}
