package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	athletehandler "github.com/paceline/paceline/pkg/athlete/handler"
	"github.com/paceline/paceline/pkg/credentials/handler"
	gathering "github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// limits allow for a network far from AWS and for the admin function, which may
// run for 60 s.
var limits = startup.Limits{Dial: 10 * time.Second, Attempt: 70 * time.Second, Attempts: 3, Call: 70 * time.Second}

// target is the stage to administer.
type target struct {
	stage string
	// dir is the local cloud's folder.
	dir string
}

// invoke calls the stage's admin function. It returns the function's errors
// unchanged; none holds a secret.
func (t *target) invoke(ctx context.Context, req handler.AdminRequest) (res handler.AdminResponse, err error) {
	err = t.call(ctx, "Credentials", "AdminFunctionName", req, &res)
	return res, err
}

// gathering returns the state of the stage's gathering.
func (t *target) gathering(ctx context.Context) (*gathering.StatusView, error) {
	var view gathering.StatusView
	if err := t.call(ctx, "Gathering", "GatheringStatusFunctionName", struct{}{}, &view); err != nil {
		return nil, err
	}
	return &view, nil
}

// erasures counts the stage's erasures. receipts are those of the admin function.
func (t *target) erasures(ctx context.Context, receipts []handler.ReceiptView) (view athletehandler.ErasuresView, err error) {
	var req athletehandler.CountErasuresRequest
	for _, r := range receipts {
		req.Receipts = append(req.Receipts, athletehandler.ReceiptView(r))
	}
	err = t.call(ctx, "AthletePlane", "CountErasuresFunctionName", req, &view)
	return view, err
}

// reconcile runs reconcile-grants, which does those pending tasks of grants that
// are due, as far as its time allows.
func (t *target) reconcile(ctx context.Context) error {
	return t.call(ctx, "Credentials", "ReconcileFunctionName", struct{}{}, &struct{}{})
}

// call invokes the function that a stack's output names and decodes its response.
func (t *target) call(ctx context.Context, boundary, output string, req, res any) error {
	cfg, err := t.aws(ctx)
	if err != nil {
		return err
	}
	cfg = startup.WithLimits(cfg, limits)
	name, err := t.function(ctx, cfg, boundary, output)
	if err != nil {
		return err
	}
	payload, err := json.Marshal(req)
	if err != nil {
		return err
	}
	out, err := lambda.NewFromConfig(cfg).Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String(name), Payload: payload})
	if err != nil {
		return fmt.Errorf("invoke %s: %w", name, err)
	}
	if out.FunctionError != nil {
		var failure struct {
			Message string `json:"errorMessage"`
		}
		if json.Unmarshal(out.Payload, &failure) != nil || failure.Message == "" {
			failure.Message = *out.FunctionError
		}
		return errors.New(failure.Message)
	}
	if err := json.Unmarshal(out.Payload, res); err != nil {
		return fmt.Errorf("decode the response of %s: %w", name, err)
	}
	return nil
}

// aws returns the environment's configuration. For the stage local it returns
// the local cloud's, unless the environment names an endpoint.
func (t *target) aws(ctx context.Context) (aws.Config, error) {
	if t.stage != "local" || os.Getenv("AWS_ENDPOINT_URL") != "" {
		return startup.AWS(ctx)
	}
	path := filepath.Join(t.dir, "outputs.json")
	b, err := os.ReadFile(path)
	if err != nil {
		return aws.Config{}, fmt.Errorf("there is no local cloud (%s is missing): run `make up` to start it", path)
	}
	var outputs struct {
		AWS string `json:"aws"`
	}
	if err := json.Unmarshal(b, &outputs); err != nil {
		return aws.Config{}, fmt.Errorf("read %s: %w", path, err)
	}
	return startup.AWS(ctx,
		config.WithBaseEndpoint(outputs.AWS),
		config.WithRegion("us-east-1"),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("PACELINELOCAL", "paceline", "")))
}

// function returns the name of a function from the outputs of a boundary's stack.
func (t *target) function(ctx context.Context, cfg aws.Config, boundary, output string) (string, error) {
	stack := "Paceline-" + t.stage + "-" + boundary
	out, err := cloudformation.NewFromConfig(cfg).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(stack)})
	if err != nil {
		return "", fmt.Errorf("describe the stack %s: %w", stack, err)
	}
	for _, s := range out.Stacks {
		for _, o := range s.Outputs {
			if aws.ToString(o.OutputKey) == output {
				return aws.ToString(o.OutputValue), nil
			}
		}
	}
	return "", fmt.Errorf("the stack %s has no output %s: deploy the version of this command", stack, output)
}
