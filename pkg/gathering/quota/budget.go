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
	// permitTTL is longer than CallTime, measured by any two clocks.
	permitTTL = CallTime + 2*Skew
	// usualCallTime is how long a call usually takes.
	usualCallTime = 2 * time.Second

	// callsPerCaller is how many calls one caller makes in a quarter hour at most.
	// So one more caller is needed for each such share of the limit.
	callsPerCaller = 200
	// roomPerCaller is how much room each further caller needs: close to a limit,
	// calls are made one at a time.
	roomPerCaller = 20

	// externalUsageMemory is how long another client of the application, once seen
	// to use the quota, is expected to do so again.
	externalUsageMemory = 24 * time.Hour
)

// Budget is the whole state of the quota. The zero value is a new budget.
type Budget struct {
	Quarter, Day Meter
	// LimitsSeenAt is when Strava reported the limits; zero before the first
	// report.
	LimitsSeenAt time.Time
	// Issued is the ID of the newest permit.
	Issued int64
	// Outstanding permits are neither settled nor expired.
	Outstanding []Permit
	Pause       Pause
	Health      Health
	// ExternalUsageAt is when another client of the application was last seen to
	// use the quota.
	ExternalUsageAt time.Time
	// RateLimited counts today's 429s, and PausesToday today's pauses.
	RateLimited, PausesToday int
	// Since is when the first permit was asked for.
	Since time.Time
	// Demand of each class.
	Demand map[Class]Demand
}

// Pause of all calls.
type Pause struct {
	Until  time.Time
	Reason string
	// ID is that of the newest permit when the pause began. Answers to older
	// permits say nothing new about the pause.
	ID int64
}

// Clone returns a copy that shares nothing.
func (b Budget) Clone() Budget {
	b.Outstanding = slices.Clone(b.Outstanding)
	b.Demand = maps.Clone(b.Demand)
	b.Health.Failing = slices.Clone(b.Health.Failing)
	return b
}

// Acquire returns a permit for work that came up at due, or a *[Wait] as its
// error.
func (b *Budget) Acquire(now time.Time, class Class, due time.Time) (Permit, error) {
	b.catchUp(now)
	if wait := b.refusal(now, class); wait != nil {
		return Permit{}, wait
	}
	b.Issued++
	permit := Permit{ID: b.Issued, Class: class, Expires: now.Add(permitTTL)}
	b.Outstanding = append(b.Outstanding, permit)
	b.countDemand(class, due)
	permit.Scarce = b.scarce(now)
	return permit, nil
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
			m.Now.addUnseen(b.Issued, 1)
			m.Before.addUnseen(b.Issued, 1)
		}
		return true
	})
}

func (b *Budget) roll(t time.Time) {
	quarter, day := b.quarter(), b.day()
	quarter.roll(quarter.index(t))
	if passed := day.roll(day.index(t)); passed > 0 {
		b.endDay(passed)
		b.RateLimited, b.PausesToday = 0, 0
	}
}

// Settle applies the result of the permit's call.
func (b *Budget) Settle(now time.Time, permit Permit, answer Answer) Settlement {
	b.catchUp(now)
	outstanding := len(b.Outstanding)
	b.Outstanding = slices.DeleteFunc(b.Outstanding, func(p Permit) bool { return p.ID == permit.ID })
	held := len(b.Outstanding) < outstanding // else it has expired and is counted
	if answer.Calls != 0 {
		_, to := answer.span()
		b.roll(to)
		for _, g := range b.meters() {
			b.count(g, permit, held, answer)
		}
		b.updateLimits(answer)
		if q := &b.Quarter.Now; q.Seen.Read > q.Own+len(b.Outstanding)+leaveFloor {
			// Up to leaveFloor of them may be calls of the credentials boundary, which
			// asks for no permits.
			b.ExternalUsageAt = now
		}
	}
	return b.assess(now, permit, answer)
}

// count counts the permit's calls and the usage that the answer reports.
func (b *Budget) count(g windowMeter, permit Permit, held bool, a Answer) {
	from, to := a.span()
	first, last := g.index(from), g.index(to)
	if a.Calls == CallsUncertain {
		// The call may not have been made, so it does not reduce what is left. It
		// counts as ours: if Strava's usage includes it, it must not look like
		// another client's.
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
		w.observe(Buckets{Overall: g.of(a.Rates.Overall.Usage), Read: g.of(a.Rates.Read.Usage)}, permit.ID)
		switch {
		case b.LimitsSeenAt.IsZero():
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
			w.addUnseen(b.Issued, a.Calls)
		}
	}
}

// updateLimits takes the limits from the answer unless newer ones are known.
func (b *Budget) updateLimits(a Answer) {
	at := a.Date
	if at.IsZero() {
		at = a.Ended
	}
	r := a.Rates
	if r == nil || at.Before(b.LimitsSeenAt) || min(r.Overall.Limit.Quarter, r.Overall.Limit.Day, r.Read.Limit.Quarter, r.Read.Limit.Day) <= 0 {
		return
	}
	b.LimitsSeenAt = at
	b.Quarter.Limit = Buckets{Overall: r.Overall.Limit.Quarter, Read: r.Read.Limit.Quarter}
	b.Day.Limit = Buckets{Overall: r.Overall.Limit.Day, Read: r.Read.Limit.Day}
}
