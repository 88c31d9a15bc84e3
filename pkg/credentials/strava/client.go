package strava

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// maxBody bounds what is read of an answer: Lambda hands on 6 MB at most, and
// a page of 200 activities has about 400 KB.
const maxBody = 4 << 20

// Timeouts of calls, well within those of the functions that make them.
// Strava has been seen to take up to 4 s for a page of activities.
const (
	tokenTimeout = 10 * time.Second
	apiTimeout   = 15 * time.Second
)

// NewClient makes the HTTP client to speak to Strava with. It follows no
// redirect: one would carry a token or the client secret elsewhere.
func NewClient() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// do makes a call and reads the whole answer. The error, a transient fault,
// says that there was none.
func do(ctx context.Context, client *http.Client, timeout time.Duration, req *http.Request) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	res, err := client.Do(req.WithContext(ctx))
	if err != nil {
		// A url.Error repeats the URL, query and all.
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err
		}
		return answer{}, fault.New(fault.Transient, "call Strava: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return answer{}, fault.New(fault.Transient, "read Strava's answer: %w", err)
	}
	if len(body) > maxBody {
		return answer{}, fault.New(fault.Transient, "Strava's answer is larger than %d bytes", maxBody)
	}
	return answer{res.StatusCode, res.Header, body}, nil
}

func form(method, target string, values url.Values) (*http.Request, error) {
	req, err := http.NewRequest(method, target, strings.NewReader(values.Encode()))
	if err != nil {
		return nil, fault.New(fault.Permanent, "the configured Strava URL is malformed")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// refusal tells what an answer that is not a success means (Strava API v3
// reference, "Fault"; bodies as recorded by public clients).
func refusal(a answer) error {
	var f struct {
		Message string          `json:"message"`
		Errors  json.RawMessage `json:"errors"`
	}
	_ = json.Unmarshal(a.body, &f) // Not JSON: an error page; the status decides.
	var items []struct {
		Resource string `json:"resource"`
		Field    string `json:"field"`
		Code     string `json:"code"`
	}
	_ = json.Unmarshal(f.Errors, &items) // Seen as a plain string, too.

	switch a.status {
	case http.StatusBadRequest, http.StatusUnauthorized:
		for _, e := range items {
			switch e.Resource {
			case "RefreshToken":
				return credentials.ErrTokenRefused
			case "RequestToken", "AuthorizationCode":
				return credentials.ErrCodeRefused
			case "Application":
				return credentials.ErrAppRefused
			}
		}
	case http.StatusForbidden:
		if strings.Contains(string(a.body), "Limit of connected athletes exceeded") {
			return credentials.ErrAppFull
		}
		return credentials.ErrAppRefused
	}
	// Also for statuses nobody has seen yet: an answer that isn't understood
	// must cost no athlete the grant.
	return fault.New(fault.Transient, "Strava answered with status %d", a.status)
}
