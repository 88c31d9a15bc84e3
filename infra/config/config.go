package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/paceline/paceline/pkg/credentials/settings"
)

// Stage names a deployment of the whole system.
type Stage string

// The stages.
const (
	Local Stage = "local"
	Dev   Stage = "dev"
	Prod  Stage = "prod"
)

// What happens to stateful resources that leave a stack.
const (
	Destroy = "destroy"
	Retain  = "retain"
)

// Config is all that differs between stages.
type Config struct {
	Stage Stage `json:"-"`
	// Architecture of the functions as GOARCH spells it: arm64 on AWS, the
	// host's own for stage local.
	Architecture string `json:"-"`
	// SiteURL is the site's public origin, without a slash at its end.
	SiteURL string `json:"siteUrl"`
	Strava  Strava `json:"strava"`
	Fitbit  Fitbit `json:"fitbit"`
	// CertificateARN is of an ACM certificate in us-east-1 for SiteURL's
	// host. Without one the site has CloudFront's own domain only.
	CertificateARN string `json:"certificateArn"`
	// AlarmEmail receives the alarms; empty for none.
	AlarmEmail string `json:"alarmEmail"`
	// LogRetentionDays is one of [RetentionDays].
	LogRetentionDays int `json:"logRetentionDays"`
	// Removal is [Destroy] or [Retain].
	Removal string `json:"removal"`
	// WebhookConcurrency is how many of the account's concurrent executions are
	// kept for receiving webhooks; 0 for none. Lambda wants 100 left for all other
	// functions (AWS Lambda API reference, PutFunctionConcurrency), and a new
	// account has 10 in all, so there it must be 0.
	WebhookConcurrency int `json:"webhookConcurrency"`
	// Parameters is what the stage needs of Parameter Store.
	Parameters Parameters `json:"parameters"`
}

// Parameters is what a stage needs of Parameter Store; see docs/scale.md.
type Parameters struct {
	// Tier of the parameters: one of [settings.ParameterTiers]. A stage whose
	// tier was advanced cannot go back, for a parameter cannot.
	Tier string `json:"tier"`
	// HigherThroughput turns the setting of that name on for the account and
	// region. It is never turned off again by a stage, since others may need it.
	HigherThroughput bool `json:"higherThroughput"`
}

// standardAthletes is how many athletes the standard tier has room for. Of its
// 10,000 parameters an account and region, one is the CDK bootstrap's and one
// the application's, and an athlete who connects again has two for a moment.
const standardAthletes = 9_900

// Strava is where Strava is found and what it allows. Its three base URLs are apart because
// Strava announced to move them apart from each other (API changelog, 2026).
type Strava struct {
	// APIURL is the base of the REST API.
	APIURL string `json:"apiUrl"`
	// OAuthURL has /authorize, /token, /revoke and /deauthorize under it.
	OAuthURL string `json:"oauthUrl"`
	// PushURL is the push subscriptions resource.
	PushURL string `json:"pushUrl"`
	// Revocation is how an authorization is ended at Strava: one of
	// [settings.Revocations].
	Revocation string `json:"revocation"`
	// AthleteCapacity is how many athletes the application may have: 1 when it
	// is new, 10 after the upgrade that needs no review, 99, 999 or 9,999
	// after reviews (Strava, developer program tiers, 2026).
	AthleteCapacity int `json:"athleteCapacity"`
}

// Strava's own addresses (Strava developer documentation: Authentication,
// Webhooks), and what it allows a new application.
var stravaItself = Strava{
	APIURL:   "https://www.strava.com/api/v3",
	OAuthURL: "https://www.strava.com/oauth",
	PushURL:  "https://www.strava.com/api/v3/push_subscriptions",

	Revocation: settings.RevocationRevoke,

	AthleteCapacity: 1,
}

// Fitbit is where Fitbit is found: its consent page and its API have hosts of
// their own.
type Fitbit struct {
	// SiteURL has /oauth2/authorize under it.
	SiteURL string `json:"siteUrl"`
	// APIURL has everything else under it: /oauth2/token, /oauth2/revoke and the
	// Web API.
	APIURL string `json:"apiUrl"`
}

// Fitbit's own addresses (Fitbit Web API, Authorization).
var fitbitItself = Fitbit{SiteURL: "https://www.fitbit.com", APIURL: "https://api.fitbit.com"}

// RetentionDays are the periods up to a week that CloudWatch Logs knows
// (PutRetentionPolicy): logs of failures name athletes, who may have left.
var RetentionDays = []int{1, 3, 5, 7}

// Stages is the stage that lookup's `stage` names, or without one all whose
// functions are built in the folder dist. lookup gives a value of the CDK
// context, nil when there is none.
func Stages(lookup func(key string) any, dist string) []Stage {
	if chosen := text(lookup("stage")); chosen != "" {
		return []Stage{Stage(chosen)}
	}
	var built []Stage
	for _, s := range []Stage{Local, Dev, Prod} {
		if _, err := os.Stat(s.Functions(dist)); err == nil {
			built = append(built, s)
		}
	}
	return built
}

