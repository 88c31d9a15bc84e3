package eventbus_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/kit/eventbus"
	"github.com/paceline/paceline/pkg/kit/fault"
)

type note struct {
	N    int    `json:"n"`
	Text string `json:"text"`
}

func (note) Source() string     { return "paceline.test" }
func (note) DetailType() string { return "Noted.v1" }

// bus refuses each detail that holds a word of refuse as often as it says.
type bus struct {
	refuse map[string]int
	calls  [][]string
	// sizes are those of the requests, in bytes as EventBridge counts them.
	sizes []int
}

func (b *bus) PutEvents(_ context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	out := &eventbridge.PutEventsOutput{}
	var details []string
	size := 0
	for _, e := range in.Entries {
		details = append(details, *e.Detail)
		size += 14 + len(*e.Source+*e.DetailType+*e.Detail)
		r := types.PutEventsResultEntry{EventId: aws.String("x")}
		for word, left := range b.refuse {
			if strings.Contains(*e.Detail, word) && left > 0 {
				b.refuse[word]--
				r = types.PutEventsResultEntry{ErrorCode: aws.String("ThrottlingException")}
			}
		}
		out.Entries = append(out.Entries, r)
	}
	b.calls, b.sizes = append(b.calls, details), append(b.sizes, size)
	return out, nil
}

func notes(n int, text string) (out []event.Event) {
	for i := range n {
		out = append(out, event.Event{Meta: event.Meta{ID: "id"}, Fact: note{N: i, Text: text}})
	}
	return out
}

func TestPublishSplitsByCountAndSize(t *testing.T) {
	b := &bus{}
	if err := eventbus.New(b, "main").Publish(t.Context(), notes(23, "")...); err != nil {
		t.Fatal(err)
	}
	if got := []int{len(b.calls[0]), len(b.calls[1]), len(b.calls[2])}; got[0] != 10 || got[1] != 10 || got[2] != 3 {
		t.Fatalf("batches of %v", got)
	}
}

func TestNoRequestIsLargerThanEventBridgeTakes(t *testing.T) {
	lengths := []int{20_000, 85_000, 90_000, 128_000, 255_700}
	for length := 25_300; length < 25_700; length += 20 { // Where ten entries just fill a request.
		lengths = append(lengths, length)
	}
	for _, length := range lengths {
		b := &bus{}
		if err := eventbus.New(b, "main").Publish(t.Context(), notes(40, strings.Repeat("x", length))...); err != nil {
			t.Fatal(err)
		}
		sent, entries := 0, len(b.calls[0])
		for i, size := range b.sizes {
			sent += len(b.calls[i])
			if size > 256_000 {
				t.Errorf("texts of %d: a request of %d bytes", length, size)
			}
		}
		if sent != 40 {
			t.Errorf("texts of %d: %d of 40 were sent", length, sent)
		}
		if each := b.sizes[0] / entries; entries < 10 && b.sizes[0]+each < 255_900 {
			t.Errorf("texts of %d: %d in a request of %d bytes, which has room for another", length, entries, b.sizes[0])
		}
	}
}

func TestPublishRetriesOnlyTheRefused(t *testing.T) {
	b := &bus{refuse: map[string]int{`"n":1`: 2}}
	if err := eventbus.New(b, "main").Publish(t.Context(), notes(3, "")...); err != nil {
		t.Fatal(err)
	}
	if len(b.calls) != 3 || len(b.calls[0]) != 3 || len(b.calls[1]) != 1 || len(b.calls[2]) != 1 {
		t.Fatalf("requests: %v", b.calls)
	}
}

func TestPublishReportsLeftovers(t *testing.T) {
	b := &bus{refuse: map[string]int{`"n":1`: 99}}
	err := eventbus.New(b, "main").Publish(t.Context(), notes(3, "")...)
	if !fault.Is(err, fault.Transient) {
		t.Fatalf("got %v", err)
	}
}

func TestPublishRefusesTooLargeAnEventBeforeSendingAny(t *testing.T) {
	b := &bus{}
	events := append(notes(1, ""), notes(1, strings.Repeat("x", 300<<10))...)
	if err := eventbus.New(b, "main").Publish(t.Context(), events...); !fault.Is(err, fault.Permanent) {
		t.Fatalf("got %v", err)
	}
	if len(b.calls) != 0 {
		t.Fatal("something was sent")
	}
}
