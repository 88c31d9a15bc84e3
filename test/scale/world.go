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

	// gatherers limits the gatherers at one time. runTime is how long one runs.
	gatherers = 3
	runTime   = 40 * time.Second
	// wakeTime is how long it takes to start one.
	wakeTime = 700 * time.Millisecond
	// budgetTime and publishTime are how long the storage and the bus take.
	budgetTime, publishTime = 12 * time.Millisecond, 25 * time.Millisecond
)

// world holds gathering, Strava and its athletes in one scenario.
type world struct {
	ctx      context.Context
	scenario scenario
	kernel   *kernel
	// random draws the actions of athletes, answers the response times of Strava,
	// and faults the failures. So failures do not change what athletes do.
	random, answers, faults *rand.Rand
	limiter                 *limiter
	athletes                []*athlete
	figures                 *figures

	memory         *gatheringtest.Memory
	receiver       *gathering.WebhookReceiver
	authorizations *gathering.Authorizations

	// outage is how Strava fails for all athletes now, and recovered the end of
	// the last outage. broken is the component that fails now.
	outage    *failure
	recovered time.Time
	broken    component

	running int
	woken   bool
	err     error
}

// start is the start of every scenario, a Monday.
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

// wake starts a gatherer, unless one is starting.
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

// gather runs one gatherer with its own clock.
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
		if err != nil && !errors.Is(err, errComponent) {
			w.fail(fmt.Errorf("run a gatherer: %w", err))
		}
		if more {
			w.wake()
		}
	})
}

// Count implements [gathering.Metrics].
func (w *world) Count(metric string, n int) { w.figures.metrics[metric] += n }

// permits implements [gathering.Quota] by the real engine, with the time that its
// storage takes.
type permits struct {
	world *world
	gathering.Quota
}

// Acquire implements [gathering.Quota].
func (p permits) Acquire(ctx context.Context, class quota.Class, due time.Time) (quota.Permit, error) {
	p.world.kernel.sleep(budgetTime)
	if err := p.world.errorOf(storage); err != nil {
		return quota.Permit{}, err
	}
	permit, err := p.Quota.Acquire(ctx, class, due)
	if err != nil {
		p.world.permitRefused(err)
		return permit, err
	}
	p.world.kernel.running.class = class
	return permit, nil
}

// Settle implements [gathering.Quota].
func (p permits) Settle(ctx context.Context, permit quota.Permit, answer quota.Answer) (quota.Settlement, error) {
	p.world.kernel.sleep(budgetTime)
	if err := p.world.errorOf(storage); err != nil {
		return quota.Settlement{}, err
	}
	return p.Quota.Settle(ctx, permit, answer)
}

// Publish implements [gathering.Publisher] with a model of the consumers: the
// planes and credentials.
func (w *world) Publish(_ context.Context, events ...event.Event) error {
	w.kernel.sleep(publishTime)
	if err := w.errorOf(bus); err != nil {
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

// end ends the authorization, as after AuthorizationRevoked from credentials.
func (w *world) end(a *athlete) {
	if a.ended {
		return
	}
	a.ended = true
	w.kernel.after(5*time.Second, func() {
		a.activities, a.order = nil, nil
		w.retry("end", func() error {
			return w.authorizations.End(w.ctx, event.Meta{}, gathering.Authorization{AthleteID: a.id, Generation: a.generation}, "receipt")
		})
	})
}
