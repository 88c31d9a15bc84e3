package handler_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	"github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// endless is a Strava with a history that has no end, each page of which takes
// ten seconds.
type endless struct {
	gathering.Strava
	clock *time.Time
}

func (s endless) reading() gathering.Reading {
	began := *s.clock
	*s.clock = began.Add(10 * time.Second)
	return gathering.Reading{At: began, Answer: quota.Answer{Calls: 1, Began: began, Ended: *s.clock}}
}

func (s endless) Athlete(_ context.Context, by gathering.Authorization) (gatheringv1.Athlete, gathering.Reading, error) {
	return gatheringv1.Athlete{ID: by.AthleteID}, s.reading(), nil
}

func (s endless) Activities(_ context.Context, _ gathering.Authorization, r gathering.PageRequest) (gathering.Page, gathering.Reading, error) {
	return gathering.Page{Activities: []gatheringv1.Activity{{ID: int64(r.Page)}}, Entries: 1}, s.reading(), nil
}

// uncountable is a queue whose jobs cannot be counted.
type uncountable struct{ gathering.JobQueue }

func (uncountable) Waiting(context.Context, quota.Class, time.Time) (gathering.Waiting, error) {
	return gathering.Waiting{}, errors.New("boom")
}

func TestJobsAreDoneAlthoughTheyCannotBeCounted(t *testing.T) {
	clock := time.Now()
	now := func() time.Time { return clock }
	memory := gatheringtest.NewMemory()
	metrics, ports := memory.Metrics, memory.Ports(now)
	ports.Jobs, ports.Strava = uncountable{memory.Store}, endless{clock: &clock}
	if err := ports.Authorizations().Begin(t.Context(), event.Meta{OccurredAt: clock}, gathering.Authorization{AthleteID: 7, Generation: 1}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithDeadline(t.Context(), clock.Add(5*time.Minute))
	defer cancel()
	if _, err := handler.Work(ports.Gatherer())(ctx, events.SQSEvent{}); err != nil {
		t.Fatal(err)
	}
	if n := metrics.Of(metric.Calls(string(quota.Interactive))); n == 0 {
		t.Error("no job was done")
	}
	if n := metrics.Of(metric.Failed); n != 1 {
		t.Errorf("%d failures were counted", n)
	}
}

func TestAGathererWakesItsSuccessorInTime(t *testing.T) {
	clock := time.Now()
	now := func() time.Time { return clock }
	memory := gatheringtest.NewMemory()
	metrics, ports := memory.Metrics, memory.Ports(now)
	ports.Strava = endless{clock: &clock}
	g, authorizations := ports.Gatherer(), ports.Authorizations()
	authorizations.Waker = &gatheringtest.Waker{}
	if err := authorizations.Begin(t.Context(), event.Meta{OccurredAt: clock}, gathering.Authorization{AthleteID: 7, Generation: 1}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithDeadline(t.Context(), clock.Add(5*time.Minute))
	defer cancel()
	began := clock
	work := handler.Work(g)
	out, err := work(ctx, events.SQSEvent{})
	if err != nil || out.BatchItemFailures == nil || len(out.BatchItemFailures) != 0 {
		t.Fatalf("response %+v, error %v", out, err)
	}
	if took := clock.Sub(began); took < 3*time.Minute || took > 4*time.Minute+10*time.Second {
		t.Errorf("the gatherer worked for %s of 5 minutes", took)
	}
	if n := memory.Waker.Count(); n != 1 {
		t.Errorf("%d successors were woken", n)
	}
	if n := metrics.Of(metric.Calls(string(quota.Interactive))); n != 2 {
		t.Errorf("%d calls of class interactive", n)
	}
	if used, limit := metrics.Of(metric.UsedDay), metrics.Of(metric.LimitDay); used != 0 || limit != 1000 {
		t.Errorf("%d of %d calls were used when it began", used, limit)
	}
	if quarter, day := metrics.Of(metric.ReservedQuarter(string(quota.Leave))), metrics.Of(metric.ReservedDay(string(quota.Webhook))); quarter != 2 || day == 0 {
		t.Errorf("%d calls of the quarter hour are kept for departures, %d of the day for webhooks", quarter, day)
	}
	// Failures to measure and to promote are counted, and no message comes again
	// for them.
	memory.Store.Fail(errors.New("boom"))
	if out, err := work(ctx, events.SQSEvent{}); err != nil || len(out.BatchItemFailures) != 0 || metrics.Of(metric.Failed) != 2 {
		t.Errorf("%+v, %v, %d counted", out, err, metrics.Of(metric.Failed))
	}
}
