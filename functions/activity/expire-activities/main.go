// Command expire-activities deletes activities that were not read again in
// time.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/activity/settings"
	"github.com/paceline/paceline/pkg/activity/wiring"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.ExpireActivities
	cfg, _ := startup.Load(context.Background(), &s)
	sweeper := wiring.Storage(cfg, s.ActivitiesTable).Sweeper()
	lambda.Start(func(ctx context.Context, _ struct{}) (struct{}, error) {
		ctx, cancel := startup.WithMargin(ctx)
		defer cancel()
		return struct{}{}, sweeper.Sweep(ctx)
	})
}
