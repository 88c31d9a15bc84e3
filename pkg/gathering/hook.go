package gathering

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Hook receives Strava's webhooks.
type Hook struct {
	Webhooks  Webhooks
	Queue     Queue
	Publisher Publisher
	Minter    event.Minter

	mu     sync.Mutex
	cached Webhook
}

// Notice is a webhook's body as Strava documents it, reduced to what counts.
type Notice struct {
	ObjectType     string
	ObjectID       int64
	AspectType     string
	OwnerID        int64
	SubscriptionID int64
	// EventTime in Unix seconds.
	EventTime int64
	// Deauthorized is what an athlete's update says about authorized.
	Deauthorized bool
}

// Handshake checks the question that Strava asks while a push subscription is
// created. Errors: a not-found fault for a wrong key, an invalid one for a
// wrong verify token.
func (h *Hook) Handshake(ctx context.Context, key, verifyToken string) error {
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
func (h *Hook) Receive(ctx context.Context, key string, n Notice) error {
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
	switch {
	case n.ObjectType == "activity":
		err = h.Queue.Send(ctx, Job{
			Kind: KindActivity, AthleteID: n.OwnerID, ActivityID: n.ObjectID, Aspect: n.AspectType, EventTime: n.EventTime,
		}, 0)
	case n.ObjectType == "athlete" && n.Deauthorized:
		// Straight to the bus, which is as durable: a departure must not wait
		// in line behind what others have to be read.
		err = h.Publisher.Publish(ctx, h.Minter.First(gatheringv1.DeauthorizationReported{
			AthleteID: n.OwnerID, EventTime: n.EventTime,
		}))
	}
	if err != nil {
		return fmt.Errorf("store the notice: %w", err)
	}
	return nil
}

// check runs accept on what is remembered of the webhook and, if that does not
// do, on what is stored: the admin may have changed it since.
func (h *Hook) check(ctx context.Context, accept func(Webhook) error) error {
	h.mu.Lock()
	w := h.cached
	h.mu.Unlock()
	if w.Version != 0 && accept(w) == nil {
		return nil
	}
	w, err := h.Webhooks.Webhook(ctx)
	if err != nil {
		return fmt.Errorf("read what the webhook accepts: %w", err)
	}
	h.mu.Lock()
	h.cached = w
	h.mu.Unlock()
	return accept(w)
}

// matches compares a value with a digest, in constant time.
func matches(value, digest string) bool {
	sum := sha256.Sum256([]byte(value))
	return subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(digest)) == 1
}
