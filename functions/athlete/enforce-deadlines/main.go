// Command enforce-deadlines drops profiles that may no longer be kept, announces
// again the wishes to leave that nothing has come of, and counts what is late and
// how erasures fare.
package main

import (
	"context"
	"os"
	"time"

	"github.com/paceline/paceline/pkg/athlete/metric"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/ddb"
	"github.com/paceline/paceline/pkg/athlete/handler"
	"github.com/paceline/paceline/pkg/athlete/settings"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/eventbus"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.EnforceDeadlines
	cfg, _ := startup.Load(context.Background(), &s)
	table := ddb.New(dynamodb.NewFromConfig(cfg), s.AthletesTable)
	deadlines := &athlete.Deadlines{
		Service: &athlete.Service{
			Accounts:   table,
			Erasures:   table,
			Publisher:  eventbus.New(eventbridge.NewFromConfig(cfg), s.EventBusName),
			Events:     startup.EventFactory(),
			NewReceipt: startup.NewSecret,
		},
		Inventory: table,
	}
	metrics := emf.New(os.Stdout, time.Now, metric.Namespace, s.Stage)
	lambda.Start(emf.Flushing(metrics, handler.EnforceDeadlines(deadlines, metrics)))
}
