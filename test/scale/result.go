package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// result holds the figures of a scenario.
type result struct {
	Scenario string `json:"scenario"`
	Athletes int    `json:"athletes"`
	Days     int    `json:"days"`
	// ReadLimit is "quarter hour,day", as in Strava's header.
	ReadLimit string `json:"read_limit"`
	// Own429 counts our calls that Strava refused. Own429PerWindow is the most of
	// them in one quarter hour.
	Own429          int `json:"own_429"`
	Own429PerWindow int `json:"own_429_per_window"`
	// QuotaUsed is the used share of the daily read limit, less the reserve of 2
	// calls, on days on which work waited all day. BusyDays counts those days.
	// QuotaUsed is null without such days, or if other clients or failures
	// disturbed the quota.
	QuotaUsed *float64 `json:"quota_used_while_waiting"`
	BusyDays  int      `json:"busy_days"`
	// QuarterUsed and BusyQuarters are the same of quarter hours in which work
	// had to wait for the next one.
	QuarterUsed  *float64 `json:"quarter_used_while_waiting"`
	BusyQuarters int      `json:"busy_quarters"`
	// Webhooks counts webhook events. The waits run from an event to the call
	// that reads what it reported.
	Webhooks       int     `json:"webhooks"`
	WebhookWaitP50 float64 `json:"webhook_wait_p50_s"`
	WebhookWaitP99 float64 `json:"webhook_wait_p99_s"`
	WebhookWaitMax float64 `json:"webhook_wait_max_s"`
	// SingleWaits are the waits of events without another one of the same athlete
	// in the minute before.
	SingleWaitP50 float64 `json:"single_wait_p50_s"`
	SingleWaitP99 float64 `json:"single_wait_p99_s"`
	// Faults counts the calls that Strava or the requester failed, or answered
	// wrongly. SickCalls is the most calls for one sick athlete in a day.
	Faults    int `json:"faults"`
	SickCalls int `json:"sick_calls_per_day"`
	// Recovery is the time from the end of an outage until the last work from
	// before that end was done.
	Recovery float64 `json:"recovery_min"`
	// Unreadable is the longest time for which an activity could not be read here
	// although Strava could show it.
	Unreadable float64 `json:"unreadable_max_h"`
	// MaxAge is the greatest age of a record that could be read. RecordsAged
	// counts the records that were removed for their age, and RecordsRead the
	// readings.
	MaxAge      float64 `json:"max_age_h"`
	RecordsAged int     `json:"records_removed_for_age"`
	RecordsRead int     `json:"records_read"`
	// RecordsLost counts the records that were removed although Strava showed the
	// activity.
	RecordsLost int `json:"records_removed_wrongly"`
	// Jain is the fairness index of the class backfill: for each newcomer who
	// waited there, the pages read, divided by the turns that the waiting
	// newcomers had on average in the same time. It is null if no newcomer
	// waited.
	Jain *float64 `json:"jain"`
	// JainDivided is the same with fractions of a turn.
	JainDivided *float64 `json:"jain_divided"`
	// FirstPage and FirstScan are the waits of newcomers. Incomplete counts the
	// newcomers whose first scan was not complete at the end.
	FirstPageP99 float64 `json:"first_page_p99_s"`
	FirstScanP50 float64 `json:"first_scan_p50_h"`
	FirstScanMax float64 `json:"first_scan_max_h"`
	Incomplete   int     `json:"first_scans_unfinished"`
	// DeletionMax is the longest time until a deleted activity was removed.
	// ChangeP99 is the time until a change was stored.
	DeletionMax float64             `json:"deletion_max_h"`
	ChangeP99   float64             `json:"change_p99_h"`
	CallsPerDay map[quota.Class]int `json:"calls_per_day"`
	Quarantined int                 `json:"quarantined"`
	Seconds     float64             `json:"computing_s"`
}

// reserve is how many calls the quota keeps in reserve to the end of a window.
const reserve = 2

// result completes the figures at the end of a scenario and returns them.
func (w *world) result() result {
	s, f := w.scenario, w.figures
	for _, a := range w.athletes {
		w.addUnfinished(a)
	}
	r := result{
		Scenario: s.name, Athletes: s.athletes, Days: s.days, ReadLimit: s.limits(),
		Webhooks: f.webhooks, Faults: f.faults, SickCalls: f.sickCalls, Quarantined: f.metrics[metric.Quarantined],
		RecordsAged: f.aged, RecordsRead: f.read, RecordsLost: f.wrong, Incomplete: f.incomplete,
		Recovery: f.recovery.Minutes(), Unreadable: f.unreadable.Hours(), MaxAge: f.oldest.Hours(),

		WebhookWaitP50: quantile(f.waits, 0.5).Seconds(),
		WebhookWaitP99: quantile(f.waits, 0.99).Seconds(),
		WebhookWaitMax: quantile(f.waits, 1).Seconds(),
		SingleWaitP50:  quantile(f.singleWaits, 0.5).Seconds(),
		SingleWaitP99:  quantile(f.singleWaits, 0.99).Seconds(),
		FirstPageP99:   quantile(f.firstPages, 0.99).Seconds(),
		FirstScanP50:   quantile(f.firstScans, 0.5).Hours(),
		FirstScanMax:   quantile(f.firstScans, 1).Hours(),
		DeletionMax:    quantile(f.deletions, 1).Hours(),
		ChangeP99:      quantile(f.changes, 0.99).Hours(),
		Jain:           jain(f.shares),
		JainDivided:    jain(f.divided),
		CallsPerDay:    map[quota.Class]int{},
	}
	for _, n := range w.limiter.refused {
		r.Own429 += n
		r.Own429PerWindow = max(r.Own429PerWindow, n)
	}
	for class, n := range f.calls {
		r.CallsPerDay[class] = n / s.days
	}
	days, quarters := w.quotaUsed()
	r.QuotaUsed, r.BusyDays = mean(days), len(days)
	r.QuarterUsed, r.BusyQuarters = mean(quarters), len(quarters)
	return r
}

