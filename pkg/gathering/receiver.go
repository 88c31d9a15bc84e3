package gathering

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// WebhookReceiver receives Strava's webhooks.
type WebhookReceiver struct {
	Webhooks  Webhooks
	Inboxes   Inboxes
	Waker     Waker
	Publisher Publisher
	Minter    event.Minter
	Metrics   Metrics
	Log       *slog.Logger

	mu     sync.Mutex
	cached Webhook
	// read is when it was.
	read time.Time
	// failing is since when no notice could be stored; zero when one could.
	failing time.Time
}

// WebhookEvent is a webhook's body as Strava documents it (Strava, "Webhook Events
// API").
type WebhookEvent struct {
	ObjectType     string `json:"object_type"`
	ObjectID       int64  `json:"object_id"`
	AspectType     string `json:"aspect_type"`
	OwnerID        int64  `json:"owner_id"`
	SubscriptionID int64  `json:"subscription_id"`
	// EventTime in Unix seconds.
	EventTime int64 `json:"event_time"`
	// Updates holds strings by the documentation; booleans have been seen.
	Updates map[string]any `json:"updates"`
}

// digest tells one notice from another: Strava's have no id. It covers all
// fields, and is the same whether a value comes as a string or not.
func (n WebhookEvent) digest() string {
	updates := map[string]any{}
	for name, value := range n.Updates {
		updates[name] = fmt.Sprint(value)
	}
	n.Updates = updates
	b, err := json.Marshal(n) // In the order of the fields, and of the map's keys.
	if err != nil {
		panic(err) // Updates came out of JSON.
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// hint is what the notice says that matters; false when nothing of it does.
func (n WebhookEvent) hint(now time.Time) (Hint, bool) {
	h := Hint{Aspect: n.AspectType, ActivityID: n.ObjectID, EventTime: n.EventTime, ReceivedAt: now.UTC()}
	switch {
	case n.ObjectType == "activity" && (n.AspectType == AspectCreate || n.AspectType == AspectUpdate || n.AspectType == AspectDelete):
		return h, true
	case n.ObjectType == "athlete" && (n.Updates["authorized"] == "false" || n.Updates["authorized"] == false):
		return Hint{Aspect: AspectDeauthorize, EventTime: n.EventTime, ReceivedAt: now.UTC()}, true
	}
	return Hint{}, false
}

// Handshake checks the question that Strava asks while a push subscription is
// created. Errors: a not-found fault for a wrong key or while there is no
// webhook, an invalid one for a wrong verify token.
func (h *WebhookReceiver) Handshake(ctx context.Context, key, verifyToken string) error {
	return h.check(ctx, func(w Webhook) error {
		if !matches(key, w.CallbackKeySHA256) {
			return errWrongKey
		}
		if !matches(verifyToken, w.VerifyTokenSHA256) {
			return fault.New(fault.Invalid, "the verify token is not ours")
		}
		return nil
	})
}

var (
	errWrongKey          = fault.New(fault.NotFound, "no such webhook")
	errWrongSubscription = fault.New(fault.Invalid, "the subscription id is not ours")
)

// Receive takes a notice in. When it returns nil the notice is stored durably
// or means nothing to us; a transient fault says that Strava should send it
// again. Errors: a not-found fault for a wrong key, an invalid one for a
// notice that is not of our subscription or makes no sense.
func (h *WebhookReceiver) Receive(ctx context.Context, key string, n WebhookEvent) error {
	err := h.receive(ctx, key, n)
	switch {
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.Invalid):
		h.Reject()
	case err != nil:
		h.mu.Lock()
		if h.failing.IsZero() {
			h.failing = h.Minter.Now()
		}
		h.mu.Unlock()
	default:
		h.seen(ctx)
	}
	return err
}

// Reject counts a call that is no notice of ours.
func (h *WebhookReceiver) Reject() { h.Metrics.Count(MetricWebhookRejected, 1) }

func (h *WebhookReceiver) receive(ctx context.Context, key string, n WebhookEvent) error {
	err := h.check(ctx, func(w Webhook) error {
		switch {
		case !matches(key, w.CallbackKeySHA256):
			return errWrongKey
		case w.SubscriptionID == 0:
			return fault.New(fault.Transient, "the subscription's id is not known yet")
		case n.SubscriptionID != w.SubscriptionID:
			return errWrongSubscription
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n.OwnerID <= 0 || n.ObjectID <= 0 {
		return fault.New(fault.Invalid, "the notice names no object or no owner")
	}
	hint, matters := n.hint(h.Minter.Now())
	if !matters {
		h.Metrics.Count(MetricWebhookIgnored, 1)
		return nil
	}
	delivery, err := h.Inboxes.Deliver(ctx, n.OwnerID, n.digest(), hint)
	if err != nil {
		return fmt.Errorf("store the notice: %w", err)
	}
	switch delivery {
	case Duplicate:
		h.Metrics.Count(MetricWebhookDuplicates, 1)
	case Unknown:
		h.Metrics.Count(MetricWebhookUnknown, 1)
		if hint.Aspect == AspectDeauthorize {
			// Credentials may know an athlete whom we have not heard of yet.
			err := h.Publisher.Publish(ctx, h.Minter.First(gatheringv1.DeauthorizationReported{
				AthleteID: n.OwnerID, EventTime: n.EventTime,
			}))
			if err != nil {
				return fmt.Errorf("pass the notice on: %w", err)
			}
		}
	default:
		h.Metrics.Count(MetricWebhookEvents, 1)
		var counted sync.WaitGroup
		counted.Go(func() { h.count(ctx) })
		if err := h.Waker.Wake(ctx, 0); err != nil {
			// A gatherer runs every minute anyway.
			h.Log.WarnContext(ctx, "nobody was woken", "error", err.Error())
		}
		counted.Wait()
	}
	return nil
}

// countTime is how long counting may take: Strava waits for two seconds (Strava,
// "Webhook Events API").
const countTime = 500 * time.Millisecond

// count counts a notice for those who look at the status. It is best effort.
func (h *WebhookReceiver) count(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	if err := h.Webhooks.CountWebhookEvent(ctx, h.Minter.Now()); err != nil {
		h.Log.WarnContext(ctx, "a notice was not counted", "error", err.Error())
	}
}

const (
	// seenInterval is how exact [Webhook.LastSeen] is.
	seenInterval = 15 * time.Minute
	// outage is how long the webhook may fail without notices being lost:
	// Strava tries three times, about 2 minutes apart.
	outage = 5 * time.Minute
)

// seen notes now and then that notices are taken in, and that there was a gap
// when they could not be for longer than Strava tries. It is best effort: the
// notice itself is stored.
func (h *WebhookReceiver) seen(ctx context.Context) {
	now := h.Minter.Now()
	h.mu.Lock()
	failing, last := h.failing, h.cached.LastSeen
	h.failing = time.Time{}
	h.mu.Unlock()
	gap := !failing.IsZero() && now.Sub(failing) > outage
	if !gap && now.Sub(last) < seenInterval {
		return
	}
	w, err := h.Webhooks.UpdateWebhook(ctx, func(w *Webhook) error {
		if gap {
			w.open(failing, now)
		}
		if now.After(w.LastSeen) {
			w.LastSeen = now.UTC()
		}
		return nil
	})
	if err != nil {
		h.Log.WarnContext(ctx, "the webhook's last notice not noted", "gap", gap, "error", err.Error())
		if gap {
			h.mu.Lock()
			h.failing = failing
			h.mu.Unlock()
		}
		return
	}
	h.mu.Lock()
	h.cached = w
	h.mu.Unlock()
}

// memory is for how long what is stored is not read again for a caller who is
// not accepted, lest strangers make us read all day.
const memory = time.Second

// check runs accept on what is remembered of the webhook and, if that does not
// do, on what is stored: the admin may have changed it since.
func (h *WebhookReceiver) check(ctx context.Context, accept func(Webhook) error) error {
	now := h.Minter.Now()
	h.mu.Lock()
	w, fresh := h.cached, now.Sub(h.read) < memory
	h.mu.Unlock()
	if w.Version != 0 {
		if err := accept(w); err == nil || fresh {
			return err
		}
	}
	w, err := h.Webhooks.Webhook(ctx)
	if err != nil {
		return fmt.Errorf("read what the webhook accepts: %w", err)
	}
	if w.Version == 0 {
		return errWrongKey
	}
	h.mu.Lock()
	h.cached, h.read = w, now
	h.mu.Unlock()
	return accept(w)
}

// matches compares a value with a digest, in constant time.
func matches(value, digest string) bool {
	sum := sha256.Sum256([]byte(value))
	return subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(digest)) == 1
}
