package strava

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// maxAttempts is how many times Strava sends an event (Strava, Webhooks).
const maxAttempts = 3

// keptDeliveries limits the log of deliveries.
const keptDeliveries = 1000

// Event is the body of a webhook event (Strava, Webhooks).
type Event struct {
	AspectType     string            `json:"aspect_type"` // create, update, delete
	EventTime      int64             `json:"event_time"`  // Unix seconds
	ObjectID       int64             `json:"object_id"`
	ObjectType     string            `json:"object_type"` // activity, athlete
	OwnerID        int64             `json:"owner_id"`
	SubscriptionID int64             `json:"subscription_id"`
	Updates        map[string]string `json:"updates"` // private and authorized are "true" or "false"
}

func activityEvent(aspect string, activity, athlete int64) Event {
	return Event{AspectType: aspect, ObjectID: activity, ObjectType: "activity", OwnerID: athlete, Updates: map[string]string{}}
}

func deauthorizationEvent(athlete int64) Event {
	return Event{
		AspectType: "update", ObjectID: athlete, ObjectType: "athlete", OwnerID: athlete,
		Updates: map[string]string{"authorized": "false"},
	}
}

// Delivery is the delivery of one copy of an event to the callback.
type Delivery struct {
	ID    int64           `json:"id"`
	Event json.RawMessage `json:"event"`
	// State is "held", "pending", "delivered", "failed" after the last attempt,
	// or "dropped".
	State string `json:"state"`
	// Attempts so far, by outcome: a status code, "timeout" or "error".
	Attempts []string `json:"attempts"`

	subscription *Subscription
}

// emit delivers e as Settings.Delivery says, if there is a subscription. The
// caller holds the lock.
func (s *Server) emit(e Event) {
	if s.subscription == nil {
		s.counters.events["unsubscribed"]++
		return
	}
	e.EventTime = s.clock.Now().Unix()
	e.SubscriptionID = s.subscription.ID
	body, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings and numbers only
	}
	for range s.settings.DeliveryCopies {
		d := &Delivery{ID: s.nextID(), Event: body, State: "pending", Attempts: []string{}, subscription: s.subscription}
		s.deliveries = append(s.deliveries, d)
		switch s.settings.Delivery {
		case DeliverHold:
			d.State = "held"
			s.held = append(s.held, d)
		case DeliverDrop:
			s.finish(d, "dropped")
		default:
			s.open++
			s.schedule(d, time.Duration(s.settings.DeliveryDelay))
		}
	}
	if extra := len(s.deliveries) - keptDeliveries; extra > 0 {
		s.deliveries = slices.Delete(s.deliveries, 0, extra)
	}
}

// finish sets the final state of a delivery.
func (s *Server) finish(d *Delivery, state string) {
	d.State = state
	s.counters.events[state]++
}

func (s *Server) schedule(d *Delivery, after time.Duration) {
	s.clock.AfterFunc(after, func() { s.attempt(d) })
}

// attempt sends d once and schedules the next attempt if it fails. Deliveries
// have no guaranteed order, as at Strava.
func (s *Server) attempt(d *Delivery) {
	s.mu.Lock()
	if s.running.Err() != nil || s.subscription != d.subscription {
		s.open--
		s.finish(d, "dropped")
		s.mu.Unlock()
		return
	}
	s.attempts.Add(1)
	s.mu.Unlock()
	defer s.attempts.Done()

	outcome := s.post(s.running, d.subscription.CallbackURL, d.Event, s.signature(d.Event))

	s.mu.Lock()
	defer s.mu.Unlock()
	d.Attempts = append(d.Attempts, outcome)
	s.counters.attempts[outcome]++
	switch {
	case outcome == strconv.Itoa(http.StatusOK):
		s.open--
		s.finish(d, "delivered")
	case len(d.Attempts) == maxAttempts:
		s.open--
		s.finish(d, "failed")
	default:
		s.schedule(d, time.Duration(s.settings.RetryInterval))
	}
}

// signature returns the header of Strava's example. Clients cannot verify it:
// Strava documents no way to get the key.
func (s *Server) signature(body []byte) string {
	t := strconv.FormatInt(s.clock.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(s.signingKey))
	mac.Write(append([]byte(t+"."), body...))
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// post sends one body to a callback and returns the outcome: a status code,
// "timeout" after Config.CallbackTimeout, or "error".
func (s *Server) post(ctx context.Context, callback string, body []byte, signature string) string {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, callback, bytes.NewReader(body))
	if err != nil {
		return "error"
	}
	r.Header.Set("Content-Type", "application/json")
	if signature != "" {
		r.Header.Set("X-Strava-Signature", signature)
	}
	res, err := s.client.Do(r)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case err != nil:
		return "error"
	}
	_ = res.Body.Close() // only the status matters
	return strconv.Itoa(res.StatusCode)
}

// Release delivers the held events in the given order, each after the first
// attempt of the one before it. It returns [ErrInvalid] for an unknown order.
func (s *Server) Release(order Order) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch order {
	case Forward:
	case Reverse:
		slices.Reverse(s.held)
	case Shuffle:
		for i := range s.held {
			j := int(s.random.Uint64() % uint64(i+1))
			s.held[i], s.held[j] = s.held[j], s.held[i]
		}
	default:
		return fmt.Errorf("order %q: %w", order, ErrInvalid)
	}
	batch := s.held
	s.held = nil
	s.open += len(batch)
	for _, d := range batch {
		d.State = "pending"
	}
	s.clock.AfterFunc(0, func() {
		for _, d := range batch {
			s.attempt(d)
		}
	})
	return nil
}

// SendWebhook posts a body to the current callback once, like an attacker who
// knows the address, and returns the outcome: a status code, "timeout" or
// "error". It returns [ErrNotFound] if there is no subscription.
func (s *Server) SendWebhook(ctx context.Context, body []byte) (string, error) {
	sub := s.Subscription()
	if sub == nil {
		return "", fmt.Errorf("push subscription: %w", ErrNotFound)
	}
	return s.post(ctx, sub.CallbackURL, body, ""), nil
}

// Deliveries returns the latest deliveries, oldest first.
func (s *Server) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Delivery{}
	for _, d := range s.deliveries {
		copied := *d
		copied.Attempts = slices.Clone(d.Attempts)
		list = append(list, copied)
	}
	return list
}

// Drain waits until no delivery is pending, or until ctx ends. Held deliveries do
// not count. A [standin.ManualClock] must be advanced in the meantime.
func (s *Server) Drain(ctx context.Context) error {
	for {
		s.mu.Lock()
		open := s.open
		s.mu.Unlock()
		if open == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d deliveries pending: %w", open, ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
}
