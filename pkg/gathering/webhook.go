package gathering

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Webhook is what a call of the webhook must present, and how it fared.
type Webhook struct {
	CallbackKeySHA256 string
	VerifyTokenSHA256 string
	// SubscriptionID is 0 while there is no push subscription.
	SubscriptionID int64
	// Version is 0 before it was configured.
	Version int64
	// LastSeen is about when the last notice was taken in; until there is one,
	// when the webhook was configured.
	LastSeen time.Time
	// Gap is the last one in which notices may have been lost.
	Gap Gap
}

// Gap is a time in which notices may have been lost: everybody's history has to
// be read again from its end on.
type Gap struct {
	From, To time.Time
	// Planned says that every scan has been.
	Planned bool
}

// open notes a gap, which begins with an earlier one that nobody has dealt with.
func (w *Webhook) open(from, to time.Time) {
	if !w.Gap.To.IsZero() && !w.Gap.Planned {
		from = w.Gap.From
	}
	w.Gap = Gap{From: from.UTC(), To: to.UTC()}
}

// Configuration follows what the credentials boundary says of the webhook.
type Configuration struct {
	Webhooks Webhooks
	Now      func() time.Time
}

// Configure takes in what the webhook accepts from now on. Another push
// subscription than the one known leaves a gap since that was last heard of.
func (c *Configuration) Configure(ctx context.Context, configured Webhook) error {
	_, err := c.Webhooks.UpdateWebhook(ctx, func(w *Webhook) error {
		if configured.Version <= w.Version {
			return errUnchanged
		}
		known := *w
		configured.LastSeen, configured.Gap = known.LastSeen, known.Gap
		*w = configured
		if w.SubscriptionID == 0 && !w.LastSeen.IsZero() {
			return nil // Nothing comes. What is missed is known once something does.
		}
		if w.SubscriptionID != known.SubscriptionID && !known.LastSeen.IsZero() {
			w.open(known.LastSeen, c.Now())
		}
		w.LastSeen = c.Now().UTC()
		return nil
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return fmt.Errorf("note what the webhook accepts: %w", err)
	}
	return nil
}
