package activity

import (
	"context"
	"time"

	"github.com/paceline/paceline/pkg/kit/retention"
)

// The kinds of items that hold Strava's data.
const (
	KindActivity = "activity"
	// KindDeletion is the record of an activity that Strava no longer shows.
	KindDeletion = "deletion"
	KindTotals   = "totals"
	// KindSync is the number of activities in each chunk of a scan.
	KindSync = "sync"
)

// AuditStore lists the age of everything stored.
type AuditStore interface {
	// Ages calls count for every item that holds Strava's data, with its kind and
	// the latest time at which its oldest part was read. The calls do not overlap.
	Ages(ctx context.Context, count func(kind string, readAt time.Time)) error
}

// Auditor counts everything stored by its age. It reads the whole table and
// shares neither an index nor a query with the [Sweeper], so that an error
// there cannot hide from it (docs/adr/0014).
type Auditor struct {
	Store AuditStore
	Now   func() time.Time
}

// RetentionReport counts what is stored.
type RetentionReport struct {
	// Activities counts activities by how many days ago they were read, see
	// [retention.Day].
	Activities [retention.Days]int
	// TooOld counts by kind what should have been deleted by now.
	TooOld map[string]int
}

// Audit reads everything stored and counts it.
func (a *Auditor) Audit(ctx context.Context) (RetentionReport, error) {
	now := a.Now()
	report := RetentionReport{TooOld: map[string]int{}}
	err := a.Store.Ages(ctx, func(kind string, readAt time.Time) {
		age := now.Sub(readAt)
		if kind == KindActivity {
			report.Activities[retention.Day(age)]++
		}
		if age > retention.StravaData+retention.Grace {
			report.TooOld[kind]++
		}
	})
	return report, err
}
