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
	Plan     Plan
	Webhooks Webhooks
	Now      func() time.Time
}

// Status is how gathering stands. There is nothing of athletes in it.
type Status struct {
	Quota quota.Status
	// Waiting is the work that is due, by class.
	Waiting map[quota.Class]Waiting
	Webhook Webhook
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
	for _, class := range quota.Classes {
		if s.Waiting[class], err = o.Plan.Waiting(ctx, class, o.Now()); err != nil {
			return Status{}, fmt.Errorf("count the work of class %s: %w", class, err)
		}
	}
	return s, nil
}
