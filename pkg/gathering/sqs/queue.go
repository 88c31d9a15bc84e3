package sqs

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Queue implements [gathering.Queue].
type Queue struct {
	client *sqs.Client
	url    string
}

// New makes an adapter for the queue at url.
func New(client *sqs.Client, url string) *Queue { return &Queue{client, url} }

// Send implements [gathering.Queue].
func (q *Queue) Send(ctx context.Context, job gathering.Job, delay time.Duration) error {
	body, err := json.Marshal(job)
	if err != nil {
		return fmt.Errorf("encode job: %w", err)
	}
	_, err = q.client.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: aws.String(q.url), MessageBody: aws.String(string(body)), DelaySeconds: int32(delay / time.Second),
	})
	if err != nil {
		return fault.New(fault.Transient, "send message: %w", err)
	}
	return nil
}
