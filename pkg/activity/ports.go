package activity

import (
	"context"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// WriteStore keeps what was gathered. Every method but Supersede and Erase fails with
// [ErrRevoked], atomically with its writes, when a tombstone of the same or a
// later generation is there. A fault that is transient means that part may be
// written; the same call again completes it.
type WriteStore interface {
	// Put keeps those of the activities of which nothing newer is known.
	Put(ctx context.Context, r Reading) error
	// PutGone forgets the activity unless something newer is known of it, and
	// remembers until expires that it is gone.
	PutGone(ctx context.Context, a Absence, expires time.Time) error
	// UpdateSync changes the athlete's sync, which is zero at first, if change
	// says that it did. change may run more than once.
	UpdateSync(ctx context.Context, by Authorization, change func(*Sync) bool) error
	// Supersede deletes what was written under authorizations earlier than by.
	Supersede(ctx context.Context, by Authorization) error
	// Erase sets the tombstone, which lasts until expires, and then deletes
	// everything that was written under this or an earlier generation. What a
	// later one has written stays. When it returns nil, nothing is left and
	// nothing can come back.
	Erase(ctx context.Context, by Authorization, expires time.Time) error
}

// ReadStore gives back what is kept.
type ReadStore interface {
	// Revoked is the generation of the athlete's tombstone; 0 without one.
	Revoked(ctx context.Context, athleteID int64) (int64, error)
	// Get fails with [ErrNotFound] when the athlete has no such activity.
	Get(ctx context.Context, athleteID, activityID int64) (gatheringv1.Activity, error)
	// List gives the newest activities in the range, newest first, at most
	// limit of them; those of one sport type only unless that is empty.
	List(ctx context.Context, athleteID int64, in Range, sportType string, limit int) ([]gatheringv1.Activity, error)
	// Efforts gives all activities of the sport type, in no particular order;
	// all there are if that is empty.
	Efforts(ctx context.Context, athleteID int64, sportType string) ([]Effort, error)
	// Sync is zero when no scan is known.
	Sync(ctx context.Context, athleteID int64) (Sync, error)
}

// Publisher announces events.
type Publisher interface {
	Publish(ctx context.Context, events ...event.Event) error
}
