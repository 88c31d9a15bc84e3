package athlete

import (
	"context"
	"time"

	"github.com/paceline/paceline/pkg/event"
)

// Accounts keeps accounts. A fault that is transient means that the same call
// may succeed later.
type Accounts interface {
	// Account is the zero Account when nothing is known of the athlete.
	Account(ctx context.Context, athleteID int64) (Account, error)
	// Update changes an account, which is zero at first, if change says that it
	// did, and returns it. change may run more than once; its error ends the
	// update and is returned as it is.
	Update(ctx context.Context, athleteID int64, change func(*Account) (bool, error)) (Account, error)
}

// Erasures keeps how far erasures are.
type Erasures interface {
	// Open remembers an erasure that isn't completed, unless one with that
	// receipt is known.
	Open(ctx context.Context, e Erasure) error
	// Complete remembers until it expires that an erasure is completed.
	Complete(ctx context.Context, e Erasure) error
	// Erasure fails with [ErrNoErasure] when none has that receipt. One that has
	// expired may still be found.
	Erasure(ctx context.Context, receipt string) (Erasure, error)
}

// Inventory lets all that is kept be looked through.
type Inventory interface {
	// Each calls profile with each athlete of whom a profile is kept and when that
	// was read, leave with each pending wish to leave, and erasure with each
	// erasure; never two at a time. An error of any ends it and is returned as it is.
	Each(ctx context.Context, profile func(athleteID int64, readAt time.Time) error,
		leave func(athleteID int64, l Leave) error, erasure func(Erasure) error) error
}

// Publisher announces events. Its errors carry their fault.
type Publisher interface {
	Publish(ctx context.Context, events ...event.Event) error
}
