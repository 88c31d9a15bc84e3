package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/gathering"
)

// The behaviour of athletes, as far as it affects gathering.
const (
	// The sizes of histories: the median, the standard deviation of the
	// logarithm, and the largest.
	medianHistory, historySpread, largestHistory = 250, 1.3, 20_000
	// Uploads per day and athlete: the median and the standard deviation of the
	// logarithm. The mean is 0.36, and weekendFactor times that on Saturdays and
	// Sundays.
	medianPerDay, perDaySpread, weekendFactor = 0.25, 0.85, 1.5
	// Shares of the uploads.
	shareLate     = 0.04  // the activity began days ago
	shareBurst    = 0.003 // 19 more follow within a minute
	shareSlow     = 0.05  // the event is sent before Strava shows the activity
	shareRenamed  = 0.25  // renamed within hours
	shareDeleted  = 0.01  // deleted within days
	shareSilent   = 0.02  // changed later without an event
	shareLost     = 0.005 // events that never arrive
	shareRepeated = 0.01  // events that arrive twice
	// leavingPerDay is the chance that an athlete deauthorizes on a day.
	leavingPerDay = 0.0005
)

// hours is the relative frequency of uploads in each hour of the athlete's day.
var hours = [24]float64{
	0.1, 0.05, 0.05, 0.05, 0.1, 0.4, 1.0, 1.4, 1.5, 1.4, 1.3, 1.3,
	1.3, 1.1, 0.9, 0.9, 1.1, 1.6, 2.0, 2.0, 1.6, 1.0, 0.5, 0.3,
}

// zones are the time zones of athletes, with the share of athletes in each.
var zones = []struct {
	offset time.Duration
	share  float64
}{{time.Hour, 0.45}, {-5 * time.Hour, 0.22}, {-8 * time.Hour, 0.13}, {-3 * time.Hour, 0.05}, {9 * time.Hour, 0.10}, {10 * time.Hour, 0.05}}

// populate creates the athletes. Each connects at a random time within
// connecting.
func (w *world) populate(count int, connecting time.Duration) {
	r := w.random
	longest := cmp.Or(w.scenario.longest, largestHistory)
	for i := range count {
		a := &athlete{id: int64(i + 1)}
		n := int(medianHistory * math.Exp(historySpread*r.NormFloat64()))
		if n = min(n, longest); i == count/2 {
			n = longest
		}
		life := time.Duration(n)*36*time.Hour + exponential(r, 365*24*time.Hour)
		a.joined = w.kernel.now.Add(-life).Truncate(time.Second)
		a.activities = make([]activity, n, n+64)
		a.order = make([]int32, n, n+64)
		for number := range n {
			a.activities[number].shown = w.kernel.now.Unix()
			a.activities[number].start = a.joined.Unix() + int64(life/time.Second)*int64(number)/int64(n)
			a.order[number] = int32(number)
		}
		a.perDay = medianPerDay * math.Exp(perDaySpread*r.NormFloat64())
		share := r.Float64()
		for _, z := range zones {
			if a.zone = z.offset; share < z.share {
				break
			}
			share -= z.share
		}
		w.athletes = append(w.athletes, a)
		w.kernel.after(time.Duration(r.Float64()*float64(connecting)), func() { w.connect(a) })
	}
}

func (w *world) connect(a *athlete) {
	a.generation = w.kernel.now.UnixMilli()
	a.connected = w.kernel.now
	w.retry("begin", func() error {
		return w.authorizations.Begin(w.ctx, event.Meta{OccurredAt: a.connected}, gathering.Authorization{AthleteID: a.id, Generation: a.generation})
	})
	w.live(a)
}

// live makes the athlete upload, and leave at last.
func (w *world) live(a *athlete) {
	// The busiest hour of a weekend relative to the average hour.
	const peak = 2.0 * weekendFactor
	mean := time.Duration(float64(24*time.Hour) / (a.perDay * peak))
	w.kernel.after(exponential(w.random, mean), func() {
		if a.left {
			return
		}
		local := w.kernel.now.Add(a.zone)
		weight := hours[local.Hour()]
		if d := local.Weekday(); d == time.Saturday || d == time.Sunday {
			weight *= weekendFactor
		}
		if w.random.Float64() < weight/peak {
			w.upload(a)
			if w.random.Float64() < shareBurst*max(1, w.scenario.bursts) {
				for range 19 {
					w.kernel.after(time.Duration(w.random.Float64()*float64(time.Minute)), func() { w.upload(a) })
				}
			}
		}
		w.live(a)
	})
	if !a.leaving {
		a.leaving = true
		w.kernel.after(exponential(w.random, time.Duration(float64(24*time.Hour)/leavingPerDay)), func() { w.leave(a) })
	}
}

