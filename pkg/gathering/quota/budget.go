package quota

import (
	"maps"
	"slices"
	"time"
)

// Strava's limits for a new application (Strava, "Rate Limits"), assumed until
// an answer reports ours.
var defaultLimits = struct{ quarter, day Buckets }{
	quarter: Buckets{Overall: 200, Read: 100},
	day:     Buckets{Overall: 2000, Read: 1000},
}

const (
	// CallTime is how long a call with a permit may take at most.
	CallTime = 30 * time.Second
	// permitLife is longer than CallTime, measured by any two clocks.
	permitLife = CallTime + 2*Skew
	// turnTime is how long a call usually takes.
	turnTime = 2 * time.Second

	// callsPerCaller is how many calls one caller makes in a quarter hour at most.
	// So one more caller is needed for each such share of the limit.
	callsPerCaller = 200
	// taper is how much room each further caller needs: close to a limit, calls
	// are made one at a time.
	taper = 20

	// othersRemembered is how long another client of the application, once seen to
	// use the quota, is expected to do so again.
	othersRemembered = 24 * time.Hour
)

// Budget is the whole state of the quota. The zero value is a new budget.
type Budget struct {
	Quarter, Day Meter
	// Told is when Strava reported the limits; zero before the first report.
	Told time.Time
	// Issued is the ID of the newest permit.
	Issued int64
	// Outstanding permits are neither settled nor expired.
	Outstanding []Permit
	Pause       Pause
	Health      Health
	// Others is when another client of the application was last seen to use the
	// quota.
	Others time.Time
	// RateLimited counts today's 429s, and PausesToday today's pauses.
	RateLimited, PausesToday int
	// Since is when the first permit was asked for.
	Since time.Time
	// Demand of each class.
	Demand map[Class]Demand
}

// Pause of all calls.
type Pause struct {
	Until time.Time
	For   string
	// ID is that of the newest permit when the pause began. Answers to older
	// permits say nothing new about the pause.
	ID int64
}

// paused is nil unless all calls are paused.
func (b *Budget) paused(now time.Time) *Wait {
	if !b.Pause.Until.After(now) {
		return nil
	}
	return &Wait{b.Pause.Until, b.Pause.For}
}

// Clone returns a copy that shares nothing.
func (b Budget) Clone() Budget {
	b.Outstanding = slices.Clone(b.Outstanding)
	b.Demand = maps.Clone(b.Demand)
	b.Health.Failing = slices.Clone(b.Health.Failing)
	return b
}

// Reserve returns a permit for work that came up at due, or a *[Wait] as its
// error.
func (b *Budget) Reserve(now time.Time, class Class, due time.Time) (Permit, error) {
	b.catchUp(now)
	if wait := b.refusal(now, class); wait != nil {
		return Permit{}, wait
	}
	b.Issued++
	permit := Permit{ID: b.Issued, Class: class, Expires: now.Add(permitLife)}
	b.Outstanding = append(b.Outstanding, permit)
	b.note(class, due)
	permit.Scarce = b.scarce(now)
	return permit, nil
}

// scarceMargin is how many calls must be left beyond the expected ones.
const scarceMargin = 5

// scarce reports whether the rest of a window may not suffice for the webhooks
// that are expected until it ends.
func (b *Budget) scarce(now time.Time) bool {
	for _, g := range b.gauges() {
		_, end := g.bounds()
		left := float64(g.room(&g.Now)-len(b.Outstanding)) - b.reserve(Leave, g, now, now)
		if left < b.expected(Webhook, now, now, end)+scarceMargin {
			return true
		}
	}
	return false
}

// catchUp brings the budget to the present: limits, windows, expired permits.
func (b *Budget) catchUp(now time.Time) {
	if b.Since.IsZero() {
		b.Since = now
		b.Quarter.Limit, b.Day.Limit = defaultLimits.quarter, defaultLimits.day
		b.Quarter.roll(b.quarter().index(now))
		b.Day.roll(b.day().index(now))
		b.Demand = map[Class]Demand{}
	}
	b.roll(now)
	b.Outstanding = slices.DeleteFunc(b.Outstanding, func(p Permit) bool {
		if now.Before(p.Expires) {
			return false
		}
		for _, m := range []*Meter{&b.Quarter, &b.Day} {
			m.Now.miss(b.Issued, 1)
			m.Before.miss(b.Issued, 1)
		}
		return true
	})
}

