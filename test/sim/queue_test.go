package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// eventsQueue is the queue of most tests; it has batches of 10.
const eventsQueue = "gathering/ConsumerEventsQueue"

// queueTest is a queue with a reader that notes what it receives.
type queueTest struct {
	*cloudTest
	*queue
	began time.Time
	// received has the bodies and times of all messages, batches the sizes of batches.
	received []received
	batches  []int
	// reply makes a batch fail; nil for none.
	reply func(events.SQSEvent) (events.SQSEventResponse, error)
}

type received struct {
	id, body string
	count    string
	after    time.Duration
}

func inQueue(t *testing.T, name string, do func(*queueTest)) {
	inCloud(t, func(c *cloudTest) {
		q := &queueTest{cloudTest: c, queue: newQueues(c.cloud, c.deployment)[name], began: time.Now()}
		c.functions[q.spec.reader] = func(_ context.Context, payload any) (any, error) {
			in := payload.(events.SQSEvent)
			q.batches = append(q.batches, len(in.Records))
			for _, m := range in.Records {
				q.received = append(q.received, received{m.MessageId, m.Body, m.Attributes["ApproximateReceiveCount"], time.Since(q.began)})
			}
			if q.reply != nil {
				return q.reply(in)
			}
			return events.SQSEventResponse{}, nil
		}
		do(q)
	})
}

// bodies are those received.
func (q *queueTest) bodies() (bodies []string) {
	for _, r := range q.received {
		bodies = append(bodies, r.body)
	}
	return bodies
}

// failing replies that messages with a body failed.
func failing(body string) func(events.SQSEvent) (events.SQSEventResponse, error) {
	return func(in events.SQSEvent) (out events.SQSEventResponse, _ error) {
		for _, m := range in.Records {
			if m.Body == body {
				out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
			}
		}
		return out, nil
	}
}

func TestAMessageIsReceivedOnce(t *testing.T) {
	inQueue(t, eventsQueue, func(q *queueTest) {
		q.send("a", 0)
		if q.open != 1 {
			t.Errorf("%d messages are open", q.open)
		}
		q.pass(time.Hour)
		if len(q.received) != 1 || q.received[0].body != "a" || q.received[0].count != "1" || q.received[0].after > time.Second || q.open != 0 {
			t.Errorf("received %v, %d are open", q.received, q.open)
		}
	})
}

func TestBatchesAreAsLargeAsTheMappingAllows(t *testing.T) {
	for name, size := range map[string]int{eventsQueue: 10, "credentials/ConsumerEventsQueue": 1} {
		inQueue(t, name, func(q *queueTest) {
			for i := range 200 {
				q.send(fmt.Sprint(i), 0)
			}
			q.pass(time.Hour)
			if len(q.received) != 200 || slices.Max(q.batches) != size || q.open != 0 {
				t.Errorf("%s: received %d in batches of %v", name, len(q.received), q.batches)
			}
		})
	}
}

func TestAFailingMessageBecomesADeadLetter(t *testing.T) {
	inQueue(t, eventsQueue, func(q *queueTest) {
		q.reply = failing("bad")
		q.send("bad", 0)
		q.send("good", 0)
		q.pass(time.Hour)
		var bad []received
		for _, r := range q.received {
			if r.body == "bad" {
				bad = append(bad, r)
			}
		}
		if len(bad) != 5 || len(q.received) != 6 {
			t.Fatalf("received %v", q.received)
		}
		for i, r := range bad {
			if i > 0 && r.after-bad[i-1].after < q.spec.visibility || r.count != fmt.Sprint(i+1) || r.id != bad[0].id {
				t.Errorf("received for the time %d: %v, earlier %v", i+1, r, bad[:i])
			}
		}
		if len(q.deadLetters) != 1 || q.deadLetters[0].body != "bad" || q.open != 0 {
			t.Errorf("dead letters %v, %d are open", q.deadLetters, q.open)
		}

		q.reply = nil
		q.redrive()
		q.pass(time.Hour)
		if last := q.received[len(q.received)-1]; len(q.received) != 7 || last.body != "bad" || last.count != "1" || last.id == bad[0].id {
			t.Errorf("after the redrive: %v", q.received)
		}
		if len(q.deadLetters) != 0 || q.open != 0 {
			t.Errorf("dead letters %v, %d are open", q.deadLetters, q.open)
		}
	})
}

