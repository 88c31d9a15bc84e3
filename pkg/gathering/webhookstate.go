package gathering

import (
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
)

// Webhook is the state of the webhook: the secrets that a call must present,
// and whether Strava's events can arrive.
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
	// Callback and Subscription are the health of the public callback URL and of
	// the subscription at Strava, by the probes. Both are zero while
	// SubscriptionID is 0.
	Callback, Subscription Health
	// AskedAt is when a probe last asked Strava for the subscription.
	AskedAt time.Time
	// Gap is the last time span in which events may have been lost.
	Gap Gap
}

// Health is the health of one part of the webhook.
type Health struct {
	// HealthyAt is when the last probe began that found the part healthy.
	HealthyAt time.Time
	// FailingSince is when the first probe began that found the part failing,
	// since the last one that found it healthy; zero while it is healthy.
	FailingSince time.Time
	// Failure is the result of the last failed probe. It holds no secret.
	Failure string
}

// Gap is a time span in which events may have been lost. After its end every
// athlete's history has to be read again.
type Gap struct {
	From, To time.Time
	// Planned says that all these scans have been planned.
	Planned bool
}

const (
	// deliverySpan is how long Strava tries to deliver an event: three times, the
	// second about 2 minutes after the first (Strava, "Webhook Events API", and
	// deliveries that others recorded). A longer outage loses events.
	deliverySpan = 4 * time.Minute
	// probeDelay is how late a probe may begin, and how far the clocks of two
	// probes may differ.
	probeDelay = 30 * time.Second
	// maxProbeGap is the longest time between two good probes that is no gap. An
	// outage may begin right after one probe and end right before the other. With
	// a probe every 2 minutes, one failed probe leaves 4 minutes between good
	// ones, two leave 6.
	maxProbeGap = deliverySpan + probeDelay
	// askInterval is how often probes ask Strava for the subscription at most.
	askInterval = 10 * time.Minute
)

// openGap records a gap. If the scans of the previous gap are not all planned
// yet, both become one.
//
// Clocks that differ by less than the time between Strava's retries do no harm:
// a change whose last delivery failed had happened well before the gap's end.
func (w *Webhook) openGap(from, to time.Time) {
	gap := Gap{From: from.UTC(), To: to.UTC()}
	if known := w.Gap; !known.To.IsZero() && !known.Planned {
		if known.From.Before(gap.From) {
			gap.From = known.From
		}
		gap.To = latest(gap.To, known.To)
	}
	w.Gap = gap
}

// SubscriptionReplaced is the failure of a subscription that has our callback
// URL, but another id than the receiver accepts.
const SubscriptionReplaced = "replaced"

// applyProbe applies the result of a probe. Probes may overlap and report out
// of order: each result counts for the time at which its probe began.
func (w *Webhook) applyProbe(found credentialsv1.CheckSubscriptionResponse, began, now time.Time) {
	// Probes that did not run or got no answer prove nothing. So an outage may
	// have begun right after the last good probe.
	callback := w.Callback
	if w.Callback.applyResult(found.CallbackFailure, began) && began.Sub(callback.HealthyAt) > maxProbeGap {
		w.openGap(callback.HealthyAt, now)
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
	// Strava never reuses an id. So a subscription that a probe finds existed all
	// the time, unless a probe in between did not find it.
	subscription := w.Subscription
	if w.Subscription.applyResult(failure, began) && !subscription.FailingSince.IsZero() && w.Subscription.FailingSince.IsZero() {
		w.openGap(subscription.HealthyAt, now)
	}
}

// applyResult applies the result of a probe; an empty failure means healthy. It
// reports whether the part is healthy and the probe is the latest.
func (h *Health) applyResult(failure string, began time.Time) (healthy bool) {
	began = began.UTC()
	switch {
	case !began.After(h.HealthyAt): // A later probe found it healthy.
		return false
	case failure == "":
		h.HealthyAt = began
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

// unhealthyFor returns the time since both parts were last known to be healthy;
// 0 while there is no subscription.
func (w Webhook) unhealthyFor(now time.Time) time.Duration {
	if w.SubscriptionID == 0 {
		return 0
	}
	last := w.Callback.HealthyAt
	if w.Subscription.HealthyAt.Before(last) {
		last = w.Subscription.HealthyAt
	}
	return max(0, now.Sub(last)) // The clock of that probe may be ahead.
}
