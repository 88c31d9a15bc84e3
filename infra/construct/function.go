package construct

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/paceline/paceline/infra/config"
	"github.com/paceline/paceline/pkg/kit/env"
)

// FunctionProps configures a function.
type FunctionProps struct {
	Boundary    *Boundary
	Description string
	// TimeoutSeconds is how long one invocation may take.
	TimeoutSeconds int
	// Settings is the boundary's settings struct of this function; it
	// becomes the environment.
	Settings any
	// Seldom says that the function runs once an hour or less often, so that its
	// first failure is worth an alarm.
	Seldom bool
	// FeedsItself says that the function sends to the queue it reads. Lambda
	// would take that for a runaway loop and stop it after 16 rounds.
	FeedsItself bool
	// ReservedConcurrency is how many of the account's concurrent executions are
	// kept for the function, which then has no more than these; 0 for none.
	ReservedConcurrency int
}

// Function is a Lambda function of ours: a Go binary on provided.al2023 with a
// role of its own that may write its own log and nothing else.
//
// It has no queue for failed asynchronous invocations because nothing that must
// not be lost invokes it asynchronously: callers wait for the answer, events
// come by a [Queue], which keeps dead letters, and what [NewSchedule] runs is
// run again soon.
type Function struct {
	awslambda.Function
	// Name is the function's verb-noun.
	Name           string
	boundary       *Boundary
	timeoutSeconds int
}

// Missing is a file that synthesis needs and does not find.
type Missing struct {
	Path string
	// Remedy is what makes the file.
	Remedy string
}

func (m Missing) Error() string {
	return fmt.Sprintf("%s is missing: run `%s` first", m.Path, m.Remedy)
}

// NewFunction makes the function called name, its verb-noun, which is also the
// folder of its binary.
func NewFunction(scope constructs.Construct, name string, props *FunctionProps) *Function {
	b := props.Boundary
	switch {
	case b == nil:
		panic("NewFunction " + name + ": Boundary is missing")
	case props.TimeoutSeconds <= 0:
		panic("NewFunction " + name + ": TimeoutSeconds is missing")
	}
	variables, err := env.Encode(props.Settings)
	if err != nil {
		panic(fmt.Sprintf("NewFunction %s: Settings: %v", name, err))
	}
	asset := filepath.Join(b.Functions, name)
	MustExist(filepath.Join(asset, "bootstrap"), b.Config)

	self := constructs.NewConstruct(scope, jsii.String(name))
	logs := NewLogGroup(self, "Logs", b.Config)
	role := awsiam.NewRole(self, jsii.String("Role"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
	})
	// In place of AWSLambdaBasicExecutionRole, which may write every log
	// group of the account.
	logs.GrantWrite(role)

	architecture := awslambda.Architecture_ARM_64()
	if b.Config.Architecture == "amd64" {
		architecture = awslambda.Architecture_X86_64()
	}
	loop := awslambda.RecursiveLoop("")
	if props.FeedsItself {
		loop = awslambda.RecursiveLoop_ALLOW
	}
	var reserved *float64
	if props.ReservedConcurrency > 0 {
		reserved = jsii.Number(float64(props.ReservedConcurrency))
	}
	fn := awslambda.NewFunction(self, jsii.String("Function"), &awslambda.FunctionProps{
		Description:   jsii.String(props.Description),
		Runtime:       awslambda.Runtime_PROVIDED_AL2023(),
		Architecture:  architecture,
		Handler:       jsii.String("bootstrap"),
		Code:          awslambda.Code_FromAsset(jsii.String(asset), nil),
		Role:          role,
		Environment:   texts(variables),
		LogGroup:      logs,
		LoggingFormat: awslambda.LoggingFormat_JSON,
		MemorySize:    jsii.Number(256),
		Timeout:       awscdk.Duration_Seconds(jsii.Number(float64(props.TimeoutSeconds))),
		RecursiveLoop: loop,

		ReservedConcurrentExecutions: reserved,
	})
	failures := 3.0
	if props.Seldom {
		failures = 1
	}
	NewAlarm(self, "ErrorsAlarm", &AlarmProps{
		Boundary: b,
		Title:    name + " fails",
		Metric: fn.MetricErrors(&awscloudwatch.MetricOptions{
			Period:    awscdk.Duration_Minutes(jsii.Number(15)),
			Statistic: jsii.String(Sum),
		}),
		Threshold: failures,
	})
	return &Function{Function: fn, Name: name, boundary: b, timeoutSeconds: props.TimeoutSeconds}
}

// Allow lets the function do actions on resources.
func (f *Function) Allow(actions []string, resources ...*string) {
	f.AddToRolePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings(actions...),
		Resources: &resources,
	}))
}

// AllowPublish lets the function publish on the bus in the name of source
// alone.
func (f *Function) AllowPublish(bus awsevents.IEventBus, source string) {
	f.AddToRolePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:    jsii.Strings("events:PutEvents"),
		Resources:  &[]*string{bus.EventBusArn()},
		Conditions: &map[string]any{"StringEquals": map[string]any{"events:source": source}},
	}))
}

// AllowInvoke lets the function call another one.
func (f *Function) AllowInvoke(callee awslambda.IFunction) {
	f.Allow([]string{"lambda:InvokeFunction"}, callee.FunctionArn())
}

// texts is m as jsii wants it.
func texts(m map[string]string) *map[string]*string {
	out := make(map[string]*string, len(m))
	for k, v := range m {
		out[k] = jsii.String(v)
	}
	return &out
}

// MustExist panics with a [Missing] when there is nothing at path, which a build
// for the stage makes.
func MustExist(path string, c config.Config) {
	if _, err := os.Stat(path); err != nil {
		panic(Missing{Path: path, Remedy: "make build STAGE=" + string(c.Stage)})
	}
}
