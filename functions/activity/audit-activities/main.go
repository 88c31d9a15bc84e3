// Command audit-activities counts what is kept by its age.
package main

import (
	"context"
	"os"
	"time"

	"github.com/paceline/paceline/pkg/activity/metric"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/ddb"
	"github.com/paceline/paceline/pkg/activity/handler"
	"github.com/paceline/paceline/pkg/activity/settings"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.AuditActivities
	cfg, log := startup.Load(context.Background(), &s)
	metrics := emf.New(os.Stdout, time.Now, metric.Namespace, s.Stage)
	auditor := &activity.Auditor{Store: ddb.New(dynamodb.NewFromConfig(cfg), s.ActivitiesTable), Now: time.Now}
	lambda.Start(emf.Flushing(metrics, handler.Audit(auditor, metrics, log)))
}
