package construct

import (
	"cmp"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/paceline/paceline/pkg/event"
)

// EventConsumerProps configures the consumption of events.
type EventConsumerProps struct {
	Boundary *Boundary
	Bus      awsevents.IEventBus
	Function *Function
	// BatchSize is the maximum number of events in an invocation; 0 means 10.
	BatchSize int
	// Facts are zero values of the consumed events.
	Facts []event.Fact
}

// NewEventConsumer delivers events from the bus to a function: it makes a rule for
// each boundary that publishes them, and one queue that the function reads.
//
// Events that a rule cannot deliver and events that the function cannot handle
// become dead letters of one queue. The body is the event in both cases, so
// moving the message to the consumer's queue replays it.
func NewEventConsumer(scope constructs.Construct, id string, props *EventConsumerProps) *Queue {
	if len(props.Facts) == 0 {
		panic("NewEventConsumer " + id + ": Facts are missing")
	}
	self := constructs.NewConstruct(scope, jsii.String(id))
	queue := NewQueue(self, "Events", &QueueProps{
		Boundary:             props.Boundary,
		Reader:               props.Function.Name,
		ReaderTimeoutSeconds: props.Function.timeoutSeconds,
	})
	queue.SetReader(props.Function, ReaderOptions{BatchSize: cmp.Or(props.BatchSize, 10)})

	detailTypes := map[string][]string{}
	var sources []string
	for _, f := range props.Facts {
		if detailTypes[f.Source()] == nil {
			sources = append(sources, f.Source())
		}
		detailTypes[f.Source()] = append(detailTypes[f.Source()], f.DetailType())
	}
	for _, source := range sources {
		_, from, _ := strings.Cut(source, ".")
		rule := awsevents.NewRule(self, jsii.String("From-"+from), &awsevents.RuleProps{
			EventBus: props.Bus,
			EventPattern: &awsevents.EventPattern{
				Source:     jsii.Strings(source),
				DetailType: jsii.Strings(detailTypes[source]...),
			},
		})
		rule.AddTarget(awseventstargets.NewSqsQueue(queue.Queue, &awseventstargets.SqsQueueProps{DeadLetterQueue: queue.DeadLetters}))
	}
	return queue
}
