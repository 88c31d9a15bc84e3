// Command show-status shows an admin the state of gathering: the quota, the
// jobs that wait, the webhook.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/ddb"
	"github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/gathering/settings"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.ShowStatus
	cfg, _ := startup.Load(context.Background(), &s)
	client := dynamodb.NewFromConfig(cfg)
	table := ddb.New(client, s.GatheringTable)
	lambda.Start(handler.Status(&gathering.Overview{
		Quota:    &quota.Engine{Budgets: ddb.NewBudgets(client, s.GatheringTable), Now: time.Now},
		Jobs:     table,
		Webhooks: table,
		Now:      time.Now,
	}))
}
