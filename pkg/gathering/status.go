package gathering

import (
	"context"
	"fmt"
	"time"

	"github.com/paceline/paceline/pkg/gathering/quota"
)

// Overview reads the state of gathering for an admin.
type Overview struct {
	Quota interface {
		Status(ctx context.Context) (quota.Status, error)
	}
	Jobs     JobQueue
	Webhooks Webhooks
	Now      func() time.Time
}

// Status is the state of gathering. It holds nothing about single athletes.
type Status struct {
	Quota quota.Status
	// Waiting counts the jobs that are due, by class.
	Waiting map[quota.Class]Waiting
	Webhook Webhook
	// EventsToday and EventsYesterday are how many webhook events were stored on
	// these UTC days.
	EventsToday, EventsYesterday int
}

// Status reads the state of gathering.
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
	if s.EventsToday, err = o.Webhooks.WebhookEvents(ctx, now); err != nil {
		return Status{}, fmt.Errorf("count today's webhook events: %w", err)
	}
	if s.EventsYesterday, err = o.Webhooks.WebhookEvents(ctx, now.Add(-24*time.Hour)); err != nil {
		return Status{}, fmt.Errorf("count yesterday's webhook events: %w", err)
	}
	for _, class := range quota.Classes {
		if s.Waiting[class], err = o.Jobs.Waiting(ctx, class, now); err != nil {
			return Status{}, fmt.Errorf("count the jobs of class %s: %w", class, err)
		}
	}
	return s, nil
}
