package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Outputs is the content of outputs.json: the addresses of a running cloud.
type Outputs struct {
	App    string `json:"app"`
	AWS    string `json:"aws"`
	Strava Strava `json:"strava"`
	Fitbit Fitbit `json:"fitbit"`
	// Webhook is the whole callback URL, with its secret path segment.
	Webhook string `json:"webhook"`
	Stage   string `json:"stage"`
}

// processNames are the processes of a cloud in the order in which they are
// stopped.
var processNames = []string{edge, standIn, fitbitStandIn, emulator}

func (c *cloud) outputsPath() string { return c.path("outputs.json") }

// up starts the cloud and returns when it is ready. If it fails, it stops the
// processes it has started.
func (c *cloud) up(ctx context.Context) (err error) {
	unlock, err := lock(ctx, c.path("lock"), false)
	if err != nil {
		return err
	}
	defer unlock()
	defer func() {
		if err != nil && len(c.started) > 0 {
			err = errors.Join(err, c.end(context.WithoutCancel(ctx), c.started))
		}
	}()

	if err := c.stepPrerequisites(); err != nil {
		return err
	}
	if err := c.prepare(ctx, hostPlatform); err != nil {
		return err
	}
	if err := c.stepEmulator(ctx); err != nil {
		return err
	}
	outputs, err := c.startApplication(ctx)
	if err != nil {
		return err
	}
	if err := writeJSON(c.outputsPath(), outputs); err != nil {
		return err
	}
	return c.printAddresses(outputs)
}

// startApplication deploys Paceline onto the running emulator and sets it up
// with Strava and Fitbit.
func (c *cloud) startApplication(ctx context.Context) (Outputs, error) {
	outputs := Outputs{App: c.settings.AppURL(), AWS: c.settings.AWSURL(), Stage: stage}
	stravaApp, err := c.application()
	if err != nil {
		return outputs, err
	}
	fitbitApp, err := c.fitbitApplication()
	if err != nil {
		return outputs, err
	}
	if outputs.Strava, err = c.stepStrava(ctx, stravaApp); err != nil {
		return outputs, err
	}
	if outputs.Fitbit, err = c.stepFitbit(ctx, fitbitApp); err != nil {
		return outputs, err
	}
	if err := c.stepDeploy(ctx, outputs.Strava, outputs.Fitbit); err != nil {
		return outputs, err
	}
	if err := c.stepSite(ctx); err != nil {
		return outputs, err
	}
	outputs.Webhook, err = c.stepRegister(ctx, stravaApp, fitbitApp)
	return outputs, err
}

func (c *cloud) stepPrerequisites() error {
	return c.progress.step("check", func(func(string)) (string, error) { return "", c.checkPrerequisites() })
}

func (c *cloud) stepEmulator(ctx context.Context) error {
	return c.progress.step("aws", func(func(string)) (string, error) {
		startedNow, err := c.startEmulator(ctx)
		return c.settings.AWSURL() + noteRunning(startedNow), err
	})
}

func (c *cloud) stepDeploy(ctx context.Context, strava Strava, fitbit Fitbit) error {
	return c.progress.step("deploy", func(report func(string)) (string, error) {
		return c.deploy(ctx, strava, fitbit, report)
	})
}

// stepSite starts the edge proxy, which serves the site and the deployed APIs.
func (c *cloud) stepSite(ctx context.Context) error {
	return c.progress.step("site", func(func(string)) (string, error) {
		apiID, err := c.stackOutput("Platform", "HttpApiId")
		if err != nil {
			return "", err
		}
		webhookAPIID, err := c.stackOutput("Platform", "WebhookApiId")
		if err != nil {
			return "", err
		}
		startedNow, err := c.startEdge(ctx, apiID, webhookAPIID)
		return c.settings.AppURL() + noteRunning(startedNow), err
	})
}

// stepRegister sets the applications' credentials and the push subscription, and
// returns the callback URL.
func (c *cloud) stepRegister(ctx context.Context, strava, fitbit application) (callbackURL string, err error) {
	err = c.progress.step("register", func(report func(string)) (string, error) {
		report("credentials")
		if err := c.registerApp(ctx, "strava", strava); err != nil {
			return "", err
		}
		if err := c.registerApp(ctx, "fitbit", fitbit); err != nil {
			return "", err
		}
		report("push subscription")
		var err error
		callbackURL, err = c.ensureSubscription(ctx)
		return "Strava application " + strava.id + ", push subscription, Fitbit application " + fitbit.id, err
	})
	return callbackURL, err
}

// prepare installs the tools and builds the code for target. All clouds of a
// repository share both, so only one command at a time may prepare.
func (c *cloud) prepare(ctx context.Context, target platform) error {
	return c.exclusively(ctx, func() error {
		if err := c.stepTools(ctx); err != nil {
			return err
		}
		return c.progress.step("build", func(func(string)) (string, error) {
			return target.os + "/" + target.arch, c.build(ctx, target)
		})
	})
}

// prepareTools installs the tools.
func (c *cloud) prepareTools(ctx context.Context) error {
	return c.exclusively(ctx, func() error { return c.stepTools(ctx) })
}

func (c *cloud) stepTools(ctx context.Context) error {
	return c.progress.step("tools", func(report func(string)) (string, error) { return "", c.installTools(ctx, report) })
}

