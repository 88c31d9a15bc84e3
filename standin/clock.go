package standin

import (
	"slices"
	"sync"
	"time"
)

// Clock is the stand-in's only source of time.
type Clock interface {
	// Now returns the current time.
	Now() time.Time
	// AfterFunc calls f once, d from now, on a goroutine that is not the
	// caller's.
	AfterFunc(d time.Duration, f func())
}

// SystemClock is the machine's clock.
type SystemClock struct{}

// Now implements Clock.
func (SystemClock) Now() time.Time { return time.Now() }

// AfterFunc implements Clock.
func (SystemClock) AfterFunc(d time.Duration, f func()) { time.AfterFunc(d, f) }

// ManualClock stands still until it is advanced. It is safe for concurrent use.
type ManualClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []timer // by time, then by order of arrival
}

type timer struct {
	at time.Time
	f  func()
}

// NewManualClock returns a clock that shows start.
func NewManualClock(start time.Time) *ManualClock { return &ManualClock{now: start} }

// Now implements Clock.
func (c *ManualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// AfterFunc implements Clock: f runs inside the Advance that reaches its time,
// even when d is zero.
func (c *ManualClock) AfterFunc(d time.Duration, f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := timer{at: c.now.Add(d), f: f}
	at, _ := slices.BinarySearchFunc(c.timers, t, func(a, b timer) int {
		if a.at.After(b.at) {
			return 1
		}
		return -1
	})
	c.timers = slices.Insert(c.timers, at, t)
}

// Advance moves the clock forward by d and runs, one after another on the
// caller's goroutine, every function that falls due on the way, each at its own
// time. Advance(0) runs what is due now.
func (c *ManualClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	until := c.now.Add(d)
	for len(c.timers) > 0 && !c.timers[0].at.After(until) {
		t := c.timers[0]
		c.timers = c.timers[1:]
		c.now = t.at
		c.mu.Unlock()
		t.f()
		c.mu.Lock()
	}
	if c.now.Before(until) {
		c.now = until
	}
}
