package httpcall

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/kit/fault"
)

// MaxBody is the maximum size of a response's body in bytes. Lambda passes on 6
// MB at most, and a page of 200 Strava activities has about 400 KB.
const MaxBody = 4 << 20

// NewClient returns an HTTP client that follows no redirects, which could send
// a token or a secret to another host.
func NewClient() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Form returns a request that sends values as a form and accepts JSON. It fails
// with [fault.Permanent] if the configured target is not a URL.
func Form(method, target string, values url.Values) (*http.Request, error) {
	req, err := http.NewRequest(method, target, strings.NewReader(values.Encode()))
	if err != nil {
		return nil, fault.New(fault.Permanent, "a configured URL is malformed")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// Answer is a response of any status.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends a request and reads the whole response. It fails with
// [fault.Transient] if there is none, or a larger one than [MaxBody].
func Do(ctx context.Context, client *http.Client, timeout time.Duration, req *http.Request) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	host := req.URL.Host
	res, err := client.Do(req.WithContext(ctx))
	if err != nil {
		// A url.Error contains the URL with its query.
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err
		}
		return Answer{}, fault.New(fault.Transient, "call %s: %w", host, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, MaxBody+1))
	if err != nil {
		return Answer{}, fault.New(fault.Transient, "read the answer of %s: %w", host, err)
	}
	if len(body) > MaxBody {
		return Answer{}, fault.New(fault.Transient, "the answer of %s is larger than %d bytes", host, MaxBody)
	}
	return Answer{res.StatusCode, res.Header, body}, nil
}
