package handler

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/metric"
)

// margin is how long before its time-out a gatherer starts no more jobs: a
// call to Strava may take 45 s, with writes after it.
const margin = time.Minute

// Work runs a gatherer, whatever woke it. It never reports a message as failed:
// messages hold no work, and the next wake-up comes within a minute.
func Work(g *gathering.Gatherer) func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
	return func(ctx context.Context, _ events.SQSEvent) (events.SQSEventResponse, error) {
		until := g.Events.Now().Add(time.Minute)
		if deadline, ok := ctx.Deadline(); ok {
			until = deadline.Add(-margin)
		}
		if err := g.Measure(ctx); err != nil {
			// Jobs do not wait for metrics. The alarm on failures shows that they are
			// missing.
			g.Metrics.Count(metric.Failed, 1)
			g.Log.ErrorContext(ctx, "metrics not measured", "error", err.Error())
		}
		more, err := g.Run(ctx, until)
		if err == nil && more {
			err = g.Waker.Wake(ctx, 0)
		}
		if err != nil {
			g.Metrics.Count(metric.Failed, 1)
			g.Log.ErrorContext(ctx, "gatherer stopped", "error", err.Error())
		}
		return events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}, nil // A nil list would be encoded as null.
	}
}
