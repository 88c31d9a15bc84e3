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

// Defaults of the ports, and the region and credentials that every AWS client of
// the local cloud uses. The credentials are the emulator's root user and not
// secret.
const (
	DefaultPort    = 8080
	DefaultAWSPort = 4566
	Region         = "us-east-1"
	AccountID      = "000000000000"
	AccessKeyID    = "PACELINELOCAL"
	SecretKey      = "paceline"
)

// Strava holds the base URLs of Strava or its stand-in.
type Strava struct {
	API   string `json:"api"`
	OAuth string `json:"oauth"`
	Push  string `json:"push"`
}

// Fitbit holds the base URLs of Fitbit or its stand-in.
type Fitbit struct {
	// Site is the base of the consent page, API of everything else.
	Site string `json:"site"`
	API  string `json:"api"`
}

// Settings are the settings of one local cloud.
type Settings struct {
	// Root is the repository's folder, Dir the cloud's own; both are absolute.
	Root, Dir string
	// Port serves the site, AWSPort the emulator.
	Port, AWSPort int
	// Strava is nil if the cloud starts its own stand-in.
	Strava *Strava
	// ClientID and ClientSecret are the Strava application's. With the stand-in they
	// may be empty: the cloud then generates them.
	ClientID     string
	ClientSecret secret.String
	// Fitbit is nil if the cloud starts its own stand-in.
	Fitbit *Fitbit
	// FitbitClientID and FitbitClientSecret are the Fitbit application's. With the
	// stand-in they may be empty: the cloud then generates them.
	FitbitClientID     string
	FitbitClientSecret secret.String
	// History is the path of a JSON array of SummaryActivity which the stand-in
	// loads; may be empty.
	History string
}

// FromEnv reads the settings of the cloud in dir for the repository at root. Its
// error reports all problems at once.
func FromEnv(root, dir string, getenv func(string) string) (Settings, error) {
	s := Settings{
		Root:     root,
		ClientID: getenv("STRAVA_CLIENT_ID"), ClientSecret: secret.New(getenv("STRAVA_CLIENT_SECRET")),
		FitbitClientID: getenv("FITBIT_CLIENT_ID"), FitbitClientSecret: secret.New(getenv("FITBIT_CLIENT_SECRET")),
	}
	var err error
	if s.Dir, err = filepath.Abs(dir); err != nil {
		err = fmt.Errorf("--dir %s: %w", dir, err)
	}
	return s, errors.Join(err, s.readPorts(getenv), s.readStrava(getenv), s.readFitbit(getenv), s.readHistory(getenv))
}

func (s *Settings) readPorts(getenv func(string) string) error {
	var siteErr, awsErr, sameErr error
	s.Port, siteErr = portFromEnv(getenv, "PACELINE_PORT", DefaultPort)
	s.AWSPort, awsErr = portFromEnv(getenv, "PACELINE_AWS_PORT", DefaultAWSPort)
	if siteErr == nil && awsErr == nil && s.Port == s.AWSPort {
		sameErr = fmt.Errorf("PACELINE_PORT and PACELINE_AWS_PORT are both %d; they must differ", s.Port)
	}
	return errors.Join(siteErr, awsErr, sameErr)
}

func (s *Settings) readStrava(getenv func(string) string) error {
	var errs []error
	urls, err := urlsFromEnv(getenv, "Strava", "STRAVA_API_URL", "STRAVA_OAUTH_URL", "STRAVA_PUSH_URL")
	if err != nil {
		errs = append(errs, err)
	} else if urls != nil {
		s.Strava = &Strava{API: urls[0], OAuth: urls[1], Push: urls[2]}
	}
	if s.Strava != nil && (s.ClientID == "" || s.ClientSecret.Empty()) {
		errs = append(errs, errors.New("to use another Strava, STRAVA_CLIENT_ID and STRAVA_CLIENT_SECRET must be set"))
	}
	if n, err := strconv.ParseInt(s.ClientID, 10, 64); s.ClientID != "" && (err != nil || n < 1) {
		errs = append(errs, fmt.Errorf("STRAVA_CLIENT_ID is %q; it must be a number", s.ClientID))
	}
	return errors.Join(errs...)
}

func (s *Settings) readFitbit(getenv func(string) string) error {
	urls, err := urlsFromEnv(getenv, "Fitbit", "FITBIT_SITE_URL", "FITBIT_API_URL")
	if err != nil || urls == nil {
		return err
	}
	s.Fitbit = &Fitbit{Site: urls[0], API: urls[1]}
	if s.FitbitClientID == "" || s.FitbitClientSecret.Empty() {
		return errors.New("to use another Fitbit, FITBIT_CLIENT_ID and FITBIT_CLIENT_SECRET must be set")
	}
	return nil
}

// readHistory runs after readStrava.
func (s *Settings) readHistory(getenv func(string) string) error {
	path := getenv("STRAVA_HISTORY")
	if path == "" {
		return nil
	}
	if s.Strava != nil {
		return errors.New("STRAVA_HISTORY is for the stand-in; unset it or the three STRAVA_*_URL")
	}
	var err error
	if s.History, err = filepath.Abs(path); err != nil {
		return fmt.Errorf("STRAVA_HISTORY %s: %w", path, err)
	}
	if _, err := os.Stat(s.History); err != nil {
		return fmt.Errorf("STRAVA_HISTORY: there is no file %s", path)
	}
	return nil
}

// portFromEnv returns the port in the variable called name, or otherwise if it is
// not set or no port.
func portFromEnv(getenv func(string) string, name string, otherwise int) (int, error) {
	text := getenv(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 65535 {
		return otherwise, fmt.Errorf("%s is %q; it must be a port from 1 to 65535", name, text)
	}
	return n, nil
}

// urlsFromEnv returns the URLs of a provider from the variables called names, or
// nil if none is set.
func urlsFromEnv(getenv func(string) string, provider string, names ...string) ([]string, error) {
	values := make([]string, len(names))
	var missing []string
	for i, name := range names {
		values[i] = strings.TrimRight(getenv(name), "/")
		if values[i] == "" {
			missing = append(missing, name)
		} else if u, err := url.Parse(values[i]); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return nil, fmt.Errorf("%s is %q; it must be an http or https URL", name, values[i])
		}
	}
	switch len(missing) {
	case len(names):
		return nil, nil
	case 0:
		return values, nil
	}
	return nil, fmt.Errorf("to use another %s set all of %s; missing: %s (without any of them, a stand-in is started)",
		provider, strings.Join(names, ", "), strings.Join(missing, ", "))
}

// FindRoot returns the repository's folder: from, or the nearest folder above it
// with a cdk.json.
func FindRoot(from string) (string, error) {
	for dir := from; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "cdk.json")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not in Paceline's repository: neither it nor a folder above has a cdk.json", from)
		}
	}
}

// AppURL is the site's origin.
func (s Settings) AppURL() string { return "http://localhost:" + strconv.Itoa(s.Port) }

// AWSURL is the emulator's address for people and programs on this machine.
func (s Settings) AWSURL() string { return "http://localhost:" + strconv.Itoa(s.AWSPort) }

// awsLoopback is the emulator's address as an IP address, which needs no lookup
// and makes S3 clients address buckets by path.
func (s Settings) awsLoopback() string { return "http://127.0.0.1:" + strconv.Itoa(s.AWSPort) }
