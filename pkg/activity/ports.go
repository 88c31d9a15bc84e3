package activity

import (
	"context"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/event"
)

// WriteStore keeps what was gathered, and the tallies of it, which never differ
// from it. Each method that writes checks the fence atomically with its writes.
// A fault that is transient means that part may be written; the same call again
// completes it.
type WriteStore interface {
	// Put keeps those of the activities of which nothing newer is known and that
	// the fence lets pass. It fails with [ErrRevoked].
	Put(ctx context.Context, r Reading) error
	// PutGone forgets the activity unless something newer is known of it, and
	// remembers that it is gone for as long as an older reading may come. It
	// fails with [ErrRevoked].
	PutGone(ctx context.Context, a Absence) error
	// UpdateSync changes the athlete's sync, which is zero at first, if change
	// says that it did. change may run more than once. It fails with [ErrRevoked].
	UpdateSync(ctx context.Context, by Authorization, change func(*Sync) bool) error
	// UpdateFence changes the athlete's fence, which is zero at first, if change
	// says that it did; change may run more than once. Then it deletes what the
	// fence no longer lets pass. When it returns nil, nothing of that is left and
	// nothing can come back.
	UpdateFence(ctx context.Context, athleteID int64, change func(*Fence) bool) error
	// EndScan moves the athlete's fence past the scan, see [Fence.Scanned], reads
	// all rows once, and asks agree about them. If that agrees, it deletes those
	// that the scan outdates; one that was read again meanwhile stays. agree runs
	// at most once.
	EndScan(ctx context.Context, athleteID int64, scan CompletedScan, agree func(rows []Row) bool) error
	// Aged gives athletes of whom something is kept that was read at the time or
	// before, or perhaps within an hour after it: the oldest first, each once, and
	// at most limit of them.
	Aged(ctx context.Context, until time.Time, limit int) ([]int64, error)
	// Expire deletes the athlete's data that was read at the time or before,
	// including the stretches of such a scan in the fence, see [Fence.Forget].
	Expire(ctx context.Context, athleteID int64, until time.Time) error
}

// SearchDepth is how many activities one list looks at, at least, before it gives
// up and says where to go on: a search for what is rare shall not read a whole
// history in one call.
const SearchDepth = 2000

// Selection is what to list.
type Selection struct {
	In Range
	// SportType leaves out all others unless it is empty.
	SportType string
	// Name leaves out activities whose name does not contain it, in capitals or
	// not, unless it is empty.
	Name string
	// ReadAfter leaves out what was not read after that time.
	ReadAfter time.Time
	Limit     int
}

// Takes reports whether the row, which is not of one gone, is in the selection,
// its place and the limit aside.
func (s Selection) Takes(r Row) bool {
	return r.ReadAt.After(s.ReadAfter) &&
		(s.SportType == "" || r.Activity.SportType == s.SportType) &&
		strings.Contains(strings.ToLower(r.Activity.Name), strings.ToLower(s.Name))
}

// ReadStore gives back what is kept. Every method that takes an authorization
// fails with [ErrRevoked] when that is over.
type ReadStore interface {
	// Get gives what is known of an activity; the zero Row if nothing is.
	Get(ctx context.Context, by Authorization, activityID int64) (Row, error)
	// List gives the newest activities of the selection, at most as many as its
	// limit, out of about [SearchDepth] that it looks at. While an erasure is under
	// way it may still find what is not erased yet.
	List(ctx context.Context, by Authorization, s Selection) (Page, error)
	// Tallies gives the tallies by month.
	Tallies(ctx context.Context, by Authorization) (map[string]*Tally, error)
	// Rows gives what is known of all the athlete's activities, in no particular
	// order.
	Rows(ctx context.Context, athleteID int64) ([]Row, error)
	// Sync is zero when no scan is known.
	Sync(ctx context.Context, by Authorization) (Sync, error)
}

// Publisher announces events.
type Publisher interface {
	Publish(ctx context.Context, events ...event.Event) error
}
