package provider

import (
	"encoding/json"
	"net/http"
	"regexp"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
)

// NameFitbit is the name of Fitbit among the providers.
const NameFitbit = "fitbit"

// Fitbit describes Fitbit (Fitbit Web API, "Authorization"), whose consent
// screen is under site, https://www.fitbit.com, and whose other endpoints are
// under api, https://api.fitbit.com.
//
// Access tokens live for 8 hours. A refresh token lives until it is used, and
// can be used once. For about two minutes Fitbit gives the same answer to an
// identical refresh, unless a token of that answer was used ("Best Practices").
// Nothing here relies on it, but it heals a refresh that was cut off before its
// answer could be saved, if the next one comes in time.
//
// Fitbit recommends PKCE, and we use it although our client has a secret: the
// state keeps a foreign code out of a person's browser, but only PKCE keeps a
// stolen code from being redeemed by way of the thief's own connect (RFC 9700,
// section 2.1.1).
func Fitbit(site, api string) Description {
	return Description{
		Rules: credentials.Rules{
			Provider:   NameFitbit,
			Sufficient: []string{"activity"},
			// Every refresh returns a new access token. An outage that is shorter than
			// the margin goes unnoticed.
			RefreshMargin: time.Hour,
			Endpoint:      fitbitEndpoint,
			CheckPath:     "/1/user/-/profile.json",
		},
		AuthorizationEndpoint: site + "/oauth2/authorize",
		TokenEndpoint:         api + "/oauth2/token",
		RevocationEndpoint:    api + "/oauth2/revoke",
		BasicAuth:             true,
		PKCE:                  true,
		Scopes:                []string{"activity", "profile"},
		ScopeSeparator:        " ",
		AccountID:             fitbitUser,
		Meaning:               fitbitMeaning,
	}
}

var fitbitDay = regexp.MustCompile(`^/1/user/-/activities/date/[0-9]{4}-[0-9]{2}-[0-9]{2}\.json$`)

// fitbitEndpoint knows only the paths that the page and workers of other
// systems need.
func fitbitEndpoint(path string) string {
	switch {
	case path == "/1/user/-/profile.json":
		return "profile"
	case fitbitDay.MatchString(path):
		return "day"
	}
	return ""
}

func fitbitUser(answer map[string]json.RawMessage) string { return identifier(answer["user_id"]) }

// fitbitMeaning returns what a refusal of Fitbit's authorization server means
// (Fitbit Web API, "Error Handling"; bodies as reported by public clients). The
// revoke endpoint has been seen to refuse an invalid token, too, which RFC 7009
// does not expect. A status alone, such as that of a firewall's page, means
// nothing.
func fitbitMeaning(status int, body []byte) Meaning {
	if status != http.StatusBadRequest && status != http.StatusUnauthorized && status != http.StatusForbidden {
		return Unclear
	}
	for _, kind := range fitbitErrors(body) {
		switch kind {
		case "invalid_grant", "invalid_token", "expired_token":
			if status != http.StatusForbidden {
				return GrantRefused
			}
		case "invalid_client", "unauthorized_client", "insufficient_permissions":
			return AppRefused
		}
	}
	return Unclear
}

// FitbitRefusal returns why the Fitbit Web API refuses a call; see
// [credentials.APIResponse]. The error type insufficient_scope means that the
// person did not allow the scope; insufficient_permissions means that Fitbit
// does not give the application the data. Neither concerns other data. A
// refusal without a known error type says nothing about the token, because
// Fitbit also answers 401 for data that others may not see.
func FitbitRefusal(status int, body []byte) error {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		for _, kind := range fitbitErrors(body) {
			switch kind {
			case "invalid_token", "expired_token":
				return credentials.ErrAccessTokenInvalid
			case "insufficient_scope", "insufficient_permissions":
				return credentials.ErrInsufficientScope
			case "invalid_client", "unauthorized_client":
				return credentials.ErrAppRefused
			}
		}
	}
	return nil
}

// fitbitErrors reads the error types of a refusal. It returns none for an error
// page, or for a member that is a plain string.
func fitbitErrors(body []byte) []string {
	var f struct {
		Errors []struct {
			Type string `json:"errorType"`
		} `json:"errors"`
	}
	_ = json.Unmarshal(body, &f)
	kinds := make([]string, 0, len(f.Errors))
	for _, e := range f.Errors {
		kinds = append(kinds, e.Type)
	}
	return kinds
}