func (b *Budget) roll(t time.Time) {
	quarter, day := b.quarter(), b.day()
	quarter.roll(quarter.index(t))
	if passed := day.roll(day.index(t)); passed > 0 {
		b.turnDay(passed)
		b.RateLimited, b.PausesToday = 0, 0
	}
}

// refusal returns nil when the class may make a call now.
func (b *Budget) refusal(now time.Time, class Class) *Wait {
	wait := Wait{Until: now}
	if pause := b.paused(now); pause != nil {
		wait = *pause
	}
	for _, g := range b.gauges() {
		if free := b.free(g, now, class); free.After(wait.Until) {
			wait = Wait{free, g.reason}
		}
	}
	if wait.For == "" && len(b.Outstanding) >= b.parallel(now) {
		wait = Wait{now.Add(turnTime), ForTurn}
	}
	if wait.For == "" {
		return nil
	}
	return &wait
}

// free returns the earliest time with room for a call of the class, if no more
// calls are made until then.
func (b *Budget) free(g gauge, now time.Time, class Class) time.Time {
	start, end := g.bounds()
	// left is what this call and those under way would leave of the window.
	left := func(w *Window) float64 { return float64(g.room(w) - len(b.Outstanding) - 1) }
	enough := func(t time.Time) bool { return left(&g.Now) >= b.reservedAbove(class, g, now, t) }

	earliest := now
	// At the window's beginning Strava may still be in the one before it,
	// until an answer says otherwise: there must be room in both. That one is
	// at its end, where only floors are left of the reserves.
	if safe := start.Add(Skew); now.Before(safe) && !g.Now.Confirmed && left(&g.Before) < b.reservedAbove(class, g, now, end) {
		earliest = safe
	}
	if enough(earliest) {
		return earliest
	}
	if !enough(end) {
		return end.Add(Skew)
	}
	// Reserves only shrink: halve the time until it is known to a second.
	no, yes := earliest, end
	for yes.Sub(no) > time.Second {
		if middle := no.Add(yes.Sub(no) / 2); enough(middle) {
			yes = middle
		} else {
			no = middle
		}
	}
	return yes
}

// parallel is how many permits may be outstanding at once. With one at a time,
// at most one call meets a limit that Strava has just lowered, or that another
// client has just used up. So it is one until an answer has confirmed the
// window, while calls fail, while other clients use the quota, and close to a
// limit.
func (b *Budget) parallel(now time.Time) int {
	switch {
	case !b.Quarter.Now.Confirmed, !b.Day.Now.Confirmed,
		len(b.Health.Failing) > 0,
		now.Sub(b.Others) < othersRemembered:
		return 1
	}
	room := min(b.Quarter.room(&b.Quarter.Now), b.Day.room(&b.Day.Now))
	return max(1, min(b.Quarter.binding()/callsPerCaller, room/taper))
}

// Settle applies the result of the permit's call.
func (b *Budget) Settle(now time.Time, permit Permit, answer Answer) Standing {
	b.catchUp(now)
	outstanding := len(b.Outstanding)
	b.Outstanding = slices.DeleteFunc(b.Outstanding, func(p Permit) bool { return p.ID == permit.ID })
	held := len(b.Outstanding) < outstanding // else it has expired and is counted
	if answer.Calls != 0 {
		_, to := answer.span()
		b.roll(to)
		for _, g := range b.gauges() {
			b.count(g, permit, held, answer)
		}
		b.learnLimits(answer)
		if q := &b.Quarter.Now; q.Seen.Read > q.Own+len(b.Outstanding)+leaveFloor {
			// Up to leaveFloor of them may be calls of the credentials boundary, which
			// asks for no permits.
			b.Others = now
		}
	}
	return b.assess(now, permit, answer)
}

