package api

import (
	"context"
	"maps"
	"sync"
	"time"
)

const (
	// LimitBurst is how many calls an athlete may make at once. An export of
	// 20,000 activities takes 100 in either format.
	LimitBurst = 300
	// LimitPerSecond is how many calls a second an athlete may make continuously:
	// a twentieth of the limit of the whole HTTP API.
	LimitPerSecond = 5
	// limiterRoom is how many buckets a limiter holds before it first drops the
	// full ones.
	limiterRoom = 1000
)

// How long it takes to refill a bucket by one token, and to fill an empty one.
const (
	tokenTime = time.Second / LimitPerSecond
	fillTime  = LimitBurst * tokenTime
)

// Limiter has a token bucket for each athlete, in the memory of one process
// (docs/adr/0013). Make one with [NewLimiter].
type Limiter struct {
	now func() time.Time

	mu sync.Mutex
	// full is when each athlete's bucket will be full. A full bucket need not be
	// stored.
	full map[int64]time.Time
	// room is how many buckets there may be before the full ones are dropped.
	room int
}

// NewLimiter returns a limiter whose buckets are full.
func NewLimiter(now func() time.Time) *Limiter {
	return &Limiter{now: now, full: map[int64]time.Time{}, room: limiterRoom}
}

// Limit returns the routes with a limit: they answer with 429 to an athlete who
// calls too often. Calls without an identity are not limited.
func (l *Limiter) Limit(routes map[string]Handler) map[string]Handler {
	limited := make(map[string]Handler, len(routes))
	for key, handle := range routes {
		limited[key] = func(ctx context.Context, req Request) (Response, error) {
			if id, ok := identify(req); ok {
				if wait := l.take(id.AthleteID); wait > 0 {
					return TooManyRequests(wait, "Too many requests. Try again later."), nil
				}
			}
			return handle(ctx, req)
		}
	}
	return limited
}

// take takes one of the athlete's tokens, or returns how long it takes until
// there is one.
func (l *Limiter) take(athleteID int64) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	full := l.full[athleteID]
	if full.Before(now) {
		full = now
	}
	full = full.Add(tokenTime)
	if wait = full.Sub(now) - fillTime; wait > 0 {
		return wait
	}
	l.full[athleteID] = full
	if len(l.full) > l.room {
		maps.DeleteFunc(l.full, func(_ int64, full time.Time) bool { return !full.After(now) })
		// With room for twice the buckets in use, a call examines two on average.
		l.room = max(limiterRoom, 2*len(l.full))
	}
	return 0
}
