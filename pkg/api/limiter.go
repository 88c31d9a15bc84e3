package api

import (
	"context"
	"maps"
	"sync"
	"time"
)

const (
	// LimitBurst is how many calls an athlete may make at once: an export of
	// 20,000 activities has 100 pages in either format.
	LimitBurst = 300
	// LimitPerSecond is how many calls a second an athlete may make on and on: a
	// twentieth of what the HTTP API takes of all together.
	LimitPerSecond = 5
	// limiterRoom is how many athletes a limiter remembers before it looks whom
	// it can forget.
	limiterRoom = 1000
)

// Of a bucket: how long it takes one call's token to come back, and all.
const (
	tokenTime = time.Second / LimitPerSecond
	fillTime  = LimitBurst * tokenTime
)

// Limiter is a token bucket an athlete, in the memory of one process (ADR 13).
// Use [NewLimiter].
type Limiter struct {
	now func() time.Time

	mu sync.Mutex
	// full is when each athlete's bucket will be. One that is full is as good as
	// none.
	full map[int64]time.Time
	// room is how many buckets there may be before those that are full are
	// dropped.
	room int
}

// NewLimiter makes a limiter whose buckets are full.
func NewLimiter(now func() time.Time) *Limiter {
	return &Limiter{now: now, full: map[int64]time.Time{}, room: limiterRoom}
}

// Limit makes routes answer 429 to an athlete who calls too often. Calls without
// an identity pass.
func (l *Limiter) Limit(routes map[string]Handler) map[string]Handler {
	limited := make(map[string]Handler, len(routes))
	for key, handle := range routes {
		limited[key] = func(ctx context.Context, req Request) (Response, error) {
			if id, ok := identify(req); ok {
				if wait := l.take(id.AthleteID); wait > 0 {
					return TooMany(wait, "That were too many calls in a short time."), nil
				}
			}
			return handle(ctx, req)
		}
	}
	return limited
}

// take takes one of the athlete's tokens, or tells how long it is until there is
// one.
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
		// Twice what is in use, so that a call on average looks at two.
		l.room = max(limiterRoom, 2*len(l.full))
	}
	return 0
}
