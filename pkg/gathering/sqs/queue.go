package sqs

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Queue implements [gathering.Waker].
type Queue struct {
	client *sqs.Client
	url    string
}

// New makes an adapter for the queue at url.
func New(client *sqs.Client, url string) *Queue { return &Queue{client, url} }

// longestDelay is the longest delay of an SQS message (Amazon SQS,
// "SendMessage").
const longestDelay = 15 * time.Minute

// Wake implements [gathering.Waker]. The content of the message does not
// matter. A delay is rounded up to a second.
func (q *Queue) Wake(ctx context.Context, after time.Duration) error {
	delay := (min(after, longestDelay) + time.Second - 1) / time.Second
	_, err := q.client.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: aws.String(q.url), MessageBody: aws.String("wake"), DelaySeconds: int32(max(delay, 0)),
	})
	if err != nil {
		return fault.New(fault.Transient, "send message: %w", err)
	}
	return nil
}
