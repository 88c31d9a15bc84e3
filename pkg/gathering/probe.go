package gathering

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
)

// Probe notices, durably, when Strava's webhooks cannot arrive. Run it every 2
// minutes.
type Probe struct {
	Webhooks Webhooks
	// Check asks the credentials boundary's exported function check-subscription.
	// Its error says that nothing was found out.
	Check   func(context.Context, credentialsv1.CheckSubscriptionRequest) (credentialsv1.CheckSubscriptionResponse, error)
	Metrics Metrics
	Now     func() time.Time
}

// Run looks whether webhooks can arrive and writes down what it finds. The
// write itself is part of the proof: while storage refuses it, the times at
// which the webhook was last well stay as they are, and the gap opens from
// there. It always reports how long ago that was, unless storage cannot be read.
//
// Strava is asked every 10 minutes at most, or now if askStrava says so. An
// error says that the webhook was not found well, and not that it fails.
func (p *Probe) Run(ctx context.Context, askStrava bool) error {
	w, err := p.Webhooks.Webhook(ctx)
	if err != nil {
		return fmt.Errorf("read how the webhook fared: %w", err)
	}
	w, err = p.look(ctx, w, askStrava)
	p.Metrics.Count(MetricWebhookUnwell, int(w.unwell(p.Now())/time.Second))
	lost := 0
	if !w.Subscription.FailingSince.IsZero() {
		lost = 1
	}
	p.Metrics.Count(MetricSubscriptionLost, lost)
	return err
}

// look returns the webhook as stored in the end.
func (p *Probe) look(ctx context.Context, w Webhook, askStrava bool) (Webhook, error) {
	began := p.Now()
	ask := askStrava || began.Sub(w.AskedAt) >= askInterval
	found, err := p.Check(ctx, credentialsv1.CheckSubscriptionRequest{AskStrava: ask})
	if err != nil {
		return w, fmt.Errorf("check the subscription: %w", err)
	}
	if !found.Configured {
		return w, nil
	}
	stored, err := p.Webhooks.UpdateWebhook(ctx, func(stored *Webhook) error {
		if stored.Version != w.Version {
			return errUnchanged // What was found is about another configuration.
		}
		if ask {
			stored.AskedAt = laterOf(stored.AskedAt, began.UTC())
		}
		stored.probed(found, began, p.Now())
		return nil
	})
	switch {
	case errors.Is(err, errUnchanged):
		return w, nil
	case err != nil:
		return w, fmt.Errorf("note how the webhook fares: %w", err)
	}
	return stored, nil
}
