package quota

import (
	"time"
)

// Status is the state of the quota.
type Status struct {
	Quarter, Day WindowStatus
	// Outstanding is how many permits are neither settled nor expired.
	Outstanding int
	// MaxOutstanding is how many may be outstanding at once.
	MaxOutstanding int
	// Pause is nil unless Strava must not be called at all.
	Pause *Wait
	// ExternalUsageAt is when another client of the application was last seen to
	// use the quota; zero if more than a day ago.
	ExternalUsageAt time.Time
	// CallsToday and CallsYesterday count permits by class, by UTC day.
	CallsToday, CallsYesterday map[Class]int
	// RateLimitedToday counts the calls that Strava answered with 429.
	RateLimitedToday int
	// PausesToday counts today's pauses. PausedSince is when the first pause since
	// Strava's last answer began; zero without one.
	PausesToday int
	PausedSince time.Time
}

// WindowStatus is the state of one window.
type WindowStatus struct {
	// Limit and Used are those of the bucket with the smaller limit. Used includes
	// calls that are under way.
	Limit, Used int
	Resets      time.Time
	// Reserves is how many calls each class keeps from the classes below it.
	Reserves map[Class]float64
	// Refused names the classes that have to wait because of this window.
	Refused []Class
}

// Status returns the state of the quota.
func (b Budget) Status(now time.Time) Status {
	b = b.Clone()
	b.catchUp(now)
	s := Status{
		Outstanding:      len(b.Outstanding),
		MaxOutstanding:   b.maxOutstanding(now),
		CallsToday:       map[Class]int{},
		CallsYesterday:   map[Class]int{},
		RateLimitedToday: b.RateLimited,
		PausesToday:      b.PausesToday,
		Pause:            b.paused(now),
		PausedSince:      b.Health.PausedSince,
	}
	if now.Sub(b.ExternalUsageAt) < externalUsageMemory {
		s.ExternalUsageAt = b.ExternalUsageAt
	}
	for _, class := range Classes {
		s.CallsToday[class] = b.Demand[class].Calls
		s.CallsYesterday[class] = b.Demand[class].Yesterday
	}
	s.Quarter = b.windowStatus(now, b.quarter())
	s.Day = b.windowStatus(now, b.day())
	return s
}

func (b *Budget) windowStatus(now time.Time, g windowMeter) WindowStatus {
	_, end := g.bounds()
	s := WindowStatus{
		Limit: g.bindingLimit(), Used: g.bindingLimit() - g.remaining(&g.Now) + len(b.Outstanding),
		Resets: end, Reserves: map[Class]float64{},
	}
	for _, class := range Classes {
		s.Reserves[class] = b.reserve(class, g, now, now)
		if b.freeAt(g, now, class).After(now) {
			s.Refused = append(s.Refused, class)
		}
	}
	return s
}
