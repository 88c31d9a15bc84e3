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
	Boundary       *Boundary
	Description    string
	TimeoutSeconds int
	// Settings is the function's struct of the boundary's package settings. It
	// becomes the environment.
	Settings any
	// Infrequent marks a function that runs at most once an hour, so that its first
	// failure raises the alarm.
	Infrequent bool
	// SendsToItself marks a function that sends to the queue it reads. Lambda would
	// detect a recursive loop and stop it after 16 rounds.
	SendsToItself bool
	// ReservedConcurrency is how many of the account's concurrent executions are
	// reserved for the function, which is also its limit; 0 for none.
	ReservedConcurrency int
}

// Function is a Lambda function: a Go binary on provided.al2023 with a role of its
// own, which may at first only write its log.
//
// It has no queue for failed asynchronous invocations, because no invocation that
// must not be lost is asynchronous. Callers wait for the response, events arrive
// through a [Queue] with dead letters, and schedules soon run it again.
type Function struct {
	awslambda.Function
	// Name is the function's name, a verb and a noun such as "gather-work".
	Name           string
	boundary       *Boundary
	timeoutSeconds int
}

// MissingFile is the error about a file that synthesis needs.
type MissingFile struct {
	Path string
	// Remedy is the command that makes the file.
	Remedy string
}

func (m MissingFile) Error() string {
	return fmt.Sprintf("%s is missing: run `%s` first", m.Path, m.Remedy)
}

// NewFunction makes the function called name, which is also the folder of its
// binary.
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
	// AWSLambdaBasicExecutionRole could write every log group of the account.
	logs.GrantWrite(role)

	architecture := awslambda.Architecture_ARM_64()
	if b.Config.Architecture == "amd64" {
		architecture = awslambda.Architecture_X86_64()
	}
	loop := awslambda.RecursiveLoop("")
	if props.SendsToItself {
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
		Environment:   pointers(variables),
		LogGroup:      logs,
		LoggingFormat: awslambda.LoggingFormat_JSON,
		MemorySize:    jsii.Number(256),
		Timeout:       awscdk.Duration_Seconds(jsii.Number(float64(props.TimeoutSeconds))),
		RecursiveLoop: loop,

		ReservedConcurrentExecutions: reserved,
	})
	failures := 3.0
	if props.Infrequent {
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

// AllowPublish lets the function publish events of one source.
func (f *Function) AllowPublish(bus awsevents.IEventBus, source string) {
	f.AddToRolePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:    jsii.Strings("events:PutEvents"),
		Resources:  &[]*string{bus.EventBusArn()},
		Conditions: &map[string]any{"StringEquals": map[string]any{"events:source": source}},
	}))
}

// AllowInvoke lets the function invoke another one.
func (f *Function) AllowInvoke(callee awslambda.IFunction) {
	f.Allow([]string{"lambda:InvokeFunction"}, callee.FunctionArn())
}

// pointers returns m with pointers to its values, which jsii requires.
func pointers(m map[string]string) *map[string]*string {
	out := make(map[string]*string, len(m))
	for k, v := range m {
		out[k] = jsii.String(v)
	}
	return &out
}

// MustExist panics with a [MissingFile] if there is no file at path, which a build
// for the stage makes.
func MustExist(path string, c config.Config) {
	if _, err := os.Stat(path); err != nil {
		panic(MissingFile{Path: path, Remedy: "make build STAGE=" + string(c.Stage)})
	}
}
