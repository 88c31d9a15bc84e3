package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// coldInit compares, for each function, the time from the start of its program
// to its first request for an invocation with that of a hello-world function.
// Neither includes Lambda's own part of a cold start, which fetches the code
// and creates the sandbox.
func coldInit(ctx context.Context, r *report) error {
	aws := newCloud()
	defer aws.Close()
	lambda := newRuntimeAPI()
	defer lambda.Close()
	dir, err := os.MkdirTemp("", "paceline-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	hello, err := buildHello(ctx, dir)
	if err != nil {
		return err
	}
	environments, err := functionEnvironments()
	if err != nil {
		return err
	}
	mains, err := filepath.Glob("functions/*/*/main.go")
	if err != nil {
		return err
	}
	for _, main := range mains {
		folder := filepath.Dir(main)
		boundary, name := filepath.Base(filepath.Dir(folder)), filepath.Base(folder)
		variables, ok := environments[boundary+"/"+strings.ReplaceAll(name, "-", "")]
		if !ok {
			return fmt.Errorf("%s is in no template of %s: run `go test ./test/infra -update`", folder, templates)
		}
		environment := append(aws.environment(), variables...)
		binary := filepath.Join("dist/host", boundary, name, "bootstrap")
		res, err := r.compare(ctx, comparison{
			name:     "cold init of " + boundary + "/" + name,
			ours:     lambda.timeToFirstNext(binary, environment),
			baseline: "hello world",
			base:     lambda.timeToFirstNext(hello, environment),
			unit:     "ms",
			rounds:   100, warmUp: 3,
		})
		if err != nil {
			return err
		}
		if res.BinaryBytes, err = size(binary); err != nil {
			return err
		}
		if res.BaselineBinaryBytes, err = size(hello); err != nil {
			return err
		}
	}
	return nil
}

// buildHello builds the hello-world function with the flags of `make build`.
func buildHello(ctx context.Context, dir string) (binary string, _ error) {
	binary = filepath.Join(dir, "bootstrap")
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-tags", "lambda.norpc", "-trimpath",
		"-ldflags=-s -w -buildid=", "-o", binary, "./test/bench/hello")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build hello: %w: %s", err, out)
	}
	return binary, nil
}

func size(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// templates are the golden templates of test/infra.
const templates = "test/infra/testdata/prod/*.json"

// functionEnvironments returns the environment variables of each function in the
// templates, by boundary and name without dashes. A value that only a deployment
// knows is "unknown".
func functionEnvironments() (map[string][]string, error) {
	files, err := filepath.Glob(templates)
	if err != nil {
		return nil, err
	}
	all := map[string][]string{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var stack struct{ Resources map[string]resource }
		if err := json.Unmarshal(b, &stack); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for id, r := range stack.Resources {
			name, _, isFunction := strings.Cut(id, "Function")
			if r.Type != "AWS::Lambda::Function" || !isFunction {
				continue
			}
			var f lambdaFunction
			if err := json.Unmarshal(r.Properties, &f); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", file, id, err)
			}
			all[f.boundary()+"/"+name] = f.environment()
		}
	}
	return all, nil
}

// resource is a resource of a CloudFormation template.
type resource struct {
	Type       string
	Properties json.RawMessage
}

// lambdaFunction holds properties of AWS::Lambda::Function.
type lambdaFunction struct {
	Environment struct{ Variables map[string]any }
	Tags        []struct{ Key, Value string }
}

// boundary returns the value of the tag context.
func (f lambdaFunction) boundary() string {
	for _, tag := range f.Tags {
		if tag.Key == "context" {
			return tag.Value
		}
	}
	return ""
}

func (f lambdaFunction) environment() []string {
	variables := []string{}
	for key, value := range f.Environment.Variables {
		text, ok := value.(string)
		if !ok { // a reference
			text = "unknown"
		}
		variables = append(variables, key+"="+text)
	}
	return variables
}
