// Command show-status shows an admin the state of gathering: the quota, the
// jobs that are due, the webhook.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/gathering/settings"
	"github.com/paceline/paceline/pkg/gathering/wiring"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.ShowStatus
	cfg, _ := startup.Load(context.Background(), &s)
	lambda.Start(handler.Status(wiring.Storage(cfg, s.GatheringTable).Overview()))
}
