package strava

import (
	"net/http"

	"github.com/paceline/paceline/pkg/credentials/provider"
)

// forwardedHeaders are the header fields that a caller needs: Strava's rate
// limits and the time of the response.
var forwardedHeaders = []string{"X-Ratelimit-Limit", "X-Ratelimit-Usage", "X-Readratelimit-Limit", "X-Readratelimit-Usage", "Date"}

// NewAPI returns a client for the REST API at base.
func NewAPI(client *http.Client, base string) *provider.API {
	return &provider.API{Client: client, Base: base, Timeout: apiTimeout, ForwardedHeaders: forwardedHeaders, Refusal: provider.StravaRefusal}
}
