package athlete

import "github.com/paceline/paceline/pkg/event"

// Ports are the adapters and settings of a process. Its methods build the use
// cases; each needs only the fields that it uses.
type Ports struct {
	Accounts  Accounts
	Erasures  Erasures
	Inventory Inventory
	Publisher Publisher
	Events    event.Factory
	// NewReceipt returns at least 128 unguessable bits as URL-safe text.
	NewReceipt func() string
}

// Service builds the use case that serves athletes and handles events.
func (p Ports) Service() *Service {
	return &Service{Accounts: p.Accounts, Erasures: p.Erasures, Publisher: p.Publisher, Events: p.Events, NewReceipt: p.NewReceipt}
}

// Deadlines builds the use case that enforces the deadlines.
func (p Ports) Deadlines() *Deadlines {
	return &Deadlines{Service: p.Service(), Inventory: p.Inventory}
}

// ErasureCounter builds the use case that counts erasures. It needs no more
// than Inventory and Events.
func (p Ports) ErasureCounter() *ErasureCounter {
	return &ErasureCounter{Inventory: p.Inventory, Now: p.Events.Now}
}
