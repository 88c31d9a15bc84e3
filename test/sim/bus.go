package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/paceline/paceline/pkg/kit/eventbus"
)

// bus is an EventBridge bus with its rules and its archive.
type bus struct {
	*cloud
	rules  []ruleSpec
	queues map[string]*queue
	// archive has the events of the last days that the archive takes.
	archive     []archived
	archiveSpec archiveSpec
	// refusals are how often the bus still refuses entries, by their details.
	refusals map[*string]int
	// events counts those that the bus took, and underway their deliveries that have
	// not reached a queue.
	events, underway int
	replays          int
}

// archived is an event in the archive.
type archived struct {
	at    time.Time
	event busEvent
}

// busEvent is an event as EventBridge delivers it (Amazon EventBridge, "Event
// structure").
type busEvent struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	ReplayName string          `json:"replay-name,omitempty"`
	Detail     json.RawMessage `json:"detail"`
}

// busPlace is the place of failures when events are put.
const busPlace = "bus"

// rulePlace is the place of failures when a rule delivers an event.
func rulePlace(r ruleSpec) string { return "bus " + r.queue }

func newBus(c *cloud, d *deployment, queues map[string]*queue) *bus {
	return &bus{cloud: c, rules: d.rules, queues: queues, archiveSpec: d.archive, refusals: map[*string]int{}}
}

// publisher returns the adapter by which boundaries publish.
func (b *bus) publisher() *eventbus.Bus { return eventbus.New(b, "bus") }

// PutEvents implements [eventbus.API].
func (b *bus) PutEvents(ctx context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	b.k.pause(time.Millisecond + b.within(10*time.Millisecond))
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if b.draw(busPlace) == entriesRefused {
		b.refuseSome(in.Entries)
	}
	out := &eventbridge.PutEventsOutput{}
	for _, e := range in.Entries {
		var result types.PutEventsResultEntry
		if n := b.refusals[e.Detail]; n > 0 {
			result.ErrorCode = aws.String("ThrottlingException")
			if b.refusals[e.Detail]--; n == 1 {
				delete(b.refusals, e.Detail)
			}
		} else {
			result.EventId = aws.String(b.take(e))
		}
		out.Entries = append(out.Entries, result)
	}
	return out, nil
}

// refuseSome refuses about half of the entries, and their repetitions: after
// three refusals the adapter gives up.
func (b *bus) refuseSome(entries []types.PutEventsRequestEntry) {
	times := 1 + b.random.IntN(3)
	certain := b.random.IntN(len(entries))
	for i, e := range entries {
		if i == certain || b.random.IntN(2) == 0 {
			b.refusals[e.Detail] = times
		}
	}
}

// take takes an event, and returns its id.
func (b *bus) take(e types.PutEventsRequestEntry) string {
	b.events++
	b.inspect("event "+*e.DetailType, []byte(*e.Detail))
	event := busEvent{
		Version: "0", ID: fmt.Sprintf("00000000-0000-4000-8000-%012x", b.events),
		Source: *e.Source, DetailType: *e.DetailType, Detail: json.RawMessage(*e.Detail),
		Account: "123456789012", Region: "eu-central-1", Time: e.Time.UTC().Format(time.RFC3339), Resources: []string{},
	}
	b.keep(event)
	b.route(event)
	return event.ID
}

// keep archives an event, if the archive takes it.
func (b *bus) keep(e busEvent) {
	b.expire()
	if !slices.Contains(b.archiveSpec.except, e.DetailType) {
		b.archive = append(b.archive, archived{time.Now(), e})
	}
}

// expire deletes archived events that are too old.
func (b *bus) expire() {
	for len(b.archive) > 0 && time.Since(b.archive[0].at) >= b.archiveSpec.retention {
		b.archive = b.archive[1:]
	}
}

// route delivers an event to the queues of the rules that match it.
func (b *bus) route(e busEvent) {
	var body string
	for _, r := range b.rules {
		if !r.matches(e.Source, e.DetailType) {
			continue
		}
		if body == "" {
			encoded, err := json.Marshal(e)
			if err != nil {
				panic(err) // The detail is JSON.
			}
			body = string(encoded)
		}
		b.deliver(r, body)
	}
}

// deliver delivers an event by a rule. EventBridge repeats a delivery for up to
// a day.
func (b *bus) deliver(r ruleSpec, body string) {
	q := b.queues[r.queue]
	send := func() { q.send(body, 0) }
	delay := 20*time.Millisecond + b.within(500*time.Millisecond)
	switch b.draw(rulePlace(r)) {
	case late:
		delay += b.within([]time.Duration{time.Minute, time.Hour, 24 * time.Hour}[b.random.IntN(3)])
	case reordered:
		delay += b.within(10 * time.Second)
	case doubled:
		b.later(delay+b.within(time.Hour), send)
	case undeliverable:
		send = func() { q.bury(body) }
	}
	b.later(delay, send)
}

// later makes a step of a delivery after a delay.
func (b *bus) later(delay time.Duration, do func()) {
	b.underway++
	b.k.after(delay, func() {
		b.underway--
		do()
	})
}

// replay delivers the archived events again that the bus took from one time until
// before another. A replay does not keep their order.
func (b *bus) replay(from, to time.Time) {
	b.expire()
	b.replays++
	for _, a := range b.archive {
		if !a.at.Before(from) && a.at.Before(to) {
			again := a.event
			again.ReplayName = fmt.Sprintf("replay-%d", b.replays)
			b.later(b.within(2*time.Minute), func() { b.route(again) })
		}
	}
}
