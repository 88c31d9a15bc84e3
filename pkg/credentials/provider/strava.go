package provider

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/settings"
)

// Strava describes Strava (Strava, "Authentication"), whose authorization
// server has /authorize, /token, /revoke and /deauthorize under base.
// revocation is one of [settings.Revocations]. Strava documents no PKCE.
func Strava(base, revocation string) Description {
	base = strings.TrimSuffix(base, "/")
	d := Description{
		Rules: credentials.Rules{
			Provider:   credentials.ProviderStrava,
			Sufficient: []string{"activity:read", "activity:read_all"},
			// Asking earlier is useless: the same access token comes back while
			// more than an hour is left ("Refreshing expired access tokens").
			RefreshMargin: time.Hour,
			Endpoint:      stravaEndpoint,
			CheckPath:     "/athlete",
			EssentialPath: "/athlete/activities",
		},
		AuthorizationEndpoint: base + "/authorize",
		TokenEndpoint:         base + "/token",
		RevocationEndpoint:    base + "/revoke",
		// All three together: athletes may untick any of them, and Strava sends
		// no webhooks to an application that asked for activity:read_all alone
		// and was refused it.
		Scopes:         []string{"read", "activity:read", "activity:read_all"},
		ScopeSeparator: ",",
		AccountID:      stravaAthlete,
		Meaning:        StravaMeaning,
	}
	if revocation == settings.RevocationDeauthorize {
		d.DeauthorizationEndpoint = base + "/deauthorize"
	}
	return d
}

var activityPath = regexp.MustCompile(`^/activities/[0-9]{1,19}$`)

// stravaEndpoint knows only the paths that gathering needs, since Strava
// forbids passing its API on (API Policy 5.16).
func stravaEndpoint(path string) string {
	switch {
	case path == "/athlete":
		return "athlete"
	case path == "/athlete/activities":
		return "activities"
	case activityPath.MatchString(path):
		return "activity"
	}
	return ""
}

// stravaAthlete returns the athlete's id, which only the response to a code
// contains.
func stravaAthlete(answer map[string]json.RawMessage) string {
	var athlete map[string]json.RawMessage
	_ = json.Unmarshal(answer["athlete"], &athlete)
	id, err := strconv.ParseInt(identifier(athlete["id"]), 10, 64)
	if err != nil || id <= 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}

// StravaMeaning returns what a refusal of Strava's authorization server, or of
// its push subscriptions resource, means.
func StravaMeaning(status int, body []byte) Meaning {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized:
		for _, e := range stravaErrors(body) {
			switch e.Resource {
			case "RefreshToken", "RequestToken", "AuthorizationCode":
				return GrantRefused
			case "Application":
				return AppRefused
			}
		}
	case http.StatusForbidden:
		if bytes.Contains(body, []byte("Limit of connected athletes exceeded")) {
			return AppFull
		}
		// Anything else under this status, such as the page of a firewall, says
		// nothing about the application.
		for _, e := range stravaErrors(body) {
			if e.Resource == "Application" {
				return AppRefused
			}
		}
	}
	return Unclear
}

// StravaRefusal returns why Strava's REST API refuses a call; see
// [credentials.APIResponse].
func StravaRefusal(status int, body []byte) error {
	switch status {
	case http.StatusForbidden:
		for _, e := range stravaErrors(body) {
			if e.Resource == "Application" {
				return credentials.ErrAppRefused
			}
		}
	case http.StatusUnauthorized:
		for _, e := range stravaErrors(body) {
			if e.Resource == "AccessToken" && e.Code == "missing" {
				if strings.HasPrefix(e.Field, "activity:") { // "activity:read_permission"
					return credentials.ErrInsufficientScope
				}
				return nil // The token is valid, and does not lack a scope for activities.
			}
		}
		return credentials.ErrAccessTokenInvalid
	}
	return nil
}

type stravaError struct {
	Resource string `json:"resource"`
	Field    string `json:"field"`
	Code     string `json:"code"`
}

// stravaErrors reads the errors in a refusal of Strava (Strava API v3
// reference, "Fault"; bodies as recorded by public clients). It returns none
// for an error page, or for a member that is a plain string, as has been seen.
func stravaErrors(body []byte) []stravaError {
	var f struct {
		Errors []stravaError `json:"errors"`
	}
	_ = json.Unmarshal(body, &f)
	return f.Errors
}
