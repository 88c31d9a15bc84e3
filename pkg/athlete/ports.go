package athlete

import (
	"context"
	"time"

	"github.com/paceline/paceline/pkg/event"
)

// Accounts stores accounts. A transient fault means that the same call may
// succeed later.
type Accounts interface {
	// Account returns the zero Account for an unknown athlete.
	Account(ctx context.Context, athleteID int64) (Account, error)
	// Update calls change with the account, stores the result and returns it.
	// For an unknown athlete, change gets the zero Account. change may run more
	// than once. Nothing is stored if change reports that it changed nothing,
	// or returns an error, which Update returns as it is.
	Update(ctx context.Context, athleteID int64, change func(*Account) (changed bool, err error)) (Account, error)
}

// Erasures stores the states of erasures. They are never deleted.
type Erasures interface {
	// Erasure returns the state of an erasure. An unknown one has only the
	// receipt.
	Erasure(ctx context.Context, receipt string) (Erasure, error)
	// Update calls change with the erasure, stores the result and returns it.
	// An unknown erasure has only the receipt. change may run more than once.
	// Nothing is stored if change reports that it changed nothing, or returns
	// an error, which Update returns as it is.
	Update(ctx context.Context, receipt string, change func(*Erasure) (changed bool, err error)) (Erasure, error)
}

// Inventory looks through everything that is stored.
type Inventory interface {
	// Each calls the visitor's functions, never two at a time. An error of one of
	// them ends it and is returned as it is.
	Each(ctx context.Context, v Visitor) error
}

// Visitor is called with what is stored. A function that is nil is not called.
type Visitor struct {
	// Profile is called with each athlete who has a profile, and when that was
	// read.
	Profile func(athleteID int64, readAt time.Time) error
	// ErasureRequest is called with each pending request to leave.
	ErasureRequest func(athleteID int64, r ErasureRequest) error
	// Erasure is called with each erasure, pending or not.
	Erasure func(Erasure) error
}

// Publisher publishes events. Its errors are faults.
type Publisher interface {
	Publish(ctx context.Context, events ...event.Event) error
}
