package gathering

import (
	"context"
	"fmt"
	"time"
)

// Configuration applies what the credentials boundary announces about the
// webhook.
type Configuration struct {
	Webhooks Webhooks
	Now      func() time.Time
}

// Configure stores what the webhook accepts from now on, unless a newer version
// is known. Another push subscription opens a gap from the last sign of the
// previous one.
func (c *Configuration) Configure(ctx context.Context, configured Webhook) error {
	_, err := c.Webhooks.UpdateWebhook(ctx, func(w *Webhook) (changed bool, _ error) {
		if configured.Version <= w.Version {
			return false, nil
		}
		known, now := *w, c.Now().UTC()
		w.CallbackKeySHA256, w.VerifyTokenSHA256 = configured.CallbackKeySHA256, configured.VerifyTokenSHA256
		w.SubscriptionID, w.Version = configured.SubscriptionID, configured.Version
		w.AskedAt = time.Time{} // So that the next probe asks Strava.
		if w.SubscriptionID == 0 {
			w.Callback, w.Subscription = Health{}, Health{}
			if !w.LastSeen.IsZero() {
				return true, nil // Nothing arrives. The gap opens with the next subscription.
			}
		} else if w.SubscriptionID != known.SubscriptionID {
			if !known.LastSeen.IsZero() {
				w.openGap(latest(known.LastSeen, known.Subscription.HealthyAt), now)
			}
			// Strava created it only after the callback had answered.
			w.Callback, w.Subscription = Health{HealthyAt: now}, Health{HealthyAt: now}
		}
		w.LastSeen = now
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("note what the webhook accepts: %w", err)
	}
	return nil
}
