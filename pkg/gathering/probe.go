package gathering

import (
	"context"
	"fmt"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/gathering/metric"
)

// Probe checks whether Strava's webhooks can arrive, and records gaps durably.
// Run it every 2 minutes.
type Probe struct {
	Webhooks Webhooks
	Check    CheckSubscription
	Metrics  Metrics
	Now      func() time.Time
}

// Run checks whether webhooks can arrive and stores the result. The write is
// part of the check: while the storage refuses it, the time at which the
// webhook was last healthy stays, and a gap begins there. Run always
// reports how long ago that was, unless the storage cannot be read.
//
// Run asks Strava for the subscription every 10 minutes at most, or at once if
// askStrava is set. An error means that the check could not be made or stored;
// it does not mean that webhooks cannot arrive.
func (p *Probe) Run(ctx context.Context, askStrava bool) error {
	w, err := p.Webhooks.Webhook(ctx)
	if err != nil {
		return fmt.Errorf("read the webhook: %w", err)
	}
	w, err = p.check(ctx, w, askStrava)
	p.Metrics.Count(metric.WebhookUnhealthy, int(w.unhealthyFor(p.Now())/time.Second))
	lost := 0
	if !w.Subscription.FailingSince.IsZero() {
		lost = 1
	}
	p.Metrics.Count(metric.SubscriptionLost, lost)
	return err
}

// check makes the check and returns the webhook as it is then stored.
func (p *Probe) check(ctx context.Context, w Webhook, askStrava bool) (Webhook, error) {
	began := p.Now()
	ask := askStrava || began.Sub(w.AskedAt) >= askInterval
	found, err := p.Check(ctx, credentialsv1.CheckSubscriptionRequest{AskStrava: ask})
	if err != nil {
		return w, fmt.Errorf("check the subscription: %w", err)
	}
	if !found.Configured {
		return w, nil
	}
	stored, err := p.Webhooks.UpdateWebhook(ctx, func(stored *Webhook) (changed bool, _ error) {
		if stored.Version != w.Version {
			return false, nil // The result is about another configuration.
		}
		if ask {
			stored.AskedAt = latest(stored.AskedAt, began.UTC())
		}
		stored.applyProbe(found, began, p.Now())
		return true, nil
	})
	switch {
	case err != nil:
		return w, fmt.Errorf("store the result of the probe: %w", err)
	case stored.Version != w.Version:
		return w, nil
	}
	return stored, nil
}
