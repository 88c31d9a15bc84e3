package construct

import (
	"cmp"
	"fmt"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/paceline/paceline/infra/config"
)

// StageDimension is the one dimension that every metric of Paceline's own has.
const StageDimension = "stage"

// The statistics that alarms and the dashboard use.
const (
	Sum     = "Sum"
	Maximum = "Maximum"
)

// AlarmProps configures an alarm.
type AlarmProps struct {
	Boundary *Boundary
	// Title is what is wrong, such as "gather-work fails". The boundary's name and
	// the title are a heading of docs/runbook.md.
	Title  string
	Metric awscloudwatch.IMetric
	// Threshold is the smallest value that raises the alarm.
	Threshold float64
	// Periods is how many periods in a row must reach the threshold; 0 means 1.
	Periods int
	// AlwaysReported says that the metric has a value in every period, if only 0.
	// The alarm is then also raised when values stop, three or four periods later:
	// CloudWatch first evaluates older values (Amazon CloudWatch User Guide,
	// "Configuring how CloudWatch alarms treat missing data").
	AlwaysReported bool
}

// NewAlarm makes an alarm that notifies the boundary's topic when it is raised
// and when it is over.
//
// Alarms are the only resources with a fixed name, because people read it.
// CloudFormation replaces an alarm only if its name changes, so the name cannot
// block an update.
func NewAlarm(scope constructs.Construct, id string, props *AlarmProps) awscloudwatch.Alarm {
	missing := awscloudwatch.TreatMissingData_NOT_BREACHING
	if props.AlwaysReported {
		missing = awscloudwatch.TreatMissingData_BREACHING
	}
	title := props.Boundary.Name + ": " + props.Title
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

// StageMetric returns a metric of Paceline's own for the stage of c.
func StageMetric(c config.Config, namespace, name, statistic string, period time.Duration) awscloudwatch.Metric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace:     jsii.String(namespace),
		MetricName:    jsii.String(name),
		DimensionsMap: &map[string]*string{StageDimension: jsii.String(string(c.Stage))},
		Statistic:     jsii.String(statistic),
		Period:        awscdk.Duration_Seconds(jsii.Number(period.Seconds())),
	})
}

// MetricAlarm describes an alarm on a metric of Paceline's own.
type MetricAlarm struct {
	// ID is the alarm's construct id.
	ID string
	// Title is as in [AlarmProps].
	Title string
	// Metric is a name of the boundary's package metric.
	Metric string
	// Statistic is [Sum] or [Maximum].
	Statistic string
	Period    time.Duration
	// Threshold, Periods and AlwaysReported are as in [AlarmProps].
	Threshold      float64
	Periods        int
	AlwaysReported bool
}

// NewMetricAlarms makes alarms on metrics of a namespace.
func NewMetricAlarms(scope constructs.Construct, b *Boundary, namespace string, alarms ...MetricAlarm) {
	for _, a := range alarms {
		NewAlarm(scope, a.ID, &AlarmProps{
			Boundary:       b,
			Title:          a.Title,
			Metric:         StageMetric(b.Config, namespace, a.Metric, a.Statistic, a.Period),
			Threshold:      a.Threshold,
			Periods:        a.Periods,
			AlwaysReported: a.AlwaysReported,
		})
	}
}

// newDeadLettersAlarm raises an alarm on the first message in queue.
func newDeadLettersAlarm(scope constructs.Construct, b *Boundary, of string, queue awssqs.Queue) {
	NewAlarm(scope, "DeadLettersAlarm", &AlarmProps{
		Boundary: b,
		Title:    "dead letters of " + of,
		Metric: queue.MetricApproximateNumberOfMessagesVisible(&awscloudwatch.MetricOptions{
			Period:    awscdk.Duration_Minutes(jsii.Number(1)),
			Statistic: jsii.String(Maximum),
		}),
		Threshold: 1,
	})
}
