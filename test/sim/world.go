package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/secret"
)

const (
	callbackKey  = "the-callback-key"
	subscription = 120475

	// gatherers is how many may run at once, and runTime how long one does.
	gatherers = 3
	runTime   = 40 * time.Second
	// wakeTime is what it takes to start one.
	wakeTime = 700 * time.Millisecond
	// How long the storage and the bus take.
	budgetTime, publishTime = 12 * time.Millisecond, 25 * time.Millisecond
)

// world is gathering, Strava and its athletes.
type world struct {
	ctx      context.Context
	scenario scenario
	kernel   *kernel
	// random draws the actions of athletes, answers how Strava answers, and faults
	// the failures. Athletes therefore do the same whatever fails.
	random, answers, faults *rand.Rand
	limiter                 *limiter
	athletes                []*athlete
	figures                 *figures

	memory         *gatheringtest.Memory
	receiver       *gathering.WebhookReceiver
	authorizations *gathering.Authorizations

	// outage is how Strava fails for all athletes at present, and recovered is
	// when the last outage ended; broken is the part of ours that fails at
	// present.
	outage    *failure
	recovered time.Time
	broken    part

	running int
	woken   bool
	err     error
}

// start of every scenario: a Monday.
var start = time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)

func newWorld(s scenario) *world {
	w := &world{
		ctx: context.Background(), scenario: s, kernel: &kernel{now: start},
		random: rand.New(rand.NewPCG(s.seed, 7)), answers: rand.New(rand.NewPCG(s.seed, 8)), faults: rand.New(rand.NewPCG(s.seed, 9)),
		limiter: &limiter{limit: s.limit, usedOn: map[int64]int{}, usedIn: map[int64]int{}, refused: map[int64]int{}},
		figures: newFigures(), memory: gatheringtest.NewMemory(),
	}
	clock := func() time.Time { return w.kernel.now }
	ports := w.ports(clock)
	w.authorizations, w.receiver = ports.Authorizations(), ports.Receiver()
	err := ports.Configuration().Configure(w.ctx, gathering.Webhook{
		CallbackKeySHA256: secret.New(callbackKey).SHA256(), VerifyTokenSHA256: secret.New("x").SHA256(),
		SubscriptionID: subscription, Version: 1,
	})
	if err != nil {
		w.fail(err)
	}
	return w
}

// ports returns the ports of a process with this clock.
func (w *world) ports(clock func() time.Time) gathering.Ports {
	p := w.memory.Ports(clock)
	p.Strava, p.Waker, p.Publisher, p.Metrics = stravaPort{w, clock}, w, w, w
	return p
}

func (w *world) fail(err error) {
	if w.err == nil {
		w.err = fmt.Errorf("%s: %w", w.kernel.now.Format(time.DateTime), err)
	}
}

// Wake implements [gathering.Waker].
func (w *world) Wake(_ context.Context, after time.Duration) error {
	if after > 0 {
		w.kernel.after(after, w.wake)
	} else {
		w.wake()
	}
	return nil
}

// wake starts a gatherer, unless one is being started.
func (w *world) wake() {
	if w.woken || w.running >= gatherers {
		return
	}
	w.woken = true
	w.kernel.after(wakeTime, func() {
		w.woken = false
		w.gather()
	})
}

// tick wakes a gatherer every minute.
func (w *world) tick() {
	w.wake()
	w.kernel.after(time.Minute, w.tick)
}

// gather runs one gatherer, by a clock of its own.
func (w *world) gather() {
	if w.running >= gatherers {
		return
	}
	w.running++
	off := time.Duration((2*w.answers.Float64() - 1) * float64(w.scenario.skew))
	clock := func() time.Time { return w.kernel.now.Add(off) }
	g := w.ports(clock).Gatherer()
	g.Quota = permits{w, g.Quota}
	w.kernel.start(func() {
		more, err := g.Run(w.ctx, clock().Add(runTime))
		w.running--
		if err != nil && !errors.Is(err, errOurs) {
			w.fail(fmt.Errorf("run: %w", err))
		}
		if more {
			w.wake()
		}
	})
}

// Count implements [gathering.Metrics].
func (w *world) Count(metric string, n int) { w.figures.metrics[metric] += n }

// permits is [gathering.Quota]: the real engine, which takes a moment.
type permits struct {
	world *world
	gathering.Quota
}

// Reserve implements [gathering.Quota].
func (p permits) Reserve(ctx context.Context, class quota.Class, due time.Time) (quota.Permit, error) {
	p.world.kernel.sleep(budgetTime)
	if err := p.world.ours(storage); err != nil {
		return quota.Permit{}, err
	}
	permit, err := p.Quota.Reserve(ctx, class, due)
	if err != nil {
		p.world.refused(err)
		return permit, err
	}
	p.world.kernel.running.class = class
	return permit, nil
}

// Settle implements [gathering.Quota].
func (p permits) Settle(ctx context.Context, permit quota.Permit, answer quota.Answer) (quota.Standing, error) {
	p.world.kernel.sleep(budgetTime)
	if err := p.world.ours(storage); err != nil {
		return quota.Standing{}, err
	}
	return p.Quota.Settle(ctx, permit, answer)
}

// Publish implements [gathering.Publisher]: the planes, and credentials.
func (w *world) Publish(_ context.Context, events ...event.Event) error {
	w.kernel.sleep(publishTime)
	if err := w.ours(bus); err != nil {
		return err
	}
	for _, e := range events {
		switch f := e.Fact.(type) {
		case gatheringv1.ActivitiesGathered:
			a := w.athletes[f.AthleteID-1]
			if a.left {
				continue
			}
			for _, act := range f.Activities {
				w.stored(a, &a.activities[act.ID-a.id*idsPerAthlete], f.ReadAt)
			}
		case gatheringv1.ActivityGone:
			a := w.athletes[f.AthleteID-1]
			if a.left {
				continue
			}
			w.dropped(&a.activities[f.ActivityID-a.id*idsPerAthlete], f.ReadAt)
		case gatheringv1.ScanProgressed:
			if f.State == gatheringv1.ScanCompleted {
				w.completed(w.athletes[f.AthleteID-1], f)
			}
		case gatheringv1.DeauthorizationReported:
			w.end(w.athletes[f.AthleteID-1])
		}
	}
	return nil
}

// end has credentials announce that an athlete who withdrew access is gone.
func (w *world) end(a *athlete) {
	if a.ended {
		return
	}
	a.ended = true
	w.kernel.after(5*time.Second, func() {
		a.activities, a.order = nil, nil
		w.retry("end", func() error { return w.authorizations.End(w.ctx, event.Meta{}, a.id, a.generation, "receipt") })
	})
}
