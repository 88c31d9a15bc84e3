package gathering

import (
	"context"
	"errors"
	"fmt"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// Authorizations follows what the credentials boundary says of athletes.
type Authorizations struct {
	Athletes  Athletes
	Inboxes   Inboxes
	Waker     Waker
	Publisher Publisher
	Minter    event.Minter
}

// Begin starts to gather an athlete who has just authorized: the profile and
// the whole history. News that is a week old is ignored: the athlete may have
// left since, and the tombstone that tells so may be gone.
func (z *Authorizations) Begin(ctx context.Context, cause event.Meta, athleteID, generation int64) error {
	now := z.Minter.Now()
	if now.Sub(cause.OccurredAt) >= keepAge {
		return nil
	}
	_, err := z.Athletes.Update(ctx, athleteID, func(a *Athlete) error {
		if generation < a.Generation || (generation == a.Generation && a.State == Revoked) {
			return errUnchanged
		}
		if generation > a.Generation {
			*a = Athlete{ID: a.ID, Generation: generation, State: Active}
			a.begin(generation, now)
			a.Job.next(quota.Interactive, now)
		}
		return nil
	})
	if errors.Is(err, errUnchanged) {
		// It is over. An earlier attempt may have been cut off below.
		return z.Inboxes.DropInbox(ctx, athleteID, generation)
	}
	if err != nil {
		return fmt.Errorf("note the authorization: %w", err)
	}
	// From here on webhooks are about somebody we know. What they told before
	// is in the history, which nobody has begun to read.
	_, err = z.Inboxes.UpdateInbox(ctx, athleteID, func(m *Inbox) error {
		if m.Generation >= generation {
			return errUnchanged
		}
		*m = Inbox{AthleteID: athleteID, Generation: generation}
		return nil
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return fmt.Errorf("open the inbox: %w", err)
	}
	// Had the athlete left in between, nobody would close it.
	athlete, err := z.Athletes.Athlete(ctx, athleteID)
	if err != nil {
		return fmt.Errorf("read the athlete: %w", err)
	}
	if athlete.State == Revoked && athlete.Generation >= generation {
		return z.Inboxes.DropInbox(ctx, athleteID, generation)
	}
	if err := z.Publisher.Publish(ctx, z.Minter.Next(cause, athlete.progressed(now))); err != nil {
		return fmt.Errorf("publish the scan's progress: %w", err)
	}
	return z.Waker.Wake(ctx, 0)
}

// Degrade notes that calls for the athlete are useless until they connect
// again, and drops what Strava told: nobody will look into it.
func (z *Authorizations) Degrade(ctx context.Context, cause event.Meta, athleteID, generation int64) error {
	athlete, err := z.Athletes.Update(ctx, athleteID, func(a *Athlete) error {
		if a.Generation != generation || a.State == Revoked {
			return errUnchanged
		}
		a.degrade() // Unless a gatherer noticed first.
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note the degraded authorization: %w", err)
	}
	_, err = z.Inboxes.UpdateInbox(ctx, athleteID, func(m *Inbox) error {
		if m.Generation != generation {
			return errUnchanged
		}
		m.empty()
		m.reschedule(z.Minter.Now(), 0) // A deauthorization is still reported.
		return nil
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return fmt.Errorf("empty the inbox: %w", err)
	}
	return z.Publisher.Publish(ctx, z.Minter.Next(cause, athlete.progressed(z.Minter.Now())))
}

// Refresh has an athlete's newest activities read, who asked for it.
func (z *Authorizations) Refresh(ctx context.Context, athleteID, generation int64) error {
	_, err := z.Inboxes.UpdateInbox(ctx, athleteID, func(m *Inbox) error {
		if m.Generation != generation {
			return errUnchanged
		}
		m.requestRefresh(z.Minter.Now())
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note the wish for a refresh: %w", err)
	}
	return z.Waker.Wake(ctx, 0)
}

// Recheck has a sample of the activities looked for that a completed scan did not
// find: the activity plane asks before it removes many.
func (z *Authorizations) Recheck(ctx context.Context, athleteID, generation int64, scanID string, sample []int64) error {
	now := z.Minter.Now()
	athlete, err := z.Athletes.Athlete(ctx, athleteID)
	if err != nil {
		return fmt.Errorf("read the athlete: %w", err)
	}
	if athlete.Scan.ID != scanID || athlete.Scan.Confirmed {
		return nil // A newer scan asks for itself.
	}
	_, err = z.Inboxes.UpdateInbox(ctx, athleteID, func(m *Inbox) error {
		if m.Generation != generation || m.Question.ScanID == scanID {
			return errUnchanged
		}
		m.ask(scanID, sample, now)
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note what to look for: %w", err)
	}
	return z.Waker.Wake(ctx, 0)
}

// End forgets the athlete but for a tombstone that keeps late events from
// starting anything, and confirms that.
func (z *Authorizations) End(ctx context.Context, cause event.Meta, athleteID, generation int64, receipt string) error {
	_, err := z.Athletes.Update(ctx, athleteID, func(a *Athlete) error {
		if a.Generation > generation {
			return errUnchanged
		}
		*a = Athlete{ID: a.ID, Generation: generation, State: Revoked, RevokedAt: z.Minter.Now()}
		return nil
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return fmt.Errorf("forget the athlete: %w", err)
	}
	if err := z.Inboxes.DropInbox(ctx, athleteID, generation); err != nil {
		return fmt.Errorf("drop the inbox: %w", err)
	}
	return z.Publisher.Publish(ctx, z.Minter.Next(cause, gatheringv1.ErasureCompleted{Receipt: receipt}))
}
