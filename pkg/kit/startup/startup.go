package startup

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/kit/env"
)

// Load fills settings, a pointer to a struct with env tags, and loads the AWS
// configuration with the limits [Short]. If it fails, it logs the reason, with
// the names of all missing settings, and ends the process.
func Load(ctx context.Context, settings any) (aws.Config, *slog.Logger) {
	log := lambdacontext.NewLogger()
	Must(log, env.Decode(settings, os.LookupEnv))
	cfg, err := AWS(ctx)
	Must(log, err)
	return cfg, log
}

// Must logs err and ends the process, unless err is nil. It is for main only.
func Must(log *slog.Logger, err error) {
	if err != nil {
		log.Error("cannot start", "error", err.Error())
		os.Exit(1)
	}
}

// EventFactory returns a factory of events at the real time with random ids.
func EventFactory() event.Factory { return event.Factory{Now: time.Now, NewID: rand.Text} }

// NewSecret returns 256 random bits as URL-safe text.
func NewSecret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // It never fails.
	return base64.RawURLEncoding.EncodeToString(b)
}

// Sleep waits for d. It returns early, with the context's error, if ctx ends.
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

// margin is the time that [WithMargin] keeps at the end of an invocation.
const margin = 2 * time.Second

// WithMargin returns a context that ends a little before Lambda ends the
// function, so that the function can still respond and log.
func WithMargin(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-margin))
}
