// Command expire-activities deletes what was not read again in time.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/ddb"
	"github.com/paceline/paceline/pkg/activity/settings"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.ExpireActivities
	cfg, _ := startup.Load(context.Background(), &s)
	sweeper := &activity.Sweeper{Store: ddb.New(dynamodb.NewFromConfig(cfg), s.ActivitiesTable), Now: time.Now}
	lambda.Start(func(ctx context.Context, _ struct{}) (struct{}, error) {
		ctx, cancel := startup.WithReserve(ctx)
		defer cancel()
		return struct{}{}, sweeper.Sweep(ctx)
	})
}
