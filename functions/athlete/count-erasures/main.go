// Command count-erasures shows an admin how many erasures are pending, overdue
// and completed.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/athlete/handler"
	"github.com/paceline/paceline/pkg/athlete/settings"
	"github.com/paceline/paceline/pkg/athlete/wiring"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.CountErasures
	cfg, _ := startup.Load(context.Background(), &s)
	lambda.Start(handler.CountErasures(wiring.Stores(cfg, s.AthletesTable).ErasureCounter()))
}
