package startup

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/middleware"
)

// Limits bound the calls of an AWS client, so that a call of a service that
// hangs fails before the invocation ends.
type Limits struct {
	// Dial bounds the opening of a connection.
	Dial time.Duration
	// Attempt bounds one attempt, from the connection to the last byte of the
	// response.
	Attempt time.Duration
	// Attempts is how often a request is sent at most.
	Attempts int
	// Call bounds all attempts of a call and the delays between them.
	Call time.Duration
}

// Short are the limits of calls that take little time: all calls but those of
// [Waiting]. The shortest timeout of a function with several calls is 10 s, of
// which [WithMargin] leaves 8 s.
var Short = Limits{Dial: time.Second, Attempt: 2 * time.Second, Attempts: 3, Call: 7 * time.Second}

// Waiting returns the limits of calls that may take as long as d, such as the
// invocation of a function. A refused call is repeated within d.
func Waiting(d time.Duration) Limits {
	return Limits{Dial: Short.Dial, Attempt: d, Attempts: Short.Attempts, Call: d}
}

// AWS loads the AWS configuration of the environment, with the limits [Short].
// Make every client from a configuration of this function: test/arch rejects
// others.
func AWS(ctx context.Context, options ...func(*config.LoadOptions) error) (aws.Config, error) {
	options = append(options, config.WithHTTPClient(awshttp.NewBuildableClient()))
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, err
	}
	// The environment may have added CA certificates to it.
	cfg.HTTPClient = client{cfg.HTTPClient.(*awshttp.BuildableClient), 0}
	return WithLimits(cfg, Short), nil
}

// WithLimits returns a copy of a configuration of [AWS] with other limits.
func WithLimits(cfg aws.Config, l Limits) aws.Config {
	limited := cfg.Copy()
	limited.HTTPClient = client{cfg.HTTPClient.(client).BuildableClient.
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = l.Dial }).
		WithTransportOptions(func(t *http.Transport) {
			// An attempt that times out closes its connection only in HTTP/1.1. In
			// HTTP/2 the next attempt would use the same dead connection.
			t.ForceAttemptHTTP2 = false
			t.TLSClientConfig.NextProtos = []string{"http/1.1"}
		}), l.Attempt}
	limited.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = l.Attempts
			o.Backoff = retry.BackoffDelayerFunc(delay)
		})
	}
	limited.APIOptions = append(slices.Clip(cfg.APIOptions), func(stack *middleware.Stack) error {
		return limitCall(stack, l.Call)
	})
	return limited
}

// delay returns a random time to wait after an attempt, the first of which has
// the number 1.
func delay(attempt int, _ error) (time.Duration, error) {
	return rand.N(250 * time.Millisecond << min(attempt, 3)), nil
}

// limitCall bounds a whole call. It replaces an earlier limit.
func limitCall(stack *middleware.Stack, limit time.Duration) error {
	const id = "CallLimit"
	_, _ = stack.Initialize.Remove(id) // The error says that there is none.
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc(id, func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return next.HandleInitialize(ctx, in)
	}), middleware.Before)
}

// client is an HTTP client that bounds an attempt, and returns a response only
// when it has read it whole. The SDK closes the request's body as soon as it
// has the response's headers. If these arrive very fast, net/http may still be
// sending the body, take the closing for a failed write, and drop the
// connection with the response unread. The SDK then repeats the request, and a
// conditional write that has succeeded appears as refused.
type client struct {
	*awshttp.BuildableClient
	attempt time.Duration
}

// Do implements [aws.HTTPClient].
func (c client) Do(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), c.attempt)
	defer cancel()
	res, err := c.BuildableClient.Do(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}
