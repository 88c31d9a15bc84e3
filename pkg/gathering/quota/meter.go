package quota

import "time"

// Strava's windows (Strava, "Rate Limits"). Both kinds begin at multiples of
// their length since the Unix epoch.
const (
	quarterLength = 15 * time.Minute
	dayLength     = 24 * time.Hour
)

// Skew bounds how far a clock of ours may be from Strava's: 30 s, and a margin.
const Skew = 32 * time.Second

// Buckets is a figure for each of Strava's buckets.
type Buckets struct{ Overall, Read int }

// Meter follows one kind of window.
type Meter struct {
	Limit Buckets
	// Now is the newest window that any caller's clock has reached, and Before the
	// previous one, in which Strava may still be.
	Now, Before Window
}

// Window is the known usage in one window.
type Window struct {
	// Index numbers the windows since the Unix epoch.
	Index int64
	// Seen is the highest usage that an answer has reported for this window.
	Seen Buckets
	// Unseen counts calls of ours that may have been counted after Seen was.
	Unseen int
	// UnseenID is that of the newest permit when Unseen last grew. The usage in
	// the answer to a newer permit includes those calls.
	UnseenID int64
	// Own counts our calls in this window.
	Own int
	// Confirmed says that an answer of this window has arrived, so that it has
	// begun at Strava, too.
	Confirmed bool
}

// A windowMeter is one of the Budget's meters with its constants.
type windowMeter struct {
	*Meter
	length time.Duration
	// of picks the window's figure from the pair in a header.
	of func(Pair) int
	// reason is the Reason of a [Wait] when the meter is full.
	reason string
}

func (b *Budget) quarter() windowMeter {
	return windowMeter{&b.Quarter, quarterLength, func(p Pair) int { return p.Quarter }, ReasonRateLimit}
}

func (b *Budget) day() windowMeter {
	return windowMeter{&b.Day, dayLength, func(p Pair) int { return p.Day }, ReasonDailyLimit}
}

func (b *Budget) meters() [2]windowMeter { return [2]windowMeter{b.quarter(), b.day()} }

// index is the number of the window that t falls into.
func (g windowMeter) index(t time.Time) int64 { return t.Unix() / int64(g.length/time.Second) }

// bounds of the present window.
func (g windowMeter) bounds() (start, end time.Time) {
	start = time.Unix(g.Now.Index*int64(g.length/time.Second), 0).UTC()
	return start, start.Add(g.length)
}

// roll moves on to the window with this index, unless a later one has begun. It
// returns by how many windows it moved.
func (m *Meter) roll(index int64) int64 {
	passed := index - m.Now.Index
	if passed <= 0 {
		return 0
	}
	m.Before = Window{Index: index - 1}
	if passed == 1 {
		m.Before = m.Now
	}
	m.Now = Window{Index: index}
	return passed
}

// window returns the window with this index; nil if the meter does not hold it.
func (m *Meter) window(index int64) *Window {
	switch index {
	case m.Now.Index:
		return &m.Now
	case m.Before.Index:
		return &m.Before
	}
	return nil
}

// remaining is how many calls the window has left in the bucket with fewer of
// them, not counting calls under way.
func (m *Meter) remaining(w *Window) int {
	return min(m.Limit.Overall-w.Seen.Overall, m.Limit.Read-w.Seen.Read) - w.Unseen
}

// bindingLimit is the smaller of the limits: our calls count in both buckets.
func (m *Meter) bindingLimit() int { return min(m.Limit.Overall, m.Limit.Read) }

// observe applies the usage that a header reports for the window.
func (w *Window) observe(usage Buckets, permit int64) {
	// Usage only rises; a smaller figure is of an earlier answer.
	w.Seen.Overall = max(w.Seen.Overall, usage.Overall)
	w.Seen.Read = max(w.Seen.Read, usage.Read)
	w.Confirmed = true
	if permit > w.UnseenID {
		w.Unseen = 0
	}
}

// addUnseen counts calls of ours that headers may not show.
func (w *Window) addUnseen(newest int64, calls int) {
	w.Own += calls
	w.Unseen += calls
	w.UnseenID = newest
}
