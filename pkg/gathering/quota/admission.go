package quota

import (
	"time"
)

// scarceMargin is how many calls must be left beyond the expected ones.
const scarceMargin = 5

// scarce reports whether the rest of a window may not suffice for the webhooks
// that are expected until it ends.
func (b *Budget) scarce(now time.Time) bool {
	for _, g := range b.meters() {
		_, end := g.bounds()
		left := float64(g.remaining(&g.Now)-len(b.Outstanding)) - b.reserve(Leave, g, now, now)
		if left < b.expected(Webhook, now, now, end)+scarceMargin {
			return true
		}
	}
	return false
}

// refusal returns nil when the class may make a call now.
func (b *Budget) refusal(now time.Time, class Class) *Wait {
	wait := Wait{Until: now}
	if pause := b.paused(now); pause != nil {
		wait = *pause
	}
	for _, g := range b.meters() {
		if free := b.freeAt(g, now, class); free.After(wait.Until) {
			wait = Wait{free, g.reason}
		}
	}
	if wait.Reason == "" && len(b.Outstanding) >= b.maxOutstanding(now) {
		wait = Wait{now.Add(usualCallTime), ReasonConcurrency}
	}
	if wait.Reason == "" {
		return nil
	}
	return &wait
}

// freeAt returns the earliest time with room for a call of the class, if no
// more calls are made until then.
func (b *Budget) freeAt(g windowMeter, now time.Time, class Class) time.Time {
	start, end := g.bounds()
	// left is what this call and those under way would leave of the window.
	left := func(w *Window) float64 { return float64(g.remaining(w) - len(b.Outstanding) - 1) }
	enough := func(t time.Time) bool { return left(&g.Now) >= b.reservedAbove(class, g, now, t) }

	earliest := now
	// When a window begins, Strava may still be in the one before it, until an
	// answer says otherwise: there must be room in both. The window before is at
	// its end, where only the floors of the reserves are left.
	if safe := start.Add(Skew); now.Before(safe) && !g.Now.Confirmed && left(&g.Before) < b.reservedAbove(class, g, now, end) {
		earliest = safe
	}
	if enough(earliest) {
		return earliest
	}
	if !enough(end) {
		return end.Add(Skew)
	}
	// Reserves only shrink, so a binary search finds the time, to a second.
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

// maxOutstanding is how many permits may be outstanding at once. With one at a
// time, at most one call meets a limit that Strava has just lowered, or that
// another client has just used up. So it is one until an answer has confirmed
// the window, while calls fail, while other clients use the quota, and close to
// a limit.
func (b *Budget) maxOutstanding(now time.Time) int {
	switch {
	case !b.Quarter.Now.Confirmed, !b.Day.Now.Confirmed,
		len(b.Health.Failing) > 0,
		now.Sub(b.ExternalUsageAt) < externalUsageMemory:
		return 1
	}
	room := min(b.Quarter.remaining(&b.Quarter.Now), b.Day.remaining(&b.Day.Now))
	return max(1, min(b.Quarter.bindingLimit()/callsPerCaller, room/roomPerCaller))
}

// paused is nil unless all calls are paused.
func (b *Budget) paused(now time.Time) *Wait {
	if !b.Pause.Until.After(now) {
		return nil
	}
	return &Wait{b.Pause.Until, b.Pause.Reason}
}
