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

// What CloudFormation does with stateful resources that are removed from a stack.
const (
	Destroy = "destroy"
	Retain  = "retain"
)

// Config is the configuration of a stage.
type Config struct {
	Stage Stage `json:"-"`
	// Architecture is the functions' GOARCH: arm64 on AWS, the host's for stage
	// local.
	Architecture string `json:"-"`
	// SiteURL is the site's public origin, without a trailing slash.
	SiteURL string `json:"siteUrl"`
	Strava  Strava `json:"strava"`
	Fitbit  Fitbit `json:"fitbit"`
	// CertificateARN names an ACM certificate in us-east-1 for SiteURL's host. If it
	// is empty, the site has only CloudFront's own domain.
	CertificateARN string `json:"certificateArn"`
	// AlarmEmail is the address that alarms are sent to; empty for none.
	AlarmEmail string `json:"alarmEmail"`
	// LogRetentionDays is one of [RetentionDays].
	LogRetentionDays int `json:"logRetentionDays"`
	// Removal is [Destroy] or [Retain].
	Removal string `json:"removal"`
	// WebhookConcurrency is how many of the account's concurrent executions are
	// reserved for receiving webhooks; 0 for none. Lambda requires 100 for all other
	// functions (AWS Lambda API reference, PutFunctionConcurrency). A new account has
	// 10 in total, so there it must be 0.
	WebhookConcurrency int `json:"webhookConcurrency"`
	// Parameters configures Parameter Store.
	Parameters Parameters `json:"parameters"`
}

// Parameters configures a stage's use of Parameter Store; see docs/scale.md.
type Parameters struct {
	// Tier of the parameters: one of [settings.ParameterTiers]. It cannot be changed
	// from advanced back to standard, since a parameter's tier cannot.
	Tier string `json:"tier"`
	// HigherThroughput turns on the setting of that name for the account and region.
	// No stage turns it off, since other stages may need it.
	HigherThroughput bool `json:"higherThroughput"`
}

// standardAthletes is how many athletes the standard tier can hold. It allows
// 10,000 parameters in an account and region. The CDK bootstrap and the
// application take one each, and an athlete who reconnects has two for a moment.
const standardAthletes = 9_900

// Strava holds Strava's addresses and what it allows. The base URLs are separate
// because Strava announced to move them separately (API changelog, 2026).
type Strava struct {
	// APIURL is the base of the REST API.
	APIURL string `json:"apiUrl"`
	// OAuthURL has /authorize, /token, /revoke and /deauthorize under it.
	OAuthURL string `json:"oauthUrl"`
	// PushURL is the push subscriptions resource.
	PushURL string `json:"pushUrl"`
	// Revocation is the endpoint that ends an authorization: one of
	// [settings.Revocations].
	Revocation string `json:"revocation"`
	// AthleteCapacity is how many athletes the application may have: 1 when it
	// is new, 10 after the upgrade that needs no review, 99, 999 or 9,999
	// after reviews (Strava, developer program tiers, 2026).
	AthleteCapacity int `json:"athleteCapacity"`
}

// stravaDefaults are Strava's addresses (Strava developer documentation:
// Authentication, Webhooks) and the capacity of a new application.
var stravaDefaults = Strava{
	APIURL:   "https://www.strava.com/api/v3",
	OAuthURL: "https://www.strava.com/oauth",
	PushURL:  "https://www.strava.com/api/v3/push_subscriptions",

	Revocation: settings.RevocationRevoke,

	AthleteCapacity: 1,
}

// Fitbit holds Fitbit's addresses. Its consent page and its API have different
// hosts.
type Fitbit struct {
	// SiteURL has /oauth2/authorize under it.
	SiteURL string `json:"siteUrl"`
	// APIURL has everything else under it: /oauth2/token, /oauth2/revoke and the
	// Web API.
	APIURL string `json:"apiUrl"`
}

// fitbitDefaults are Fitbit's addresses (Fitbit Web API, Authorization).
var fitbitDefaults = Fitbit{SiteURL: "https://www.fitbit.com", APIURL: "https://api.fitbit.com"}

// RetentionDays are the retention periods of CloudWatch Logs up to a week
// (PutRetentionPolicy). Longer ones are not allowed, because logs of failures
// name athletes, who may have left.
var RetentionDays = []int{1, 3, 5, 7}

// Stages returns the stage in the context value `stage`. Without that value it
// returns all stages whose functions are built in the folder dist. lookup returns
// a value of the CDK context, or nil.
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

