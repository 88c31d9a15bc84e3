package activity

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Sweeper deletes what may no longer be kept because it was not read again for
// the time of [Retention]. Run it every hour.
type Sweeper struct {
	Store WriteStore
	Now   func() time.Time
}

// sweepLimit is how many athletes are looked for at a time.
const sweepLimit = 100

// Sweep deletes all there is to delete. An athlete whose data cannot be deleted
// does not keep it from the next; the error then is about all of them.
func (s *Sweeper) Sweep(ctx context.Context) error {
	until := s.Now().Add(-Retention)
	var failed []error
	for done := map[int64]bool{}; ; {
		// Those who failed, and those of whom something may still be young enough,
		// are found again.
		aged, err := s.Store.Aged(ctx, until, len(done)+sweepLimit)
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		found := false
		for _, athleteID := range aged {
			if done[athleteID] {
				continue
			}
			done[athleteID], found = true, true
			if err := s.Store.Expire(ctx, athleteID, until); err != nil {
				failed = append(failed, fmt.Errorf("athlete %d: %w", athleteID, err))
			}
		}
		if !found {
			return errors.Join(failed...)
		}
	}
}
