package gathering

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
)

// Webhook is what a call of the webhook must present, and whether Strava's calls
// can arrive.
type Webhook struct {
	CallbackKeySHA256 string
	VerifyTokenSHA256 string
	// SubscriptionID is 0 while there is no push subscription.
	SubscriptionID int64
	// Version is 0 before the webhook was configured.
	Version int64
	// LastSeen is about when the last event was received; until there is one,
	// when the webhook was configured.
	LastSeen time.Time
	// Callback and Subscription are how the probes found the public callback URL
	// and Strava's subscription. Both are zero while SubscriptionID is 0.
	Callback, Subscription Health
	// AskedAt is when a probe last asked Strava for the subscription.
	AskedAt time.Time
	// Gap is the last time span in which events may have been lost.
	Gap Gap
}

// Health is how one part of the webhook fares.
type Health struct {
	// WellAt is when the last probe began that found it well.
	WellAt time.Time
	// FailingSince is when the first probe began that found it otherwise, with
	// none later that found it well; zero while it is well.
	FailingSince time.Time
	// Failure is what the last such probe found. It holds no secret.
	Failure string
}

// Gap is a time span in which events may have been lost: everybody's history has
// to be read again after its end.
type Gap struct {
	From, To time.Time
	// Planned says that every such scan has been planned.
	Planned bool
}

const (
	// retrySpan is how long Strava tries to deliver an event: three times, and
	// the second about 2 minutes after the first (Strava, "Webhook Events API",
	// and deliveries that others recorded). What cannot be received for longer
	// is lost.
	retrySpan = 4 * time.Minute
	// probeDelay is how much later than planned a probe may begin, and how far
	// the clocks of two probes may differ.
	probeDelay = 30 * time.Second
	// bridged is how long no probe may find the webhook well without a gap. An
	// outage may begin right after a probe and end right before another, so what
	// counts is the time between these two. With a probe every 2 minutes, one
	// that fails leaves 4 minutes, and two leave 6.
	bridged = retrySpan + probeDelay
	// askInterval is how often probes ask Strava for the subscription at most.
	askInterval = 10 * time.Minute
)

// open notes a gap. If the scans of the gap before it are not all planned yet,
// both become one.
//
// Clocks that differ by less than Strava's tries are apart do no harm: what the
// last try failed to deliver had happened at Strava well before the gap's end.
func (w *Webhook) open(from, to time.Time) {
	gap := Gap{From: from.UTC(), To: to.UTC()}
	if known := w.Gap; !known.To.IsZero() && !known.Planned {
		if known.From.Before(gap.From) {
			gap.From = known.From
		}
		gap.To = laterOf(gap.To, known.To)
	}
	w.Gap = gap
}

// SubscriptionReplaced is the failure of a subscription that points to our
// callback URL, but not under the id that the receiver accepts.
const SubscriptionReplaced = "replaced"

// probed takes in what a probe found that began at a time. Probes may overlap
// and report out of order: what each found counts for when it began.
func (w *Webhook) probed(found credentialsv1.CheckSubscriptionResponse, began, now time.Time) {
	// Nothing can be concluded from probes that did not run or got no answer, so
	// an outage may have filled all the time since the last one that did.
	callback := w.Callback
	if w.Callback.found(found.CallbackFailure, began) && began.Sub(callback.WellAt) > bridged {
		w.open(callback.WellAt, now)
	}
	failure := found.Subscription
	switch {
	case failure == credentialsv1.SubscriptionUnknown:
		return
	case failure == credentialsv1.SubscriptionOK && found.SubscriptionID != w.SubscriptionID:
		failure = SubscriptionReplaced
	case failure == credentialsv1.SubscriptionOK:
		failure = ""
	}
	// Strava gives no id twice: a subscription that a probe finds was there all
	// the time, unless one in between did not.
	subscription := w.Subscription
	if w.Subscription.found(failure, began) && !subscription.FailingSince.IsZero() && w.Subscription.FailingSince.IsZero() {
		w.open(subscription.WellAt, now)
	}
}

// found takes in what a probe found, well when failure is empty. It reports
// whether that is the last time that it was well.
func (h *Health) found(failure string, began time.Time) (well bool) {
	began = began.UTC()
	switch {
	case !began.After(h.WellAt): // A later probe found it well.
		return false
	case failure == "":
		h.WellAt = began
		if h.FailingSince.Before(began) {
			h.FailingSince, h.Failure = time.Time{}, ""
		}
		return true
	case h.FailingSince.IsZero() || began.Before(h.FailingSince):
		h.FailingSince = began
	}
	h.Failure = failure
	return false
}

// unwell is how long ago the webhook was last known to be well as a whole; 0
// while there is no subscription.
func (w Webhook) unwell(now time.Time) time.Duration {
	if w.SubscriptionID == 0 {
		return 0
	}
	last := w.Callback.WellAt
	if w.Subscription.WellAt.Before(last) {
		last = w.Subscription.WellAt
	}
	return max(0, now.Sub(last)) // The clock of the probe that noted it may be ahead.
}

// Configuration follows what the credentials boundary says of the webhook.
type Configuration struct {
	Webhooks Webhooks
	Now      func() time.Time
}

// Configure takes in what the webhook accepts from now on; an older version than
// the one known changes nothing. Another push subscription leaves a gap since
// the last sign of the one before.
func (c *Configuration) Configure(ctx context.Context, configured Webhook) error {
	_, err := c.Webhooks.UpdateWebhook(ctx, func(w *Webhook) error {
		if configured.Version <= w.Version {
			return errUnchanged
		}
		known, now := *w, c.Now().UTC()
		w.CallbackKeySHA256, w.VerifyTokenSHA256 = configured.CallbackKeySHA256, configured.VerifyTokenSHA256
		w.SubscriptionID, w.Version = configured.SubscriptionID, configured.Version
		w.AskedAt = time.Time{} // The next probe looks whether it is so at Strava.
		if w.SubscriptionID == 0 {
			w.Callback, w.Subscription = Health{}, Health{}
			if !w.LastSeen.IsZero() {
				return nil // Nothing arrives. The gap opens with the next subscription.
			}
		} else if w.SubscriptionID != known.SubscriptionID {
			if !known.LastSeen.IsZero() {
				w.open(laterOf(known.LastSeen, known.Subscription.WellAt), now)
			}
			// Strava created it only after the callback had answered.
			w.Callback, w.Subscription = Health{WellAt: now}, Health{WellAt: now}
		}
		w.LastSeen = now
		return nil
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return fmt.Errorf("note what the webhook accepts: %w", err)
	}
	return nil
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
