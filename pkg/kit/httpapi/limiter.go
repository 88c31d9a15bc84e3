package httpapi

import (
	"context"
	"sync"
	"time"
)

const (
	// LimitBurst is how many calls an athlete may make at once: an export of
	// 20,000 activities has 100 pages.
	LimitBurst = 120
	// LimitPerSecond is how many calls a second an athlete may make on and on.
	LimitPerSecond = 2
	// limiterRoom is how many athletes a limiter remembers before it looks whom
	// it can forget.
	limiterRoom = 1000
)

// Limiter is a token bucket an athlete, in the memory of one process (ADR 13).
// Use [NewLimiter].
type Limiter struct {
	now func() time.Time

	mu      sync.Mutex
	buckets map[int64]bucket
}

// bucket holds tokens as they were at a time.
type bucket struct {
	tokens float64
	at     time.Time
}

func (b bucket) tokensAt(now time.Time) float64 {
	return min(LimitBurst, b.tokens+LimitPerSecond*now.Sub(b.at).Seconds())
}

// NewLimiter makes a limiter whose buckets are full.
func NewLimiter(now func() time.Time) *Limiter {
	return &Limiter{now: now, buckets: map[int64]bucket{}}
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
	if len(l.buckets) >= limiterRoom {
		for id, b := range l.buckets {
			if b.tokensAt(now) == LimitBurst { // As good as none.
				delete(l.buckets, id)
			}
		}
	}
	b, known := l.buckets[athleteID]
	if !known {
		b = bucket{tokens: LimitBurst, at: now}
	}
	tokens := b.tokensAt(now)
	if tokens < 1 {
		return time.Duration((1 - tokens) / LimitPerSecond * float64(time.Second))
	}
	l.buckets[athleteID] = bucket{tokens: tokens - 1, at: now}
	return 0
}
