package gathering

import (
	"context"
	"fmt"
	"time"

	"github.com/paceline/paceline/pkg/gathering/quota"
)

// Overview shows an admin how gathering stands.
type Overview struct {
	Quota interface {
		Status(ctx context.Context) (quota.Status, error)
	}
	Jobs     JobQueue
	Webhooks Webhooks
	Now      func() time.Time
}

// Status is how gathering stands. There is nothing of athletes in it.
type Status struct {
	Quota quota.Status
	// Waiting is the work that is due, by class.
	Waiting map[quota.Class]Waiting
	Webhook Webhook
	// NoticesToday and NoticesYesterday are how many webhooks were stored on
	// these UTC days.
	NoticesToday, NoticesYesterday int
}

// Status reads how gathering stands.
func (o *Overview) Status(ctx context.Context) (Status, error) {
	s := Status{Waiting: map[quota.Class]Waiting{}}
	var err error
	if s.Quota, err = o.Quota.Status(ctx); err != nil {
		return Status{}, err
	}
	if s.Webhook, err = o.Webhooks.Webhook(ctx); err != nil {
		return Status{}, fmt.Errorf("read the webhook: %w", err)
	}
	now := o.Now()
	if s.NoticesToday, err = o.Webhooks.WebhookEvents(ctx, now); err != nil {
		return Status{}, fmt.Errorf("count today's notices: %w", err)
	}
	if s.NoticesYesterday, err = o.Webhooks.WebhookEvents(ctx, now.Add(-24*time.Hour)); err != nil {
		return Status{}, fmt.Errorf("count yesterday's notices: %w", err)
	}
	for _, class := range quota.Classes {
		if s.Waiting[class], err = o.Jobs.Waiting(ctx, class, now); err != nil {
			return Status{}, fmt.Errorf("count the work of class %s: %w", class, err)
		}
	}
	return s, nil
}
