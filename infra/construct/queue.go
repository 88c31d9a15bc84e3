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
	// queueRetentionDays is how long a message may stay in a queue and its dead
	// letters together: a message that becomes a dead letter keeps its age. Strava's
	// API Policy allows 7 days for Strava's data. A redrive resets the age (Amazon
	// SQS, "Configure a dead-letter queue redrive"), so consumers ignore old events.
	queueRetentionDays = 4
	// maxReceives is how many times a message is received, a visibility timeout
	// apart, before it becomes a dead letter.
	maxReceives = 5
	// visibilityFactor is the ratio of a queue's visibility timeout to its reader's
	// timeout that AWS recommends for a queue that Lambda reads.
	visibilityFactor = 6
)

// QueueProps configures a queue.
type QueueProps struct {
	Boundary *Boundary
	// Reader is the name of the function that reads the queue.
	Reader string
	// ReaderTimeoutSeconds is that function's timeout.
	ReaderTimeoutSeconds int
}

// Queue is an SQS queue that one function reads, with dead letters and an alarm on
// them.
type Queue struct {
	awssqs.Queue
	DeadLetters awssqs.Queue
	props       *QueueProps
}

// NewQueue makes a queue. [Queue.SetReader] connects it to its reader.
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

// ReaderOptions configures how a function reads a queue.
type ReaderOptions struct {
	// BatchSize is the maximum number of messages in an invocation.
	BatchSize int
	// MaxConcurrency is the maximum number of concurrent invocations, at least 2;
	// 0 for no limit.
	MaxConcurrency int
}

// SetReader makes the queue's messages invoke its reader. Of a batch, only the
// messages that failed are redelivered.
func (q *Queue) SetReader(reader *Function, opts ReaderOptions) {
	if reader.Name != q.props.Reader || reader.timeoutSeconds != q.props.ReaderTimeoutSeconds {
		panic(fmt.Sprintf("SetReader: the queue was made for %s with a timeout of %d s", q.props.Reader, q.props.ReaderTimeoutSeconds))
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

// AllowSend lets functions send messages to the queue.
func (q *Queue) AllowSend(functions ...*Function) {
	for _, f := range functions {
		f.Allow([]string{"sqs:SendMessage"}, q.QueueArn())
	}
}
