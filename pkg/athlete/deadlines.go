package athlete

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paceline/paceline/pkg/kit/retention"
)

// Deadlines drops profiles that may no longer be stored, publishes again the
// requests to leave that credentials has not answered, and counts what is
// overdue. Run it several times an hour.
type Deadlines struct {
	Service   *Service
	Inventory Inventory
}

// republishAfter is how long a request to leave may be pending before it is
// published again: the process that took it may have died before it published
// it.
const republishAfter = 10 * time.Minute

// RetentionReport counts what was stored when the deadlines were enforced,
// including profiles that were then dropped.
type RetentionReport struct {
	// ByAge counts the profiles by the days since they were read; see
	// [retention.Day].
	ByAge [retention.Days]int
	// TooOld counts the profiles that are older than [retention.StravaData] and
	// [retention.Grace] together.
	TooOld   int
	Erasures ErasureCounts
}

// Enforce drops profiles, publishes requests and counts. If one of them fails
// Enforce goes on, and the error names every failure. The report is complete
// unless the inventory could not be read.
func (d *Deadlines) Enforce(ctx context.Context) (RetentionReport, error) {
	now := d.Service.Events.Now().UTC()
	var report RetentionReport
	var failed []error
	err := d.Inventory.Each(ctx, Visitor{
		Profile: func(athleteID int64, readAt time.Time) error {
			age := now.Sub(readAt)
			report.countProfile(age)
			if age < retention.StravaData {
				return nil
			}
			if err := d.dropProfile(ctx, athleteID, now); err != nil {
				failed = append(failed, err)
			}
			return nil
		},
		ErasureRequest: func(athleteID int64, r ErasureRequest) error {
			if now.Sub(r.RequestedAt) < republishAfter {
				return nil
			}
			if err := d.Service.publishErasureRequest(ctx, athleteID, r); err != nil {
				failed = append(failed, fmt.Errorf("erasure request of athlete %d: %w", athleteID, err))
			}
			return nil
		},
		Erasure: func(e Erasure) error {
			report.Erasures.add(e, now)
			return nil
		},
	})
	return report, errors.Join(append(failed, err)...)
}

func (r *RetentionReport) countProfile(age time.Duration) {
	r.ByAge[retention.Day(age)]++
	if age >= retention.StravaData+retention.Grace {
		r.TooOld++
	}
}

// dropProfile drops the athlete's profile unless it was read again meanwhile.
func (d *Deadlines) dropProfile(ctx context.Context, athleteID int64, now time.Time) error {
	_, err := d.Service.Accounts.Update(ctx, athleteID, func(a *Account) (bool, error) { return a.dropExpiredProfile(now), nil })
	if err != nil {
		return fmt.Errorf("drop the profile of athlete %d: %w", athleteID, err)
	}
	return nil
}
