// Command audit-activities counts all stored records by age.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/activity/handler"
	"github.com/paceline/paceline/pkg/activity/metric"
	"github.com/paceline/paceline/pkg/activity/settings"
	"github.com/paceline/paceline/pkg/activity/wiring"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.AuditActivities
	cfg, log := startup.Load(context.Background(), &s)
	metrics := emf.New(os.Stdout, time.Now, metric.Namespace, s.Stage)
	auditor := wiring.Storage(cfg, s.ActivitiesTable).Auditor()
	lambda.Start(emf.Flushing(metrics, handler.Audit(auditor, metrics, log)))
}
