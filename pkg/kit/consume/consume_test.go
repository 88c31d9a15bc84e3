package consume_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/consume"
)

const (
	fromGathering = `{"source":"paceline.gathering","detail-type":"ErasureCompleted.v1","detail":{"meta":{"id":"1","correlationId":"c"},"data":{"receipt":"r1","new_field":true}}}`
	fromActivity  = `{"source":"paceline.activity","detail-type":"ErasureCompleted.v1","detail":{"meta":{"id":"2"},"data":{"receipt":"r2"}}}`
)

func TestHandlerRoutesBySourceAndTypeAndReportsFailuresAlone(t *testing.T) {
	var got []string
	handler := consume.Handler(slog.New(slog.DiscardHandler),
		consume.On(func(_ context.Context, cause event.Meta, f gatheringv1.ErasureCompleted) error {
			got = append(got, "gathering "+f.Receipt+" "+cause.CorrelationID)
			return nil
		}),
		consume.On(func(_ context.Context, _ event.Meta, f activityv1.ErasureCompleted) error {
			got = append(got, "activity "+f.Receipt)
			return errors.New("boom")
		}))
	out, err := handler(t.Context(), events.SQSEvent{Records: []events.SQSMessage{
		{MessageId: "a", Body: fromGathering},
		{MessageId: "b", Body: fromActivity},
		{MessageId: "c", Body: "not json"},
		{MessageId: "d", Body: `{"source":"paceline.other","detail-type":"X.v1","detail":{}}`},
		{MessageId: "e", Body: `{"source":"paceline.gathering","detail-type":"ErasureCompleted.v1","detail":{"data":{"receipt":5}}}`},
		{MessageId: "f", Body: fromGathering},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"gathering r1 c", "activity r2", "gathering r1 c"}; !slices.Equal(got, want) {
		t.Errorf("handled %v", got)
	}
	var failed []string
	for _, f := range out.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	if want := []string{"b", "c", "d", "e"}; !slices.Equal(failed, want) {
		t.Errorf("failed %v", failed)
	}
}

func TestABatchWithoutFailuresIsAnEmptyList(t *testing.T) {
	out, err := consume.Handler(slog.New(slog.DiscardHandler))(t.Context(), events.SQSEvent{})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := json.Marshal(out); err != nil || string(b) != `{"batchItemFailures":[]}` {
		t.Fatalf("%s %v", b, err)
	}
}