// Load returns the configuration of a stage from the context value `stages`. The
// error names every invalid field.
func Load(stage Stage, lookup func(key string) any) (Config, error) {
	stages, _ := lookup("stages").(map[string]any)
	if stages == nil {
		return Config{}, errors.New("the context value `stages` is missing: run cdk in the folder of cdk.json")
	}
	chosen, ok := stages[string(stage)]
	if !ok {
		names := slices.Sorted(maps.Keys(stages))
		return Config{}, fmt.Errorf("there is no stage %q: set -c stage to one of %s", stage, strings.Join(names, ", "))
	}
	c := Config{Stage: stage, Strava: stravaDefaults, Fitbit: fitbitDefaults, Parameters: Parameters{Tier: settings.TierStandard}, Architecture: "arm64"}
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

// Functions returns the folder of the stage's built functions below dist.
func (s Stage) Functions(dist string) string {
	if s == Local {
		return filepath.Join(dist, "host")
	}
	return filepath.Join(dist, "lambda")
}

// Placeholder reports whether SiteURL is still a placeholder: its host ends in
// .example, which is never registered (RFC 2606).
func (c Config) Placeholder() bool { return strings.HasSuffix(c.SiteURL, ".example") }

// Name returns the prefix of the names of the stage's stacks.
func (c Config) Name() string { return "Paceline-" + string(c.Stage) }

func (c Config) validate() error {
	p := &problems{stage: c.Stage}
	c.validateSite(p)
	c.validateProviders(p)
	c.validateParameters(p)
	c.validateOperation(p)
	return errors.Join(p.errs...)
}

func (c Config) validateSite(p *problems) {
	p.checkURL("siteUrl", c.SiteURL)
	if u, err := url.Parse(c.SiteURL); err == nil && strings.Trim(u.Path, "/") != "" {
		p.add("siteUrl", "must be an origin without a path: %q", c.SiteURL)
	}
	if c.CertificateARN != "" && !strings.HasPrefix(c.CertificateARN, "arn:aws:acm:us-east-1:") {
		p.add("certificateArn", "must be of ACM in us-east-1, which CloudFront requires: %q", c.CertificateARN)
	}
}

func (c Config) validateProviders(p *problems) {
	p.checkURL("strava.apiUrl", c.Strava.APIURL)
	p.checkURL("strava.oauthUrl", c.Strava.OAuthURL)
	p.checkURL("strava.pushUrl", c.Strava.PushURL)
	p.checkURL("fitbit.siteUrl", c.Fitbit.SiteURL)
	p.checkURL("fitbit.apiUrl", c.Fitbit.APIURL)
	if !slices.Contains(settings.Revocations, c.Strava.Revocation) {
		p.add("strava.revocation", "must be one of %q, not %q", settings.Revocations, c.Strava.Revocation)
	}
	if c.Strava.AthleteCapacity < 1 {
		p.add("strava.athleteCapacity", "must be at least 1, not %d", c.Strava.AthleteCapacity)
	}
}

func (c Config) validateParameters(p *problems) {
	if !slices.Contains(settings.ParameterTiers, c.Parameters.Tier) {
		p.add("parameters.tier", "must be one of %q, not %q", settings.ParameterTiers, c.Parameters.Tier)
	}
	if c.Parameters.Tier == settings.TierStandard && c.Strava.AthleteCapacity > standardAthletes {
		p.add("parameters.tier", "must be %q for an athleteCapacity above %d, not %q", settings.TierAdvanced, standardAthletes, c.Parameters.Tier)
	}
	if c.Parameters.HigherThroughput && c.Stage == Local {
		p.add("parameters.higherThroughput", "is a setting of an AWS account, which this stage does not have")
	}
}

func (c Config) validateOperation(p *problems) {
	if c.AlarmEmail != "" {
		if _, err := mail.ParseAddress(c.AlarmEmail); err != nil {
			p.add("alarmEmail", "is not an email address")
		}
	}
	if c.WebhookConcurrency < 0 {
		p.add("webhookConcurrency", "must not be negative: %d", c.WebhookConcurrency)
	}
	if !slices.Contains(RetentionDays, c.LogRetentionDays) {
		p.add("logRetentionDays", "must be one of %v, not %d", RetentionDays, c.LogRetentionDays)
	}
	if c.Removal != Destroy && c.Removal != Retain {
		p.add("removal", "must be %q or %q, not %q", Destroy, Retain, c.Removal)
	}
}

// problems collects what is wrong with the fields of a stage.
type problems struct {
	stage Stage
	errs  []error
}

func (p *problems) add(field, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("stages.%s.%s "+format, append([]any{p.stage, field}, args...)...))
}

func (p *problems) checkURL(field, s string) {
	u, err := url.Parse(s)
	switch {
	case s == "":
		p.add(field, "is missing")
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		p.add(field, "is not a plain URL: %q", s)
	case u.Scheme != "https" && (p.stage != Local || u.Scheme != "http"):
		p.add(field, "must begin with https://: %q", s)
	case strings.HasSuffix(s, "/"):
		p.add(field, "must not end in a slash: %q", s)
	}
}

// text returns a context value if it is a string, as those of `-c` are.
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
