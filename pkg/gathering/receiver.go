package gathering

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// WebhookReceiver receives Strava's webhook events. It keeps no memory of what it
// could not store: an instance may be gone before it could tell. [Probe] notices.
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
	// readAt is when cached was read.
	readAt time.Time
}

// WebhookEvent is what Strava pushes (Strava, "Webhook Events API").
type WebhookEvent struct {
	ObjectType     string `json:"object_type"`
	ObjectID       int64  `json:"object_id"`
	AspectType     string `json:"aspect_type"`
	OwnerID        int64  `json:"owner_id"`
	SubscriptionID int64  `json:"subscription_id"`
	// EventTime in Unix seconds; 0 when the event tells none.
	EventTime int64 `json:"event_time"`
	// Updates holds strings by the documentation; booleans have been seen.
	Updates map[string]any `json:"updates"`
}

// digest tells one event from another, for events have no id. It covers all
// fields, and does not depend on whether a value comes as text.
//
// Strava's tries of one delivery must have the same digest, and two events that
// say the same must not, or the second would be lost. What tells these apart is
// their time. Without one, it is the hour of receipt: tries that fall into two
// hours then count as two events, which does no harm.
func (e WebhookEvent) digest(receivedAt time.Time) string {
	if e.EventTime == 0 {
		e.EventTime = receivedAt.Truncate(time.Hour).Unix()
	}
	updates := map[string]any{}
	for name, value := range e.Updates {
		updates[name] = fmt.Sprint(value)
	}
	e.Updates = updates
	b, err := json.Marshal(e) // In the order of the fields, and of the map's keys.
	if err != nil {
		panic(err) // Numbers and text can always be encoded.
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// hint is what of the event matters here; false when nothing does.
func (e WebhookEvent) hint(receivedAt time.Time) (Hint, bool) {
	h := Hint{EventTime: e.EventTime, ReceivedAt: receivedAt.UTC()}
	if h.EventTime == 0 {
		h.EventTime = receivedAt.Unix()
	}
	switch {
	case e.ObjectType == "activity" && (e.AspectType == AspectCreate || e.AspectType == AspectUpdate || e.AspectType == AspectDelete):
		h.Aspect, h.ActivityID = e.AspectType, e.ObjectID
		return h, true
	case e.ObjectType == "athlete" && e.deauthorizes():
		h.Aspect = AspectDeauthorize
		return h, true
	}
	return Hint{}, false
}

// deauthorizes tells whether the athlete withdrew access. Strava says so by the
// text "false"; a boolean is taken, too.
func (e WebhookEvent) deauthorizes() bool {
	authorized, ok := e.Updates["authorized"]
	return ok && strings.EqualFold(strings.TrimSpace(fmt.Sprint(authorized)), "false")
}

// Handshake checks the question that Strava asks while a push subscription is
// created, and a probe asks later. It answers only if events could be stored.
// Errors: a not-found fault for a wrong key or while there is no webhook, an
// invalid one for a wrong verify token, a transient one while storage refuses.
func (h *WebhookReceiver) Handshake(ctx context.Context, key, verifyToken string) error {
	err := h.check(ctx, func(w Webhook) error {
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
	// The very write that stores an event, for athlete 0, who does not exist: it
	// leaves nothing behind.
	if _, err := h.Inboxes.Deliver(ctx, 0, "handshake", Hint{Aspect: AspectUpdate, ReceivedAt: h.Minter.Now().UTC()}); err != nil {
		return fmt.Errorf("try whether events can be stored: %w", err)
	}
	return nil
}

var (
	errWrongKey          = fault.New(fault.NotFound, "no such webhook")
	errWrongSubscription = fault.New(fault.Invalid, "the subscription id is not ours")
)

// Receive stores an event. When it returns nil the event is stored durably or
// means nothing to us; a transient fault says that Strava should send it again.
// Errors: a not-found fault for a wrong key, an invalid one for an event that is
// not of our subscription or makes no sense.
func (h *WebhookReceiver) Receive(ctx context.Context, key string, e WebhookEvent) error {
	err := h.receive(ctx, key, e)
	switch {
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.Invalid):
		h.Reject()
	case err == nil:
		h.seen(ctx)
	}
	return err
}

// Reject counts a call that brings no event of ours.
func (h *WebhookReceiver) Reject() { h.Metrics.Count(MetricWebhookRejected, 1) }

func (h *WebhookReceiver) receive(ctx context.Context, key string, e WebhookEvent) error {
	err := h.check(ctx, func(w Webhook) error {
		switch {
		case !matches(key, w.CallbackKeySHA256):
			return errWrongKey
		case w.SubscriptionID == 0:
			return fault.New(fault.Transient, "the subscription's id is not known yet")
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
	now := h.Minter.Now()
	hint, matters := e.hint(now)
	if !matters {
		h.Metrics.Count(MetricWebhookIgnored, 1)
		return nil
	}
	delivery, err := h.Inboxes.Deliver(ctx, e.OwnerID, e.digest(now), hint)
	if err != nil {
		return fmt.Errorf("store the event: %w", err)
	}
	switch delivery {
	case Duplicate:
		h.Metrics.Count(MetricWebhookDuplicates, 1)
	case Unknown:
		h.Metrics.Count(MetricWebhookUnknown, 1)
		if hint.Aspect == AspectDeauthorize {
			// Credentials may know an athlete of whom no news has reached us yet.
			err := h.Publisher.Publish(ctx, h.Minter.First(gatheringv1.DeauthorizationReported{
				AthleteID: e.OwnerID, EventTime: hint.EventTime,
			}))
			if err != nil {
				return fmt.Errorf("publish the deauthorization: %w", err)
			}
		}
	default:
		h.Metrics.Count(MetricWebhookEvents, 1)
		var counted sync.WaitGroup
		counted.Go(func() { h.count(ctx) })
		if err := h.Waker.Wake(ctx, 0); err != nil {
			// A gatherer runs every minute anyway.
			h.Log.WarnContext(ctx, "no gatherer was woken", "error", err.Error())
		}
		counted.Wait()
	}
	return nil
}

// countTime is how long counting may take: Strava waits for two seconds (Strava,
// "Webhook Events API").
const countTime = 500 * time.Millisecond

// count counts an event for the status. It is best effort.
func (h *WebhookReceiver) count(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	if err := h.Webhooks.CountWebhookEvent(ctx, h.Minter.Now()); err != nil {
		h.Log.WarnContext(ctx, "an event was not counted", "error", err.Error())
	}
}

// seenInterval is how exact [Webhook.LastSeen] is.
const seenInterval = 15 * time.Minute

// seen notes now and then that events arrive. It is best effort: the event
// itself is stored.
func (h *WebhookReceiver) seen(ctx context.Context) {
	now := h.Minter.Now()
	h.mu.Lock()
	last := h.cached.LastSeen
	h.mu.Unlock()
	if now.Sub(last) < seenInterval {
		return
	}
	w, err := h.Webhooks.UpdateWebhook(ctx, func(w *Webhook) error {
		w.LastSeen = laterOf(w.LastSeen, now.UTC())
		return nil
	})
	if err != nil {
		h.Log.WarnContext(ctx, "the time of the last event was not noted", "error", err.Error())
		return
	}
	h.mu.Lock()
	h.cached = w
	h.mu.Unlock()
}

// memory is for how long a caller who is not accepted does not make us read
// again what is stored: strangers could make us read all day.
const memory = time.Second

// check runs accept on what is remembered of the webhook. If that refuses, it
// runs accept on what is stored: the admin may have changed it since.
func (h *WebhookReceiver) check(ctx context.Context, accept func(Webhook) error) error {
	now := h.Minter.Now()
	h.mu.Lock()
	w, fresh := h.cached, now.Sub(h.readAt) < memory
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
	h.cached, h.readAt = w, now
	h.mu.Unlock()
	return accept(w)
}

// matches compares a value with a digest, in constant time.
func matches(value, digest string) bool {
	sum := sha256.Sum256([]byte(value))
	return subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(digest)) == 1
}
