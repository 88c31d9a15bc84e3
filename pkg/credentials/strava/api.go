package strava

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/httpcall"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// API is Strava's REST API.
type API struct {
	client *http.Client
	base   string
}

// NewAPI makes a client for the API at base.
func NewAPI(client *http.Client, base string) *API {
	return &API{client, strings.TrimSuffix(base, "/")}
}

// passedOn are the header fields that a caller needs: Strava's rate limits and
// the time they were true at.
var passedOn = []string{"X-Ratelimit-Limit", "X-Ratelimit-Usage", "X-Readratelimit-Limit", "X-Readratelimit-Usage", "Date"}

// Get implements [credentials.API]. The token travels in the Authorization
// header only: Strava ends query and form tokens in June 2027.
func (c *API) Get(ctx context.Context, access secret.String, path string, query map[string]string) (credentials.APIAnswer, error) {
	values := url.Values{}
	for k, v := range query {
		values.Set(k, v)
	}
	target := c.base + path
	if len(values) > 0 {
		target += "?" + values.Encode()
	}
	req, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		return credentials.APIAnswer{}, fault.New(fault.Permanent, "the configured Strava URL is malformed")
	}
	req.Header.Set("Authorization", "Bearer "+access.Reveal())
	req.Header.Set("Accept", "application/json")
	a, err := httpcall.Do(ctx, c.client, apiTimeout, req)
	if err != nil {
		// Without a connection nothing was sent.
		dial := (*net.OpError)(nil)
		return credentials.APIAnswer{Sent: !errors.As(err, &dial) || dial.Op != "dial"}, err
	}
	header := map[string]string{}
	for _, name := range passedOn {
		if v := a.Header.Get(name); v != "" {
			header[name] = v
		}
	}
	return credentials.APIAnswer{
		Sent: true, Status: a.Status, Refused: provider.StravaRefusal(a.Status, a.Body), Header: header, Body: a.Body,
	}, nil
}
