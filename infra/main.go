package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/paceline/paceline/infra/config"
	"github.com/paceline/paceline/infra/construct"
	"github.com/paceline/paceline/infra/stack"
)

func main() {
	defer jsii.Close()
	defer func() {
		switch problem := recover().(type) {
		case nil:
		case construct.MissingFile:
			fail(problem)
		default:
			panic(problem)
		}
	}()

	if _, err := exec.LookPath("node"); err != nil {
		fail(errors.New("node is missing from PATH, and the CDK needs it: install Node.js, or run make, which uses the pinned one"))
	}
	app := awscdk.NewApp(nil)
	lookup := func(key string) any { return app.Node().TryGetContext(jsii.String(key)) }
	const dist = "dist"
	stages := config.Stages(lookup, dist)
	if len(stages) == 0 {
		fmt.Fprintln(os.Stderr, "infra: no stage is built: run `make build STAGE=…` first")
		// `cdk bootstrap` needs no build, but it needs a stack. This one is empty, so
		// it is never deployed.
		awscdk.NewStack(app, jsii.String("NothingIsBuilt"), nil)
	}
	for _, s := range stages {
		c, err := config.Load(s, lookup)
		if err != nil {
			fail(err)
		}
		stack.NewPaceline(app, c, stack.Assets{Functions: s.Functions(dist), Site: "web/dist"})
		if s == config.Local {
			for _, o := range stack.Omissions {
				fmt.Fprintf(os.Stderr, "stage local lacks %s: %s\n", o.What, o.Reason)
			}
		}
	}
	app.Synth(nil)
}

// fail prints one line for each problem and exits.
func fail(err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(os.Stderr, "infra: "+line)
	}
	jsii.Close()
	os.Exit(1)
}
