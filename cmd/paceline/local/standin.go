package local

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/paceline/paceline/pkg/kit/secret"
)

// The process names of the stand-ins for Strava and Fitbit.
const (
	standIn       = "strava"
	fitbitStandIn = "fitbit"
)

// The applications' ids at the stand-ins if STRAVA_CLIENT_ID and
// FITBIT_CLIENT_ID are not set.
const (
	defaultClientID       = "10001"
	defaultFitbitClientID = "22942C"
)

// application is an application's credentials at a provider.
type application struct {
	id     string
	secret secret.String
}

// application returns the credentials of the Strava application: those in the
// settings, or ones that are generated once for the cloud.
func (c *cloud) application() (application, error) {
	return c.orGenerated(application{c.settings.ClientID, c.settings.ClientSecret}, defaultClientID, "client-secret")
}

// fitbitApplication returns those of the Fitbit application.
func (c *cloud) fitbitApplication() (application, error) {
	return c.orGenerated(application{c.settings.FitbitClientID, c.settings.FitbitClientSecret}, defaultFitbitClientID, "fitbit-client-secret")
}

// orGenerated returns app with id if it has none, and with a generated secret, kept
// in file, if it has none.
func (c *cloud) orGenerated(app application, id, file string) (application, error) {
	if app.id == "" {
		app.id = id
	}
	if !app.secret.Empty() {
		return app, nil
	}
	path := c.path(file)
	data, err := os.ReadFile(path)
	if err == nil && len(data) > 0 {
		app.secret = secret.New(string(data))
		return app, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return app, err
	}
	random := make([]byte, 20)
	_, _ = rand.Read(random) // never fails
	app.secret = secret.New(hex.EncodeToString(random))
	return app, writeFile(path, []byte(app.secret.Reveal()), 0o600)
}

// standInPort returns the port of a stand-in: its present one if it runs, or the
// first free port above the site's.
func (c *cloud) standInPort(name string) (int, error) {
	running, err := c.find(name)
	if err != nil {
		return 0, err
	}
	if running.alive() {
		return running.Port, nil
	}
	return freePort(c.settings.Port+1, c.settings.AWSPort)
}

// startStandIn starts the stand-in for Strava and returns its base URLs. It keeps
// everything in memory: after a restart it knows no authorization.
func (c *cloud) startStandIn(ctx context.Context, app application) (strava Strava, startedNow bool, err error) {
	port, err := c.standInPort(standIn)
	if err != nil {
		return Strava{}, false, err
	}
	address := "localhost:" + strconv.Itoa(port)
	argv := []string{filepath.Join(c.settings.Root, "dist/strava-standin"), "--addr", address}
	env := append(c.cleanEnv(),
		"STRAVA_CLIENT_ID="+app.id,
		"STRAVA_CLIENT_SECRET="+app.secret.Reveal(),
	)
	if c.settings.History != "" {
		env = append(env, "STRAVA_HISTORY="+c.settings.History)
	}
	origin := "http://" + address
	strava = Strava{API: origin + "/api/v3", OAuth: origin + "/oauth", Push: origin + "/api/v3/push_subscriptions"}
	startedNow, err = c.ensure(ctx, spec{name: standIn, argv: argv, env: env, port: port}, origin+"/control")
	return strava, startedNow, err
}

// startFitbitStandIn starts the stand-in for Fitbit, which keeps everything in
// memory, and returns its base URLs.
func (c *cloud) startFitbitStandIn(ctx context.Context, app application) (fitbit Fitbit, startedNow bool, err error) {
	port, err := c.standInPort(fitbitStandIn)
	if err != nil {
		return Fitbit{}, false, err
	}
	address := "localhost:" + strconv.Itoa(port)
	argv := []string{filepath.Join(c.settings.Root, "dist/fitbit-standin"), "--addr", address}
	env := append(c.cleanEnv(), "FITBIT_CLIENT_ID="+app.id, "FITBIT_CLIENT_SECRET="+app.secret.Reveal())
	origin := "http://" + address
	startedNow, err = c.ensure(ctx, spec{name: fitbitStandIn, argv: argv, env: env, port: port}, origin+"/control")
	return Fitbit{Site: origin, API: origin}, startedNow, err
}

// controlURL returns the URL of a stand-in's control page, or "" if the stand-in
// does not run.
func (c *cloud) controlURL(name string) (string, error) {
	running, err := c.find(name)
	if err != nil || !running.alive() {
		return "", err
	}
	return fmt.Sprintf("http://localhost:%d/control", running.Port), nil
}

// registerApp sets the credentials of the application at a provider.
func (c *cloud) registerApp(ctx context.Context, provider string, app application) error {
	_, err := c.admin(ctx, app.secret.Reveal(), "app", "set", "--provider", provider, "--client-id", app.id)
	return err
}

// ensureSubscription makes Strava push events to the cloud and returns the
// callback URL. Strava calls it meanwhile, so the edge proxy must run.
func (c *cloud) ensureSubscription(ctx context.Context) (callbackURL string, err error) {
	out, err := c.admin(ctx, "", "subscription", "ensure")
	if err != nil {
		return "", err
	}
	var subscription struct {
		CallbackURL string `json:"callback_url"`
	}
	if err := json.Unmarshal(out, &subscription); err != nil || subscription.CallbackURL == "" {
		return "", errors.New("admin subscription ensure returned no callback_url")
	}
	return subscription.CallbackURL, nil
}

// admin runs an admin command of this program against the cloud.
func (c *cloud) admin(ctx context.Context, stdin string, args ...string) ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return c.output(ctx, tool{
		argv:  append([]string{self, "admin", "--stage", stage, "--json"}, args...),
		env:   c.awsEnv(),
		stdin: stdin,
	})
}
