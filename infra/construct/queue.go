package construct

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambdaeventsources"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

const (
	// queueRetentionDays bounds how long a message may wait, in the queue and
	// in the dead letters alike. Strava's API Policy allows no Strava datum
	// to be kept for more than 7 days; a message that becomes a dead letter
	// keeps the age it had, so 4 days are the end of it in either queue, unless
	// somebody moves it back: that starts the time anew (Amazon SQS, "Configure
	// a dead-letter queue redrive"), and consumers ignore what is too old.
	queueRetentionDays = 4
	// maxReceives is how often a message is tried, a visibility timeout apart,
	// before it is a dead letter.
	maxReceives = 5
	// visibilityFactor is what AWS advises for a queue that Lambda reads:
	// a message stays hidden for 6 times the function's timeout.
	visibilityFactor = 6
)

// QueueProps configures a queue.
type QueueProps struct {
	Boundary *Boundary
	// Reader is the verb-noun of the function that will read the queue.
	Reader string
	// ReaderTimeoutSeconds is that function's timeout.
	ReaderTimeoutSeconds int
}

// Queue is an SQS queue that one function reads, with its dead letters and the
// alarm on them.
type Queue struct {
	awssqs.Queue
	DeadLetters awssqs.Queue
	props       *QueueProps
}

// NewQueue makes a queue; [Queue.Feed] connects it to its reader.
func NewQueue(scope constructs.Construct, id string, props *QueueProps) *Queue {
	if props.ReaderTimeoutSeconds <= 0 {
		panic("NewQueue " + id + ": ReaderTimeoutSeconds is missing")
	}
	self := constructs.NewConstruct(scope, jsii.String(id))
	keep := awscdk.Duration_Days(jsii.Number(queueRetentionDays))
	dead := awssqs.NewQueue(self, jsii.String("DeadLetters"), &awssqs.QueueProps{
		RetentionPeriod: keep,
		EnforceSSL:      jsii.Bool(true),
	})
	queue := awssqs.NewQueue(self, jsii.String("Queue"), &awssqs.QueueProps{
		RetentionPeriod:   keep,
		EnforceSSL:        jsii.Bool(true),
		VisibilityTimeout: awscdk.Duration_Seconds(jsii.Number(float64(visibilityFactor * props.ReaderTimeoutSeconds))),
		DeadLetterQueue:   &awssqs.DeadLetterQueue{Queue: dead, MaxReceiveCount: jsii.Number(maxReceives)},
	})
	newDeadLettersAlarm(self, props.Boundary, props.Reader, dead)
	return &Queue{Queue: queue, DeadLetters: dead, props: props}
}

// FeedOptions says how fast a queue may be read.
type FeedOptions struct {
	// BatchSize is how many messages one invocation gets at most.
	BatchSize int
	// MaxConcurrency is how many invocations run at once at most, 2 or more;
	// 0 for no limit.
	MaxConcurrency int
}

// Feed hands the queue's messages to its reader. A message that fails is
// redelivered alone.
func (q *Queue) Feed(reader *Function, opts FeedOptions) {
	if reader.Name != q.props.Reader || reader.timeoutSeconds != q.props.ReaderTimeoutSeconds {
		panic(fmt.Sprintf("Feed: the queue was made for %s with a timeout of %d s", q.props.Reader, q.props.ReaderTimeoutSeconds))
	}
	source := &awslambdaeventsources.SqsEventSourceProps{
		BatchSize:               jsii.Number(float64(opts.BatchSize)),
		ReportBatchItemFailures: jsii.Bool(true),
	}
	if opts.MaxConcurrency > 0 {
		source.MaxConcurrency = jsii.Number(float64(opts.MaxConcurrency))
	}
	reader.AddEventSource(awslambdaeventsources.NewSqsEventSource(q.Queue, source))
}

// AllowSend lets functions put messages into the queue.
func (q *Queue) AllowSend(functions ...*Function) {
	for _, f := range functions {
		f.Allow([]string{"sqs:SendMessage"}, q.QueueArn())
	}
}
