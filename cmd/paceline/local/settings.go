package local

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/paceline/paceline/pkg/kit/secret"
)

// Defaults of the ports, and the credentials every AWS client of the local
// cloud uses. The emulator checks no signature, so they are no secret.
const (
	DefaultPort    = 8080
	DefaultAWSPort = 4566
	Region         = "us-east-1"
	AccountID      = "000000000000"
	AccessKeyID    = "PACELINELOCAL"
	SecretKey      = "paceline"
)

// Strava holds the three base URLs of a Strava.
type Strava struct {
	API   string `json:"api"`
	OAuth string `json:"oauth"`
	Push  string `json:"push"`
}

// Fitbit holds the two base URLs of a Fitbit.
type Fitbit struct {
	// Site has the consent page, API everything else.
	Site string `json:"site"`
	API  string `json:"api"`
}

// Settings is what a person chooses about one local cloud.
type Settings struct {
	// Root is the repository's folder, Dir the cloud's own; both absolute.
	Root, Dir string
	// Port serves the site, AWSPort the emulator.
	Port, AWSPort int
	// Strava is nil when the cloud brings its own stand-in.
	Strava *Strava
	// ClientID and ClientSecret are the Strava application's. Without a Strava
	// of one's own they may be empty: the cloud then makes them up.
	ClientID     string
	ClientSecret secret.String
	// Fitbit is nil when the cloud brings its own stand-in.
	Fitbit *Fitbit
	// FitbitClientID and FitbitClientSecret are the Fitbit application's. Without a
	// Fitbit of one's own they may be empty: the cloud then makes them up.
	FitbitClientID     string
	FitbitClientSecret secret.String
	// History is a JSON array of SummaryActivity which the stand-in loads; may be empty.
	History string
}

// FromEnv reads the settings of the cloud in dir for the repository at root.
// It reports everything that is wrong at once.
func FromEnv(root, dir string, getenv func(string) string) (Settings, error) {
	s := Settings{
		Root:     root,
		ClientID: getenv("STRAVA_CLIENT_ID"), ClientSecret: secret.New(getenv("STRAVA_CLIENT_SECRET")),
		FitbitClientID: getenv("FITBIT_CLIENT_ID"), FitbitClientSecret: secret.New(getenv("FITBIT_CLIENT_SECRET")),
	}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	var err error
	if s.Dir, err = filepath.Abs(dir); err != nil {
		fail("--dir %s: %w", dir, err)
	}
	port := func(name string, otherwise int) int {
		text := getenv(name)
		if text == "" {
			return otherwise
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 65535 {
			fail("%s is %q; it must be a port from 1 to 65535", name, text)
		}
		return n
	}
	s.Port, s.AWSPort = port("PACELINE_PORT", DefaultPort), port("PACELINE_AWS_PORT", DefaultAWSPort)
	if s.Port == s.AWSPort {
		fail("PACELINE_PORT and PACELINE_AWS_PORT are both %d; they must differ", s.Port)
	}

	strava, err := addressesFromEnv(getenv, "Strava", "STRAVA_API_URL", "STRAVA_OAUTH_URL", "STRAVA_PUSH_URL")
	if err != nil {
		errs = append(errs, err)
	} else if strava != nil {
		s.Strava = &Strava{API: strava[0], OAuth: strava[1], Push: strava[2]}
	}
	if s.Strava != nil && (s.ClientID == "" || s.ClientSecret.Empty()) {
		fail("with a Strava of your own, STRAVA_CLIENT_ID and STRAVA_CLIENT_SECRET must be set")
	}
	if n, err := strconv.ParseInt(s.ClientID, 10, 64); s.ClientID != "" && (err != nil || n < 1) {
		fail("STRAVA_CLIENT_ID is %q; it must be a number", s.ClientID)
	}

	fitbit, err := addressesFromEnv(getenv, "Fitbit", "FITBIT_SITE_URL", "FITBIT_API_URL")
	if err != nil {
		errs = append(errs, err)
	} else if fitbit != nil {
		s.Fitbit = &Fitbit{Site: fitbit[0], API: fitbit[1]}
	}
	if s.Fitbit != nil && (s.FitbitClientID == "" || s.FitbitClientSecret.Empty()) {
		fail("with a Fitbit of your own, FITBIT_CLIENT_ID and FITBIT_CLIENT_SECRET must be set")
	}

	if path := getenv("STRAVA_HISTORY"); path != "" {
		if s.Strava != nil {
			fail("STRAVA_HISTORY is for the stand-in; unset it or the three STRAVA_*_URL")
		}
		if s.History, err = filepath.Abs(path); err != nil {
			fail("STRAVA_HISTORY %s: %w", path, err)
		} else if _, err := os.Stat(s.History); err != nil {
			fail("STRAVA_HISTORY: there is no file %s", path)
		}
	}
	return s, errors.Join(errs...)
}

// addressesFromEnv returns the addresses of a provider by the variables' names,
// nil when none is set.
func addressesFromEnv(getenv func(string) string, provider string, names ...string) ([]string, error) {
	values := make([]string, len(names))
	var missing []string
	for i, name := range names {
		values[i] = strings.TrimRight(getenv(name), "/")
		if values[i] == "" {
			missing = append(missing, name)
		} else if u, err := url.Parse(values[i]); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return nil, fmt.Errorf("%s is %q; it must be an http or https address", name, values[i])
		}
	}
	switch len(missing) {
	case len(names):
		return nil, nil
	case 0:
		return values, nil
	}
	return nil, fmt.Errorf("to use another %s set all of %s; missing: %s (with none of them set, a stand-in is started)",
		provider, strings.Join(names, ", "), strings.Join(missing, ", "))
}

// FindRoot returns the repository's folder: from, or the nearest folder above
// it that has a cdk.json.
func FindRoot(from string) (string, error) {
	for dir := from; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "cdk.json")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not inside Paceline's repository (no cdk.json here or above)", from)
		}
	}
}

// AppURL is the site's origin.
func (s Settings) AppURL() string { return "http://localhost:" + strconv.Itoa(s.Port) }

// AWSURL is the emulator's address for people and programs on this machine.
func (s Settings) AWSURL() string { return "http://localhost:" + strconv.Itoa(s.AWSPort) }

// awsLoopback is the emulator's address without a host name to look up. S3
// clients address buckets by path on it.
func (s Settings) awsLoopback() string { return "http://127.0.0.1:" + strconv.Itoa(s.AWSPort) }
