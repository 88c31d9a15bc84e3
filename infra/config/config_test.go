package config_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/infra/config"
)

// load returns the configuration of a stage from a context in JSON.
func load(t *testing.T, context string) (config.Config, error) {
	t.Helper()
	var values map[string]any
	if err := json.Unmarshal([]byte(context), &values); err != nil {
		t.Fatal(err)
	}
	lookup := func(key string) any { return values[key] }
	return config.Load(config.Stages(lookup, t.TempDir())[0], lookup)
}

func TestLoadReadsFieldsDefaultsAndOverrides(t *testing.T) {
	const stages = `"stages":{
		"local":{"siteUrl":"http://localhost:8080","logRetentionDays":1,"removal":"destroy"},
		"prod":{"siteUrl":"https://paceline.example","logRetentionDays":7,"removal":"retain","alarmEmail":"ops@paceline.example",
			"certificateArn":"arn:aws:acm:us-east-1:111122223333:certificate/x","strava":{"apiUrl":"https://www.api-v3.strava.com","revocation":"deauthorize","athleteCapacity":999},
			"fitbit":{"apiUrl":"https://fitbit.example/api"},"parameters":{"tier":"advanced","higherThroughput":true}}}`
	strava := config.Strava{
		APIURL:   "https://www.strava.com/api/v3",
		OAuthURL: "https://www.strava.com/oauth",
		PushURL:  "https://www.strava.com/api/v3/push_subscriptions",

		Revocation:      "revoke",
		AthleteCapacity: 1,
	}
	fitbit := config.Fitbit{SiteURL: "https://www.fitbit.com", APIURL: "https://api.fitbit.com"}
	for name, c := range map[string]struct {
		context string
		want    config.Config
	}{
		"local": {`{"stage":"local",` + stages + `}`, config.Config{
			Stage: config.Local, Architecture: runtime.GOARCH, SiteURL: "http://localhost:8080",
			Strava: strava, Fitbit: fitbit, LogRetentionDays: 1, Removal: config.Destroy, Parameters: config.Parameters{Tier: "standard"},
		}},
		"every field; one URL of each provider alone": {`{"stage":"prod",` + stages + `}`, config.Config{
			Stage: config.Prod, Architecture: "arm64", SiteURL: "https://paceline.example",
			Strava:           config.Strava{APIURL: "https://www.api-v3.strava.com", OAuthURL: strava.OAuthURL, PushURL: strava.PushURL, Revocation: "deauthorize", AthleteCapacity: 999},
			Fitbit:           config.Fitbit{SiteURL: fitbit.SiteURL, APIURL: "https://fitbit.example/api"},
			CertificateARN:   "arn:aws:acm:us-east-1:111122223333:certificate/x",
			AlarmEmail:       "ops@paceline.example",
			LogRetentionDays: 7, Removal: config.Retain, Parameters: config.Parameters{Tier: "advanced", HigherThroughput: true},
		}},
		"overrides": {`{"stage":"local","siteUrl":"http://localhost:1","stravaApiUrl":"http://localhost:2/api","stravaOauthUrl":"http://localhost:2/oauth",
			"stravaPushUrl":"http://localhost:2/push","fitbitSiteUrl":"http://localhost:3","fitbitApiUrl":"http://localhost:4",` + stages + `}`, config.Config{
			Stage: config.Local, Architecture: runtime.GOARCH, SiteURL: "http://localhost:1",
			Strava:           config.Strava{APIURL: "http://localhost:2/api", OAuthURL: "http://localhost:2/oauth", PushURL: "http://localhost:2/push", Revocation: "revoke", AthleteCapacity: 1},
			Fitbit:           config.Fitbit{SiteURL: "http://localhost:3", APIURL: "http://localhost:4"},
			LogRetentionDays: 1, Removal: config.Destroy, Parameters: config.Parameters{Tier: "standard"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := load(t, c.context)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadNamesEveryInvalidField(t *testing.T) {
	for name, c := range map[string]struct {
		context string
		want    string
	}{
		"no stages":     {`{"stage":"dev"}`, "the context value `stages` is missing: run cdk in the folder of cdk.json"},
		"unknown stage": {`{"stage":"test","stages":{"prod":{},"dev":{}}}`, `there is no stage "test": set -c stage to one of dev, prod`},
		"unknown field": {`{"stage":"dev","stages":{"dev":{"siteURI":"x"}}}`, `stages.dev: json: unknown field "siteURI"`},
		"wrong type":    {`{"stage":"dev","stages":{"dev":{"logRetentionDays":"7"}}}`, "stages.dev: json: cannot unmarshal string"},
		"all at once": {`{"stage":"dev","stages":{"dev":{}}}`, strings.Join([]string{
			"stages.dev.siteUrl is missing",
			"stages.dev.logRetentionDays must be one of [1 3 5 7], not 0",
			`stages.dev.removal must be "destroy" or "retain", not ""`,
		}, "\n")},
		"http on AWS":        {dev(`"siteUrl":"http://paceline.example"`), `stages.dev.siteUrl must begin with https://: "http://paceline.example"`},
		"slash":              {dev(`"siteUrl":"https://paceline.example/"`), `stages.dev.siteUrl must not end in a slash: "https://paceline.example/"`},
		"path":               {dev(`"siteUrl":"https://paceline.example/app"`), `stages.dev.siteUrl must be an origin without a path: "https://paceline.example/app"`},
		"not a URL":          {dev(`"siteUrl":"paceline.example"`), `stages.dev.siteUrl is not a plain URL: "paceline.example"`},
		"password":           {dev(`"strava":{"apiUrl":"https://u:p@x.example"}`), "stages.dev.strava.apiUrl is not a plain URL"},
		"http to Strava":     {dev(`"strava":{"oauthUrl":"http://x.example"}`), "stages.dev.strava.oauthUrl must begin with https://"},
		"query":              {dev(`"strava":{"pushUrl":"https://x.example/p?a=b"}`), "stages.dev.strava.pushUrl is not a plain URL"},
		"http to Fitbit":     {dev(`"fitbit":{"siteUrl":"http://x.example"}`), "stages.dev.fitbit.siteUrl must begin with https://"},
		"no Fitbit":          {dev(`"fitbit":{"apiUrl":""}`), "stages.dev.fitbit.apiUrl is missing"},
		"no such revocation": {dev(`"strava":{"revocation":"forget"}`), `stages.dev.strava.revocation must be one of ["revoke" "deauthorize"], not "forget"`},
		"no place":           {dev(`"strava":{"athleteCapacity":0}`), "stages.dev.strava.athleteCapacity must be at least 1, not 0"},
		"half a place":       {dev(`"strava":{"athleteCapacity":1.5}`), "stages.dev: json: cannot unmarshal number 1.5"},
		"other region":       {dev(`"certificateArn":"arn:aws:acm:eu-west-1:1:certificate/x"`), "stages.dev.certificateArn must be of ACM in us-east-1, which CloudFront requires"},
		"no address":         {dev(`"alarmEmail":"ops"`), "stages.dev.alarmEmail is not an email address"},
		"no such tier":       {dev(`"parameters":{"tier":"free"}`), `stages.dev.parameters.tier must be one of ["standard" "advanced"], not "free"`},
		"too many athletes":  {dev(`"strava":{"athleteCapacity":9999}`), `stages.dev.parameters.tier must be "advanced" for an athleteCapacity above 9900, not "standard"`},
		"no account": {`{"stage":"local","stages":{"local":{"siteUrl":"http://localhost:8080","logRetentionDays":1,"removal":"destroy",
			"parameters":{"higherThroughput":true}}}}`, "stages.local.parameters.higherThroughput is a setting of an AWS account"},
		"no such duration": {dev(`"logRetentionDays":8`), "stages.dev.logRetentionDays must be one of [1 3 5 7], not 8"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.context)
			if err == nil {
				t.Fatal("it was accepted")
			}
			if !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%q does not begin with %q", err, c.want)
			}
		})
	}
}

// dev returns the context of a stage that is valid except for one field.
func dev(field string) string {
	base := map[string]json.RawMessage{
		"siteUrl": json.RawMessage(`"https://dev.paceline.example"`), "logRetentionDays": json.RawMessage(`7`), "removal": json.RawMessage(`"destroy"`),
	}
	var change map[string]json.RawMessage
	if err := json.Unmarshal([]byte("{"+field+"}"), &change); err != nil {
		panic(err)
	}
	for k, v := range change {
		base[k] = v
	}
	b, err := json.Marshal(map[string]any{"stage": "dev", "stages": map[string]any{"dev": base}})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestWithoutAChoiceAllBuiltStagesAreChosen(t *testing.T) {
	dist := t.TempDir()
	for _, c := range []struct {
		build, chosen string
		want          []config.Stage
	}{
		{"", "", nil},
		{"", "prod", []config.Stage{config.Prod}},
		{"lambda", "", []config.Stage{config.Dev, config.Prod}},
		{"host", "", []config.Stage{config.Local, config.Dev, config.Prod}},
		{"", "dev", []config.Stage{config.Dev}},
	} {
		if err := os.MkdirAll(filepath.Join(dist, c.build), 0o755); err != nil {
			t.Fatal(err)
		}
		got := config.Stages(func(string) any { return c.chosen }, dist)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("once %q is built, with -c stage=%s (-want +got):\n%s", c.build, c.chosen, diff)
		}
	}
}

func TestTheConfiguredStagesAreValid(t *testing.T) {
	b, err := os.ReadFile("../../cdk.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Context map[string]any }
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	for _, stage := range []config.Stage{config.Local, config.Dev, config.Prod} {
		if _, err := config.Load(stage, func(key string) any { return file.Context[key] }); err != nil {
			t.Error(err)
		}
	}
}
