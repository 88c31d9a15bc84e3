package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func ownStrava(more ...string) func(string) string {
	return env(append([]string{
		"STRAVA_API_URL", "http://localhost:9090/api/v3/",
		"STRAVA_OAUTH_URL", "http://localhost:9090/oauth",
		"STRAVA_PUSH_URL", "http://localhost:9090/api/v3/push_subscriptions",
	}, more...)...)
}

func ownFitbit(more ...string) func(string) string {
	return env(append([]string{"FITBIT_SITE_URL", "http://localhost:9091", "FITBIT_API_URL", "http://localhost:9092/"}, more...)...)
}

func TestSettingsHaveDefaults(t *testing.T) {
	s, err := FromEnv("/repo", ".local", env())
	if err != nil {
		t.Fatal(err)
	}
	if s.AppURL() != "http://localhost:8080" || s.AWSURL() != "http://localhost:4566" || s.Strava != nil || s.Fitbit != nil || !filepath.IsAbs(s.Dir) {
		t.Errorf("settings are %+v", s)
	}
}

func TestSettingsComeFromTheEnvironment(t *testing.T) {
	history := filepath.Join(t.TempDir(), "activities.json")
	if err := os.WriteFile(history, []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := FromEnv("/repo", "/elsewhere", env("PACELINE_PORT", "18080", "PACELINE_AWS_PORT", "14566", "STRAVA_HISTORY", history, "STRAVA_CLIENT_ID", "7"))
	if err != nil {
		t.Fatal(err)
	}
	if s.Dir != "/elsewhere" || s.Port != 18080 || s.AWSPort != 14566 || s.History != history || s.ClientID != "7" {
		t.Errorf("settings are %+v", s)
	}

	s, err = FromEnv("/repo", ".local", ownStrava("STRAVA_CLIENT_ID", "42", "STRAVA_CLIENT_SECRET", "hush"))
	if err != nil {
		t.Fatal(err)
	}
	want := Strava{API: "http://localhost:9090/api/v3", OAuth: "http://localhost:9090/oauth", Push: "http://localhost:9090/api/v3/push_subscriptions"}
	if s.Strava == nil || *s.Strava != want || s.ClientSecret.Reveal() != "hush" {
		t.Errorf("settings are %+v, Strava %+v", s, s.Strava)
	}
	if printed := fmt.Sprintf("%+v", s); strings.Contains(printed, "hush") {
		t.Errorf("the secret is printed: %s", printed)
	}

	s, err = FromEnv("/repo", ".local", ownFitbit("FITBIT_CLIENT_ID", "22942C", "FITBIT_CLIENT_SECRET", "hush"))
	if err != nil {
		t.Fatal(err)
	}
	if s.Fitbit == nil || *s.Fitbit != (Fitbit{Site: "http://localhost:9091", API: "http://localhost:9092"}) ||
		s.FitbitClientID != "22942C" || s.FitbitClientSecret.Reveal() != "hush" || s.Strava != nil {
		t.Errorf("settings are %+v, Fitbit %+v", s, s.Fitbit)
	}
	if printed := fmt.Sprintf("%+v", s); strings.Contains(printed, "hush") {
		t.Errorf("the secret is printed: %s", printed)
	}
}

func TestInvalidSettingsAreReported(t *testing.T) {
	for name, c := range map[string]struct {
		getenv func(string) string
		want   []string
	}{
		"one Strava address":   {env("STRAVA_API_URL", "http://localhost:1"), []string{"set all of", "missing: STRAVA_OAUTH_URL, STRAVA_PUSH_URL"}},
		"two addresses":        {env("STRAVA_API_URL", "http://localhost:1", "STRAVA_PUSH_URL", "http://localhost:1"), []string{"missing: STRAVA_OAUTH_URL ("}},
		"no address":           {env("STRAVA_API_URL", "localhost:9090"), []string{`STRAVA_API_URL is "localhost:9090"`}},
		"no credentials":       {ownStrava("STRAVA_CLIENT_ID", "42"), []string{"STRAVA_CLIENT_ID and STRAVA_CLIENT_SECRET must be set"}},
		"one Fitbit address":   {env("FITBIT_SITE_URL", "http://localhost:1"), []string{"to use another Fitbit set all of", "missing: FITBIT_API_URL ("}},
		"no Fitbit address":    {env("FITBIT_API_URL", "localhost:9091"), []string{`FITBIT_API_URL is "localhost:9091"`}},
		"no Fitbit id":         {ownFitbit("FITBIT_CLIENT_SECRET", "x"), []string{"FITBIT_CLIENT_ID and FITBIT_CLIENT_SECRET must be set"}},
		"no Fitbit secret":     {ownFitbit("FITBIT_CLIENT_ID", "22942C"), []string{"FITBIT_CLIENT_ID and FITBIT_CLIENT_SECRET must be set"}},
		"history elsewhere":    {ownStrava("STRAVA_CLIENT_ID", "42", "STRAVA_CLIENT_SECRET", "x", "STRAVA_HISTORY", "f"), []string{"STRAVA_HISTORY is for the stand-in"}},
		"history missing":      {env("STRAVA_HISTORY", "no-such-file"), []string{"there is no file no-such-file"}},
		"client id":            {env("STRAVA_CLIENT_ID", "me"), []string{`STRAVA_CLIENT_ID is "me"`}},
		"port":                 {env("PACELINE_PORT", "0"), []string{`PACELINE_PORT is "0"`}},
		"the same port":        {env("PACELINE_PORT", "4566"), []string{"are both 4566"}},
		"two things at a time": {env("PACELINE_PORT", "x", "PACELINE_AWS_PORT", "65536"), []string{`PACELINE_PORT is "x"`, `PACELINE_AWS_PORT is "65536"`}},
	} {
		_, err := FromEnv("/repo", ".local", c.getenv)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in %q", name, want, err)
			}
		}
	}
}

func TestFindRootSearchesUpwards(t *testing.T) {
	root := t.TempDir()
	below := filepath.Join(root, "a", "b")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := FindRoot(below); err == nil {
		t.Error("found a repository where there is none")
	}
	if err := os.WriteFile(filepath.Join(root, "cdk.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := FindRoot(below); err != nil || got != root {
		t.Errorf("found %s, %v", got, err)
	}
}
