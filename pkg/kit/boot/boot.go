package boot

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/kit/env"
)

// Load fills settings, a pointer to a struct with env tags, and loads the AWS
// configuration. A function that cannot start ends at once, with a log line
// that names every setting that is missing.
func Load(ctx context.Context, settings any) (aws.Config, *slog.Logger) {
	log := lambdacontext.NewLogger()
	Must(log, env.Decode(settings, os.LookupEnv))
	cfg, err := AWS(ctx)
	Must(log, err)
	return cfg, log
}

// AWS loads the AWS configuration of the environment.
func AWS(ctx context.Context) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return aws.Config{}, err
	}
	if cfg.HTTPClient == nil { // Unless the environment names CA certificates.
		cfg.HTTPClient = awshttp.NewBuildableClient()
	}
	cfg.HTTPClient = wholeAnswers{cfg.HTTPClient}
	return cfg, nil
}

// wholeAnswers is an HTTP client that returns an answer when all of it is
// there. The SDK closes the request's body as soon as it has an answer's
// headers. When the answer came very fast, net/http may still have the body in
// hand, take the closing for a failed write, and drop the connection with the
// answer unread. The SDK then tries again, and a conditional write that had
// succeeded comes back as refused.
type wholeAnswers struct{ aws.HTTPClient }

func (c wholeAnswers) Do(req *http.Request) (*http.Response, error) {
	res, err := c.HTTPClient.Do(req)
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

// Must ends the process when err isn't nil. It is for main only.
func Must(log *slog.Logger, err error) {
	if err != nil {
		log.Error("cannot start", "error", err.Error())
		os.Exit(1)
	}
}

// Minter makes events at the real time with random ids.
func Minter() event.Minter { return event.Minter{Now: time.Now, NewID: rand.Text} }

// NewSecret returns 256 random bits as URL-safe text.
func NewSecret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // Never fails; see crypto/rand.
	return base64.RawURLEncoding.EncodeToString(b)
}

// Sleep waits for d, or returns the context's error as soon as it has one.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reserve is how much of an invocation's time [WithReserve] keeps back.
const reserve = 2 * time.Second

// WithReserve ends the context a little before Lambda ends the function, so
// that whatever was being waited for can still be answered and logged.
func WithReserve(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-reserve))
}
