package athletetest

import (
	"context"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// Boundary begins the names of the operations; see [kittest.Operations].
const Boundary = "athlete"

// Intercept returns the ports with around at every call. Ports that are nil stay
// so.
func Intercept(p athlete.Ports, around kittest.Around) athlete.Ports {
	if p.Accounts != nil {
		p.Accounts = accounts{p.Accounts, around}
	}
	if p.Erasures != nil {
		p.Erasures = erasures{p.Erasures, around}
	}
	if p.Inventory != nil {
		p.Inventory = inventory{p.Inventory, around}
	}
	if p.Publisher != nil {
		p.Publisher = kittest.Publisher{Port: p.Publisher, Around: around, Boundary: Boundary}
	}
	return p
}

type accounts struct {
	port   athlete.Accounts
	around kittest.Around
}

func (i accounts) Account(ctx context.Context, athleteID int64) (athlete.Account, error) {
	return kittest.Get(ctx, i.around, "athlete.Accounts.Account", func(ctx context.Context) (athlete.Account, error) {
		return i.port.Account(ctx, athleteID)
	})
}

func (i accounts) Update(ctx context.Context, athleteID int64, change func(*athlete.Account) (bool, error)) (athlete.Account, error) {
	return kittest.Get(ctx, i.around, "athlete.Accounts.Update", func(ctx context.Context) (athlete.Account, error) {
		return i.port.Update(ctx, athleteID, kittest.Writes(ctx, change))
	})
}

type erasures struct {
	port   athlete.Erasures
	around kittest.Around
}

func (i erasures) Erasure(ctx context.Context, receipt string) (athlete.Erasure, error) {
	return kittest.Get(ctx, i.around, "athlete.Erasures.Erasure", func(ctx context.Context) (athlete.Erasure, error) {
		return i.port.Erasure(ctx, receipt)
	})
}

func (i erasures) Update(ctx context.Context, receipt string, change func(*athlete.Erasure) (bool, error)) (athlete.Erasure, error) {
	return kittest.Get(ctx, i.around, "athlete.Erasures.Update", func(ctx context.Context) (athlete.Erasure, error) {
		return i.port.Update(ctx, receipt, kittest.Writes(ctx, change))
	})
}

type inventory struct {
	port   athlete.Inventory
	around kittest.Around
}

func (i inventory) Each(ctx context.Context, v athlete.Visitor) error {
	return i.around.Do(ctx, "athlete.Inventory.Each", func(ctx context.Context) error { return i.port.Each(ctx, v) })
}
