package credentials

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/paceline/paceline/pkg/credentials/metric"
)

// GrantCounter counts grants.
type GrantCounter interface {
	// CountAuthorized counts the provider's grants that are
	// [Grant.Authorized]. It reads all of them, and may miss the latest writes. An
	// error is a transient fault.
	CountAuthorized(ctx context.Context, provider string) (int, error)
}

// Capacity compares the number of athletes with the application's athlete
// capacity.
type Capacity struct {
	Counter GrantCounter
	// Athletes is the application's athlete capacity at Strava: 1 for a new
	// application, 10 after the upgrade that needs no review, and 99, 999 or
	// 9,999 after reviews (Strava, developer program tiers, 2026).
	Athletes int
	Now      func() time.Time

	mu        sync.Mutex
	counted   int
	countedAt time.Time
}

// countTTL is how long [Capacity.Full] uses a count before it counts again.
const countTTL = time.Minute

// Count counts the athletes that are authorized now.
func (c *Capacity) Count(ctx context.Context) (int, error) {
	n, err := c.Counter.CountAuthorized(ctx, ProviderStrava)
	if err != nil {
		return 0, fmt.Errorf("count the athletes: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted, c.countedAt = n, c.Now()
	return n, nil
}

// Full reports whether no place was left at this process's last count, which is
// at most a minute old: connects begin far more often than places become free.
func (c *Capacity) Full(ctx context.Context) (bool, error) {
	c.mu.Lock()
	n, at := c.counted, c.countedAt
	c.mu.Unlock()
	if c.Now().Sub(at) >= countTTL {
		var err error
		if n, err = c.Count(ctx); err != nil {
			return false, err
		}
	}
	return n >= c.Athletes, nil
}

// ReportAthletes reports the number of authorized athletes as
// [metric.Authorized].
func ReportAthletes(ctx context.Context, counter GrantCounter, metrics Metrics) error {
	n, err := counter.CountAuthorized(ctx, ProviderStrava)
	if err != nil {
		return fmt.Errorf("count the athletes: %w", err)
	}
	metrics.Count(metric.Authorized, n)
	return nil
}

// isFull reports whether there is no place for an athlete whom Strava has just
// authorized. An athlete with a grant has a place.
//
// Strava enforces the application's capacity itself: it refuses the code of an
// athlete beyond it. Our own count is not exact: connects that finish at the
// same moment may each find the last place, because no lock is held between the
// count and the write of the grant. If the count fails, isFull reports that
// there is a place.
func (c *Connect) isFull(ctx context.Context, grant Grant) bool {
	if c.Capacity == nil || grant.Authorized() {
		return false
	}
	n, err := callStore(ctx, c.Capacity.Count)
	return err == nil && n >= c.Capacity.Athletes
}
