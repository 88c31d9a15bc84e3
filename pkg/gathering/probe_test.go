package gathering_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// prober runs probes against the world's receiver.
type prober struct {
	*world
	probe *gathering.Probe
	// unreachable says that nothing reaches the receiver.
	unreachable bool
	// atStrava is the state of the subscription at Strava; asked counts the
	// questions.
	atStrava string
	id       int64
	asked    int
	// broken is the error of check-subscription itself.
	broken error
	// before, when set, happens after a probe began and before its answer.
	before func()
	// skew is by how much the probe's clock is ahead.
	skew time.Duration
}

const probeInterval = 2 * time.Minute

// probing is a world with one athlete, in which a first probe has found the
// webhook healthy.
func probing(t *testing.T) *prober {
	t.Helper()
	w := newWorld(t, plenty, histories(3)...)
	w.gather(w.athlete(0))
	w.configure(subscription, 1)
	p := &prober{world: w, atStrava: credentialsv1.SubscriptionOK, id: subscription}
	p.probe = w.ports.Probe()
	p.probe.Check, p.probe.Now = p.check, func() time.Time { return w.clock.Now().Add(p.skew) }
	p.run()
	// The time of the world's setup is no outage.
	if _, err := w.store.UpdateWebhook(t.Context(), func(hook *gathering.Webhook) (bool, error) { hook.Gap = gathering.Gap{}; return true, nil }); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *prober) check(ctx context.Context, req credentialsv1.CheckSubscriptionRequest) (credentialsv1.CheckSubscriptionResponse, error) {
	res := credentialsv1.CheckSubscriptionResponse{Configured: true, Subscription: credentialsv1.SubscriptionUnknown}
	if req.AskStrava {
		p.asked++
		res.Subscription, res.SubscriptionID = p.atStrava, p.id
	}
	if err := p.receiver.Handshake(ctx, callbackKey, verifyToken); err != nil {
		res.CallbackFailure = err.Error()
	}
	if p.unreachable {
		res.CallbackFailure = "the callback answered with status 502"
	}
	if p.before != nil {
		before := p.before
		p.before = nil
		before()
	}
	return res, p.broken
}

// run probes once and ignores an error.
func (p *prober) run() { _ = p.probe.Run(p.t.Context(), false) }

// probes probes n times, each after the interval.
func (p *prober) probes(n int) {
	for range n {
		p.clock.Advance(probeInterval)
		p.run()
	}
}

