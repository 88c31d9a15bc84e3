package gathering_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
)

const (
	callbackKey = "the-callback-key"
	verifyToken = "the-verify-token"
)

func configured(subscriptionID, version int64) gathering.Webhook {
	return gathering.Webhook{
		CallbackKeySHA256: secret.New(callbackKey).SHA256(), VerifyTokenSHA256: secret.New(verifyToken).SHA256(),
		SubscriptionID: subscriptionID, Version: version,
	}
}

func newHook(t *testing.T, w gathering.Webhook) (*gathering.Hook, *gatheringtest.Store, *gatheringtest.Queue, *eventtest.Bus) {
	t.Helper()
	store, queue := gatheringtest.NewStore(), gatheringtest.NewQueue(time.Now)
	if err := store.SaveWebhook(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	bus := &eventtest.Bus{}
	return &gathering.Hook{
		Webhooks: store, Queue: queue, Publisher: bus, Minter: event.Minter{Now: time.Now, NewID: func() string { return "id" }},
	}, store, queue, bus
}

func TestHandshake(t *testing.T) {
	hook, _, _, _ := newHook(t, configured(0, 1))
	if err := hook.Handshake(t.Context(), callbackKey, verifyToken); err != nil {
		t.Errorf("the right one: %v", err)
	}
	if err := hook.Handshake(t.Context(), "x", verifyToken); !fault.Is(err, fault.NotFound) {
		t.Errorf("a wrong key: %v", err)
	}
	if err := hook.Handshake(t.Context(), callbackKey, "x"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a wrong token: %v", err)
	}
	// A digest is no password.
	if err := hook.Handshake(t.Context(), secret.New(callbackKey).SHA256(), secret.New(verifyToken).SHA256()); !fault.Is(err, fault.NotFound) {
		t.Errorf("the digests: %v", err)
	}
}

func TestReceiveQueuesWhatConcernsUs(t *testing.T) {
	hook, _, queue, bus := newHook(t, configured(5, 1))
	notice := func(change func(*gathering.Notice)) gathering.Notice {
		n := gathering.Notice{ObjectType: "activity", ObjectID: 11, AspectType: "create", OwnerID: 42, SubscriptionID: 5, EventTime: 1}
		change(&n)
		return n
	}
	for name, tc := range map[string]struct {
		key    string
		notice gathering.Notice
		want   fault.Kind // "" for none
		job    gathering.Job
	}{
		"an activity":          {callbackKey, notice(func(*gathering.Notice) {}), "", gathering.Job{Kind: gathering.KindActivity, AthleteID: 42, ActivityID: 11, Aspect: "create", EventTime: 1}},
		"a deauthorization":    {callbackKey, notice(func(n *gathering.Notice) { n.ObjectType, n.ObjectID, n.Deauthorized = "athlete", 42, true }), "", gathering.Job{}},
		"an athlete's update":  {callbackKey, notice(func(n *gathering.Notice) { n.ObjectType = "athlete" }), "", gathering.Job{}},
		"an unknown object":    {callbackKey, notice(func(n *gathering.Notice) { n.ObjectType = "club" }), "", gathering.Job{}},
		"a wrong key":          {"x", notice(func(*gathering.Notice) {}), fault.NotFound, gathering.Job{}},
		"another subscription": {callbackKey, notice(func(n *gathering.Notice) { n.SubscriptionID = 6 }), fault.Invalid, gathering.Job{}},
		"no owner":             {callbackKey, notice(func(n *gathering.Notice) { n.OwnerID = 0 }), fault.Invalid, gathering.Job{}},
	} {
		err := hook.Receive(t.Context(), tc.key, tc.notice)
		if (tc.want == "") != (err == nil) || (err != nil && !fault.Is(err, tc.want)) {
			t.Errorf("%s: %v", name, err)
		}
		job, _ := queue.Take()
		if job != tc.job {
			t.Errorf("%s: queued %+v", name, job)
		}
	}
	want := []gatheringv1.DeauthorizationReported{{AthleteID: 42, EventTime: 1}}
	if got := eventtest.Facts[gatheringv1.DeauthorizationReported](bus); !slices.Equal(got, want) {
		t.Errorf("reported %+v", got)
	}
}

func TestReceiveLosesNothingBeforeTheSubscriptionIsKnown(t *testing.T) {
	hook, store, queue, _ := newHook(t, configured(0, 1))
	notice := gathering.Notice{ObjectType: "activity", ObjectID: 11, AspectType: "create", OwnerID: 42, SubscriptionID: 5}
	if err := hook.Receive(t.Context(), callbackKey, notice); !fault.Is(err, fault.Transient) {
		t.Fatalf("got %v", err)
	}
	if err := store.SaveWebhook(t.Context(), configured(5, 2)); err != nil {
		t.Fatal(err)
	}
	if err := hook.Receive(t.Context(), callbackKey, notice); err != nil {
		t.Fatal(err)
	}
	if queue.Len() != 1 {
		t.Fatal("not queued")
	}
}

func TestReceiveFailsWhenTheQueueDoes(t *testing.T) {
	hook, _, queue, bus := newHook(t, configured(5, 1))
	queue.Fail = errors.New("boom")
	err := hook.Receive(t.Context(), callbackKey, gathering.Notice{ObjectType: "activity", ObjectID: 11, OwnerID: 42, SubscriptionID: 5})
	if err == nil {
		t.Error("200 would be answered for a notice that is lost")
	}
	bus.Fail(errors.New("boom"))
	err = hook.Receive(t.Context(), callbackKey, gathering.Notice{ObjectType: "athlete", ObjectID: 42, OwnerID: 42, SubscriptionID: 5, Deauthorized: true})
	if err == nil {
		t.Error("200 would be answered for a deauthorization that is lost")
	}
}
