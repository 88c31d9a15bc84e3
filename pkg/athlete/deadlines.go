package athlete

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Deadlines sees to what has to be done by a time: it drops the profiles that
// may no longer be kept, and counts what is late. Run it several times an hour.
type Deadlines struct {
	Accounts  Accounts
	Inventory Inventory
	Now       func() time.Time
}

// dropTime is how much longer a profile may be there when nothing is wrong.
const dropTime = 2 * time.Hour

// Late is what should not be there any more.
type Late struct {
	// Profiles are kept too long.
	Profiles int
	// Erasures are not completed in [ErasureTime].
	Erasures int
}

// Enforce drops the profiles and counts. Late holds what was found, dropped or
// not, and is complete unless the inventory could not be looked through. A
// profile that cannot be dropped does not keep it from the next; the error then
// is about all of them.
func (d *Deadlines) Enforce(ctx context.Context) (Late, error) {
	now := d.Now().UTC()
	var late Late
	var failed []error
	err := d.Inventory.Each(ctx, func(athleteID int64, readAt time.Time) error {
		if now.Sub(readAt) < Retention {
			return nil
		}
		if now.Sub(readAt) >= Retention+dropTime {
			late.Profiles++
		}
		_, err := d.Accounts.Update(ctx, athleteID, func(a *Account) (bool, error) { return a.expire(now), nil })
		if err != nil {
			failed = append(failed, fmt.Errorf("drop the profile of athlete %d: %w", athleteID, err))
		}
		return nil
	}, func(e Erasure) error {
		if e.CompletedAt.IsZero() && now.Sub(e.RequestedAt) >= ErasureTime {
			late.Erasures++
		}
		return nil
	})
	return late, errors.Join(append(failed, err)...)
}
