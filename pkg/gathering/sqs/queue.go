package sqs

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Queue implements [gathering.Wakeups].
type Queue struct {
	client *sqs.Client
	url    string
}

// New makes an adapter for the queue at url.
func New(client *sqs.Client, url string) *Queue { return &Queue{client, url} }

// Wake implements [gathering.Wakeups]. What the message says does not matter.
func (q *Queue) Wake(ctx context.Context) error {
	_, err := q.client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: aws.String(q.url), MessageBody: aws.String("wake")})
	if err != nil {
		return fault.New(fault.Transient, "send message: %w", err)
	}
	return nil
}
