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

// Outputs is outputs.json: where the parts of a running cloud are.
type Outputs struct {
	App    string `json:"app"`
	AWS    string `json:"aws"`
	Strava Strava `json:"strava"`
	Fitbit Fitbit `json:"fitbit"`
	// Webhook is the full callback URL, secret path segment included.
	Webhook string `json:"webhook"`
	Stage   string `json:"stage"`
}

// names are the processes of a cloud in the order they are ended.
var names = []string{"front", standIn, fitbitStandIn, emulator}

func (c *cloud) outputsPath() string { return c.path("outputs.json") }

// up brings the cloud up and returns when it is ready. When it fails it ends
// what it has started.
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

	if err := c.progress.step("needs", func(func(string)) (string, error) { return "", c.needs() }); err != nil {
		return err
	}
	if err := c.prepare(ctx, hostPlatform); err != nil {
		return err
	}
	if err := c.progress.step("aws", func(func(string)) (string, error) {
		now, err := c.startEmulator(ctx)
		return c.settings.AWSURL() + unless(now, " (runs already)"), err
	}); err != nil {
		return err
	}

	app, err := c.application()
	if err != nil {
		return err
	}
	strava, err := c.reachStrava(ctx, app)
	if err != nil {
		return err
	}
	fitbit, err := c.reachFitbit(ctx)
	if err != nil {
		return err
	}
	if err := c.progress.step("deploy", func(say func(string)) (string, error) { return c.deploy(ctx, strava, fitbit, say) }); err != nil {
		return err
	}
	if err := c.progress.step("site", func(func(string)) (string, error) {
		apiID, err := c.stackOutput("Platform", "HttpApiId")
		if err != nil {
			return "", err
		}
		webhookAPIID, err := c.stackOutput("Platform", "WebhookApiId")
		if err != nil {
			return "", err
		}
		now, err := c.startFront(ctx, apiID, webhookAPIID)
		return c.settings.AppURL() + unless(now, " (runs already)"), err
	}); err != nil {
		return err
	}
	outputs := Outputs{App: c.settings.AppURL(), AWS: c.settings.AWSURL(), Strava: strava, Fitbit: fitbit, Stage: stage}
	if err := c.progress.step("app", func(say func(string)) (string, error) {
		say("credentials")
		if err := c.registerApp(ctx, "strava", app); err != nil {
			return "", err
		}
		fitbitApp, err := c.fitbitApplication()
		if err != nil {
			return "", err
		}
		if err := c.registerApp(ctx, "fitbit", fitbitApp); err != nil {
			return "", err
		}
		say("push subscription")
		callbackURL, err := c.ensureSubscription(ctx)
		outputs.Webhook = callbackURL
		return "Strava application " + app.id + ", push subscription, Fitbit application " + fitbitApp.id, err
	}); err != nil {
		return err
	}
	if err := writeJSON(c.outputsPath(), outputs); err != nil {
		return err
	}
	return c.welcome(outputs)
}