// upload creates an activity at Strava, with its later changes.
func (w *world) upload(a *athlete) {
	r := w.random
	start := w.kernel.now.Add(-30*time.Minute - exponential(r, 40*time.Minute))
	if r.Float64() < shareLate {
		start = start.Add(-exponential(r, 48*time.Hour))
	}
	number := int32(len(a.activities))
	a.activities = append(a.activities, activity{start: start.Unix()})
	shown := func() {
		if a.left {
			return
		}
		a.activities[number].changed, a.activities[number].shown = w.kernel.now.Unix(), w.kernel.now.Unix()
		a.show(number)
	}
	if r.Float64() < shareSlow {
		w.kernel.after(time.Duration(r.Float64()*float64(5*time.Minute)), shown)
	} else {
		shown()
	}
	w.sendEvent(a, number, gathering.AspectCreate)

	change := func(mean time.Duration, do func()) {
		w.kernel.after(5*time.Minute+exponential(r, mean), func() {
			if a.left || a.activities[number].deleted != 0 {
				return
			}
			a.activities[number].changed = w.kernel.now.Unix()
			do()
		})
	}
	switch p := r.Float64(); {
	case p < shareRenamed:
		change(2*time.Hour, func() { w.sendEvent(a, number, gathering.AspectUpdate) })
	case p < shareRenamed+shareDeleted:
		change(24*time.Hour, func() {
			a.activities[number].deleted = w.kernel.now.Unix()
			a.hide(number)
			w.sendEvent(a, number, gathering.AspectDelete)
		})
	case p < shareRenamed+shareDeleted+shareSilent:
		change(24*time.Hour, func() {})
	}
}

// sendEvent sends a webhook event about an activity, unless it is lost.
func (w *world) sendEvent(a *athlete, number int32, aspect string) {
	event := gathering.WebhookEvent{
		ObjectType: "activity", ObjectID: a.activityID(number), AspectType: aspect,
		OwnerID: a.id, SubscriptionID: subscription, EventTime: w.kernel.now.Unix(),
	}
	if w.random.Float64() < shareLost {
		return
	}
	w.kernel.after(time.Second+exponential(w.random, 8*time.Second), func() {
		if a.left {
			return
		}
		w.webhookArrived(a, number, aspect)
		w.receive(event)
	})
	if w.random.Float64() < shareRepeated {
		w.kernel.after(2*time.Minute, func() { w.receive(event) })
	}
}

// leave deauthorizes the application at Strava.
func (w *world) leave(a *athlete) {
	a.left, a.hints = true, nil
	w.stopWaiting(a)
	w.receive(gathering.WebhookEvent{
		ObjectType: "athlete", ObjectID: a.id, AspectType: gathering.AspectUpdate,
		OwnerID: a.id, SubscriptionID: subscription, EventTime: w.kernel.now.Unix(),
		Updates: map[string]any{"authorized": "false"},
	})
}

const (
	// deliveries is how many times Strava sends an event that is not accepted
	// (Strava, "Webhook Events API"). redeliverAfter passes between them, as
	// observed.
	deliveries     = 3
	redeliverAfter = 2 * time.Minute
)

// receive delivers a webhook event.
func (w *world) receive(n gathering.WebhookEvent) {
	w.figures.webhooks++
	w.deliver(n, deliveries)
}

func (w *world) deliver(n gathering.WebhookEvent, tries int) {
	err := w.receiver.Receive(w.ctx, callbackKey, n)
	switch {
	case err == nil:
	case !errors.Is(err, errComponent):
		w.fail(fmt.Errorf("receive a webhook event: %w", err))
	case tries > 1:
		w.kernel.after(redeliverAfter, func() { w.deliver(n, tries-1) })
	default:
		w.webhookLost(n)
	}
}
