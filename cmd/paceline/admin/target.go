package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/paceline/paceline/pkg/credentials/lambdain"
)

// target is the stage to administer.
type target struct {
	stage string
	// dir is the local cloud's folder.
	dir string
}

// invoke calls the stage's admin function. Its own errors come back as they
// are; none holds a secret.
func (t *target) invoke(ctx context.Context, req lambdain.AdminRequest) (lambdain.AdminResponse, error) {
	cfg, err := t.aws(ctx)
	if err != nil {
		return lambdain.AdminResponse{}, err
	}
	name, err := t.function(ctx, cfg)
	if err != nil {
		return lambdain.AdminResponse{}, err
	}
	payload, err := json.Marshal(req)
	if err != nil {
		return lambdain.AdminResponse{}, err
	}
	out, err := lambda.NewFromConfig(cfg).Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String(name), Payload: payload})
	if err != nil {
		return lambdain.AdminResponse{}, fmt.Errorf("invoke the admin function: %w", err)
	}
	if out.FunctionError != nil {
		var failure struct {
			Message string `json:"errorMessage"`
		}
		if json.Unmarshal(out.Payload, &failure) != nil || failure.Message == "" {
			failure.Message = *out.FunctionError
		}
		return lambdain.AdminResponse{}, errors.New(failure.Message)
	}
	var res lambdain.AdminResponse
	if err := json.Unmarshal(out.Payload, &res); err != nil {
		return lambdain.AdminResponse{}, fmt.Errorf("read the admin function's answer: %w", err)
	}
	return res, nil
}

// aws is the configuration of the environment, and for the stage local that of
// the local cloud unless the environment names an endpoint.
func (t *target) aws(ctx context.Context) (aws.Config, error) {
	if t.stage != "local" || os.Getenv("AWS_ENDPOINT_URL") != "" {
		return config.LoadDefaultConfig(ctx)
	}
	path := filepath.Join(t.dir, "outputs.json")
	b, err := os.ReadFile(path)
	if err != nil {
		return aws.Config{}, fmt.Errorf("there is no local cloud (%s is missing): start it by `make up`", path)
	}
	var outputs struct {
		AWS string `json:"aws"`
	}
	if err := json.Unmarshal(b, &outputs); err != nil {
		return aws.Config{}, fmt.Errorf("read %s: %w", path, err)
	}
	return config.LoadDefaultConfig(ctx,
		config.WithBaseEndpoint(outputs.AWS),
		config.WithRegion("us-east-1"),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("PACELINELOCAL", "paceline", "")))
}

// function looks up the admin function among the credentials stack's outputs.
func (t *target) function(ctx context.Context, cfg aws.Config) (string, error) {
	stack := "Paceline-" + t.stage + "-Credentials"
	out, err := cloudformation.NewFromConfig(cfg).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(stack)})
	if err != nil {
		return "", fmt.Errorf("look for the stack %s: %w", stack, err)
	}
	for _, s := range out.Stacks {
		for _, o := range s.Outputs {
			if aws.ToString(o.OutputKey) == "AdminFunctionName" {
				return aws.ToString(o.OutputValue), nil
			}
		}
	}
	return "", fmt.Errorf("the stack %s has no output AdminFunctionName", stack)
}
