package activity

import (
	"context"
	"time"
)

// What is kept of Strava's data.
const (
	KindActivity = "activity"
	// KindGone: the memory of an activity that is gone, by its id.
	KindGone  = "gone"
	KindTally = "tally"
	// KindSync: how many activities each part of a scan found.
	KindSync = "sync"
)

// AuditStore lets all that is kept be counted.
type AuditStore interface {
	// Ages calls count, never twice at a time, for everything that is kept: with
	// its kind, and when the oldest part of it was read at the latest.
	Ages(ctx context.Context, count func(kind string, readAt time.Time)) error
}

// Auditor counts everything that is kept by its age. It relies on nothing that
// the [Sweeper] relies on.
type Auditor struct {
	Store AuditStore
	Now   func() time.Time
}

// sweepTime is how long deleting may take: the sweeper comes once an hour.
const sweepTime = 2 * time.Hour

// Days is how many ages, in days, a [Census] tells apart. The last is for all
// that is older, too.
const Days = int(Retention/(24*time.Hour)) + 1

// Census counts what is kept.
type Census struct {
	// Activities by how many days ago they were read, rounded down.
	Activities [Days]int
	// TooOld counts by kind what should have been deleted by now.
	TooOld map[string]int
}

// Audit makes a census.
func (a *Auditor) Audit(ctx context.Context) (Census, error) {
	now := a.Now()
	out := Census{TooOld: map[string]int{}}
	err := a.Store.Ages(ctx, func(kind string, readAt time.Time) {
		age := now.Sub(readAt)
		if kind == KindActivity {
			out.Activities[max(0, min(int(age/(24*time.Hour)), Days-1))]++
		}
		if age > Retention+sweepTime {
			out.TooOld[kind]++
		}
	})
	return out, err
}