func TestAFailedInvocationRepeatsItsBatch(t *testing.T) {
	for name, reply := range map[string]func(events.SQSEvent) (events.SQSEventResponse, error){
		"an error": func(events.SQSEvent) (events.SQSEventResponse, error) { return events.SQSEventResponse{}, errTest },
		"an unknown id": func(events.SQSEvent) (events.SQSEventResponse, error) {
			return events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{{ItemIdentifier: "x"}}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			inQueue(t, eventsQueue, func(q *queueTest) {
				q.reply = reply
				q.send("a", 0)
				q.send("b", 0)
				q.pass(q.spec.visibility - time.Second)
				q.reply = nil
				once := len(q.received)
				q.pass(time.Hour)
				if once != 2 || len(q.received) != 4 {
					t.Errorf("received %d, then %v", once, q.received)
				}
			})
		})
	}
}

func TestAnInvocationThatIsKilledRepeatsItsBatch(t *testing.T) {
	inQueue(t, eventsQueue, func(q *queueTest) {
		q.reply = func(events.SQSEvent) (events.SQSEventResponse, error) {
			q.queue.k.pause(time.Hour)
			return events.SQSEventResponse{}, nil
		}
		q.send("a", 0)
		q.pass(time.Minute)
		q.reply = nil
		q.pass(time.Hour)
		if len(q.received) != 2 || q.received[1].after < q.spec.visibility || q.open != 0 {
			t.Errorf("received %v", q.received)
		}
	})
}

func TestADelayIsKept(t *testing.T) {
	inQueue(t, eventsQueue, func(q *queueTest) {
		q.send("soon", 90*time.Second)
		q.send("at the limit", time.Hour)
		q.pass(time.Hour)
		for i, want := range []time.Duration{90 * time.Second, 15 * time.Minute} {
			if got := q.received[i].after; got < want || got > want+time.Second {
				t.Errorf("%s arrived after %s, want %s", q.received[i].body, got, want)
			}
		}
	})
}

func TestQueuesFail(t *testing.T) {
	place := queuePlace(eventsQueue)
	inQueue(t, eventsQueue, func(q *queueTest) {
		q.failures[place] = []kind{late}
		q.send("late", 0)
		q.send("other", 0)
		q.pass(time.Hour)
		if got := q.bodies(); !slices.Equal(got, []string{"other", "late"}) {
			t.Errorf("late: received %v", q.received)
		}
	})
	inQueue(t, eventsQueue, func(q *queueTest) {
		q.failures[place] = []kind{doubled}
		q.send("a", 0)
		q.pass(time.Hour)
		if len(q.received) != 2 || q.received[0].id != q.received[1].id || q.open != 0 {
			t.Errorf("doubled: received %v", q.received)
		}
	})
	inQueue(t, eventsQueue, func(q *queueTest) {
		q.failures[place] = []kind{"", "", kept}
		q.send("a", 0)
		q.pass(time.Hour)
		if len(q.received) != 2 || q.received[1].after < q.spec.visibility || q.received[1].count != "2" || q.open != 0 {
			t.Errorf("kept: received %v", q.received)
		}
	})
	inQueue(t, eventsQueue, func(q *queueTest) {
		var sent []string
		for i := range 9 {
			q.send(fmt.Sprint(i), 0)
			sent = append(sent, fmt.Sprint(i))
		}
		q.failures[place] = []kind{reordered}
		q.pass(time.Hour)
		got := q.bodies()
		if slices.Equal(got, sent) {
			t.Errorf("reordered: received %v", got)
		}
		if slices.Sort(got); !slices.Equal(got, sent) {
			t.Errorf("reordered: received %v", got)
		}
	})
}

func TestTheMappingLimitsInvocations(t *testing.T) {
	for name, want := range map[string]int{"gathering/WorkQueue": 4, eventsQueue: 5} {
		inQueue(t, name, func(q *queueTest) {
			running, most := 0, 0
			q.reply = func(events.SQSEvent) (events.SQSEventResponse, error) {
				running++
				most = max(most, running)
				q.queue.k.pause(20 * time.Second)
				running--
				return events.SQSEventResponse{}, nil
			}
			for range 100 {
				q.send("wake", 0)
			}
			q.pass(time.Hour)
			if len(q.received) != 100 || name == "gathering/WorkQueue" && most != want || most < want {
				t.Errorf("%s: %d invocations at once, of %d messages", name, most, len(q.received))
			}
		})
	}
}

func TestMessagesAreKeptForFourDays(t *testing.T) {
	inQueue(t, eventsQueue, func(q *queueTest) {
		q.reply = failing("bad")
		q.send("bad", 0)
		q.pass(3 * 24 * time.Hour)
		q.bury("old")
		q.pass(25 * time.Hour)
		q.redrive()
		q.pass(time.Hour)
		if got := q.bodies(); len(got) != 6 || got[5] != "old" {
			t.Errorf("received %s", strings.Join(got, " "))
		}
	})
}