// quotaUsed returns the used shares of the limits in the days and the quarter
// hours in which work waited for the quota.
func (w *world) quotaUsed() (days, quarters []float64) {
	s, f := w.scenario, w.figures
	if s.quotaDisturbed() {
		return nil, nil
	}
	for day := range int64(s.days) {
		if d := dayOf(start) + day; !f.idle[d] {
			days = append(days, float64(w.limiter.usedOn[d])/float64(s.limit.Day-reserve))
		}
	}
	for _, q := range slices.Sorted(maps.Keys(f.blocked)) {
		if !f.blockedDays[q/96] {
			quarters = append(quarters, float64(w.limiter.usedIn[q])/float64(s.limit.Quarter-reserve))
		}
	}
	return days, quarters
}

// addUnfinished adds the waits and the records of the athlete at the end.
func (w *world) addUnfinished(a *athlete) {
	f := w.figures
	for _, h := range a.hints { // these have waited at least this long
		w.waited(a, h)
	}
	connected := a.generation != 0 && !a.left
	for i := range a.activities {
		act := &a.activities[i]
		if connected && act.deleted == 0 && act.shown != 0 && !w.isUnshowable(a.activityID(int32(i))) {
			w.noteUnreadable(a, act, w.kernel.now)
		}
		if act.read != 0 && !a.observed {
			w.addRecord(act)
		}
	}
	if connected && !a.observed && a.complete.IsZero() {
		f.incomplete++
		if turns := math.Floor(f.turns - a.joinedAt); f.waiting[a.id] != nil && turns > 0 {
			f.shares = append(f.shares, float64(a.served)/turns)
		}
	}
}

// addRecord adds a record that exists at the end.
func (w *world) addRecord(act *activity) {
	f := w.figures
	age := w.kernel.now.Sub(time.Unix(act.read, 0))
	f.oldest = max(f.oldest, min(age, keep))
	if age > keep {
		f.aged++
	} else if act.deleted != 0 {
		f.deletions = append(f.deletions, w.kernel.now.Sub(time.Unix(act.deleted, 0)))
	}
}

// print writes the figures as a paragraph.
func (r result) print() {
	fmt.Printf("%s, %d days, read limit %s (%.0f s)\n", r.Scenario, r.Days, r.ReadLimit, r.Seconds)
	line := func(name string, format string, values ...any) {
		fmt.Printf("  %-40s "+format+"\n", append([]any{name}, values...)...)
	}
	line("429s; most in a quarter hour", "%d; %d", r.Own429, r.Own429PerWindow)
	line("quota used while work waited", "%s of %d days; %s of %d quarter hours", percent(r.QuotaUsed), r.BusyDays, percent(r.QuarterUsed), r.BusyQuarters)
	line("webhook events", "%d", r.Webhooks)
	line("their waits: p50, p99, longest", "%.1f s, %.0f s, %.0f s", r.WebhookWaitP50, r.WebhookWaitP99, r.WebhookWaitMax)
	line("waits of single events: p50, p99", "%.1f s, %.0f s", r.SingleWaitP50, r.SingleWaitP99)
	if r.Faults > 0 {
		line("failed calls", "%d", r.Faults)
		line("calls for a sick athlete in a day, most", "%d", r.SickCalls)
		line("recovery after an outage", "%.1f min", r.Recovery)
	}
	line("unreadable, longest", "%.1f h", r.Unreadable)
	line("oldest record", "%.1f h; %d of %d readings came too late", r.MaxAge, r.RecordsAged, r.RecordsRead)
	line("records removed wrongly", "%d", r.RecordsLost)
	if r.Jain != nil {
		line("fairness of backfill (Jain)", "%.3f; with divided turns %.3f", *r.Jain, *r.JainDivided)
	}
	line("first page: p99", "%.0f s", r.FirstPageP99)
	line("first scan: p50, longest, unfinished", "%.2f h, %.1f h, %d", r.FirstScanP50, r.FirstScanMax, r.Incomplete)
	line("deletion: longest; change: p99", "%.1f h; %.1f h", r.DeletionMax, r.ChangeP99)
	fmt.Printf("  %-40s", "calls per day")
	for _, class := range quota.Classes {
		fmt.Printf(" %s %d", class, r.CallsPerDay[class])
	}
	fmt.Println()
	line("jobs quarantined", "%d\n", r.Quarantined)
}

func percent(share *float64) string {
	if share == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", *share*100)
}

// jain returns the fairness index of R. Jain, D. Chiu and W. Hawe (1984): 1 if
// all values are equal, 1/n if one has everything, nil without values.
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

// quantile sorts x and returns its quantile q, by nearest rank.
func quantile(x []time.Duration, q float64) time.Duration {
	if len(x) == 0 {
		return 0
	}
	slices.Sort(x)
	return x[max(0, int(math.Ceil(q*float64(len(x))))-1)]
}
