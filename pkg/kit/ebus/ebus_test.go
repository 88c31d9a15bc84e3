package ebus_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/kit/ebus"
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
}

func (b *bus) PutEvents(_ context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	out := &eventbridge.PutEventsOutput{}
	var details []string
	for _, e := range in.Entries {
		details = append(details, *e.Detail)
		r := types.PutEventsResultEntry{EventId: aws.String("x")}
		for word, left := range b.refuse {
			if strings.Contains(*e.Detail, word) && left > 0 {
				b.refuse[word]--
				r = types.PutEventsResultEntry{ErrorCode: aws.String("ThrottlingException")}
			}
		}
		out.Entries = append(out.Entries, r)
	}
	b.calls = append(b.calls, details)
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
	if err := ebus.New(b, "main").Publish(t.Context(), notes(23, "")...); err != nil {
		t.Fatal(err)
	}
	if got := []int{len(b.calls[0]), len(b.calls[1]), len(b.calls[2])}; got[0] != 10 || got[1] != 10 || got[2] != 3 {
		t.Fatalf("batches of %v", got)
	}
	b = &bus{}
	if err := ebus.New(b, "main").Publish(t.Context(), notes(4, strings.Repeat("x", 90<<10))...); err != nil {
		t.Fatal(err)
	}
	if len(b.calls) != 2 {
		t.Fatalf("%d requests", len(b.calls))
	}
}

func TestPublishRetriesOnlyTheRefused(t *testing.T) {
	b := &bus{refuse: map[string]int{`"n":1`: 2}}
	if err := ebus.New(b, "main").Publish(t.Context(), notes(3, "")...); err != nil {
		t.Fatal(err)
	}
	if len(b.calls) != 3 || len(b.calls[0]) != 3 || len(b.calls[1]) != 1 || len(b.calls[2]) != 1 {
		t.Fatalf("requests: %v", b.calls)
	}
}

func TestPublishReportsLeftovers(t *testing.T) {
	b := &bus{refuse: map[string]int{`"n":1`: 99}}
	err := ebus.New(b, "main").Publish(t.Context(), notes(3, "")...)
	if !fault.Is(err, fault.Transient) {
		t.Fatalf("got %v", err)
	}
}

func TestPublishRefusesTooLargeAnEventBeforeSendingAny(t *testing.T) {
	b := &bus{}
	events := append(notes(1, ""), notes(1, strings.Repeat("x", 300<<10))...)
	if err := ebus.New(b, "main").Publish(t.Context(), events...); !fault.Is(err, fault.Permanent) {
		t.Fatalf("got %v", err)
	}
	if len(b.calls) != 0 {
		t.Fatal("something was sent")
	}
}
