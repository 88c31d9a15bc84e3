package consume

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// Route handles one kind of event.
type Route struct {
	source, detailType string
	handle             func(ctx context.Context, detail []byte) (event.Meta, error)
}

// On routes facts of type T to handle.
func On[T event.Fact](handle func(ctx context.Context, cause event.Meta, fact T) error) Route {
	var zero T
	return Route{zero.Source(), zero.DetailType(), func(ctx context.Context, detail []byte) (event.Meta, error) {
		meta, fact, err := event.Decode[T](detail)
		if err != nil {
			return meta, fault.New(fault.Permanent, "%w", err)
		}
		return meta, handle(ctx, meta, fact)
	}}
}

// Handler returns the Lambda handler of an SQS queue to which EventBridge
// delivers events. An event without a route fails.
func Handler(log *slog.Logger, routes ...Route) func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
	return Batch(log, func(ctx context.Context, body string) (string, error) {
		var e struct {
			Source     string          `json:"source"`
			DetailType string          `json:"detail-type"`
			Detail     json.RawMessage `json:"detail"`
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			return "", fault.New(fault.Permanent, "message is not an event")
		}
		for _, r := range routes {
			if r.source == e.Source && r.detailType == e.DetailType {
				meta, err := r.handle(ctx, e.Detail)
				if err != nil {
					err = fmt.Errorf("%s: %w", e.DetailType, err)
				}
				return meta.CorrelationID, err
			}
		}
		return "", fault.New(fault.Permanent, "no route for %s of %s", e.DetailType, e.Source)
	})
}

// Batch returns the Lambda handler of an SQS queue. It calls handle with each
// message body in turn; handle returns a correlation id for the log.
func Batch(log *slog.Logger, handle func(ctx context.Context, body string) (correlationID string, err error)) func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
	return func(ctx context.Context, in events.SQSEvent) (events.SQSEventResponse, error) {
		ctx, cancel := startup.WithMargin(ctx)
		defer cancel()
		out := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}} // Lambda rejects null.
		for _, m := range in.Records {
			correlationID, err := handle(ctx, m.Body)
			if err == nil {
				continue
			}
			log.ErrorContext(ctx, "message failed", "message_id", m.MessageId, "correlation_id", correlationID,
				"fault", fault.Of(err), "error", err.Error(), "receive_count", m.Attributes["ApproximateReceiveCount"])
			out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
		return out, nil
	}
}
