package activity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paceline/paceline/pkg/kit/retention"
)

// Sweeper deletes data that was not read again for [retention.StravaData]. Run
// it every hour.
type Sweeper struct {
	Store WriteStore
	Now   func() time.Time
}

// sweepLimit is how many athletes one search finds.
const sweepLimit = 100

// Sweep deletes everything that is too old. It goes on after an athlete whose
// data cannot be deleted; the error names all of them.
func (s *Sweeper) Sweep(ctx context.Context) error {
	until := s.Now().Add(-retention.StravaData)
	var failed []error
	for done := map[int64]bool{}; ; {
		// The search finds again the athletes that failed, and those with data that
		// may still be young enough.
		old, err := s.Store.AthletesToExpire(ctx, until, len(done)+sweepLimit)
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		found := false
		for _, athleteID := range old {
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
