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

// Limits of a PutEvents request (Amazon EventBridge API Reference, PutEvents).
// All entries together may have 256 KB, here taken as 256,000 bytes.
const (
	maxEntries = 10
	maxBytes   = 256_000
	attempts   = 3
)

// API is the part of [eventbridge.Client] that a [Bus] uses.
type API interface {
	PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

// Bus publishes on one event bus.
type Bus struct {
	api  API
	name string
}

// New returns the bus with the name.
func New(api API, name string) *Bus { return &Bus{api: api, name: name} }

// Publish publishes events in the order given, in requests as large as
// EventBridge accepts. It repeats the entries that EventBridge refuses. After a
// [fault.Transient] some of the events may be published: call Publish again
// with all of them, as consumers are idempotent. It fails with
// [fault.Permanent], and sends nothing, if an event is too large for the bus.
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

// entrySize returns the size of an entry in bytes (Amazon EventBridge User
// Guide, "Calculating PutEvents event entry size"): 14 for the time, and the
// strings in UTF-8.
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
