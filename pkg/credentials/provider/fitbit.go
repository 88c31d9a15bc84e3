package provider

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
)

const fitbitName = "fitbit"

// Fitbit describes Fitbit (Fitbit Web API, "Authorization"), whose consent
// screen is under site, https://www.fitbit.com, and whose other endpoints are
// under api, https://api.fitbit.com.
//
// Access tokens live for 8 hours. A refresh token lives until it is used, and
// can be used once. Fitbit gives the same answer to an identical refresh within
// two minutes; nothing here relies on it, but it heals a refresh that was cut
// off before its answer could be saved, if the next one comes in time.
//
// Fitbit recommends PKCE, and we use it although our client has a secret: the
// state keeps a foreign code out of a person's browser, but only PKCE keeps a
// stolen code from being redeemed by way of the thief's own connect (RFC 9700,
// section 2.1.1).
func Fitbit(site, api string) Description {
	return Description{
		Rules: credentials.Rules{
			Provider:   fitbitName,
			Sufficient: []string{"activity"},
			// Every refresh gives a new access token; the margin is the outage
			// that goes unnoticed.
			RefreshMargin: time.Hour,
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

func fitbitUser(body []byte) string {
	var t struct {
		UserID string `json:"user_id"`
	}
	_ = json.Unmarshal(body, &t)
	return t.UserID
}

// fitbitMeaning tells what Fitbit's refusals mean (Fitbit Web API, "Error
// Handling"; bodies as reported by public clients). A dead token has been seen
// refused by the revoke endpoint, too, which RFC 7009 does not expect.
func fitbitMeaning(status int, body []byte) Meaning {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized:
		var f struct {
			Errors []struct {
				Type string `json:"errorType"`
			} `json:"errors"`
		}
		_ = json.Unmarshal(body, &f)
		for _, e := range f.Errors {
			switch e.Type {
			case "invalid_grant", "invalid_token", "expired_token":
				return GrantRefused
			case "invalid_client", "unauthorized_client":
				return AppRefused
			}
		}
	case http.StatusForbidden:
		return AppRefused
	}
	return Unclear
}
