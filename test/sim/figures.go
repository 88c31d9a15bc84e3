package main

import (
	"errors"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/gathering/metric"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// keep is how long a row may be kept without being read again (Strava API
// Policy 6.2); then it is removed.
const keep = 7 * 24 * time.Hour

// figures are what is measured, from outside wherever possible: at Strava, at
// the webhook, and on the bus.
type figures struct {
	calls    map[quota.Class]int
	metrics  map[string]int
	webhooks int
	// waits is how long each webhook waited for the call that looked into it,
	// singleWaits the same of webhooks without another one of the same athlete in
	// the minute before.
	waits, singleWaits []time.Duration
	// recovery is the longest time for which work that came before the end of an
	// outage waited after that end.
	recovery time.Duration
	// faults counts the calls with another fate than a true answer, and sickCalls
	// is the most calls that were made for one sick athlete in a day.
	faults, sickCalls int
	// unreadable is the longest time for which an activity was not readable here
	// although Strava could show it.
	unreadable time.Duration
	// firstPages and firstScans are how long newcomers waited for them.
	firstPages, firstScans []time.Duration
	// oldest is how old a row became before it was read again or removed.
	oldest time.Duration
	// aged counts the rows that were removed for their age, read those that
	// were read.
	aged, read int
	// wrong counts rows that were removed although Strava shows them.
	wrong int
	// deletions is how long what was deleted at Strava stayed, and changes how
	// long what was changed there was shown as it had been.
	deletions, changes []time.Duration
	// shares are what each athlete got of the class backfill, in pages,
	// relative to the turns that everybody got who waited for it at the same
	// time. A turn that has begun counts: a page cannot be divided.
	shares []float64
	// divided are the same relative to a share that could be divided.
	divided []float64
	// line is how far an equal share has come: one page for everybody waiting.
	line float64
	// waiting are the athletes whose first scan is in the class backfill.
	waiting map[int64]*athlete
	// idle are the days on which there was a time when no work waited.
	idle map[int64]bool
	// blocked are the quarter hours in which work was told to wait for the
	// next one, and blockedDays the days.
	blocked, blockedDays map[int64]bool
}

func newFigures() *figures {
	return &figures{
		calls: map[quota.Class]int{}, metrics: map[string]int{}, waiting: map[int64]*athlete{},
		idle: map[int64]bool{}, blocked: map[int64]bool{}, blockedDays: map[int64]bool{},
	}
}

// sample looks every few minutes whether work waits.
func (w *world) sample() {
	count := 0
	for _, class := range quota.Classes {
		waiting, err := w.memory.Store.Waiting(w.ctx, class, w.kernel.now)
		if err != nil && !errors.Is(err, errOurs) {
			w.fail(err)
		}
		count += waiting.Count
	}
	if count == 0 && w.broken != storage {
		w.figures.idle[dayOf(w.kernel.now)] = true
	}
	w.kernel.after(2*time.Minute, w.sample)
}

// refused notes for what the quota lets work wait.
func (w *world) refused(err error) {
	wait := new(quota.Wait)
	if !errors.As(err, &wait) {
		w.fail(err)
		return
	}
	switch end := (quarterOf(w.kernel.now) + 1) * 900; {
	case wait.For == quota.ForDailyLimit:
		w.figures.blockedDays[dayOf(w.kernel.now)] = true
	case wait.For == quota.ForRateLimit && wait.Until.Unix() >= end:
		w.figures.blocked[quarterOf(w.kernel.now)] = true
	}
}

// stored notes that the row was read.
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

// noteUnreadable notes for how long, until a time, the activity was not readable
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

// dropped notes that the row was removed, unless it was read later.
func (w *world) dropped(a *activity, at time.Time) {
	if a.read == 0 || a.read > at.Unix() {
		return
	}
	f := w.figures
	switch age := w.kernel.now.Sub(time.Unix(a.read, 0)); {
	case a.deleted == 0:
		f.wrong++
	case age > keep: // It was removed before, for its age.
		f.aged++
	default:
		f.deletions = append(f.deletions, w.kernel.now.Sub(time.Unix(a.deleted, 0)))
	}
	a.read = 0
}

// superseded removes the rows that a complete scan did not find: more than a
// handful only once that is confirmed.
func (w *world) superseded(a *athlete, f gatheringv1.ScanProgressed) {
	held := 0
	var missing []int
	for i := range a.activities {
		act := &a.activities[i]
		if act.read == 0 || w.kernel.now.Sub(time.Unix(act.read, 0)) > keep {
			continue // There is none, or it was removed for its age.
		}
		held++
		if act.read < f.StartedAt.Unix() && covers(f.Covered, act.start) {
			missing = append(missing, i)
		}
	}
	if !f.Confirmed && len(missing) > max(3, held*2/100) {
		sample := []int64{a.activityID(int32(missing[0])), a.activityID(int32(missing[len(missing)-1]))}
		w.kernel.after(5*time.Second, func() {
			w.retry("recheck", func() error { return w.authorizations.Recheck(w.ctx, a.id, f.Generation, f.ScanID, sample) })
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

// announced notes that a webhook about an activity came.
func (w *world) announced(a *athlete, number int32, aspect string) {
	now := w.kernel.now
	if !w.isUnshowable(a.activityID(number)) {
		a.hints = append(a.hints, hint{number, aspect, now, now.Sub(a.lastEvent) > time.Minute})
	}
	a.lastEvent = now
}

// lost notes that Strava gave up delivering a webhook: nothing waits because of
// it.
func (w *world) lost(n gathering.WebhookEvent) {
	a := w.athletes[n.OwnerID-1]
	a.hints = slices.DeleteFunc(a.hints, func(h hint) bool { return a.activityID(h.number) == n.ObjectID && h.aspect == n.AspectType })
}

// looked notes that Strava was asked about what some hints said.
func (w *world) looked(a *athlete, at func(hint) bool) {
	a.hints = slices.DeleteFunc(a.hints, func(h hint) bool {
		if !at(h) {
			return false
		}
		w.waited(a, h)
		return true
	})
}

// waited notes how long a hint has waited until now.
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

// noteRecovery notes that work of the athlete, which came at a time, waited until
// now.
func (w *world) noteRecovery(a *athlete, came time.Time) {
	if came.Before(w.recovered) && a.illness == nil {
		w.figures.recovery = max(w.figures.recovery, w.kernel.now.Sub(w.recovered))
	}
}

// called notes that Strava has counted a call for the athlete.
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
	w.looked(a, func(h hint) bool {
		return newest && h.aspect == gathering.AspectCreate || slices.Contains(numbers, h.number) || end
	})
	w.paged(a, newest, len(numbers))
}

// paged notes that a page of a first scan was read. Those whose first scan is in
// the class backfill wait in line for it.
func (w *world) paged(a *athlete, newest bool, length int) {
	f := w.figures
	if !a.complete.IsZero() {
		return
	}
	class := w.kernel.running.class
	if class == quota.Backfill && f.waiting[a.id] != nil {
		f.line += 1 / float64(len(f.waiting))
		a.served++
	}
	if newest && class == quota.Interactive && a.firstPage.IsZero() {
		a.firstPage = w.kernel.now
		w.noteRecovery(a, a.connected)
		if !a.observed {
			f.firstPages = append(f.firstPages, w.kernel.now.Sub(a.connected))
		}
		if length > 0 {
			a.joinedLine = f.line
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

// excuse takes the athlete out of the line without a share, because a call for
// the athlete failed or the athlete left.
func (w *world) excuse(a *athlete) { delete(w.figures.waiting, a.id) }

// finished takes the athlete, who has everything, out of the line.
func (w *world) finished(a *athlete) {
	f := w.figures
	if f.waiting[a.id] == nil {
		return
	}
	delete(f.waiting, a.id)
	if equal := f.line - a.joinedLine; equal > 0 {
		f.shares = append(f.shares, float64(a.served)/math.Ceil(equal))
		f.divided = append(f.divided, float64(a.served)/equal)
	}
}

// result is a scenario's figures.
type result struct {
	Scenario string `json:"scenario"`
	Athletes int    `json:"athletes"`
	Days     int    `json:"days"`
	// ReadLimit is "quarter hour,day" as in Strava's header.
	ReadLimit string `json:"read_limit"`
	// Own429 counts our calls that Strava refused, and Own429PerWindow is the
	// most of them in one quarter hour.
	Own429          int `json:"own_429"`
	Own429PerWindow int `json:"own_429_per_window"`
	// QuotaUsed is the share of the days' read limits, less the reserve that
	// is kept to the end (2 calls), that was used on days on which work waited
	// all day. BusyDays counts them; null when there were none, or when the
	// limits were not ours alone.
	QuotaUsed *float64 `json:"quota_used_while_waiting"`
	BusyDays  int      `json:"busy_days"`
	// QuarterUsed is the same of quarter hours in which work was told to wait
	// for the next one.
	QuarterUsed  *float64 `json:"quarter_used_while_waiting"`
	BusyQuarters int      `json:"busy_quarters"`
	// WebhookWaits are seconds from webhook to call.
	Webhooks       int     `json:"webhooks"`
	WebhookWaitP50 float64 `json:"webhook_wait_p50_s"`
	WebhookWaitP99 float64 `json:"webhook_wait_p99_s"`
	WebhookWaitMax float64 `json:"webhook_wait_max_s"`
	// SingleWaits are the same of webhooks without another one of the same athlete
	// in the minute before.
	SingleWaitP50 float64 `json:"single_wait_p50_s"`
	SingleWaitP99 float64 `json:"single_wait_p99_s"`
	// Faults counts calls that Strava, or the requester, failed or answered
	// wrongly; SickCalls is the most that were made for one sick athlete in a day.
	Faults    int `json:"faults"`
	SickCalls int `json:"sick_calls_per_day"`
	// Recovery is how long after the end of an outage the last work that came
	// before that end was done.
	Recovery float64 `json:"recovery_min"`
	// Unreadable is the longest time for which an activity was not readable here
	// although Strava could show it.
	Unreadable float64 `json:"unreadable_max_h"`
	// MaxAge is the greatest age of a row that could be read; RowsAged counts
	// those that were removed for their age, RowsRead readings of rows.
	MaxAge   float64 `json:"max_age_h"`
	RowsAged int     `json:"rows_removed_for_age"`
	RowsRead int     `json:"rows_read"`
	// RowsLost counts rows that were removed although Strava shows them.
	RowsLost int `json:"rows_removed_wrongly"`
	// Jain is the fairness index of what newcomers got of the class backfill:
	// their pages, relative to the turns that everybody had who waited at the
	// same time; null when nobody waited.
	Jain *float64 `json:"jain"`
	// JainDivided is the same relative to a share that could be divided.
	JainDivided *float64 `json:"jain_divided"`
	// FirstPage and FirstScan are how long newcomers waited, Incomplete those
	// who were still waiting at the end.
	FirstPageP99 float64 `json:"first_page_p99_s"`
	FirstScanP50 float64 `json:"first_scan_p50_h"`
	FirstScanMax float64 `json:"first_scan_max_h"`
	Incomplete   int     `json:"first_scans_unfinished"`
	// DeletionMax is how long a deleted activity stayed at most, and ChangeP99
	// how long a changed one was shown as it had been.
	DeletionMax float64             `json:"deletion_max_h"`
	ChangeP99   float64             `json:"change_p99_h"`
	CallsPerDay map[quota.Class]int `json:"calls_per_day"`
	Parked      int                 `json:"parked"`
	Seconds     float64             `json:"computing_s"`
}

// leaveFloor is the reserve that the quota keeps to the end of a window.
const leaveFloor = 2

func (w *world) result(s scenario) result {
	f := w.figures
	r := result{
		Scenario: s.name, Athletes: s.athletes, Days: s.days, ReadLimit: s.limits(),
		Webhooks: f.webhooks, RowsAged: f.aged, RowsRead: f.read, RowsLost: f.wrong,
		CallsPerDay: map[quota.Class]int{}, Parked: f.metrics[metric.Parked],
		Faults: f.faults, SickCalls: f.sickCalls,
	}
	for _, n := range w.limiter.refused {
		r.Own429 += n
		r.Own429PerWindow = max(r.Own429PerWindow, n)
	}
	var days, quarters []float64
	for day := range int64(s.days) {
		if d := dayOf(start) + day; !f.idle[d] && !s.quotaDisturbed() {
			days = append(days, float64(w.limiter.usedOn[d])/float64(s.limit.Day-leaveFloor))
		}
	}
	for _, q := range slices.Sorted(maps.Keys(f.blocked)) {
		if !f.blockedDays[q/96] && !s.quotaDisturbed() {
			quarters = append(quarters, float64(w.limiter.usedIn[q])/float64(s.limit.Quarter-leaveFloor))
		}
	}
	r.QuotaUsed, r.BusyDays = mean(days), len(days)
	r.QuarterUsed, r.BusyQuarters = mean(quarters), len(quarters)

	for _, a := range w.athletes {
		for _, h := range a.hints { // Still waiting: at least this long.
			w.waited(a, h)
		}
		for i := range a.activities {
			act := &a.activities[i]
			if act.deleted == 0 && act.shown != 0 && a.generation != 0 && !a.left && !w.isUnshowable(a.activityID(int32(i))) {
				w.noteUnreadable(a, act, w.kernel.now)
			}
			if age := w.kernel.now.Sub(time.Unix(act.read, 0)); act.read != 0 && !a.observed {
				f.oldest = max(f.oldest, min(age, keep))
				if age > keep {
					r.RowsAged++
				}
				if act.deleted != 0 && age <= keep {
					f.deletions = append(f.deletions, w.kernel.now.Sub(time.Unix(act.deleted, 0)))
				}
			}
		}
		if a.generation != 0 && !a.left && !a.observed && a.complete.IsZero() {
			r.Incomplete++
			if turns := math.Floor(f.line - a.joinedLine); f.waiting[a.id] != nil && turns > 0 {
				f.shares = append(f.shares, float64(a.served)/turns)
			}
		}
	}
	r.WebhookWaitP50, r.WebhookWaitP99, r.WebhookWaitMax = quantile(f.waits, 0.5).Seconds(), quantile(f.waits, 0.99).Seconds(), quantile(f.waits, 1).Seconds()
	r.SingleWaitP50, r.SingleWaitP99 = quantile(f.singleWaits, 0.5).Seconds(), quantile(f.singleWaits, 0.99).Seconds()
	r.Recovery, r.Unreadable = f.recovery.Minutes(), f.unreadable.Hours()
	r.MaxAge = f.oldest.Hours()
	r.FirstPageP99 = quantile(f.firstPages, 0.99).Seconds()
	r.FirstScanP50, r.FirstScanMax = quantile(f.firstScans, 0.5).Hours(), quantile(f.firstScans, 1).Hours()
	r.DeletionMax, r.ChangeP99 = quantile(f.deletions, 1).Hours(), quantile(f.changes, 0.99).Hours()
	r.Jain, r.JainDivided = jain(f.shares), jain(f.divided)
	for class, n := range f.calls {
		r.CallsPerDay[class] = n / s.days
	}
	return r
}

// jain is the fairness index of R. Jain, D. Chiu and W. Hawe (1984): 1 when all
// are equal, 1/n when one has everything; nil without anybody.
func jain(x []float64) *float64 {
	if len(x) == 0 {
		return nil
	}
	var sum, squares float64
	for _, v := range x {
		sum += v
		squares += v * v
	}
	index := sum * sum / (float64(len(x)) * squares)
	return &index
}

func mean(x []float64) *float64 {
	if len(x) == 0 {
		return nil
	}
	var sum float64
	for _, v := range x {
		sum += v
	}
	sum /= float64(len(x))
	return &sum
}

func quantile(x []time.Duration, q float64) time.Duration {
	if len(x) == 0 {
		return 0
	}
	slices.Sort(x)
	return x[max(0, int(math.Ceil(q*float64(len(x))))-1)]
}
