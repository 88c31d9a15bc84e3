package lambdain

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/athletev1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/kit/consume"
)

// reserve is how long before its time-out a gatherer starts no more jobs: a
// call to Strava may take 45 s, with writes after it.
const reserve = time.Minute

// Work runs a gatherer, whatever woke it. It never reports a message as failed:
// messages hold no work, and the next wake-up comes within a minute.
func Work(g *gathering.Gatherer) func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
	return func(ctx context.Context, _ events.SQSEvent) (events.SQSEventResponse, error) {
		until := g.Minter.Now().Add(time.Minute)
		if deadline, ok := ctx.Deadline(); ok {
			until = deadline.Add(-reserve)
		}
		err := g.Measure(ctx)
		more := false
		if err == nil {
			more, err = g.Run(ctx, until)
		}
		if err == nil && more {
			err = g.Waker.Wake(ctx, 0)
		}
		if err != nil {
			g.Metrics.Count(gathering.MetricFailed, 1)
			g.Log.ErrorContext(ctx, "gatherer stopped", "error", err.Error())
		}
		return events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}, nil // null is no list.
	}
}

// EventRoutes maps the events of other boundaries to use cases.
func EventRoutes(z *gathering.Authorizations, c *gathering.Configuration) []consume.Route {
	return []consume.Route{
		consume.On(func(ctx context.Context, cause event.Meta, f credentialsv1.AthleteAuthorized) error {
			return z.Begin(ctx, cause, f.AthleteID, f.Generation)
		}),
		consume.On(func(ctx context.Context, cause event.Meta, f credentialsv1.AuthorizationDegraded) error {
			return z.Degrade(ctx, cause, f.AthleteID, f.Generation)
		}),
		consume.On(func(ctx context.Context, cause event.Meta, f credentialsv1.AuthorizationRevoked) error {
			return z.End(ctx, cause, f.AthleteID, f.Generation, f.Receipt)
		}),
		consume.On(func(ctx context.Context, _ event.Meta, f athletev1.GatherRequested) error {
			return z.Refresh(ctx, f.AthleteID, f.Generation)
		}),
		consume.On(func(ctx context.Context, _ event.Meta, f activityv1.RemovalQuestioned) error {
			return z.Recheck(ctx, f.AthleteID, f.Generation, f.ScanID, f.Sample)
		}),
		consume.On(func(ctx context.Context, _ event.Meta, f credentialsv1.WebhookConfigured) error {
			return c.Configure(ctx, gathering.Webhook{
				CallbackKeySHA256: f.CallbackKeySHA256, VerifyTokenSHA256: f.VerifyTokenSHA256,
				SubscriptionID: f.SubscriptionID, Version: f.Version,
			})
		}),
	}
}
