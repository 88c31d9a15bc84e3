package activity

import (
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// Row is the newest that is known of an activity. It is zero when nothing is.
type Row struct {
	// Generation of the authorization that it was read under.
	Generation int64
	ReadAt     time.Time
	// Activity is nil when it is gone.
	Activity *gatheringv1.Activity
}

// newer reports whether r is newer knowledge than old.
func (r Row) newer(old Row) bool {
	switch {
	case r.Generation != old.Generation:
		return r.Generation > old.Generation
	case !r.ReadAt.Equal(old.ReadAt):
		return r.ReadAt.After(old.ReadAt)
	default:
		return r.Activity == nil && old.Activity != nil
	}
}

// Expire gives what may be kept of the row when what was read at the time or
// before may not: all or nothing.
func (r Row) Expire(until time.Time) Row {
	if r.ReadAt.After(until) {
		return r
	}
	return Row{}
}

// gone is the row of the same reading if it had not found the activity.
func (r Row) gone() Row {
	r.Activity = nil
	return r
}

// onlyYou reports whether Strava shows the activity to its athlete alone.
func (r Row) onlyYou() bool {
	return r.Activity != nil && (r.Activity.Private || r.Activity.Visibility == onlyMe)
}

// onlyMe is Strava's visibility of what it calls Only You.
const onlyMe = "only_me"
