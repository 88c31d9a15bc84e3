package activity

import (
	"context"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/event"
)

// WriteStore stores what was gathered, and the monthly totals, which always
// match it. Each method checks the guard atomically with its writes. Methods
// that say so fail with [ErrRevoked] if the authorization is over. After a
// transient fault a part may be written; the same call again completes it.
type WriteStore interface {
	// Put stores those of the activities that are the newest reading and that the
	// guard lets pass. It fails with [ErrRevoked].
	Put(ctx context.Context, r Reading) error
	// PutDeletion replaces the activity by a deletion, unless a newer reading is
	// stored. The deletion stays for as long as an older reading may arrive.
	// PutDeletion fails with [ErrRevoked].
	PutDeletion(ctx context.Context, d Deletion) error
	// UpdateSync writes the athlete's sync, which is zero at first, as change
	// leaves it. It writes nothing if change reports no change or fails, and
	// returns change's error. change may run more than once. UpdateSync fails with
	// [ErrRevoked].
	UpdateSync(ctx context.Context, by Authorization, change func(*Sync) (changed bool, err error)) error
	// UpdateGuard writes the athlete's guard, which is zero at first, as change
	// leaves it. It writes nothing if change reports no change or fails, and
	// returns change's error. change may run more than once. Then UpdateGuard
	// deletes what the guard refuses, changed or not. When it returns nil,
	// nothing of that is left and nothing can come back.
	UpdateGuard(ctx context.Context, athleteID int64, change func(*Guard) (changed bool, err error)) error
	// EndScan records the scan in the athlete's guard, see [Guard.Scanned],
	// reads all records once, and passes them to approve. If that returns true,
	// EndScan deletes the records that the scan outdates; one that was read again
	// in the meantime stays. approve runs at most once.
	EndScan(ctx context.Context, athleteID int64, scan CompletedScan, approve func(records []Record) bool) error
	// AthletesToExpire returns athletes with data that was read at the time or
	// before, or at most an hour later: the oldest first, each once, and at most
	// limit of them.
	AthletesToExpire(ctx context.Context, until time.Time, limit int) ([]int64, error)
	// Expire deletes the athlete's data that was read at the time or before,
	// including the ranges of such a scan in the guard, see [Guard.Expire].
	Expire(ctx context.Context, athleteID int64, until time.Time) error
}

// SearchDepth is how many activities one list examines before it returns and
// says where to continue, so that no search reads a whole history in one call.
const SearchDepth = 2000

// Selection is what to list.
type Selection struct {
	In Range
	// SportType selects activities of this type; empty for all.
	SportType string
	// Name selects activities whose name contains it, ignoring case; empty for
	// all.
	Name string
	// ReadAfter selects activities that were read after that time.
	ReadAfter time.Time
	Limit     int
}

// Matches reports whether the record of an existing activity is in the
// selection. It ignores the range and the limit.
func (s Selection) Matches(r Record) bool {
	return r.ReadAt.After(s.ReadAfter) &&
		(s.SportType == "" || r.Activity.SportType == s.SportType) &&
		strings.Contains(strings.ToLower(r.Activity.Name), strings.ToLower(s.Name))
}

// ReadStore reads what is stored. Every method with an authorization fails with
// [ErrRevoked] if that is over.
type ReadStore interface {
	// Get returns the record of an activity, which is zero if there is none.
	Get(ctx context.Context, by Authorization, activityID int64) (Record, error)
	// List returns the newest activities of the selection, at most its limit, out
	// of about [SearchDepth] that it examines. During an erasure it may still find
	// activities that are not yet erased.
	List(ctx context.Context, by Authorization, s Selection) (Page, error)
	// MonthlyTotals returns the totals by month.
	MonthlyTotals(ctx context.Context, by Authorization) (map[string]*MonthlyTotals, error)
	// Records returns all of the athlete's records, in no order.
	Records(ctx context.Context, athleteID int64) ([]Record, error)
	// Sync returns the athlete's sync, which is zero before the first scan.
	Sync(ctx context.Context, by Authorization) (Sync, error)
}

// Publisher publishes events.
type Publisher interface {
	Publish(ctx context.Context, events ...event.Event) error
}
