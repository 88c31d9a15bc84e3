package credentials

import (
	"context"
	"fmt"
	"time"
)

const (
	// settleTime is how long one grant is worked on at a time: less than a
	// lease lasts.
	settleTime = 40 * time.Second
	// overdueAfter is how long a duty may wait before somebody should look.
	overdueAfter = 24 * time.Hour
)

// Settle goes over everything that grants owe, tries every duty whose time has
// come, and counts those that have waited for too long. Called again and again,
// it is what makes duties survive a killed process and days without Strava. It
// stops early when the context is about to end; the next call goes on.
func (d *Departure) Settle(ctx context.Context) error {
	grants, err := d.Grants.Unsettled(ctx, d.OAuth.Rules().Provider)
	if err != nil {
		return fmt.Errorf("look for duties: %w", err)
	}
	overdue := 0
	for _, g := range grants {
		if d.Minter.Now().Sub(g.Owed.Since) > overdueAfter {
			overdue++
		}
	}
	d.Metrics.Count(string(MetricOverdue), overdue)
	for _, g := range grants {
		if tooLate(ctx, settleTime) {
			return nil
		}
		now := d.Minter.Now()
		// Whoever holds a lease that lasts is at it.
		if g.Owed.Next.After(now) || g.Lease.held("", now) {
			continue
		}
		within, cancel := context.WithTimeout(ctx, settleTime)
		d.try(within, g.Account)
		cancel()
	}
	return nil
}
