package athlete

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Deadlines sees to what has to be done by a time: it drops the profiles that
// may no longer be kept, announces again the wishes to leave that nothing has
// come of, and counts what is late and how erasures fare. Run it several times an
// hour.
type Deadlines struct {
	Service   *Service
	Inventory Inventory
}

// leaveTime is how long a request to leave may be pending before it is published
// again, because the call that stored it may have failed to publish it.
const leaveTime = 10 * time.Minute

// dropTime is how much longer a profile may be there when nothing is wrong.
const dropTime = 2 * time.Hour

// Days is how many ages, in days, [Found] tells apart. The last is for all that
// is older, too.
const Days = int(Retention/(24*time.Hour)) + 1

// Found is what there was when the deadlines were enforced.
type Found struct {
	// Profiles by how many days ago they were read, rounded down.
	Profiles [Days]int
	// ProfilesLate were kept too long.
	ProfilesLate int
	Erasures     ErasureCounts
}

// Enforce drops the profiles, announces the wishes and counts. Found holds what
// there was, dropped or not, and is complete unless the inventory could not be
// looked through. A profile or wish that fails does not keep it from the next; the
// error then is about all of them.
func (d *Deadlines) Enforce(ctx context.Context) (Found, error) {
	now := d.Service.Events.Now().UTC()
	var found Found
	var failed []error
	err := d.Inventory.Each(ctx, Visitor{Profile: func(athleteID int64, readAt time.Time) error {
		age := now.Sub(readAt)
		found.Profiles[max(0, min(int(age/(24*time.Hour)), Days-1))]++
		if age < Retention {
			return nil
		}
		if age >= Retention+dropTime {
			found.ProfilesLate++
		}
		_, err := d.Service.Accounts.Update(ctx, athleteID, func(a *Account) (bool, error) { return a.expire(now), nil })
		if err != nil {
			failed = append(failed, fmt.Errorf("drop the profile of athlete %d: %w", athleteID, err))
		}
		return nil
	}, Leave: func(athleteID int64, l Leave) error {
		if now.Sub(l.RequestedAt) < leaveTime {
			return nil
		}
		if err := d.Service.announce(ctx, athleteID, l); err != nil {
			failed = append(failed, fmt.Errorf("athlete %d wants to leave: %w", athleteID, err))
		}
		return nil
	}, Erasure: func(e Erasure) error {
		found.Erasures.add(e, now)
		return nil
	}})
	return found, errors.Join(append(failed, err)...)
}
