package gathering_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
)

func TestHandshake(t *testing.T) {
	w := newWorld(t, plenty)
	if err := w.receiver.Handshake(t.Context(), callbackKey, verifyToken); err != nil {
		t.Errorf("the right one: %v", err)
	}
	for name, tc := range map[string]struct {
		key, token string
		want       fault.Kind
	}{
		"a wrong key":   {"x", verifyToken, fault.NotFound},
		"a wrong token": {callbackKey, "x", fault.Invalid},
		// A digest is no password.
		"the digests": {secret.New(callbackKey).SHA256(), secret.New(verifyToken).SHA256(), fault.NotFound},
	} {
		if err := w.receiver.Handshake(t.Context(), tc.key, tc.token); !fault.Is(err, tc.want) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestReceiveStoresEventsThatNeedAction(t *testing.T) {
	w, id, _ := current(t, 1)
	event := func(change func(*gathering.WebhookEvent)) gathering.WebhookEvent {
		n := w.event(id, 11, gathering.AspectCreate)
		change(&n)
		return n
	}
	for name, tc := range map[string]struct {
		key    string
		event  gathering.WebhookEvent
		want   fault.Kind // "" for none
		metric string
	}{
		"an activity":          {callbackKey, event(func(*gathering.WebhookEvent) {}), "", metric.WebhookEvents},
		"an athlete's update":  {callbackKey, event(func(n *gathering.WebhookEvent) { n.ObjectType = "athlete" }), "", metric.WebhookIgnored},
		"an unknown object":    {callbackKey, event(func(n *gathering.WebhookEvent) { n.ObjectType = "club" }), "", metric.WebhookIgnored},
		"an unknown aspect":    {callbackKey, event(func(n *gathering.WebhookEvent) { n.AspectType = "merge" }), "", metric.WebhookIgnored},
		"a stranger":           {callbackKey, event(func(n *gathering.WebhookEvent) { n.OwnerID = 99 }), "", metric.WebhookUnknown},
		"a wrong key":          {"x", event(func(*gathering.WebhookEvent) {}), fault.NotFound, metric.WebhookRejected},
		"another subscription": {callbackKey, event(func(n *gathering.WebhookEvent) { n.SubscriptionID = 6 }), fault.Invalid, metric.WebhookRejected},
		"no owner":             {callbackKey, event(func(n *gathering.WebhookEvent) { n.OwnerID = 0 }), fault.Invalid, metric.WebhookRejected},
	} {
		before, hints := w.metrics.All(), len(w.inbox(id).Hints)
		err := w.receiver.Receive(t.Context(), tc.key, tc.event)
		if (tc.want == "") != (err == nil) || (err != nil && !fault.Is(err, tc.want)) {
			t.Errorf("%s: error %v", name, err)
		}
		for metric, n := range w.metrics.All() {
			if want := before[metric]; n != want && metric != tc.metric {
				t.Errorf("%s: counted as %s", name, metric)
			}
		}
		if tc.metric != "" && w.metrics.Of(tc.metric) != before[tc.metric]+1 {
			t.Errorf("%s: not counted as %s", name, tc.metric)
		}
		if stored := len(w.inbox(id).Hints) > hints; stored != (tc.metric == metric.WebhookEvents) {
			t.Errorf("%s: stored %v", name, stored)
		}
	}
}

func TestReceiveLosesNothingBeforeTheSubscriptionIsKnown(t *testing.T) {
	w, id, _ := current(t, 1)
	w.configure(0, 2)
	w.clock.Advance(2 * time.Second)
	n := w.event(id, 11, gathering.AspectCreate)
	n.SubscriptionID = subscription + 1
	if err := w.receiver.Receive(t.Context(), callbackKey, n); !fault.Is(err, fault.Transient) {
		t.Fatalf("got %v", err)
	}
	w.configure(subscription+1, 3)
	w.clock.Advance(2 * time.Second)
	w.receive(n)
	if m := w.inbox(id); len(m.Hints) != 1 {
		t.Fatal("the event is not stored")
	}
}

func TestNothingIsAcknowledgedThatIsNotStored(t *testing.T) {
	w, id, _ := current(t, 1)
	w.receive(w.event(id, 11, gathering.AspectCreate))
	w.store.Fail(errors.New("boom"))
	if w.receiver.Receive(t.Context(), callbackKey, w.event(id, 12, gathering.AspectCreate)) == nil {
		t.Error("200 would be answered for an event that is lost")
	}
	w.store.Fail(nil)
	// Waking is best effort.
	w.wakeups.Fail = errors.New("boom")
	w.receive(w.event(id, 13, gathering.AspectCreate))
	w.bus.Fail(errors.New("boom"))
	n := w.event(99, 99, "update")
	n.ObjectType, n.Updates = "athlete", map[string]any{"authorized": "false"}
	if w.receiver.Receive(t.Context(), callbackKey, n) == nil {
		t.Error("200 would be answered for a deauthorization that is lost")
	}
}

func TestTheHandshakeFailsWhileEventsCannotBeStored(t *testing.T) {
	p := probing(t)
	p.receiver.Inboxes = undeliverable{p.store}
	if p.receiver.Handshake(t.Context(), callbackKey, verifyToken) == nil {
		t.Error("Strava would push to a receiver that stores nothing")
	}
	last := p.clock.Now()
	p.probes(2)
	p.receiver.Inboxes = p.store
	p.probes(1)
	p.mustHaveGap("although the probe itself could write", last, p.clock.Now())
}

// undeliverable stores no event.
type undeliverable struct{ gathering.Inboxes }

func (undeliverable) Deliver(context.Context, int64, string, gathering.Hint) (gathering.Delivery, error) {
	return "", errors.New("boom")
}

func TestEventsWithoutATimeAreDistinguishedByTheHour(t *testing.T) {
	w := newWorld(t, plenty, histories(3)...)
	id := w.athlete(0)
	w.gather(id)
	n := w.event(id, w.truth(id)[0].ID, gathering.AspectUpdate)
	n.EventTime = 0
	counts := func() (events, duplicates int) {
		return w.metrics.Of(metric.WebhookEvents), w.metrics.Of(metric.WebhookDuplicates)
	}
	w.clock.Advance(w.clock.Now().Truncate(time.Hour).Add(time.Hour).Sub(w.clock.Now()))
	for range 3 { // Strava's three tries.
		w.receive(n)
		w.clock.Advance(2 * time.Minute)
	}
	if events, duplicates := counts(); events != 1 || duplicates != 2 {
		t.Errorf("three tries: %d events, %d duplicates", events, duplicates)
	}
	w.clock.Advance(time.Hour)
	w.receive(n)
	if events, _ := counts(); events != 2 {
		t.Error("a second event that says the same was lost")
	}
}

// Two edits of one activity differ by their time alone.
func TestTwoEventsOfOneHourAreNoRetry(t *testing.T) {
	w := newWorld(t, plenty, histories(3)...)
	id := w.athlete(0)
	w.gather(id)
	n := w.event(id, w.truth(id)[0].ID, gathering.AspectUpdate)
	w.receive(n)
	n.EventTime++
	w.receive(n)
	if events, duplicates := w.metrics.Of(metric.WebhookEvents), w.metrics.Of(metric.WebhookDuplicates); events != 2 || duplicates != 0 {
		t.Errorf("%d events, %d duplicates", events, duplicates)
	}
}

// countingWebhooks counts reads.
type countingWebhooks struct {
	gathering.Webhooks
	reads int
}

func (c *countingWebhooks) Webhook(ctx context.Context) (gathering.Webhook, error) {
	c.reads++
	return c.Webhooks.Webhook(ctx)
}

// Strangers cause one read of the table in a second at most.
func TestStrangersDoNotReadTheTable(t *testing.T) {
	w, id, _ := current(t, 1)
	webhooks := &countingWebhooks{Webhooks: w.receiver.Webhooks}
	w.receiver.Webhooks = webhooks
	for range 50 {
		if err := w.receiver.Receive(t.Context(), "x", w.event(id, 11, gathering.AspectCreate)); !fault.Is(err, fault.NotFound) {
			t.Fatalf("got %v", err)
		}
		w.clock.Advance(50 * time.Millisecond)
	}
	if webhooks.reads > 3 { // In two and a half seconds.
		t.Errorf("%d reads", webhooks.reads)
	}
}
