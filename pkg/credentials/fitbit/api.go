package fitbit

import (
	"net/http"
	"time"

	"github.com/paceline/paceline/pkg/credentials/provider"
)

// timeout of a call, well within that of the functions that make one.
const timeout = 15 * time.Second

// forwardedHeaders are the header fields that a caller needs: the person's rate
// limit (Fitbit Web API, Rate Limits), how long to wait, and the time of the
// response.
var forwardedHeaders = []string{"Fitbit-Rate-Limit-Limit", "Fitbit-Rate-Limit-Remaining", "Fitbit-Rate-Limit-Reset", "Retry-After", "Date"}

// NewAPI returns a client for the API at base, https://api.fitbit.com. Paths
// begin with the API's version, as in /1/user/-/profile.json.
func NewAPI(client *http.Client, base string) *provider.API {
	return &provider.API{Client: client, Base: base, Timeout: timeout, ForwardedHeaders: forwardedHeaders, Refusal: provider.FitbitRefusal}
}
