package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// stage is the stage of cdk.json that a local cloud is deployed as.
const stage = "local"

// deployment records what was deployed onto the emulator.
type deployment struct {
	// Emulator is the identity of the emulator's process, which keeps everything in
	// memory.
	Emulator     string `json:"emulator"`
	Bootstrapped bool   `json:"bootstrapped"`
	// Inputs is the digest of everything that a deployment depends on.
	Inputs string `json:"inputs"`
	// Omissions are infra's lines about what stage local lacks.
	Omissions []string `json:"omissions"`
}

func (c *cloud) deploymentPath() string { return c.path("deployed.json") }

// lastDeployment returns what was deployed onto the running emulator: nothing if
// the record is about an earlier one.
func (c *cloud) lastDeployment() (deployment, error) {
	running, err := c.find(emulator)
	if err != nil {
		return deployment{}, err
	}
	fresh := deployment{Emulator: running.Identity}
	data, err := os.ReadFile(c.deploymentPath())
	if errors.Is(err, fs.ErrNotExist) {
		return fresh, nil
	}
	if err != nil {
		return deployment{}, err
	}
	var d deployment
	if err := json.Unmarshal(data, &d); err != nil || d.Emulator != running.Identity {
		return fresh, nil
	}
	return d, nil
}

// inputs returns a digest of everything that a deployment depends on: the CDK app
// with its settings, and the assets.
func (c *cloud) inputs(contexts []string) (string, error) {
	var paths []string
	for _, pattern := range []string{"cdk.json", "cdk.context.json", "package-lock.json", "dist/infra", "dist/host/*/*/bootstrap", "web/dist"} {
		found, err := filepath.Glob(filepath.Join(c.settings.Root, pattern))
		if err != nil {
			return "", err
		}
		paths = append(paths, found...)
	}
	sum, err := hashTrees(paths)
	return strings.Join(append(contexts, sum), " "), err
}

// deploy deploys all stacks by the CDK CLI, unless nothing has changed.
func (c *cloud) deploy(ctx context.Context, strava Strava, fitbit Fitbit, report func(string)) (string, error) {
	have, err := c.lastDeployment()
	if err != nil {
		return "", err
	}
	contexts := []string{
		"-c", "stage=" + stage,
		"-c", "siteUrl=" + c.settings.AppURL(),
		"-c", "stravaApiUrl=" + strava.API,
		"-c", "stravaOauthUrl=" + strava.OAuth,
		"-c", "stravaPushUrl=" + strava.Push,
		"-c", "fitbitSiteUrl=" + fitbit.Site,
		"-c", "fitbitApiUrl=" + fitbit.API,
	}
	inputs, err := c.inputs(contexts)
	if err != nil {
		return "", err
	}
	if have.Inputs == inputs {
		return "no changes", nil
	}
	// Bootstrapping synthesises the app, too, and without a stage it would
	// synthesise all stages that were ever built.
	app := append([]string{"--app", filepath.Join(c.settings.Root, "dist/infra"), "--output", c.path("cdk.out")}, contexts...)
	if !have.Bootstrapped {
		report("bootstrap")
		args := append([]string{"bootstrap", "aws://" + AccountID + "/" + Region}, app...)
		if err := c.runCDK(ctx, "cdk-bootstrap", nil, args...); err != nil {
			return "", err
		}
		have.Bootstrapped = true
		if err := writeJSON(c.deploymentPath(), have); err != nil {
			return "", err
		}
	}
	report("synth")
	watch := &stackWatch{report: report}
	args := append([]string{"deploy", "--all", "--outputs-file", c.path("cdk-outputs.json"), "--require-approval", "never"}, app...)
	if err := c.runCDK(ctx, "cdk", watch.line, args...); err != nil {
		if watch.failure != "" {
			err = fmt.Errorf("%s: %w", clip(watch.failure, 200), err)
		}
		return "", err
	}
	have.Inputs, have.Omissions = inputs, watch.omissions
	return fmt.Sprintf("%d stacks", watch.done), writeJSON(c.deploymentPath(), have)
}

func (c *cloud) runCDK(ctx context.Context, log string, line func(string), args ...string) error {
	return c.exec(ctx, tool{
		log:  log,
		argv: append([]string{c.cdk()}, append(args, "--no-notices", "--no-version-reporting", "--ci")...),
		env: append(c.awsEnv(),
			"CDK_HOME="+c.path("cdk-home"),
			"CDK_DISABLE_CLI_TELEMETRY=true",
			"JSII_NODE="+c.node(),
			"NO_COLOR=1",
		),
		line: line,
	})
}

// stackWatch reads the output of cdk deploy.
type stackWatch struct {
	report    func(string)
	done      int
	failure   string
	omissions []string
}

var (
	stackEvent   = regexp.MustCompile(`^(Paceline-\S+) \| +(\d+/\d+) \|`)
	stackDone    = regexp.MustCompile(`✅ +(Paceline-\S+)`)
	stackFailure = regexp.MustCompile(`(?:❌|(?:CREATE|UPDATE)_FAILED +\|) +(.*)`)
)

func (w *stackWatch) line(line string) {
	if m := stackEvent.FindStringSubmatch(line); m != nil {
		w.report(m[1] + " " + m[2])
	}
	if stackDone.MatchString(line) {
		w.done++
	}
	if strings.HasPrefix(line, "stage local lacks ") {
		w.omissions = append(w.omissions, line)
	}
	if m := stackFailure.FindStringSubmatch(line); m != nil && w.failure == "" {
		w.failure = m[1]
	}
}

// stackOutput returns an output of a deployed stack.
func (c *cloud) stackOutput(stack, key string) (string, error) {
	data, err := os.ReadFile(c.path("cdk-outputs.json"))
	if err != nil {
		return "", err
	}
	var outputs map[string]map[string]string
	if err := json.Unmarshal(data, &outputs); err != nil {
		return "", fmt.Errorf("decode the stacks' outputs: %w", err)
	}
	value := outputs["Paceline-"+stage+"-"+stack][key]
	if value == "" {
		return "", fmt.Errorf("stack %s has no output %s", stack, key)
	}
	return value, nil
}
