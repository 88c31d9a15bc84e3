package activity

import (
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// Record is the newest reading of one activity. The zero record means that
// there is none.
type Record struct {
	// Generation is that of the authorization that the activity was read under.
	Generation int64
	ReadAt     time.Time
	// Activity is nil if Strava no longer shows it.
	Activity *gatheringv1.Activity
}

// ExpiresAt returns when a store may drop a record by itself, without a change
// of its monthly totals. It is later than the time at which the [Sweeper]
// deletes the record, and later than the arrival of any older reading.
func ExpiresAt(readAt time.Time) time.Time { return readAt.Add(retention.Tombstone) }

// newer reports whether r is a newer reading than old.
func (r Record) newer(old Record) bool {
	switch {
	case r.Generation != old.Generation:
		return r.Generation > old.Generation
	case !r.ReadAt.Equal(old.ReadAt):
		return r.ReadAt.After(old.ReadAt)
	default:
		return r.Activity == nil && old.Activity != nil
	}
}

// Expire returns the zero record if r was read at the time or before, and r
// otherwise.
func (r Record) Expire(until time.Time) Record {
	if r.ReadAt.After(until) {
		return r
	}
	return Record{}
}

// deleted returns the record of the same reading if it had found the activity
// missing.
func (r Record) deleted() Record {
	r.Activity = nil
	return r
}

// onlyYou reports whether Strava shows the activity to its athlete alone.
func (r Record) onlyYou() bool {
	return r.Activity != nil && (r.Activity.Private || r.Activity.Visibility == onlyMe)
}

// onlyMe is the visibility that Strava's site calls Only You.
const onlyMe = "only_me"
