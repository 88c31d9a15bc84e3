package construct

import (
	"cmp"
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// AlarmProps configures an alarm.
type AlarmProps struct {
	Boundary *Boundary
	// What is wrong, e.g. "gather-work fails". With the boundary's name
	// before it, it is a heading of docs/runbook.md.
	What   string
	Metric awscloudwatch.IMetric
	// Threshold is the first value that is too much.
	Threshold float64
	// Periods is in how many periods in a row it has to be too much; 0 for 1.
	Periods int
	// AlwaysReported says that the metric has a figure in every period, be it 0:
	// when it stops coming, that is an alarm, too, three or four periods later.
	// CloudWatch first goes back that far for older figures (Amazon CloudWatch User
	// Guide, "Configuring how CloudWatch alarms treat missing data").
	AlwaysReported bool
}

// NewAlarm raises an alarm when the metric reaches the threshold, or stops
// coming although it is always reported, and says so when it is over.
//
// An alarm is the one resource that is named by us, for a person reads the
// name. Nothing but its name forces CloudFormation to replace it, so the name
// cannot stand in the way of an update.
func NewAlarm(scope constructs.Construct, id string, props *AlarmProps) awscloudwatch.Alarm {
	missing := awscloudwatch.TreatMissingData_NOT_BREACHING
	if props.AlwaysReported {
		missing = awscloudwatch.TreatMissingData_BREACHING
	}
	title := props.Boundary.Name + ": " + props.What
	alarm := awscloudwatch.NewAlarm(scope, jsii.String(id), &awscloudwatch.AlarmProps{
		AlarmName:          jsii.String(props.Boundary.Config.Name() + " " + title),
		AlarmDescription:   jsii.String(fmt.Sprintf("What to do: docs/runbook.md, %q.", title)),
		Metric:             props.Metric,
		Threshold:          jsii.Number(props.Threshold),
		EvaluationPeriods:  jsii.Number(float64(cmp.Or(props.Periods, 1))),
		ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
		TreatMissingData:   missing,
	})
	action := awscloudwatchactions.NewSnsAction(props.Boundary.Alarms)
	alarm.AddAlarmAction(action)
	alarm.AddOkAction(action)
	return alarm
}

// newDeadLettersAlarm raises an alarm on the first message in queue.
func newDeadLettersAlarm(scope constructs.Construct, b *Boundary, of string, queue awssqs.Queue) {
	NewAlarm(scope, "DeadLettersAlarm", &AlarmProps{
		Boundary: b,
		What:     "dead letters of " + of,
		Metric: queue.MetricApproximateNumberOfMessagesVisible(&awscloudwatch.MetricOptions{
			Period:    awscdk.Duration_Minutes(jsii.Number(1)),
			Statistic: jsii.String("Maximum"),
		}),
		Threshold: 1,
	})
}
