package athletetest

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/eventtest"
)

// NewPorts returns ports to stores in memory, empty at first, and the bus that
// events are published to. Ids and receipts are id-1, receipt-1 and so on.
func NewPorts(now func() time.Time) (athlete.Ports, *eventtest.Bus) {
	accounts, erasures, bus := &Accounts{}, &Erasures{}, &eventtest.Bus{}
	var ids, receipts atomic.Int64
	return athlete.Ports{
		Accounts: accounts, Erasures: erasures, Inventory: &Inventory{accounts, erasures}, Publisher: bus,
		Events:     event.Factory{Now: now, NewID: func() string { return fmt.Sprint("id-", ids.Add(1)) }},
		NewReceipt: func() string { return fmt.Sprint("receipt-", receipts.Add(1)) },
	}, bus
}
