package quota

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
	"time"
)

const (
	// The pauses while Strava answers nobody. They double until an answer comes.
	shortestPause, longestPause = time.Minute, 15 * time.Minute
	// maxFailing bounds how many failing athletes are remembered.
	maxFailing = 5
)

// needed is how many athletes' calls must fail in the same way, with no answer
// in between, before the failure counts as everybody's. One athlete's call may
// fail for ever while Strava works for all others.
var needed = map[Outcome]int{
	Unavailable: 3,
	Maintenance: 2,
	Inactive:    2,
	// A 429 that no header explains.
	RateLimited: 2,
}

// Health is what the outcome of calls says about Strava as a whole.
type Health struct {
	// Failing are the athletes whose calls failed since Strava last answered
	// one, at most [maxFailing], and how each call failed last.
	Failing []Failure
	// Pauses counts the pauses since then, and PausedSince is when the first of
	// them began; zero without one.
	Pauses      int
	PausedSince time.Time
	// Served is when Strava last answered, for the two athletes that it answered
	// last, the newest first.
	Served [2]Service
}

// Failure is a failed call for an athlete.
type Failure struct {
	Athlete Mark
	Outcome Outcome
}

// Service is an answer of Strava's.
type Service struct {
	Athlete Mark
	At      time.Time
}

// Mark tells athletes apart without naming them: the budget outlives an athlete's
// authorization, and nothing may name an athlete who has left. Two athletes in
// 65,536 share a mark and then count as one, which only asks for more evidence.
type Mark uint16

// markOf is an athlete's mark.
func markOf(athleteID int64) Mark {
	h := fnv.New32a()
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(athleteID))) // It never fails.
	sum := h.Sum32()
	return Mark(sum>>16 ^ sum&0xffff)
}

// served notes that Strava answered a call for the athlete.
func (h *Health) served(athleteID int64, at time.Time) {
	athlete := markOf(athleteID)
	if h.Served[0].Athlete != athlete {
		h.Served[1] = h.Served[0]
	}
	if h.Served[0] = (Service{athlete, at}); h.Served[1].Athlete == athlete {
		h.Served[1] = Service{}
	}
}

// servedOthers is when Strava last answered a call for another athlete; zero if
// that is not known.
func (h Health) servedOthers(athleteID int64) time.Time {
	for _, s := range h.Served {
		if s.Athlete != markOf(athleteID) {
			return s.At
		}
	}
	return time.Time{}
}

// failed notes that a call for the athlete failed and reports whether that, with
// what failed before, is evidence that Strava fails for everybody, and in which
// way: a failure is everybody's once enough athletes met it, and so is any
// mixture of them.
func (h *Health) failed(athleteID int64, outcome Outcome) (everybodys Outcome, ok bool) {
	athlete := markOf(athleteID)
	same := func(f Failure) bool { return f.Athlete == athlete }
	known := slices.ContainsFunc(h.Failing, same)
	h.Failing = slices.DeleteFunc(slices.Clone(h.Failing), same)
	h.Failing = append(h.Failing, Failure{athlete, outcome})
	h.Failing = h.Failing[max(0, len(h.Failing)-maxFailing):]
	if h.Pauses > 0 && known && len(h.Failing) < maxFailing {
		// After a pause a few sick athletes fail once more: that is no news, and
		// must not keep everybody waiting.
		return outcome, false
	}
	if h.alike(outcome) >= needed[outcome] {
		return outcome, true
	}
	// A call after a pause only finds out whether it is over.
	return Unavailable, h.Pauses > 0 || len(h.Failing) >= needed[Unavailable]
}

// alike counts the failing athletes whose calls failed in the same way.
func (h Health) alike(outcome Outcome) (n int) {
	for _, f := range h.Failing {
		if f.Outcome == outcome {
			n++
		}
	}
	return n
}

// recovered notes that Strava answers.
func (h *Health) recovered() { h.Failing, h.Pauses, h.PausedSince = nil, 0, time.Time{} }

// Standing is what the caller has to know once its call is settled.
type Standing struct {
	// Pause is nil unless all calls are paused.
	Pause *Wait
	// RetryAt is when the same call may be worth another try; zero for at once.
	RetryAt time.Time
	// ServedOthers is when Strava last answered a call for another athlete; zero
	// if that is not known.
	ServedOthers time.Time
}

// assess draws the conclusions from the outcome of a permit's call.
func (b *Budget) assess(now time.Time, permit Permit, a Answer) Standing {
	var retryAt time.Time
	_, quarterEnd := b.quarter().bounds()
	quarterEnd = quarterEnd.Add(Skew)
	unexplained := false
	if a.Outcome == RateLimited {
		b.RateLimited++
		switch full := b.Quarter.room(&b.Quarter.Now) <= 0 || b.Day.room(&b.Day.Now) <= 0; {
		case full:
		case a.Rates.exceeded():
			// It is not certain which window the header is about: the shorter
			// one, if it is the present one.
			b.pause(quarterEnd, ForRateLimit)
		default:
			unexplained, retryAt = true, quarterEnd
		}
	}
	news := permit.ID > b.Pause.ID // A call that began before a pause says nothing new.
	switch {
	case a.Outcome == Answered:
		b.Health.served(a.AthleteID, now)
		if news {
			b.Health.recovered()
		}
	case a.Outcome == Unknown, a.Outcome == RateLimited && !unexplained, !news:
	default:
		if outcome, ok := b.Health.failed(a.AthleteID, a.Outcome); ok {
			b.pauseFor(now, outcome, quarterEnd)
		}
	}
	s := Standing{RetryAt: retryAt, ServedOthers: b.Health.servedOthers(a.AthleteID)}
	if b.Pause.Until.After(now) {
		s.Pause = &Wait{b.Pause.Until, b.Pause.For}
	}
	return s
}

// pauseFor stops all calls because of an outcome, for longer each time.
func (b *Budget) pauseFor(now time.Time, outcome Outcome, quarterEnd time.Time) {
	h := &b.Health
	until, reason := now.Add(doubled(shortestPause, h.Pauses, longestPause)), ForStrava
	switch outcome {
	case RateLimited:
		until, reason = quarterEnd, ForRateLimit
	case Inactive:
		reason = ForApplication
	}
	if !b.pause(until, reason) {
		return
	}
	h.Pauses++
	b.PausesToday++
	if h.PausedSince.IsZero() {
		h.PausedSince = now
	}
}

// pause stops all calls until then, unless a longer pause is in force, and
// reports whether it does.
func (b *Budget) pause(until time.Time, reason string) bool {
	if !until.After(b.Pause.Until) {
		return false
	}
	b.Pause = Pause{Until: until, For: reason, ID: b.Issued}
	return true
}

// doubled is d doubled so many times, at most limit.
func doubled(d time.Duration, times int, limit time.Duration) time.Duration {
	for ; times > 0 && d < limit; times-- {
		d *= 2
	}
	return min(d, limit)
}
