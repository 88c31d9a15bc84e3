package gathering

import (
	"context"
	"fmt"
	"time"
)

// Configuration applies the configuration of the webhook that the credentials
// boundary publishes.
type Configuration struct {
	Webhooks Webhooks
	Now      func() time.Time
}

// Configure stores the configuration, unless a newer version is stored. A
// different push subscription opens a gap, from the last event or healthy probe
// of the previous one.
func (c *Configuration) Configure(ctx context.Context, configured Webhook) error {
	_, err := c.Webhooks.UpdateWebhook(ctx, func(w *Webhook) (changed bool, _ error) {
		if configured.Version <= w.Version {
			return false, nil
		}
		known, now := *w, c.Now().UTC()
		w.CallbackKeySHA256, w.VerifyTokenSHA256 = configured.CallbackKeySHA256, configured.VerifyTokenSHA256
		w.SubscriptionID, w.Version = configured.SubscriptionID, configured.Version
		w.AskedAt = time.Time{} // The next probe asks Strava.
		if w.SubscriptionID == 0 {
			w.Callback, w.Subscription = Health{}, Health{}
			if !w.LastSeen.IsZero() {
				return true, nil // No events arrive. The next subscription opens the gap.
			}
		} else if w.SubscriptionID != known.SubscriptionID {
			if !known.LastSeen.IsZero() {
				w.openGap(latest(known.LastSeen, known.Subscription.HealthyAt), now)
			}
			// Strava creates a subscription only after the callback has answered.
			w.Callback, w.Subscription = Health{HealthyAt: now}, Health{HealthyAt: now}
		}
		w.LastSeen = now
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("store the configuration of the webhook: %w", err)
	}
	return nil
}
