// Command enforce-deadlines drops profiles that may no longer be kept, announces
// again the wishes to leave that nothing has come of, and counts what is late and
// how erasures fare.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/ddb"
	"github.com/paceline/paceline/pkg/athlete/lambdain"
	"github.com/paceline/paceline/pkg/athlete/settings"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/ebus"
	"github.com/paceline/paceline/pkg/kit/obs"
)

func main() {
	var s settings.EnforceDeadlines
	cfg, _ := boot.Load(context.Background(), &s)
	table := ddb.New(dynamodb.NewFromConfig(cfg), s.AthletesTable)
	deadlines := &athlete.Deadlines{
		Service: &athlete.Service{
			Accounts:   table,
			Erasures:   table,
			Publisher:  ebus.New(eventbridge.NewFromConfig(cfg), s.EventBusName),
			Minter:     boot.Minter(),
			NewReceipt: boot.NewSecret,
		},
		Inventory: table,
	}
	metrics := obs.NewMetrics(os.Stdout, time.Now, settings.MetricNamespace, s.Stage, "enforce-deadlines")
	lambda.Start(obs.Flushing(metrics, lambdain.EnforceDeadlines(deadlines, metrics)))
}
