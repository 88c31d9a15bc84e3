// Command audit-activities counts what is kept by its age.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/ddb"
	"github.com/paceline/paceline/pkg/activity/lambdain"
	"github.com/paceline/paceline/pkg/activity/settings"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/obs"
)

func main() {
	var s settings.AuditActivities
	cfg, log := boot.Load(context.Background(), &s)
	metrics := obs.NewMetrics(os.Stdout, time.Now, settings.MetricNamespace, s.Stage, "audit-activities")
	auditor := &activity.Auditor{Store: ddb.New(dynamodb.NewFromConfig(cfg), s.ActivitiesTable), Now: time.Now}
	lambda.Start(obs.Flushing(metrics, lambdain.Audit(auditor, metrics, log)))
}
