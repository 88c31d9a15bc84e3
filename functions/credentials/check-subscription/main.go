// Command check-subscription checks whether Strava's webhooks can arrive:
// whether the public callback URL answers, and whether Strava has the push
// subscription.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/ssm"
	"github.com/paceline/paceline/pkg/credentials/strava"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/httpcall"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.CheckSubscription
	cfg, _ := startup.Load(context.Background(), &s)
	check := &credentials.SubscriptionCheck{
		Vault:       ssm.New(awsssm.NewFromConfig(cfg), s.ParameterPath, s.TokenKeyID, s.ParameterTier),
		Push:        strava.NewPush(httpcall.NewClient(), s.StravaPushURL),
		NewSecret:   startup.NewSecret,
		CallbackURL: s.SiteURL + settings.WebhookPath,
	}
	lambda.Start(func(ctx context.Context, req credentialsv1.CheckSubscriptionRequest) (credentialsv1.CheckSubscriptionResponse, error) {
		ctx, cancel := startup.WithReserve(ctx)
		defer cancel()
		return check.Check(ctx, req.AskStrava)
	})
}
