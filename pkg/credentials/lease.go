package credentials

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paceline/paceline/pkg/event"
)

const (
	// leaseTime is how long the tokens of an athlete may be worked on. It is
	// longer than the longest function that does may run (30 s), so that
	// whoever finds a lease expired knows its holder to be dead.
	leaseTime = 45 * time.Second
	// leasePoll is how often somebody who waits for a lease looks again.
	leasePoll = 200 * time.Millisecond
)

var (
	errBusy     = errors.New("somebody else is changing the tokens")
	errOutdated = errors.New("the token pair was replaced meanwhile")
)

// hold takes the athlete's lease if check has nothing against it. check may
// change the grant. errBusy says that somebody else has it.
func hold(ctx context.Context, grants Grants, minter event.Minter, athleteID int64, check func(*Grant) error) (owner string, _ Grant, _ error) {
	owner = minter.NewID()
	grant, err := grants.Update(ctx, athleteID, func(g *Grant) error {
		if err := check(g); err != nil {
			return err
		}
		now := minter.Now()
		if g.Lease.held(owner, now) {
			return errBusy
		}
		g.Lease = Lease{Owner: owner, Until: now.Add(leaseTime)}
		return nil
	})
	if err != nil {
		return "", Grant{}, fmt.Errorf("lease: %w", err)
	}
	return owner, grant, nil
}

// release gives the lease back so that nobody waits for its end. Failing to is
// no harm: it ends by itself.
func release(ctx context.Context, grants Grants, athleteID int64, owner string) {
	_, _ = grants.Update(ctx, athleteID, func(g *Grant) error {
		if g.Lease.Owner != owner {
			return errOutdated
		}
		g.Lease = Lease{}
		return nil
	})
}