func (p *prober) webhook() gathering.Webhook {
	p.t.Helper()
	w, err := p.store.Webhook(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return w
}

// unhealthySeconds is the figure that the next probe reports.
func (p *prober) unhealthySeconds() int {
	before := p.metrics.Of(metric.WebhookUnhealthy)
	p.run()
	return p.metrics.Of(metric.WebhookUnhealthy) - before
}

// restart replaces the receiver by a new one with an empty cache.
func (p *prober) restart() { p.receiver = p.ports.Receiver() }

func (p *prober) mustHaveNoGap(when string) {
	p.t.Helper()
	if g := p.webhook().Gap; !g.To.IsZero() {
		p.t.Errorf("%s: the gap %+v", when, g)
	}
}

// mustHaveGap checks that the gap begins at from and ends at the probe that
// found the webhook healthy again.
func (p *prober) mustHaveGap(when string, from, again time.Time) {
	p.t.Helper()
	g := p.webhook().Gap
	if !g.From.Equal(from) || !g.To.Equal(again) {
		p.t.Errorf("%s: the gap %+v, want one from %s to %s", when, g, from, again)
	}
}

// repair lets gatherers work and probes run until the gap's scans are planned.
func (p *prober) repair() {
	p.t.Helper()
	for range 60 {
		p.work()
		if p.webhook().Gap.Planned {
			return
		}
		p.probes(1)
	}
	p.t.Fatal("in two hours the scans of the gap were not planned")
}

// Each way in which webhooks cannot arrive, and its end.
func outages() map[string]func(p *prober) (end func()) {
	return map[string]func(p *prober) func(){
		"storage refuses": func(p *prober) func() {
			p.store.Fail(errors.New("boom"))
			return func() { p.store.Fail(nil) }
		},
		"storage refuses, and the receiver restarts": func(p *prober) func() {
			p.store.Fail(errors.New("boom"))
			return func() { p.store.Fail(nil); p.restart() }
		},
		"nothing reaches the callback": func(p *prober) func() {
			p.unreachable = true
			return func() { p.unreachable = false }
		},
		"check-subscription fails": func(p *prober) func() {
			p.broken = errors.New("boom")
			return func() { p.broken = nil }
		},
	}
}

func TestAnOutageThatStravaDoesNotBridgeIsAGap(t *testing.T) {
	for name, outage := range outages() {
		t.Run(name, func(t *testing.T) {
			p := probing(t)
			// The outage begins right after a probe and ends right before the second
			// probe after it.
			end := outage(p)
			p.probes(1)
			end()
			p.probes(1)
			p.mustHaveNoGap("after one failed probe")

			last := p.clock.Now()
			end = outage(p)
			p.probes(2)
			end()
			p.mustHaveNoGap("before a probe finds it well")
			p.probes(1)
			p.mustHaveGap("after two failed probes", last, p.clock.Now())
			again := p.webhook().Gap
			p.probes(3)
			if g := p.webhook().Gap; g != again {
				t.Errorf("the gap grew to %+v without an outage", g)
			}
		})
	}
}

func TestAGapIsRepairedAlthoughTheReceiverRestarted(t *testing.T) {
	p := probing(t)
	id := p.athlete(0)
	a := p.truth(id)[0].ID
	scans := p.completed(id)
	p.store.Fail(errors.New("boom"))
	lost := p.event(id, a, gathering.AspectUpdate)
	p.rename(id, a, "No webhook reported it")
	for range 3 { // Strava's three tries.
		if p.receiver.Receive(t.Context(), callbackKey, lost) == nil {
			t.Fatal("status 200 for an event that was not stored")
		}
		p.probes(1)
	}
	p.store.Fail(nil)
	p.restart()
	p.probes(1)
	p.repair()
	p.until("the history is read again", func() bool { return p.completed(id) > scans })
	p.same(id)
}

func TestProbesThatDoNotRunProveNothing(t *testing.T) {
	p := probing(t)
	last := p.clock.Now()
	p.clock.Advance(20 * time.Minute)
	p.run()
	p.mustHaveGap("after 20 minutes without a probe", last, p.clock.Now())
}

func TestAWriteThatFailsLeavesTheTimesAsTheyWere(t *testing.T) {
	p := probing(t)
	last := p.webhook()
	p.probe.Webhooks = readOnly{p.store}
	p.probes(2)
	if got := p.webhook(); got != last {
		t.Errorf("stored %+v", got)
	}
	if s := p.unhealthySeconds(); s != 240 {
		t.Errorf("%d s reported as unhealthy, want 240", s)
	}
	if p.probe.Run(t.Context(), false) == nil {
		t.Error("no error")
	}
	p.probe.Webhooks = p.store
	p.probes(1)
	p.mustHaveGap("once writes work again", last.Callback.HealthyAt, p.clock.Now())
}

// readOnly takes no writes.
type readOnly struct{ gathering.Webhooks }

func (readOnly) UpdateWebhook(context.Context, func(*gathering.Webhook) (bool, error)) (gathering.Webhook, error) {
	return gathering.Webhook{}, errors.New("boom")
}

func TestALateAnswerCountsForWhenItsProbeBegan(t *testing.T) {
	t.Run("a late failure after a success", func(t *testing.T) {
		p := probing(t)
		p.clock.Advance(probeInterval)
		p.unreachable = true
		p.before = func() {
			p.unreachable = false
			p.clock.Advance(probeInterval)
			p.run()
		}
		p.run()
		if h := p.webhook().Callback; !h.FailingSince.IsZero() || !h.HealthyAt.Equal(p.clock.Now()) {
			t.Errorf("health %+v", h)
		}
		p.probes(1)
		p.mustHaveNoGap("with no failure after the last success")
	})
	t.Run("a late success after a failure", func(t *testing.T) {
		p := probing(t)
		p.clock.Advance(probeInterval)
		well := p.clock.Now()
		p.before = func() {
			p.unreachable = true
			p.clock.Advance(probeInterval)
			p.run()
		}
		p.run()
		if h := p.webhook().Callback; !h.FailingSince.Equal(p.clock.Now()) || !h.HealthyAt.Equal(well) || h.Failure == "" {
			t.Errorf("health %+v", h)
		}
		p.probes(1)
		p.unreachable = false
		p.probes(1)
		p.mustHaveGap("from the late success", well, p.clock.Now())
	})
	t.Run("two at once after an outage", func(t *testing.T) {
		p := probing(t)
		last := p.clock.Now()
		p.unreachable = true
		p.probes(3)
		p.unreachable = false
		p.clock.Advance(probeInterval)
		p.before = p.run
		p.run()
		p.mustHaveGap("noted once", last, p.clock.Now())
	})
	t.Run("an answer about an older configuration", func(t *testing.T) {
		p := probing(t)
		p.clock.Advance(probeInterval)
		p.unreachable, p.atStrava = true, credentialsv1.SubscriptionMissing
		p.before = func() { p.configure(0, 2) }
		p.run()
		if w := p.webhook(); w.Callback != (gathering.Health{}) || w.Subscription != (gathering.Health{}) {
			t.Errorf("webhook %+v", w)
		}
	})
}

func TestClocksThatDifferBy30SecondsChangeNothing(t *testing.T) {
	for _, skews := range [][2]time.Duration{{0, 30 * time.Second}, {30 * time.Second, 0}, {0, -30 * time.Second}} {
		for failing, gap := range map[int]bool{1: false, 2: true} {
			p := probing(t)
			p.skew = skews[0]
			p.probes(1)
			last := p.clock.Now().Add(p.skew)
			p.unreachable = true
			p.probes(failing)
			p.unreachable = false
			p.skew = skews[1]
			p.probes(1)
			if gap {
				p.mustHaveGap("after two failed probes", last, p.clock.Now().Add(p.skew))
			} else {
				p.mustHaveNoGap("after one failed probe")
			}
			if s := p.unhealthySeconds(); s < 0 {
				t.Errorf("%d s reported as unhealthy", s)
			}
		}
	}
}

func TestASubscriptionThatVanishesIsLostUntilItIsBack(t *testing.T) {
	for name, vanish := range map[string]func(p *prober){
		credentialsv1.SubscriptionMissing:   func(p *prober) { p.atStrava, p.id = credentialsv1.SubscriptionMissing, 0 },
		credentialsv1.SubscriptionElsewhere: func(p *prober) { p.atStrava, p.id = credentialsv1.SubscriptionElsewhere, 7 },
		gathering.SubscriptionReplaced:      func(p *prober) { p.id = 7 },
	} {
		t.Run(name, func(t *testing.T) {
			p := probing(t)
			last := p.webhook().Subscription.HealthyAt
			vanish(p)
			p.probes(4)
			if h := p.webhook().Subscription; h.Failure != "" {
				t.Errorf("Strava was asked again within 10 minutes: %+v", h)
			}
			p.probes(1)
			if h := p.webhook().Subscription; h.Failure != name || !h.FailingSince.Equal(p.clock.Now()) {
				t.Errorf("health %+v", h)
			}
			if n := p.metrics.Of(metric.SubscriptionLost); n != 1 {
				t.Errorf("reported lost %d times", n)
			}
			first := p.clock.Now()
			p.probes(5)
			if h := p.webhook().Subscription; h.Failure != name || !h.FailingSince.Equal(first) {
				t.Errorf("the hint again: %+v", h)
			}
			p.mustHaveNoGap("while it is lost")
			p.atStrava, p.id = credentialsv1.SubscriptionOK, subscription
			p.probes(5)
			p.mustHaveGap("once it is back", last, p.clock.Now())
			if h := p.webhook().Subscription; h != (gathering.Health{HealthyAt: p.clock.Now()}) {
				t.Errorf("health %+v", h)
			}
			lost := p.metrics.Of(metric.SubscriptionLost)
			p.probes(1)
			if n := p.metrics.Of(metric.SubscriptionLost); n != lost {
				t.Error("reported lost although it is back")
			}
		})
	}
}

func TestANewSubscriptionEndsTheGap(t *testing.T) {
	p := probing(t)
	last := p.webhook().Subscription.HealthyAt
	p.atStrava, p.id = credentialsv1.SubscriptionMissing, 0
	p.probes(5)
	p.clock.Advance(time.Minute)
	p.configure(subscription+1, 2)
	p.mustHaveGap("after subscription ensure", last, p.clock.Now())
	p.atStrava, p.id = credentialsv1.SubscriptionOK, subscription+1
	asked := p.asked
	p.probes(1)
	if h := p.webhook().Subscription; p.asked != asked+1 || h != (gathering.Health{HealthyAt: p.clock.Now()}) {
		t.Errorf("asked %d times more, %+v", p.asked-asked, h)
	}
}

func TestStravasSilenceSaysNothingAboutTheSubscription(t *testing.T) {
	p := probing(t)
	p.atStrava, p.id = credentialsv1.SubscriptionUnknown, 0
	p.probes(60)
	asked := p.asked
	if h := p.webhook().Subscription; !h.FailingSince.IsZero() || p.metrics.Of(metric.SubscriptionLost) != 0 {
		t.Errorf("health %+v", h)
	}
	if asked < 12 || asked > 13 { // The first probe asks, and one every 10 minutes.
		t.Errorf("asked %d times in 2 hours", asked)
	}
	if s := p.unhealthySeconds(); s != 2*60*60 {
		t.Errorf("%d s reported as unhealthy", s)
	}
	p.atStrava, p.id = credentialsv1.SubscriptionOK, subscription
	p.probes(5)
	p.mustHaveNoGap("when Strava answers again")
	if s := p.unhealthySeconds(); s >= 10*60 {
		t.Errorf("%d s reported as unhealthy", s)
	}
}

func TestEveryProbeReportsHowLongTheWebhookIsUnhealthy(t *testing.T) {
	p := probing(t)
	if s := p.unhealthySeconds(); s != 0 {
		t.Errorf("%d s when all is well", s)
	}
	p.unreachable = true
	p.probes(1)
	if s := p.unhealthySeconds(); s != 120 {
		t.Errorf("%d s after a failed probe", s)
	}
	p.broken = errors.New("boom")
	p.probes(1)
	if s := p.unhealthySeconds(); s != 240 {
		t.Errorf("%d s when the check fails", s)
	}
	if p.probe.Run(t.Context(), false) == nil {
		t.Error("no error although the check could not be made")
	}
	if all := p.metrics.All(); all[metric.WebhookUnhealthy] == 0 {
		t.Errorf("metrics %v", all)
	}
}

func TestWithoutASubscriptionNothingIsWrong(t *testing.T) {
	p := probing(t)
	p.probe.Check = func(context.Context, credentialsv1.CheckSubscriptionRequest) (credentialsv1.CheckSubscriptionResponse, error) {
		return credentialsv1.CheckSubscriptionResponse{}, nil
	}
	p.configure(0, 2) // The admin deleted it.
	p.probes(60)
	if s := p.unhealthySeconds(); s != 0 {
		t.Errorf("%d s reported as unhealthy", s)
	}
	if _, reported := p.metrics.All()[metric.SubscriptionLost]; !reported || p.metrics.Of(metric.SubscriptionLost) != 0 {
		t.Error("no figure was reported, or the subscription was reported as lost")
	}
	p.mustHaveNoGap("without a subscription")
	// With the next one, what was missed in between is read again.
	p.configure(subscription+1, 3)
	if g := p.webhook().Gap; !g.To.Equal(p.clock.Now()) {
		t.Errorf("gap %+v", g)
	}
}

func TestAnOlderConfigurationChangesNothing(t *testing.T) {
	p := probing(t)
	p.configure(7, 3)
	known := p.webhook()
	for _, version := range []int64{1, 2, 3} {
		p.clock.Advance(time.Hour)
		p.configure(6, version)
		if got := p.webhook(); got != known {
			t.Errorf("version %d after 3: %+v", version, got)
		}
	}
}

func TestTwoGapsBeforeTheFirstIsRepairedBecomeOne(t *testing.T) {
	p := probing(t)
	outage := func() (from time.Time) {
		from = p.clock.Now()
		p.unreachable = true
		p.probes(3)
		p.unreachable = false
		p.probes(1)
		return from
	}
	first := outage()
	p.probes(5)
	outage()
	p.mustHaveGap("two, neither repaired", first, p.clock.Now())
	// By a clock that is behind, the second may end first.
	end := p.clock.Now()
	p.skew = -20 * time.Minute
	p.configure(0, 2)
	c := p.ports.Configuration()
	c.Now = p.probe.Now
	if err := c.Configure(t.Context(), configured(subscription, 3)); err != nil {
		t.Fatal(err)
	}
	p.skew = 0
	if g := p.webhook().Gap; g.To.Before(end) {
		t.Errorf("the gap that both became ends at %s, before %s", g.To, end)
	}
	p.run()
	p.repair()
	third := outage()
	p.mustHaveGap("a third after the repair", third, p.clock.Now())
}

func TestAGapIsRepairedOnceAllScansArePlanned(t *testing.T) {
	const athletes = 510 // More than are looked at in one go.
	w := newWorld(t, plenty, histories(1)...)
	for id := range int64(athletes) {
		_, err := w.store.Update(t.Context(), id+1, func(a *gathering.Athlete) (bool, error) {
			*a = gathering.Athlete{
				ID: id + 1, Generation: generation, State: gathering.Active, Scan: gathering.Scan{State: gatheringv1.ScanCompleted},
				Last: gathering.CompletedScan{Started: start, Finished: start, Pages: 1, Activities: 5},
				Job:  gathering.Job{Class: quota.Spare, Due: start.Add(day)},
			}
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.clock.Advance(time.Hour)
	w.configure(subscription+1, 2)
	for planned := false; !planned; {
		if err := w.gatherer.PromoteScans(t.Context()); err != nil {
			t.Fatal(err)
		}
		waiting, err := w.store.Waiting(t.Context(), quota.Reconcile, w.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		webhook, err := w.store.Webhook(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if planned = webhook.Gap.Planned; planned != (waiting.Count == athletes) {
			t.Fatalf("of %d scans %d are planned again; dealt with: %v", athletes, waiting.Count, planned)
		}
	}
}
