package sim

import (
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// queue is an SQS queue, with its dead letters and the poller that invokes the
// function that reads it.
type queue struct {
	*cloud
	spec *queueSpec
	// visible are the messages that may be received, the oldest first.
	visible []*message
	// polls says that a receive is on the agenda.
	polls bool
	// busy counts the invocations that handle messages.
	busy int
	// open counts the messages that are neither deleted nor dead letters.
	open int
	// sent counts all messages.
	sent        int
	deadLetters []*message
}

// message is a message of a queue.
type message struct {
	id, body string
	// sentAt is when it was sent. A dead letter keeps it.
	sentAt   time.Time
	receives int
}

// longestDelay is the longest delay of an SQS message (Amazon SQS,
// "SendMessage").
const longestDelay = 15 * time.Minute

func queuePlace(name string) string { return "queue " + name }

// newQueues returns all queues of a deployment.
func newQueues(c *cloud, d *deployment) map[string]*queue {
	queues := map[string]*queue{}
	for name, spec := range d.queues {
		queues[name] = &queue{cloud: c, spec: spec}
	}
	return queues
}

// newMessage returns a message with an id of its own.
func (q *queue) newMessage(body string) *message {
	q.sent++
	return &message{id: q.spec.name + "-" + strconv.Itoa(q.sent), body: body, sentAt: time.Now()}
}

// send sends a message that can be received after a delay.
func (q *queue) send(body string, delay time.Duration) {
	m := q.newMessage(body)
	delay = min(max(delay, 0), longestDelay)
	switch q.draw(queuePlace(q.spec.name)) {
	case late:
		delay += q.within(5 * time.Minute)
	case doubled:
		again := *m
		q.appear(&again, delay+q.within(10*time.Minute))
	}
	q.appear(m, delay)
}

// appear adds a message that can be received after a delay.
func (q *queue) appear(m *message, delay time.Duration) {
	q.open++
	q.reappear(m, delay)
}

// reappear makes a message visible after a delay.
func (q *queue) reappear(m *message, delay time.Duration) {
	q.k.after(delay, func() {
		q.visible = append(q.visible, m)
		q.poll()
	})
}

// poll receives messages soon, if the mapping allows another invocation.
func (q *queue) poll() {
	limit := q.spec.maxConcurrency
	if q.polls || len(q.visible) == 0 || limit > 0 && q.busy >= limit {
		return
	}
	q.polls = true
	q.k.after(time.Millisecond+q.within(50*time.Millisecond)+q.spec.batchWindow, q.receive)
}

// receive invokes the function with a batch.
func (q *queue) receive() {
	q.polls = false
	batch := q.take()
	if len(batch) > 0 {
		in := events.SQSEvent{}
		for _, m := range batch {
			in.Records = append(in.Records, events.SQSMessage{
				MessageId: m.id, Body: m.body, EventSource: "aws:sqs",
				Attributes: map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.receives)},
			})
		}
		hidden := time.Now().Add(q.spec.visibility)
		q.busy++
		q.invokeAsync(q.spec.reader, in, func(out any, err error) {
			q.busy--
			q.settle(batch, hidden, out, err)
			q.poll()
		})
	}
	q.poll()
}

// take takes a batch of visible messages. SQS may return fewer than there are.
func (q *queue) take() (batch []*message) {
	if q.draw(queuePlace(q.spec.name)) == reordered {
		q.random.Shuffle(len(q.visible), func(i, j int) { q.visible[i], q.visible[j] = q.visible[j], q.visible[i] })
	}
	size := q.spec.batchSize
	if q.random.IntN(4) == 0 {
		size = 1 + q.random.IntN(size)
	}
	for len(q.visible) > 0 && len(batch) < size {
		m := q.visible[0]
		q.visible = q.visible[1:]
		if m.receives >= q.spec.maxReceives {
			q.open--
			q.deadLetters = append(q.deadLetters, m)
			continue
		}
		m.receives++
		batch = append(batch, m)
	}
	return batch
}

// settle deletes the messages that an invocation handled. The others can be
// received again when they are no longer hidden.
func (q *queue) settle(batch []*message, hidden time.Time, out any, err error) {
	failed := failures(batch, out, err)
	for _, m := range batch {
		if failed[m.id] || q.draw(queuePlace(q.spec.name)) == kept {
			q.reappear(m, time.Until(hidden))
			continue
		}
		q.open--
	}
}

// failures returns which messages of a batch failed: all if the invocation did,
// or if its response names a message that is not of the batch (AWS Lambda,
// "Handling errors for an SQS event source").
func failures(batch []*message, out any, err error) map[string]bool {
	failed := map[string]bool{}
	all := func() map[string]bool {
		for _, m := range batch {
			failed[m.id] = true
		}
		return failed
	}
	if err != nil {
		return all()
	}
	res, ok := out.(events.SQSEventResponse)
	if !ok {
		panic(fmt.Sprintf("a reader of a queue returned a %T", out))
	}
	known := map[string]bool{}
	for _, m := range batch {
		known[m.id] = true
	}
	for _, f := range res.BatchItemFailures {
		if !known[f.ItemIdentifier] {
			return all()
		}
		failed[f.ItemIdentifier] = true
	}
	return failed
}

// bury adds a dead letter that was no message of the queue.
func (q *queue) bury(body string) { q.deadLetters = append(q.deadLetters, q.newMessage(body)) }

// redrive moves all dead letters to the queue, where they are new messages. Those
// that were sent too long ago are lost.
func (q *queue) redrive() {
	letters := q.deadLetters
	q.deadLetters = nil
	for _, m := range letters {
		if time.Since(m.sentAt) < q.spec.retention {
			q.appear(q.newMessage(m.body), q.within(time.Second))
		}
	}
}
