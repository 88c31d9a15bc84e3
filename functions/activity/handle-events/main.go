// Command handle-events stores gathered activities and erases an athlete's data
// when the authorization ends.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/activity/handler"
	"github.com/paceline/paceline/pkg/activity/settings"
	"github.com/paceline/paceline/pkg/activity/wiring"
	"github.com/paceline/paceline/pkg/kit/consume"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.HandleEvents
	cfg, log := startup.Load(context.Background(), &s)
	recorder := wiring.Publishing(cfg, s.ActivitiesTable, s.EventBusName).Recorder()
	lambda.Start(consume.Handler(log, handler.EventRoutes(recorder)...))
}