// span is the time in which Strava may have counted the call, by its clock.
func (a Answer) span() (from, to time.Time) {
	began, ended := a.Began.Add(-Skew), a.Ended.Add(Skew)
	if a.Date.Before(began.Add(-Skew)) || a.Date.After(ended.Add(Skew)) {
		return began, ended // There is no date, or one that cannot be.
	}
	// Its age is by one clock, so that clock's error doesn't matter. A second
	// for the date's own precision.
	return a.Date.Add(-a.Ended.Sub(a.Began) - time.Second), a.Date.Add(time.Second)
}

// count counts the permit's calls and the usage that the answer reports.
func (b *Budget) count(g gauge, permit Permit, held bool, a Answer) {
	from, to := a.span()
	first, last := g.index(from), g.index(to)
	if a.Calls == CallsUncertain {
		// The call is not taken from what is left. Counted as ours, it is not taken
		// for another client's if Strava's usage shows it.
		if w := g.window(last); held && w != nil {
			w.Own++
		}
		return
	}
	if first == last && a.Rates != nil {
		w := g.window(last)
		if w == nil {
			return
		}
		w.see(Buckets{Overall: g.of(a.Rates.Overall.Usage), Read: g.of(a.Rates.Read.Usage)}, permit.ID)
		switch {
		case b.Told.IsZero():
			w.Own = w.Seen.Read // Usage from before our first call is not another client's.
		case held:
			w.Own += a.Calls
		}
		return
	}
	// It is uncertain which window the header is about, so its usage is ignored
	// and the calls count in both.
	for i := first; held && i <= last; i++ {
		if w := g.window(i); w != nil {
			w.miss(b.Issued, a.Calls)
		}
	}
}

// learnLimits takes the limits from the answer unless newer ones are known.
func (b *Budget) learnLimits(a Answer) {
	at := a.Date
	if at.IsZero() {
		at = a.Ended
	}
	r := a.Rates
	if r == nil || at.Before(b.Told) || min(r.Overall.Limit.Quarter, r.Overall.Limit.Day, r.Read.Limit.Quarter, r.Read.Limit.Day) <= 0 {
		return
	}
	b.Told = at
	b.Quarter.Limit = Buckets{Overall: r.Overall.Limit.Quarter, Read: r.Read.Limit.Quarter}
	b.Day.Limit = Buckets{Overall: r.Overall.Limit.Day, Read: r.Read.Limit.Day}
}

// Status returns the state of the quota.
func (b Budget) Status(now time.Time) Status {
	b = b.Clone()
	b.catchUp(now)
	s := Status{
		Outstanding:      len(b.Outstanding),
		Parallel:         b.parallel(now),
		CallsToday:       map[Class]int{},
		CallsYesterday:   map[Class]int{},
		RateLimitedToday: b.RateLimited,
		PausesToday:      b.PausesToday,
		Pause:            b.paused(now),
		PausedSince:      b.Health.PausedSince,
	}
	if now.Sub(b.Others) < othersRemembered {
		s.Others = b.Others
	}
	for _, class := range Classes {
		s.CallsToday[class] = b.Demand[class].Calls
		s.CallsYesterday[class] = b.Demand[class].Yesterday
	}
	s.Quarter = b.windowStatus(now, b.quarter())
	s.Day = b.windowStatus(now, b.day())
	return s
}

func (b *Budget) windowStatus(now time.Time, g gauge) WindowStatus {
	_, end := g.bounds()
	s := WindowStatus{
		Limit: g.binding(), Used: g.binding() - g.room(&g.Now) + len(b.Outstanding),
		Resets: end, Reserves: map[Class]float64{},
	}
	for _, class := range Classes {
		s.Reserves[class] = b.reserve(class, g, now, now)
		if b.free(g, now, class).After(now) {
			s.Refused = append(s.Refused, class)
		}
	}
	return s
}
