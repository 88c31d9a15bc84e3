package sim

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/athletev1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/consume"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// busTest is a bus whose queues are read by functions that note what they get.
type busTest struct {
	*cloudTest
	*bus
	began time.Time
	// got has the athletes of the events that each function got, in order.
	got map[string][]consumed
	// bodies are those of all messages.
	bodies []string
}

type consumed struct {
	athlete int64
	cause   event.Meta
	after   time.Duration
}

func inBus(t *testing.T, do func(*busTest)) {
	inCloud(t, func(c *cloudTest) {
		b := &busTest{cloudTest: c, bus: newBus(c.cloud, c.deployment, newQueues(c.cloud, c.deployment)), began: time.Now(), got: map[string][]consumed{}}
		for _, q := range b.queues {
			handle := consume.Handler(slog.New(slog.DiscardHandler),
				consumes[credentialsv1.AthleteAuthorized](b, q.spec.reader), consumes[credentialsv1.ErasureCompleted](b, q.spec.reader),
				consumes[gatheringv1.AthleteGathered](b, q.spec.reader), consumes[athletev1.GatherRequested](b, q.spec.reader))
			c.functions[q.spec.reader] = func(ctx context.Context, payload any) (any, error) {
				in := payload.(events.SQSEvent)
				for _, m := range in.Records {
					b.bodies = append(b.bodies, m.Body)
				}
				return handle(ctx, in)
			}
		}
		do(b)
	})
}

func consumes[T event.Fact](b *busTest, reader string) consume.Route {
	return consume.On(func(_ context.Context, cause event.Meta, fact T) error {
		var id struct {
			AthleteID int64 `json:"athlete_id"`
		}
		encoded, err := json.Marshal(fact)
		if err == nil {
			err = json.Unmarshal(encoded, &id)
		}
		b.got[reader] = append(b.got[reader], consumed{id.AthleteID, cause, time.Since(b.began)})
		return err
	})
}

// authorized are events of athletes 1 to n.
func authorized(n int) (list []event.Event) {
	for i := range n {
		list = append(list, event.Event{
			Meta: event.Meta{ID: "id", OccurredAt: time.Now(), CorrelationID: "c"},
			Fact: credentialsv1.AthleteAuthorized{AthleteID: int64(i + 1), Generation: 5},
		})
	}
	return list
}

// publish publishes events from within a process, and lets the time pass.
func (b *busTest) publish(list ...event.Event) (err error) {
	b.bus.k.spawn("publisher", 0, func() { err = b.publisher().Publish(b.t.Context(), list...) })
	b.pass(time.Second)
	return err
}

// athletes are those of the events that a function got.
func (b *busTest) athletes(function string) (ids []int64) {
	for _, c := range b.got[function] {
		ids = append(ids, c.athlete)
	}
	slices.Sort(ids)
	return ids
}

// consumers are the functions that get AthleteAuthorized.
var consumers = []string{"gathering/handle-events", "athlete/handle-events", "activity/handle-events"}

func TestEventsReachTheirConsumers(t *testing.T) {
	inBus(t, func(b *busTest) {
		if err := b.publish(authorized(25)...); err != nil {
			t.Fatal(err)
		}
		requested := event.Event{Meta: event.Meta{ID: "r"}, Fact: athletev1.GatherRequested{AthleteID: 99}}
		if err := b.publish(requested); err != nil {
			t.Fatal(err)
		}
		b.pass(time.Minute)
		want := make([]int64, 25)
		for i := range want {
			want[i] = int64(i + 1)
		}
		for _, function := range consumers {
			if function == "gathering/handle-events" {
				if got := b.athletes(function); !slices.Equal(got, append(want[:25:25], 99)) {
					t.Errorf("%s got %v", function, got)
				}
				continue
			}
			if got := b.athletes(function); !slices.Equal(got, want) {
				t.Errorf("%s got %v", function, got)
			}
		}
		if len(b.got["credentials/handle-events"]) != 0 {
			t.Errorf("credentials got %v", b.got)
		}
		if first := b.got["athlete/handle-events"][0]; first.cause.CorrelationID != "c" || first.after > 2*time.Second {
			t.Errorf("got %+v", first)
		}
		if b.underway != 0 || b.events != 26 {
			t.Errorf("%d deliveries are under way of %d events", b.underway, b.events)
		}
	})
}

func TestAMessageHasTheWholeEvent(t *testing.T) {
	inBus(t, func(b *busTest) {
		gathered := event.Event{Meta: event.Meta{ID: "m", OccurredAt: time.Now()}, Fact: gatheringv1.AthleteGathered{AthleteID: 7}}
		if err := b.publish(gathered); err != nil {
			t.Fatal(err)
		}
		b.pass(time.Minute)
		detail, err := gathered.Detail()
		if err != nil || len(b.bodies) != 1 {
			t.Fatal(err, b.bodies)
		}
		want := `{"version":"0","id":"00000000-0000-4000-8000-000000000001","detail-type":"AthleteGathered.v1","source":"paceline.gathering",` +
			`"account":"123456789012","time":"2000-01-01T00:00:00Z","region":"eu-central-1","resources":[],"detail":` + string(detail) + `}`
		if b.bodies[0] != want {
			t.Errorf("got %s\nwant %s", b.bodies[0], want)
		}
	})
}