// prepare installs the tools and builds the code for target. Clouds of one
// repository share both, so one command at a time does it.
func (c *cloud) prepare(ctx context.Context, target platform) error {
	return c.shared(ctx, func() error {
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
	return c.shared(ctx, func() error { return c.stepTools(ctx) })
}

func (c *cloud) stepTools(ctx context.Context) error {
	return c.progress.step("tools", func(say func(string)) (string, error) { return "", c.needTools(ctx, say) })
}

// shared runs f while no other command works on what all clouds of the repository share.
func (c *cloud) shared(ctx context.Context, f func() error) error {
	unlock, err := lock(ctx, filepath.Join(c.settings.Root, ".local/shared.lock"), true)
	if err != nil {
		return err
	}
	defer unlock()
	return f()
}

// needs checks what only a person can put right, all at once.
func (c *cloud) needs() error {
	var errs []error
	if _, err := exec.LookPath("go"); err != nil {
		errs = append(errs, errors.New("go is missing from PATH; install the version named in go.mod"))
	}
	for _, need := range []struct {
		process, variable string
		port              int
	}{{emulator, "PACELINE_AWS_PORT", c.settings.AWSPort}, {"front", "PACELINE_PORT", c.settings.Port}} {
		running, err := c.find(need.process)
		if err != nil {
			errs = append(errs, err)
		} else if !running.alive() || running.Port != need.port {
			errs = append(errs, needPort(need.port, need.variable))
		}
	}
	return errors.Join(errs...)
}

// reachStrava returns the Strava to speak to: the person's own, or the
// stand-in, which it starts.
func (c *cloud) reachStrava(ctx context.Context, app application) (strava Strava, err error) {
	err = c.progress.step("strava", func(func(string)) (string, error) {
		if c.settings.Strava != nil {
			strava = *c.settings.Strava
			_, err := c.stop(ctx, standIn)
			return strava.API, err
		}
		var now bool
		strava, now, err = c.startStandIn(ctx, app)
		return "stand-in at " + strings.TrimSuffix(strava.OAuth, "/oauth") + unless(now, " (runs already)"), err
	})
	return strava, err
}

// reachFitbit returns the Fitbit to speak to: the person's own, or the stand-in,
// which it starts.
func (c *cloud) reachFitbit(ctx context.Context) (fitbit Fitbit, err error) {
	err = c.progress.step("fitbit", func(func(string)) (string, error) {
		if c.settings.Fitbit != nil {
			fitbit = *c.settings.Fitbit
			_, err := c.stop(ctx, fitbitStandIn)
			return fitbit.API, err
		}
		app, err := c.fitbitApplication()
		if err != nil {
			return "", err
		}
		var now bool
		fitbit, now, err = c.startFitbitStandIn(ctx, app)
		return "stand-in at " + fitbit.Site + unless(now, " (runs already)"), err
	})
	return fitbit, err
}

// welcome tells a person where things are.
func (c *cloud) welcome(outputs Outputs) error {
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
	c.progress.line("  logs    %s\n", c.show(c.path("log")))
	given, err := c.deployed()
	for _, omission := range given.Omissions {
		c.progress.line("  %s", omission)
	}
	return err
}

// down ends everything that runs of the cloud.
func (c *cloud) down(ctx context.Context) error {
	if _, err := os.Stat(c.settings.Dir); errors.Is(err, fs.ErrNotExist) {
		c.progress.line("nothing was running")
		return nil
	}
	unlock, err := lock(ctx, c.path("lock"), false)
	if err != nil {
		c.progress.line("waiting, for %v", err)
		if unlock, err = lock(ctx, c.path("lock"), true); err != nil {
			return err
		}
	}
	defer unlock()
	return c.end(ctx, names)
}

// end stops the named processes of the cloud. Without all its parts a cloud
// has no outputs.
func (c *cloud) end(ctx context.Context, which []string) error {
	if err := os.Remove(c.outputsPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var ended []string
	err := c.progress.step("down", func(say func(string)) (string, error) {
		var errs []error
		for _, name := range names {
			if !slices.Contains(which, name) {
				continue
			}
			say(name)
			stopped, err := c.stop(ctx, name)
			if stopped {
				ended = append(ended, name)
			}
			errs = append(errs, err)
		}
		if len(ended) == 0 {
			return "nothing was running", errors.Join(errs...)
		}
		return "ended " + strings.Join(ended, ", "), errors.Join(errs...)
	})
	return err
}

func unless(condition bool, text string) string {
	if condition {
		return ""
	}
	return text
}

// status tells which parts run. It returns an error unless the cloud is whole.
func (c *cloud) status() error {
	if _, err := os.Stat(c.outputsPath()); err != nil {
		c.progress.line("the local cloud is not up")
		return ErrShown
	}
	whole := true
	for _, name := range slices.Backward(names) {
		r, err := c.find(name)
		switch {
		case err != nil:
			return err
		case r.alive():
			c.progress.line("%-9s runs on port %d (process %d)", name, r.Port, r.PID)
		case r.PID != 0:
			whole = false
			c.progress.line("%-9s has ended; see %s", name, c.show(c.logPath(name)))
		}
	}
	if !whole {
		return ErrShown
	}
	return nil
}
