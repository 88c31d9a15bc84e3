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

// MaxBody bounds what is read of an answer, in bytes: Lambda hands on 6 MB at
// most, and a page of 200 Strava activities has about 400 KB.
const MaxBody = 4 << 20

// NewClient makes an HTTP client that follows no redirect: one would carry a
// token or a secret elsewhere.
func NewClient() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Form makes a request that sends values as a form and wants JSON. The error, a
// permanent fault, says that target, which is configured, is no URL.
func Form(method, target string, values url.Values) (*http.Request, error) {
	req, err := http.NewRequest(method, target, strings.NewReader(values.Encode()))
	if err != nil {
		return nil, fault.New(fault.Permanent, "a configured URL is malformed")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// Answer is what a call was answered, whatever the status.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do makes a call and reads the whole answer. The error, a transient fault,
// says that there was none.
func Do(ctx context.Context, client *http.Client, timeout time.Duration, req *http.Request) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	host := req.URL.Host
	res, err := client.Do(req.WithContext(ctx))
	if err != nil {
		// A url.Error repeats the URL, query and all.
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
