// Command check-subscription checks whether Strava's webhooks can arrive:
// whether the public callback URL answers, and whether Strava has the push
// subscription.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/wiring"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.CheckSubscription
	cfg, log := startup.Load(context.Background(), &s)
	check := wiring.CheckSubscription(cfg, s, log).SubscriptionCheck()
	lambda.Start(func(ctx context.Context, req credentialsv1.CheckSubscriptionRequest) (credentialsv1.CheckSubscriptionResponse, error) {
		ctx, cancel := startup.WithMargin(ctx)
		defer cancel()
		return check.Check(ctx, req.AskStrava)
	})
}
