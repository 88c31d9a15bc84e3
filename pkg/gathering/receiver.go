package gathering

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// WebhookReceiver receives Strava's webhook events and stores them as hints. It
// keeps no event that it failed to store, since its instance may end at any
// time; [Probe] detects such outages.
type WebhookReceiver struct {
	Webhooks  Webhooks
	Inboxes   Inboxes
	Waker     Waker
	Publisher Publisher
	Events    event.Factory
	Metrics   Metrics
	Log       *slog.Logger

	mu     sync.Mutex
	cached Webhook
	// readAt is when cached was read.
	readAt time.Time
}

// Handshake checks the handshake request, which Strava sends while a push
// subscription is created, and probes send later. It succeeds only if events
// can be stored. Errors: a not-found fault for a wrong key or before the
// webhook is configured, an invalid one for a wrong verify token, a transient
// one if the storage fails.
func (h *WebhookReceiver) Handshake(ctx context.Context, key, verifyToken string) error {
	err := h.authenticate(ctx, func(w Webhook) error {
		if !matches(key, w.CallbackKeySHA256) {
			return errWrongKey
		}
		if !matches(verifyToken, w.VerifyTokenSHA256) {
			return fault.New(fault.Invalid, "the verify token is not ours")
		}
		return nil
	})
	if err != nil {
		return err
	}
	// This is the write that also stores events. Athlete 0 does not exist, so it
	// stores nothing.
	if _, err := h.Inboxes.Deliver(ctx, 0, "handshake", Hint{Aspect: AspectUpdate, ReceivedAt: h.Events.Now().UTC()}); err != nil {
		return fmt.Errorf("test whether events can be stored: %w", err)
	}
	return nil
}

var (
	errWrongKey          = fault.New(fault.NotFound, "no such webhook")
	errWrongSubscription = fault.New(fault.Invalid, "the subscription id is not ours")
)

// Receive stores an event. When it returns nil, the event is stored durably or
// needs no action. Errors: a transient fault if Strava should send the event
// again, a not-found fault for a wrong key, an invalid one for an event that is
// malformed or of another subscription.
func (h *WebhookReceiver) Receive(ctx context.Context, key string, e WebhookEvent) error {
	err := h.receive(ctx, key, e)
	switch {
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.Invalid):
		h.Reject()
	case err == nil:
		h.updateLastSeen(ctx)
	}
	return err
}

// Reject counts a call without a valid event of our subscription.
func (h *WebhookReceiver) Reject() { h.Metrics.Count(metric.WebhookRejected, 1) }

func (h *WebhookReceiver) receive(ctx context.Context, key string, e WebhookEvent) error {
	err := h.authenticate(ctx, func(w Webhook) error {
		switch {
		case !matches(key, w.CallbackKeySHA256):
			return errWrongKey
		case w.SubscriptionID == 0:
			return fault.New(fault.Transient, "the subscription id is not known yet")
		case e.SubscriptionID != w.SubscriptionID:
			return errWrongSubscription
		}
		return nil
	})
	if err != nil {
		return err
	}
	if e.OwnerID <= 0 || e.ObjectID <= 0 || e.ObjectType == "" {
		return fault.New(fault.Invalid, "the event must have object_type, object_id and owner_id, the ids being positive whole numbers")
	}
	now := h.Events.Now()
	hint, matters := e.hint(now)
	if !matters {
		h.Metrics.Count(metric.WebhookIgnored, 1)
		return nil
	}
	delivery, err := h.Inboxes.Deliver(ctx, e.OwnerID, e.digest(now), hint)
	if err != nil {
		return fmt.Errorf("store the event: %w", err)
	}
	switch delivery {
	case Duplicate:
		h.Metrics.Count(metric.WebhookDuplicates, 1)
	case UnknownAthlete:
		h.Metrics.Count(metric.WebhookUnknown, 1)
		if hint.Aspect == AspectDeauthorize {
			// The credentials boundary may know the athlete although AthleteAuthorized
			// has not reached us yet.
			err := h.Publisher.Publish(ctx, h.Events.New(gatheringv1.DeauthorizationReported{
				AthleteID: e.OwnerID, EventTime: hint.EventTime,
			}))
			if err != nil {
				return fmt.Errorf("publish the deauthorization: %w", err)
			}
		}
	default:
		h.Metrics.Count(metric.WebhookEvents, 1)
		var counted sync.WaitGroup
		counted.Go(func() { h.countEvent(ctx) })
		if err := h.Waker.Wake(ctx, 0); err != nil {
			// A gatherer runs every minute anyway.
			h.Log.WarnContext(ctx, "gatherer not woken", "error", err.Error())
		}
		counted.Wait()
	}
	return nil
}

// countTime bounds the time for counting: Strava waits two seconds for the
// answer (Strava, "Webhook Events API").
const countTime = 500 * time.Millisecond

// countEvent counts an event for the status. It is best effort.
func (h *WebhookReceiver) countEvent(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	if err := h.Webhooks.CountWebhookEvent(ctx, h.Events.Now()); err != nil {
		h.Log.WarnContext(ctx, "event not counted", "error", err.Error())
	}
}

// seenInterval is how often [Webhook.LastSeen] is written at most.
const seenInterval = 15 * time.Minute

// updateLastSeen updates [Webhook.LastSeen]. It is best effort: the event
// itself is stored.
func (h *WebhookReceiver) updateLastSeen(ctx context.Context) {
	now := h.Events.Now()
	h.mu.Lock()
	last := h.cached.LastSeen
	h.mu.Unlock()
	if now.Sub(last) < seenInterval {
		return
	}
	w, err := h.Webhooks.UpdateWebhook(ctx, func(w *Webhook) (changed bool, _ error) {
		changed = w.LastSeen.Before(now)
		w.LastSeen = latest(w.LastSeen, now.UTC())
		return changed, nil
	})
	if err != nil {
		h.Log.WarnContext(ctx, "time of the last event not stored", "error", err.Error())
		return
	}
	h.mu.Lock()
	h.cached = w
	h.mu.Unlock()
}

// cacheTTL is how long the cached webhook is used to refuse a call. It limits
// the reads that strangers can cause.
const cacheTTL = time.Second

// authenticate runs accept on the cached webhook. If accept refuses,
// authenticate runs it on the stored webhook: the admin may have changed it
// since.
func (h *WebhookReceiver) authenticate(ctx context.Context, accept func(Webhook) error) error {
	now := h.Events.Now()
	h.mu.Lock()
	w, fresh := h.cached, now.Sub(h.readAt) < cacheTTL
	h.mu.Unlock()
	if w.Version != 0 {
		if err := accept(w); err == nil || fresh {
			return err
		}
	}
	w, err := h.Webhooks.Webhook(ctx)
	if err != nil {
		return fmt.Errorf("read the configuration of the webhook: %w", err)
	}
	if w.Version == 0 {
		return errWrongKey
	}
	h.mu.Lock()
	h.cached, h.readAt = w, now
	h.mu.Unlock()
	return accept(w)
}

// matches reports whether the value has the digest, in constant time.
func matches(value, digest string) bool {
	sum := sha256.Sum256([]byte(value))
	return subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(digest)) == 1
}