// Load reads a stage out of lookup's `stages`. The error names every field that
// is wrong.
func Load(stage Stage, lookup func(key string) any) (Config, error) {
	stages, _ := lookup("stages").(map[string]any)
	if stages == nil {
		return Config{}, errors.New("the context `stages` is missing: run cdk where cdk.json is")
	}
	chosen, ok := stages[string(stage)]
	if !ok {
		names := slices.Sorted(maps.Keys(stages))
		return Config{}, fmt.Errorf("there is no stage %q: choose one of %s by -c stage=…", stage, strings.Join(names, ", "))
	}
	c := Config{Stage: stage, Strava: stravaItself, Fitbit: fitbitItself, Parameters: Parameters{Tier: settings.TierStandard}, Architecture: "arm64"}
	if stage == Local {
		c.Architecture = runtime.GOARCH
	}
	raw, err := json.Marshal(chosen)
	if err != nil {
		return Config{}, fmt.Errorf("stages.%s: %w", stage, err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("stages.%s: %w", stage, err)
	}
	for key, field := range map[string]*string{
		"siteUrl":        &c.SiteURL,
		"stravaApiUrl":   &c.Strava.APIURL,
		"stravaOauthUrl": &c.Strava.OAuthURL,
		"stravaPushUrl":  &c.Strava.PushURL,
		"fitbitSiteUrl":  &c.Fitbit.SiteURL,
		"fitbitApiUrl":   &c.Fitbit.APIURL,
	} {
		if s := text(lookup(key)); s != "" {
			*field = s
		}
	}
	return c, c.validate()
}

// Functions is the folder of the stage's built functions below dist.
func (s Stage) Functions(dist string) string {
	if s == Local {
		return filepath.Join(dist, "host")
	}
	return filepath.Join(dist, "lambda")
}

// Placeholder tells that SiteURL is not anyone's yet: its host ends in .example,
// which nobody can have (RFC 2606).
func (c Config) Placeholder() bool { return strings.HasSuffix(c.SiteURL, ".example") }

// Name is the prefix of all stacks of the stage.
func (c Config) Name() string { return "Paceline-" + string(c.Stage) }

func (c Config) validate() error {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("stages.%s.%s "+format, append([]any{c.Stage, field}, args...)...))
	}
	checkURL := func(field, s string, mayHavePath bool) {
		u, err := url.Parse(s)
		switch {
		case s == "":
			wrong(field, "is missing")
		case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
			wrong(field, "is not a plain URL: %q", s)
		case u.Scheme != "https" && (c.Stage != Local || u.Scheme != "http"):
			wrong(field, "must begin with https://: %q", s)
		case strings.HasSuffix(s, "/"):
			wrong(field, "must not end in a slash: %q", s)
		case u.Path != "" && !mayHavePath:
			wrong(field, "must be an origin without a path: %q", s)
		}
	}
	checkURL("siteUrl", c.SiteURL, false)
	checkURL("strava.apiUrl", c.Strava.APIURL, true)
	checkURL("strava.oauthUrl", c.Strava.OAuthURL, true)
	checkURL("strava.pushUrl", c.Strava.PushURL, true)
	checkURL("fitbit.siteUrl", c.Fitbit.SiteURL, true)
	checkURL("fitbit.apiUrl", c.Fitbit.APIURL, true)
	if !slices.Contains(settings.Revocations, c.Strava.Revocation) {
		wrong("strava.revocation", "must be one of %q, not %q", settings.Revocations, c.Strava.Revocation)
	}
	if c.Strava.AthleteCapacity < 1 {
		wrong("strava.athleteCapacity", "must be at least 1, not %d", c.Strava.AthleteCapacity)
	}
	if !slices.Contains(settings.ParameterTiers, c.Parameters.Tier) {
		wrong("parameters.tier", "must be one of %q, not %q", settings.ParameterTiers, c.Parameters.Tier)
	}
	if c.Parameters.Tier == settings.TierStandard && c.Strava.AthleteCapacity > standardAthletes {
		wrong("parameters.tier", "must be %q for an athleteCapacity above %d, not %q", settings.TierAdvanced, standardAthletes, c.Parameters.Tier)
	}
	if c.Parameters.HigherThroughput && c.Stage == Local {
		wrong("parameters.higherThroughput", "is a setting of an AWS account, which this stage has not")
	}
	if c.CertificateARN != "" && !strings.HasPrefix(c.CertificateARN, "arn:aws:acm:us-east-1:") {
		wrong("certificateArn", "must be of ACM in us-east-1, where CloudFront looks: %q", c.CertificateARN)
	}
	if c.AlarmEmail != "" {
		if _, err := mail.ParseAddress(c.AlarmEmail); err != nil {
			wrong("alarmEmail", "is not an e-mail address")
		}
	}
	if c.WebhookConcurrency < 0 {
		wrong("webhookConcurrency", "must not be negative: %d", c.WebhookConcurrency)
	}
	if !slices.Contains(RetentionDays, c.LogRetentionDays) {
		wrong("logRetentionDays", "must be one of %v, not %d", RetentionDays, c.LogRetentionDays)
	}
	if c.Removal != Destroy && c.Removal != Retain {
		wrong("removal", "must be %q or %q, not %q", Destroy, Retain, c.Removal)
	}
	return errors.Join(errs...)
}

// text is a context value as a string: `-c` gives strings, cdk.json anything.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case *string:
		if v != nil {
			return *v
		}
	}
	return ""
}
