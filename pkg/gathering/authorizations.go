package gathering

import (
	"context"
	"fmt"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// Authorizations handles the events about athletes: authorizations begin,
// degrade and end, and other boundaries request reads under them.
type Authorizations struct {
	Athletes  Athletes
	Inboxes   Inboxes
	Waker     Waker
	Publisher Publisher
	Events    event.Factory
}

// Begin starts to gather an athlete who has just authorized: the profile and
// the whole history. It ignores events that are a week old: the athlete may
// have left since, and the tombstone may be gone.
func (z *Authorizations) Begin(ctx context.Context, cause event.Meta, by Authorization) error {
	now := z.Events.Now()
	if now.Sub(cause.OccurredAt) >= retention.StravaData {
		return nil
	}
	athlete, err := z.Athletes.Update(ctx, by.AthleteID, func(a *Athlete) (changed bool, _ error) {
		if by.Generation <= a.Generation {
			return false, nil
		}
		*a = Athlete{ID: a.ID, Generation: by.Generation, State: Active}
		a.begin(by.Generation, now)
		a.Job.next(quota.Interactive, now)
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("store the authorization: %w", err)
	}
	if by.Generation < athlete.Generation || athlete.State == Revoked {
		// The authorization has ended. An earlier attempt may have been cut off after
		// it created the inbox.
		return z.Inboxes.DropInbox(ctx, by)
	}
	// From here on webhook events about the athlete are stored. Earlier changes
	// are in the history, which the scan has not begun to read.
	_, err = z.Inboxes.UpdateInbox(ctx, by.AthleteID, func(m *Inbox) (changed bool, _ error) {
		if m.Generation >= by.Generation {
			return false, nil
		}
		*m = Inbox{AthleteID: by.AthleteID, Generation: by.Generation}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("open the inbox: %w", err)
	}
	// If the athlete left in between, End may have run before the inbox was
	// opened.
	athlete, err = z.Athletes.Athlete(ctx, by.AthleteID)
	if err != nil {
		return fmt.Errorf("read the athlete: %w", err)
	}
	if athlete.State == Revoked && athlete.Generation >= by.Generation {
		return z.Inboxes.DropInbox(ctx, by)
	}
	if err := z.Publisher.Publish(ctx, z.Events.CausedBy(cause, athlete.progressed(now))); err != nil {
		return fmt.Errorf("publish the scan's progress: %w", err)
	}
	return z.Waker.Wake(ctx, 0)
}

// Degrade stops gathering until the athlete connects again. It drops Strava's
// data, which no job would use until then.
func (z *Authorizations) Degrade(ctx context.Context, cause event.Meta, by Authorization) error {
	athlete, err := z.Athletes.Update(ctx, by.AthleteID, func(a *Athlete) (changed bool, _ error) {
		if a.Generation != by.Generation || a.State == Revoked {
			return false, nil
		}
		return a.degrade(), nil // A gatherer may have done so already.
	})
	if err != nil {
		return fmt.Errorf("store the degraded authorization: %w", err)
	}
	if athlete.Generation != by.Generation || athlete.State == Revoked {
		return nil
	}
	_, err = z.Inboxes.UpdateInbox(ctx, by.AthleteID, func(m *Inbox) (changed bool, _ error) {
		if m.Generation != by.Generation {
			return false, nil
		}
		m.clear()
		m.reschedule(z.Events.Now(), 0) // A deauthorization is still reported.
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("empty the inbox: %w", err)
	}
	return z.Publisher.Publish(ctx, z.Events.CausedBy(cause, athlete.progressed(z.Events.Now())))
}

// RequestGather makes a gatherer read the newest activities, at the athlete's
// request.
func (z *Authorizations) RequestGather(ctx context.Context, by Authorization) error {
	inbox, err := z.Inboxes.UpdateInbox(ctx, by.AthleteID, func(m *Inbox) (changed bool, _ error) {
		if m.Generation != by.Generation {
			return false, nil
		}
		m.requestGather(z.Events.Now())
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("store the gather request: %w", err)
	}
	if inbox.Generation != by.Generation {
		return nil
	}
	return z.Waker.Wake(ctx, 0)
}

// Recheck makes a gatherer re-read a sample of the activities that a completed
// scan did not find. The activity plane asks for it before it removes many.
func (z *Authorizations) Recheck(ctx context.Context, by Authorization, scanID string, sample []int64) error {
	now := z.Events.Now()
	athlete, err := z.Athletes.Athlete(ctx, by.AthleteID)
	if err != nil {
		return fmt.Errorf("read the athlete: %w", err)
	}
	if athlete.Scan.ID != scanID || athlete.Scan.Confirmed {
		return nil // A newer scan gets a question of its own.
	}
	asked := false
	_, err = z.Inboxes.UpdateInbox(ctx, by.AthleteID, func(m *Inbox) (changed bool, _ error) {
		if asked = m.Generation == by.Generation && m.Question.ScanID != scanID; asked {
			m.addQuestion(scanID, sample, now)
		}
		return asked, nil
	})
	if err != nil {
		return fmt.Errorf("add the sample to the inbox: %w", err)
	}
	if !asked {
		return nil
	}
	return z.Waker.Wake(ctx, 0)
}

// End erases the athlete and publishes that. A tombstone stays, so that late
// events start nothing.
func (z *Authorizations) End(ctx context.Context, cause event.Meta, by Authorization, receipt string) error {
	_, err := z.Athletes.Update(ctx, by.AthleteID, func(a *Athlete) (changed bool, _ error) {
		if a.Generation > by.Generation {
			return false, nil
		}
		*a = Athlete{ID: a.ID, Generation: by.Generation, State: Revoked, RevokedAt: z.Events.Now()}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("erase the athlete: %w", err)
	}
	if err := z.Inboxes.DropInbox(ctx, by); err != nil {
		return fmt.Errorf("drop the inbox: %w", err)
	}
	return z.Publisher.Publish(ctx, z.Events.CausedBy(cause, gatheringv1.ErasureCompleted{Receipt: receipt}))
}
