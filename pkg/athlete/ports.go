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

// Erasures stores the states of erasures. They are never deleted.
type Erasures interface {
	// Erasure returns the state of an erasure: of one that nothing is known about,
	// only the receipt.
	Erasure(ctx context.Context, receipt string) (Erasure, error)
	// Update changes an erasure, which has only the receipt at first, if change
	// reports that it did, and returns it. change may run more than once; its error
	// ends the update and is returned as it is.
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
	// Profile is called with each athlete who has a profile, and when that was read.
	Profile func(athleteID int64, readAt time.Time) error
	// Leave is called with each pending wish to leave.
	Leave func(athleteID int64, l Leave) error
	// Erasure is called with each erasure, pending or not.
	Erasure func(Erasure) error
}

// Publisher announces events. Its errors carry their fault.
type Publisher interface {
	Publish(ctx context.Context, events ...event.Event) error
}

// Ports are all that the athlete plane needs of its surroundings. Its methods
// build the use cases.
type Ports struct {
	Accounts  Accounts
	Erasures  Erasures
	Inventory Inventory
	Publisher Publisher
	Events    event.Factory
	// NewReceipt returns at least 128 unguessable bits as URL-safe text.
	NewReceipt func() string
}

// Service builds what serves athletes and handles events.
func (p Ports) Service() *Service {
	return &Service{Accounts: p.Accounts, Erasures: p.Erasures, Publisher: p.Publisher, Events: p.Events, NewReceipt: p.NewReceipt}
}

// Deadlines builds what enforces the deadlines.
func (p Ports) Deadlines() *Deadlines {
	return &Deadlines{Service: p.Service(), Inventory: p.Inventory}
}

// ErasureCounter builds what counts erasures. It needs no more than Inventory and
// Events.
func (p Ports) ErasureCounter() *ErasureCounter {
	return &ErasureCounter{Inventory: p.Inventory, Now: p.Events.Now}
}
