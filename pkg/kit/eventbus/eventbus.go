package eventbus

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Limits of a PutEvents request (EventBridge API reference, PutEvents). Its
// entries may have 256 KB together; the smaller reading of that is meant here.
const (
	maxEntries = 10
	maxBytes   = 256_000
	attempts   = 3
)

// API is the part of the EventBridge client that the bus needs.
type API interface {
	PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

// Bus publishes on one event bus.
type Bus struct {
	api  API
	name string
}

// New makes a publisher for the named bus.
func New(api API, name string) *Bus { return &Bus{api: api, name: name} }

// Publish puts events on the bus, in requests as large as EventBridge takes
// and in the order given. Entries that EventBridge refuses are tried again,
// they alone. A transient fault means that some events may be out and some not:
// the caller publishes all of them again, and consumers are idempotent. An
// event too large for the bus is a permanent fault, and nothing is sent.
func (b *Bus) Publish(ctx context.Context, events ...event.Event) error {
	var batches [][]types.PutEventsRequestEntry
	var batch []types.PutEventsRequestEntry
	size := 0
	for _, e := range events {
		detail, err := e.Detail()
		if err != nil {
			return fault.New(fault.Permanent, "encode %s: %w", e.Fact.DetailType(), err)
		}
		entry := types.PutEventsRequestEntry{
			EventBusName: aws.String(b.name),
			Source:       aws.String(e.Fact.Source()),
			DetailType:   aws.String(e.Fact.DetailType()),
			Detail:       aws.String(string(detail)),
			Time:         aws.Time(e.Meta.OccurredAt),
		}
		n := entrySize(entry)
		if n > maxBytes {
			return fault.New(fault.Permanent, "publish %s: %d bytes are too many for one event", e.Fact.DetailType(), n)
		}
		if len(batch) == maxEntries || size+n > maxBytes {
			batches = append(batches, batch)
			batch, size = nil, 0
		}
		batch = append(batch, entry)
		size += n
	}
	if len(batch) > 0 {
		batches = append(batches, batch)
	}
	for _, entries := range batches {
		if err := b.put(ctx, entries); err != nil {
			return err
		}
	}
	return nil
}

// entrySize is how many bytes EventBridge counts for an entry (EventBridge user
// guide, "Calculating PutEvents event entry size"): 14 for the time, and the
// texts in UTF-8.
func entrySize(e types.PutEventsRequestEntry) int {
	return 14 + len(*e.Source) + len(*e.DetailType) + len(*e.Detail)
}

func (b *Bus) put(ctx context.Context, entries []types.PutEventsRequestEntry) error {
	var last string
	for range attempts {
		out, err := b.api.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
		if err != nil {
			return fault.New(fault.Transient, "put events: %w", err)
		}
		var failed []types.PutEventsRequestEntry
		for i, r := range out.Entries {
			if r.ErrorCode != nil {
				failed = append(failed, entries[i])
				last = *r.ErrorCode
			}
		}
		if len(failed) == 0 {
			return nil
		}
		entries = failed
	}
	return fault.New(fault.Transient, "put events: %s", fmt.Sprintf("%d entries refused: %s", len(entries), last))
}