// exclusively runs f while no other command changes what all clouds of the
// repository share.
func (c *cloud) exclusively(ctx context.Context, f func() error) error {
	unlock, err := lock(ctx, filepath.Join(c.settings.Root, ".local/shared.lock"), true)
	if err != nil {
		return err
	}
	defer unlock()
	return f()
}

// checkPrerequisites returns all problems that only a person can fix.
func (c *cloud) checkPrerequisites() error {
	var errs []error
	if _, err := exec.LookPath("go"); err != nil {
		errs = append(errs, errors.New("go is missing from PATH; install the version in go.mod"))
	}
	for _, server := range []struct {
		process, variable string
		port              int
	}{{emulator, "PACELINE_AWS_PORT", c.settings.AWSPort}, {edge, "PACELINE_PORT", c.settings.Port}} {
		running, err := c.find(server.process)
		if err != nil {
			errs = append(errs, err)
		} else if !running.alive() || running.Port != server.port {
			errs = append(errs, checkPort(server.port, server.variable))
		}
	}
	return errors.Join(errs...)
}

// stepStrava returns the Strava to use: the one in the settings, or the stand-in,
// which it starts.
func (c *cloud) stepStrava(ctx context.Context, app application) (strava Strava, err error) {
	err = c.progress.step("strava", func(func(string)) (string, error) {
		if c.settings.Strava != nil {
			strava = *c.settings.Strava
			_, err := c.stop(ctx, standIn)
			return strava.API, err
		}
		var startedNow bool
		strava, startedNow, err = c.startStandIn(ctx, app)
		return "stand-in at " + strings.TrimSuffix(strava.OAuth, "/oauth") + noteRunning(startedNow), err
	})
	return strava, err
}

// stepFitbit returns the Fitbit to use: the one in the settings, or the stand-in,
// which it starts.
func (c *cloud) stepFitbit(ctx context.Context, app application) (fitbit Fitbit, err error) {
	err = c.progress.step("fitbit", func(func(string)) (string, error) {
		if c.settings.Fitbit != nil {
			fitbit = *c.settings.Fitbit
			_, err := c.stop(ctx, fitbitStandIn)
			return fitbit.API, err
		}
		var startedNow bool
		fitbit, startedNow, err = c.startFitbitStandIn(ctx, app)
		return "stand-in at " + fitbit.Site + noteRunning(startedNow), err
	})
	return fitbit, err
}

// printAddresses prints the addresses of the cloud and its limitations.
func (c *cloud) printAddresses(outputs Outputs) error {
	c.progress.line("\n  app     %s", outputs.App)
	for _, name := range []string{standIn, fitbitStandIn} {
		control, err := c.controlURL(name)
		if err != nil {
			return err
		}
		if control != "" {
			c.progress.line("  %s  %s", name, control)
		}
	}
	c.progress.line("  logs    %s\n", c.displayPath(c.path("log")))
	deployed, err := c.lastDeployment()
	for _, omission := range deployed.Omissions {
		c.progress.line("  %s", omission)
	}
	return err
}

// down stops all processes of the cloud.
func (c *cloud) down(ctx context.Context) error {
	if _, err := os.Stat(c.settings.Dir); errors.Is(err, fs.ErrNotExist) {
		c.progress.line("nothing was running")
		return nil
	}
	unlock, err := lock(ctx, c.path("lock"), false)
	if err != nil {
		c.progress.line("waiting: %v", err)
		if unlock, err = lock(ctx, c.path("lock"), true); err != nil {
			return err
		}
	}
	defer unlock()
	return c.end(ctx, processNames)
}

// end stops the named processes of the cloud. It removes outputs.json, which
// describes a complete cloud.
func (c *cloud) end(ctx context.Context, which []string) error {
	if err := os.Remove(c.outputsPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var stoppedNames []string
	err := c.progress.step("down", func(report func(string)) (string, error) {
		var errs []error
		for _, name := range processNames {
			if !slices.Contains(which, name) {
				continue
			}
			report(name)
			stopped, err := c.stop(ctx, name)
			if stopped {
				stoppedNames = append(stoppedNames, name)
			}
			errs = append(errs, err)
		}
		if len(stoppedNames) == 0 {
			return "nothing was running", errors.Join(errs...)
		}
		return "stopped " + strings.Join(stoppedNames, ", "), errors.Join(errs...)
	})
	return err
}

// noteRunning returns a note for a step that may have started a process.
func noteRunning(startedNow bool) string {
	if startedNow {
		return ""
	}
	return " (already running)"
}

// status prints which processes run. It returns an error unless all of them do.
func (c *cloud) status() error {
	if _, err := os.Stat(c.outputsPath()); err != nil {
		c.progress.line("the local cloud is not running")
		return ErrShown
	}
	complete := true
	for _, name := range slices.Backward(processNames) {
		r, err := c.find(name)
		switch {
		case err != nil:
			return err
		case r.alive():
			c.progress.line("%-9s running on port %d (process %d)", name, r.Port, r.PID)
		case r.PID != 0:
			complete = false
			c.progress.line("%-9s has exited; see %s", name, c.displayPath(c.logPath(name)))
		}
	}
	if !complete {
		return ErrShown
	}
	return nil
}
