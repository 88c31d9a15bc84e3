package gathering

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// Authorizations follows what the credentials boundary says of athletes.
type Authorizations struct {
	Athletes  Athletes
	Queue     Queue
	Publisher Publisher
	Minter    event.Minter
}

// Begin starts to gather an athlete who has just authorized: the profile and
// the whole history.
func (z *Authorizations) Begin(ctx context.Context, cause event.Meta, athleteID, generation int64) error {
	athlete, err := z.Athletes.Update(ctx, athleteID, func(a *Athlete) error {
		if generation < a.Generation || (generation == a.Generation && a.State == Revoked) {
			return errUnchanged
		}
		if generation > a.Generation {
			*a = Athlete{ID: a.ID, Generation: generation, State: Active, Scan: Scan{
				ID:       strconv.FormatInt(generation, 10),
				Before:   z.Minter.Now().UTC().Truncate(time.Second),
				NextPage: 1,
				Sequence: 1,
				State:    gatheringv1.ScanScanning,
			}}
		}
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note the authorization: %w", err)
	}
	// A repeat of this event queues the jobs again, which at worst reads the
	// profile and one page once more.
	for _, job := range []Job{
		{Kind: KindProfile, AthleteID: athleteID, Generation: generation},
		{Kind: KindPage, AthleteID: athleteID, Generation: generation, ScanID: athlete.Scan.ID, Page: athlete.Scan.NextPage},
	} {
		if err := z.Queue.Send(ctx, job, 0); err != nil {
			return fmt.Errorf("queue %s: %w", job.Kind, err)
		}
	}
	return z.Publisher.Publish(ctx, z.Minter.Next(cause, athlete.progressed()))
}

// Degrade notes that calls for the athlete are useless until they connect
// again.
func (z *Authorizations) Degrade(ctx context.Context, cause event.Meta, athleteID, generation int64) error {
	athlete, err := z.Athletes.Update(ctx, athleteID, func(a *Athlete) error {
		if a.Generation != generation || a.State != Active {
			return errUnchanged
		}
		// A completed scan waits, too: nothing keeps it true any more.
		a.State = Degraded
		a.Scan.State, a.Scan.WaitingFor, a.Scan.ResumesAt = gatheringv1.ScanWaiting, gatheringv1.WaitingForReconnect, time.Time{}
		a.Scan.Sequence++
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note the degraded authorization: %w", err)
	}
	return z.Publisher.Publish(ctx, z.Minter.Next(cause, athlete.progressed()))
}

// End forgets the athlete but for a tombstone that keeps late jobs from being
// done, and confirms that.
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
	return z.Publisher.Publish(ctx, z.Minter.Next(cause, gatheringv1.ErasureCompleted{Receipt: receipt}))
}
