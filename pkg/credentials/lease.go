package credentials

import (
	"context"
	"fmt"
	"time"

	"github.com/paceline/paceline/pkg/event"
)

const (
	// leaseTime is how long the tokens of an account may be worked on. It is
	// longer than anybody does: functions that do are ended after 45 s, and
	// [Departure.Settle] gives each grant less. So whoever finds a lease expired
	// knows its holder to be dead.
	leaseTime = time.Minute
	// leasePoll is how often somebody who waits for a lease looks again.
	leasePoll = 200 * time.Millisecond
)

// update changes the account's grant and keeps the account of what it owes.
func update(ctx context.Context, grants Grants, minter event.Minter, account Account, change func(*Grant) error) (Grant, error) {
	return grants.Update(ctx, account, func(g *Grant) error {
		if err := change(g); err != nil {
			return err
		}
		g.keepAccount(minter.Now())
		return nil
	})
}

// hold takes the account's lease if check has nothing against it. check may
// change the grant. errBusy says that somebody else has it.
func hold(ctx context.Context, grants Grants, minter event.Minter, account Account, check func(*Grant) error) (owner string, _ Grant, _ error) {
	owner = minter.NewID()
	grant, err := update(ctx, grants, minter, account, func(g *Grant) error {
		if err := check(g); err != nil {
			return err
		}
		return g.lease(owner, minter.Now())
	})
	if err != nil {
		return "", Grant{}, fmt.Errorf("lease: %w", err)
	}
	return owner, grant, nil
}

// release gives the lease back so that nobody waits for its end. Failing to is
// no harm: it ends by itself.
func release(ctx context.Context, grants Grants, minter event.Minter, account Account, owner string) {
	_, _ = update(ctx, grants, minter, account, func(g *Grant) error { return g.release(owner) })
}
