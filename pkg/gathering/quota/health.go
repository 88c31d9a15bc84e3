package quota

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
	"time"
)

const (
	// The lengths of pauses. They double until Strava answers.
	shortestPause, longestPause = time.Minute, 15 * time.Minute
	// maxFailing bounds how many failing athletes are remembered.
	maxFailing = 5
)

// failuresNeeded is how many athletes' calls must fail in the same way, with no
// answer in between, before Strava counts as failing for all athletes. The
// calls for one athlete may fail for ever while Strava works for all others.
var failuresNeeded = map[Outcome]int{
	Unavailable: 3,
	Maintenance: 2,
	Inactive:    2,
	// A 429 that no header explains.
	RateLimited: 2,
}

// Health is the evidence, from outcomes of calls, whether Strava as a whole
// works.
type Health struct {
	// Failing are the athletes whose calls failed since Strava's last answer, each
	// with its last failure; at most maxFailing of them.
	Failing []Failure
	// Pauses counts the pauses since Strava's last answer, and PausedSince is when
	// the first of them began; zero without one.
	Pauses      int
	PausedSince time.Time
	// Served are the last answers for the two athletes served last, the newest
	// first.
	Served [2]ServedCall
}

// Failure is a failed call for an athlete.
type Failure struct {
	Athlete AthleteHash
	Outcome Outcome
}

// ServedCall is an answer of Strava's.
type ServedCall struct {
	Athlete AthleteHash
	At      time.Time
}

// AthleteHash distinguishes athletes without their ids: the budget outlives an
// authorization, and nothing may identify an athlete who has left. Two athletes
// share a hash with a probability of 1 in 65,536 and then count as one, so more
// evidence is needed.
type AthleteHash uint16

// hashOf returns an athlete's hash.
func hashOf(athleteID int64) AthleteHash {
	h := fnv.New32a()
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(athleteID))) // It never fails.
	sum := h.Sum32()
	return AthleteHash(sum>>16 ^ sum&0xffff)
}

// served notes that Strava answered a call for the athlete.
func (h *Health) served(athleteID int64, at time.Time) {
	athlete := hashOf(athleteID)
	if h.Served[0].Athlete != athlete {
		h.Served[1] = h.Served[0]
	}
	if h.Served[0] = (ServedCall{athlete, at}); h.Served[1].Athlete == athlete {
		h.Served[1] = ServedCall{}
	}
}

// servedOthers is when Strava last answered a call for another athlete; zero if
// that is not known.
func (h Health) servedOthers(athleteID int64) time.Time {
	for _, s := range h.Served {
		if s.Athlete != hashOf(athleteID) {
			return s.At
		}
	}
	return time.Time{}
}

// failed notes that a call for the athlete failed. It reports whether Strava
// now fails for all athletes, and with which outcome. It does if the calls of
// enough athletes failed with the same outcome, or if the calls of as many
// athletes as Unavailable needs failed with any outcomes.
func (h *Health) failed(athleteID int64, outcome Outcome) (common Outcome, ok bool) {
	athlete := hashOf(athleteID)
	same := func(f Failure) bool { return f.Athlete == athlete }
	known := slices.ContainsFunc(h.Failing, same)
	h.Failing = slices.DeleteFunc(slices.Clone(h.Failing), same)
	h.Failing = append(h.Failing, Failure{athlete, outcome})
	h.Failing = h.Failing[max(0, len(h.Failing)-maxFailing):]
	if h.Pauses > 0 && known && len(h.Failing) < maxFailing {
		// After a pause the calls for a few sick athletes fail once more. That is no
		// new evidence, and must not delay all other athletes.
		return outcome, false
	}
	if h.countFailing(outcome) >= failuresNeeded[outcome] {
		return outcome, true
	}
	// After a pause the failure of one more athlete is enough to pause again.
	return Unavailable, h.Pauses > 0 || len(h.Failing) >= failuresNeeded[Unavailable]
}

// countFailing counts the failing athletes whose calls failed in the same way.
func (h Health) countFailing(outcome Outcome) (n int) {
	for _, f := range h.Failing {
		if f.Outcome == outcome {
			n++
		}
	}
	return n
}

// recovered resets the evidence after an answer.
func (h *Health) recovered() { h.Failing, h.Pauses, h.PausedSince = nil, 0, time.Time{} }

// Settlement is what the caller needs to know once its call is settled.
type Settlement struct {
	// Pause is nil unless all calls are paused.
	Pause *Wait
	// RetryAt is the earliest useful retry of the same call; zero for at once.
	RetryAt time.Time
	// ServedOthers is when Strava last answered a call for another athlete; zero
	// if that is not known.
	ServedOthers time.Time
}

// assess updates the health by the outcome of a permit's call, and pauses all
// calls if Strava fails for different athletes.
func (b *Budget) assess(now time.Time, permit Permit, a Answer) Settlement {
	var retryAt time.Time
	_, quarterEnd := b.quarter().bounds()
	quarterEnd = quarterEnd.Add(Skew)
	unexplained := false
	if a.Outcome == RateLimited {
		b.RateLimited++
		switch full := b.Quarter.remaining(&b.Quarter.Now) <= 0 || b.Day.remaining(&b.Day.Now) <= 0; {
		case full:
		case a.Rates.exceeded():
			// It is uncertain which window the header is about. Assume the present
			// quarter hour.
			b.pause(quarterEnd, ReasonRateLimit)
		default:
			unexplained, retryAt = true, quarterEnd
		}
	}
	news := permit.ID > b.Pause.ID // A call from before the pause is no new evidence.
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
	return Settlement{Pause: b.paused(now), RetryAt: retryAt, ServedOthers: b.Health.servedOthers(a.AthleteID)}
}

// pauseFor stops all calls because of an outcome, for longer each time.
func (b *Budget) pauseFor(now time.Time, outcome Outcome, quarterEnd time.Time) {
	h := &b.Health
	until, reason := now.Add(doubled(shortestPause, h.Pauses, longestPause)), ReasonStrava
	switch outcome {
	case RateLimited:
		until, reason = quarterEnd, ReasonRateLimit
	case Inactive:
		reason = ReasonApplication
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

// pause stops all calls until then and returns true, unless a longer pause is
// in force.
func (b *Budget) pause(until time.Time, reason string) bool {
	if !until.After(b.Pause.Until) {
		return false
	}
	b.Pause = Pause{Until: until, Reason: reason, ID: b.Issued}
	return true
}

// doubled returns d doubled so many times, at most limit.
func doubled(d time.Duration, times int, limit time.Duration) time.Duration {
	for ; times > 0 && d < limit; times-- {
		d *= 2
	}
	return min(d, limit)
}