func TestOtherProcessesRunBetweenRequests(t *testing.T) {
	inBus(t, func(b *busTest) {
		b.bus.k.spawn("observer", 0, func() {
			for b.events < 10 {
				b.bus.k.pause(time.Millisecond)
			}
			if b.events != 10 {
				t.Errorf("a request put %d events", b.events)
			}
		})
		if err := b.publish(authorized(25)...); err != nil || b.events != 25 {
			t.Errorf("%d events, %v", b.events, err)
		}
	})
}

func TestTheBusRefusesAPartOfTheEvents(t *testing.T) {
	errs, parts := 0, 0
	for n := range 20 {
		inBus(t, func(b *busTest) {
			for range n {
				b.bus.random.Uint64()
			}
			b.failures[busPlace] = []kind{entriesRefused}
			err := b.publish(authorized(6)...)
			b.pass(time.Minute)
			got := len(b.athletes("athlete/handle-events"))
			switch {
			case err == nil && got != 6:
				t.Errorf("no error, and %d of 6 events", got)
			case err != nil && (got == 6 || !fault.Is(err, fault.Transient)):
				t.Errorf("%v, and %d events", err, got)
			case err != nil:
				errs++
				if got > 0 {
					parts++
				}
			}
			if len(b.refusals) != 0 {
				t.Errorf("%d entries are still refused", len(b.refusals))
			}
		})
	}
	if errs == 0 || errs == 20 || parts == 0 {
		t.Errorf("%d of 20 requests fail, %d of them after a part", errs, parts)
	}
}

func TestDeliveriesFail(t *testing.T) {
	place := rulePlace(ruleSpec{queue: eventsQueue})
	const reader = "gathering/handle-events"
	for failure, check := range map[kind]func(b *busTest) bool{
		late:      func(b *busTest) bool { return len(b.got[reader]) == 2 && b.got[reader][1].after > time.Second },
		reordered: func(b *busTest) bool { return len(b.got[reader]) == 2 && b.got[reader][0].athlete == 2 },
		doubled:   func(b *busTest) bool { return slices.Equal(b.athletes(reader), []int64{1, 1, 2}) },
		undeliverable: func(b *busTest) bool {
			letters := b.queues[eventsQueue].deadLetters
			return slices.Equal(b.athletes(reader), []int64{2}) && len(letters) == 1 && strings.Contains(letters[0].body, `"AthleteAuthorized.v1"`)
		},
	} {
		inBus(t, func(b *busTest) {
			b.failures[place] = []kind{failure}
			if err := b.publish(authorized(2)...); err != nil {
				t.Fatal(err)
			}
			b.pass(25 * time.Hour)
			if !check(b) || b.underway != 0 {
				t.Errorf("%s: got %+v, %d under way", failure, b.got[reader], b.underway)
			}
			if got := b.athletes("athlete/handle-events"); !slices.Equal(got, []int64{1, 2}) {
				t.Errorf("%s: another consumer got %v", failure, got)
			}
			if failure == undeliverable {
				b.queues[eventsQueue].redrive()
				b.pass(time.Minute)
				if got := b.athletes(reader); !slices.Equal(got, []int64{1, 2}) {
					t.Errorf("after the redrive: got %v", got)
				}
			}
		})
	}
}

func TestTheArchiveReplaysAnInterval(t *testing.T) {
	inBus(t, func(b *busTest) {
		list := authorized(3)
		var times []time.Time
		for _, e := range list {
			times = append(times, time.Now())
			if err := b.publish(e, event.Event{Fact: gatheringv1.AthleteGathered{AthleteID: 50}}); err != nil {
				t.Fatal(err)
			}
			b.pass(time.Hour)
		}
		clear(b.got)
		b.bodies = nil
		b.replay(times[1], times[2])
		b.pass(time.Hour)
		for _, function := range consumers {
			if got := b.athletes(function); !slices.Equal(got, []int64{2}) {
				t.Errorf("%s got %v", function, got)
			}
		}
		for _, body := range b.bodies {
			if !strings.Contains(body, `"replay-name":"replay-1"`) {
				t.Errorf("a replayed event is %s", body)
			}
		}

		b.pass(4 * 24 * time.Hour)
		clear(b.got)
		b.replay(times[0], time.Now())
		b.pass(time.Hour)
		if len(b.got) != 0 {
			t.Errorf("after the retention: %v", b.got)
		}
	})
}
