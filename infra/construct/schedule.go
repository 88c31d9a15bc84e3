package construct

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// ScheduleProps configures a schedule.
type ScheduleProps struct {
	Function *Function
	// EveryMinutes is the time from one run to the next.
	EveryMinutes int
}

// NewSchedule runs a function at a fixed rate. A run that fails is not retried:
// the next run does what it left undone.
func NewSchedule(scope constructs.Construct, id string, props *ScheduleProps) {
	f := props.Function
	if props.EveryMinutes <= 0 {
		panic("NewSchedule " + id + ": EveryMinutes is missing")
	}
	// Until the next run, or Lambda's maximum of six hours.
	seconds := float64(min(60*props.EveryMinutes, 6*60*60))
	// Scheduler invokes the function asynchronously. Lambda would retry a failed run
	// twice, possibly beside the next run.
	f.ConfigureAsyncInvoke(&awslambda.EventInvokeConfigOptions{
		MaxEventAge:   awscdk.Duration_Seconds(jsii.Number(seconds)),
		RetryAttempts: jsii.Number(0),
	})
	self := constructs.NewConstruct(scope, jsii.String(id))
	// The CDK's own target would allow Scheduler to invoke every version of the
	// function.
	role := awsiam.NewRole(self, jsii.String("Role"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("scheduler.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": awscdk.Aws_ACCOUNT_ID()}},
		}),
	})
	role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings("lambda:InvokeFunction"),
		Resources: &[]*string{f.FunctionArn()},
	}))
	every := fmt.Sprintf("rate(%d minutes)", props.EveryMinutes)
	if props.EveryMinutes == 1 {
		every = "rate(1 minute)"
	}
	awsscheduler.NewCfnSchedule(self, jsii.String("Schedule"), &awsscheduler.CfnScheduleProps{
		Description:        jsii.String("Runs " + f.Name),
		ScheduleExpression: jsii.String(every),
		FlexibleTimeWindow: &awsscheduler.CfnSchedule_FlexibleTimeWindowProperty{Mode: jsii.String("OFF")},
		Target: &awsscheduler.CfnSchedule_TargetProperty{
			Arn:     f.FunctionArn(),
			RoleArn: role.RoleArn(),
			RetryPolicy: &awsscheduler.CfnSchedule_RetryPolicyProperty{
				MaximumEventAgeInSeconds: jsii.Number(seconds),
				MaximumRetryAttempts:     jsii.Number(0),
			},
		},
	})
}
