package main

import (
	"errors"
	"math"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// keep is how long a record stays without being read again.
const keep = retention.StravaData

// figures are the measurements of a scenario. They are taken from outside
// wherever possible: at Strava, at the webhook, and on the bus.
type figures struct {
	calls    map[quota.Class]int
	metrics  map[string]int
	webhooks int
	// waits are the times from webhook events to the calls that read what they
	// reported. singleWaits are those of events without another one of the same
	// athlete in the minute before.
	waits, singleWaits []time.Duration
	// recovery is the longest wait, from the end of an outage, of work from
	// before that end.
	recovery time.Duration
	// faults counts the calls without a right answer. sickCalls is the most calls
	// for one sick athlete in a day.
	faults, sickCalls int
	// unreadable is the longest time for which an activity could not be read here
	// although Strava could show it.
	unreadable time.Duration
	// firstPages and firstScans are how long newcomers waited for them.
	// incomplete counts the newcomers whose first scan was not complete at the
	// end.
	firstPages, firstScans []time.Duration
	incomplete             int
	// oldest is the greatest age at which a record was read again or removed.
	oldest time.Duration
	// aged counts the records that were removed for their age, and read the
	// readings.
	aged, read int
	// wrong counts the records that were removed although Strava shows the
	// activity.
	wrong int
	// deletions and changes are the times from a deletion or a change at Strava
	// until it was stored here.
	deletions, changes []time.Duration
	// shares are the pages that each newcomer got of the class backfill,
	// divided by the turns that the waiting newcomers had on average in that
	// time. A turn that has begun counts, because a page cannot be divided.
	shares []float64
	// divided are the same with fractions of a turn.
	divided []float64
	// turns is the number of turns so far: one page for each waiting newcomer.
	turns float64
	// waiting are the athletes whose first scan is in the class backfill.
	waiting map[int64]*athlete
	// idle are the days with a time at which no work waited.
	idle map[int64]bool
	// blocked are the quarter hours in which work had to wait for the next
	// quarter hour, and blockedDays the days in which it had to wait for the
	// next day.
	blocked, blockedDays map[int64]bool
}

func newFigures() *figures {
	return &figures{
		calls: map[quota.Class]int{}, metrics: map[string]int{}, waiting: map[int64]*athlete{},
		idle: map[int64]bool{}, blocked: map[int64]bool{}, blockedDays: map[int64]bool{},
	}
}

// sample notes every two minutes whether work waits.
func (w *world) sample() {
	count := 0
	for _, class := range quota.Classes {
		waiting, err := w.memory.Store.Waiting(w.ctx, class, w.kernel.now)
		if err != nil && !errors.Is(err, errComponent) {
			w.fail(err)
		}
		count += waiting.Count
	}
	if count == 0 && w.broken != storage {
		w.figures.idle[dayOf(w.kernel.now)] = true
	}
	w.kernel.after(2*time.Minute, w.sample)
}

// permitRefused notes which limit work waits for.
func (w *world) permitRefused(err error) {
	wait := new(quota.Wait)
	if !errors.As(err, &wait) {
		w.fail(err)
		return
	}
	switch end := (quarterOf(w.kernel.now) + 1) * 900; {
	case wait.Reason == quota.ReasonDailyLimit:
		w.figures.blockedDays[dayOf(w.kernel.now)] = true
	case wait.Reason == quota.ReasonRateLimit && wait.Until.Unix() >= end:
		w.figures.blocked[quarterOf(w.kernel.now)] = true
	}
}

// stored notes that the activity was read and stored.
func (w *world) stored(a *athlete, act *activity, at time.Time) {
	f := w.figures
	f.read++
	w.noteUnreadable(a, act, at)
	if act.read != 0 && !a.observed {
		age := at.Sub(time.Unix(act.read, 0))
		if age > keep {
			f.aged++
		}
		f.oldest = max(f.oldest, min(age, keep))
	}
	if act.changed != 0 && act.read < act.changed && at.Unix() >= act.changed && !a.observed {
		f.changes = append(f.changes, at.Sub(time.Unix(act.changed, 0)))
	}
	act.read = max(act.read, at.Unix())
}

// noteUnreadable notes how long, up to a time, the activity could not be read
// here although Strava could show it.
func (w *world) noteUnreadable(a *athlete, act *activity, until time.Time) {
	from := max(act.shown, a.connected.Unix())
	if act.read != 0 {
		from = act.read + int64(keep/time.Second)
	}
	if w.isSick(a, until) {
		return
	}
	if until.After(a.sickUntil) {
		from = max(from, a.sickUntil.Unix())
	}
	w.figures.unreadable = max(w.figures.unreadable, until.Sub(time.Unix(from, 0)))
}

// dropped notes that the record was removed, unless it was read later.
func (w *world) dropped(a *activity, at time.Time) {
	if a.read == 0 || a.read > at.Unix() {
		return
	}
	f := w.figures
	switch age := w.kernel.now.Sub(time.Unix(a.read, 0)); {
	case a.deleted == 0:
		f.wrong++
	case age > keep: // it was removed before, for its age
		f.aged++
	default:
		f.deletions = append(f.deletions, w.kernel.now.Sub(time.Unix(a.deleted, 0)))
	}
	a.read = 0
}

// superseded removes the records that a complete scan did not find. Like the
// activity plane, it removes many at once only after gathering has confirmed it.
func (w *world) superseded(a *athlete, f gatheringv1.ScanProgressed) {
	held := 0
	var missing []int
	for i := range a.activities {
		act := &a.activities[i]
		if act.read == 0 || w.kernel.now.Sub(time.Unix(act.read, 0)) > keep {
			continue // there is none, or it was removed for its age
		}
		held++
		if act.read < f.StartedAt.Unix() && covers(f.Covered, act.start) {
			missing = append(missing, i)
		}
	}
	if !f.Confirmed && len(missing) > max(3, held*2/100) {
		sample := []int64{a.activityID(int32(missing[0])), a.activityID(int32(missing[len(missing)-1]))}
		w.kernel.after(5*time.Second, func() {
			w.retry("recheck", func() error {
				return w.authorizations.Recheck(w.ctx, gathering.Authorization{AthleteID: a.id, Generation: f.Generation}, f.ScanID, sample)
			})
		})
		return
	}
	for _, i := range missing {
		w.dropped(&a.activities[i], *f.StartedAt)
	}
}

func covers(spans []gatheringv1.Span, start int64) bool {
	return slices.ContainsFunc(spans, func(s gatheringv1.Span) bool {
		return (s.From == nil || start >= s.From.Unix()) && (s.To == nil || start < s.To.Unix())
	})
}

// webhookArrived notes a webhook event about an activity.
func (w *world) webhookArrived(a *athlete, number int32, aspect string) {
	now := w.kernel.now
	if !w.isUnshowable(a.activityID(number)) {
		a.hints = append(a.hints, hint{number, aspect, now, now.Sub(a.lastEvent) > time.Minute})
	}
	a.lastEvent = now
}

// webhookLost notes that Strava made its last attempt in vain: no work waits
// because of the event.
func (w *world) webhookLost(n gathering.WebhookEvent) {
	a := w.athletes[n.OwnerID-1]
	a.hints = slices.DeleteFunc(a.hints, func(h hint) bool { return a.activityID(h.number) == n.ObjectID && h.aspect == n.AspectType })
}

// resolved notes that a call read what some hints are about.
func (w *world) resolved(a *athlete, about func(hint) bool) {
	a.hints = slices.DeleteFunc(a.hints, func(h hint) bool {
		if !about(h) {
			return false
		}
		w.waited(a, h)
		return true
	})
}

// waited notes how long a hint has waited.
func (w *world) waited(a *athlete, h hint) {
	f := w.figures
	wait := w.kernel.now.Sub(h.came)
	w.noteRecovery(a, h.came)
	if a.observed {
		return
	}
	f.waits = append(f.waits, wait)
	if h.single {
		f.singleWaits = append(f.singleWaits, wait)
	}
}

// noteRecovery notes that work for the athlete, which came at a time, is done.
func (w *world) noteRecovery(a *athlete, came time.Time) {
	if came.Before(w.recovered) && a.failure == nil {
		w.figures.recovery = max(w.figures.recovery, w.kernel.now.Sub(w.recovered))
	}
}

// called notes that Strava counted a call for the athlete.
func (w *world) called(a *athlete) {
	f, day := w.figures, dayOf(w.kernel.now)
	f.calls[w.kernel.running.class]++
	if a.calledOn != day {
		a.calledOn, a.callsThatDay = day, 0
	}
	if a.callsThatDay++; w.isSick(a, w.kernel.now) {
		f.sickCalls = max(f.sickCalls, a.callsThatDay)
	}
}

// listed notes that a page of the athlete's history was read.
func (w *world) listed(a *athlete, req gathering.PageRequest, numbers []int32) {
	newest := req.Page == 1 && req.To.After(w.kernel.now)
	end := len(numbers) == 0 && req.From.IsZero()
	w.resolved(a, func(h hint) bool {
		return newest && h.aspect == gathering.AspectCreate || slices.Contains(numbers, h.number) || end
	})
	w.paged(a, newest, len(numbers))
}

// paged notes that a page of a first scan was read. After the first page, the
// athlete waits in the class backfill.
func (w *world) paged(a *athlete, newest bool, length int) {
	f := w.figures
	if !a.complete.IsZero() {
		return
	}
	class := w.kernel.running.class
	if class == quota.Backfill && f.waiting[a.id] != nil {
		f.turns += 1 / float64(len(f.waiting))
		a.served++
	}
	if newest && class == quota.Interactive && a.firstPage.IsZero() {
		a.firstPage = w.kernel.now
		w.noteRecovery(a, a.connected)
		if !a.observed {
			f.firstPages = append(f.firstPages, w.kernel.now.Sub(a.connected))
		}
		if length > 0 {
			a.joinedAt = f.turns
			f.waiting[a.id] = a
		}
	}
}

// completed notes that a scan of the athlete is complete.
func (w *world) completed(a *athlete, p gatheringv1.ScanProgressed) {
	if a.complete.IsZero() {
		a.complete = w.kernel.now
		if !a.observed {
			w.figures.firstScans = append(w.figures.firstScans, w.kernel.now.Sub(a.connected))
		}
		w.finished(a)
	}
	w.superseded(a, p)
}

// stopWaiting ends the athlete's wait without a share, because a call for the
// athlete failed or the athlete left.
func (w *world) stopWaiting(a *athlete) { delete(w.figures.waiting, a.id) }

// finished ends the athlete's wait, with a share, because the first scan is
// complete.
func (w *world) finished(a *athlete) {
	f := w.figures
	if f.waiting[a.id] == nil {
		return
	}
	delete(f.waiting, a.id)
	if equal := f.turns - a.joinedAt; equal > 0 {
		f.shares = append(f.shares, float64(a.served)/math.Ceil(equal))
		f.divided = append(f.divided, float64(a.served)/equal)
	}
}
