package provider

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/httpcall"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// API is a provider's REST API. The package of each provider sets the fields.
type API struct {
	Client *http.Client
	// Base is what paths are appended to.
	Base string
	// Timeout bounds a call; it must be well within that of the functions that
	// call.
	Timeout time.Duration
	// ForwardedHeaders are the header fields that a caller sees, by their
	// canonical names.
	ForwardedHeaders []string
	// Refusal returns why a response refuses a call; see
	// [credentials.APIResponse].
	Refusal func(status int, body []byte) error
}

// Get implements [credentials.API]. The token travels in the Authorization
// header only, because access logs keep URLs.
func (a *API) Get(ctx context.Context, access secret.String, path string, query map[string]string) (credentials.APIResponse, error) {
	values := url.Values{}
	for k, v := range query {
		values.Set(k, v)
	}
	target := strings.TrimSuffix(a.Base, "/") + path
	if len(values) > 0 {
		target += "?" + values.Encode()
	}
	req, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		return credentials.APIResponse{}, fault.New(fault.Permanent, "the configured URL of the API is malformed")
	}
	req.Header.Set("Authorization", "Bearer "+access.Reveal())
	req.Header.Set("Accept", "application/json")
	answer, err := httpcall.Do(ctx, a.Client, a.Timeout, req)
	if err != nil {
		// Without a connection nothing was sent.
		dial := (*net.OpError)(nil)
		return credentials.APIResponse{Sent: !errors.As(err, &dial) || dial.Op != "dial"}, err
	}
	header := map[string]string{}
	for _, name := range a.ForwardedHeaders {
		if v := answer.Header.Get(name); v != "" {
			header[name] = v
		}
	}
	return credentials.APIResponse{
		Sent: true, Status: answer.Status, Refused: a.Refusal(answer.Status, answer.Body), Header: header, Body: answer.Body,
	}, nil
}
