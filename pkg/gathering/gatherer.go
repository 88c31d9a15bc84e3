package gathering

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Gatherer does the work in the queue.
type Gatherer struct {
	Athletes  Athletes
	Pauses    Pauses
	Queue     Queue
	Strava    Strava
	Publisher Publisher
	Minter    event.Minter
	Log       *slog.Logger
}

const (
	// maxAttempts is how often a job is put back for failures of its own
	// before it is left to the dead letters.
	maxAttempts = 8
	// retryDelay is the wait before the first retry; it doubles each time.
	retryDelay = 15 * time.Second
	// patience is how often an activity that a webhook calls new or an
	// athlete that it names may be unknown before that is believed: Strava
	// sends webhooks before it has processed an upload, and our own news of a
	// new athlete may come after the webhook.
	patience = 3
)

// Do does one job. nil means that it is done, or that a later job will do it.
func (g *Gatherer) Do(ctx context.Context, job Job) error {
	athlete, err := g.Athletes.Athlete(ctx, job.AthleteID)
	if err != nil {
		return fmt.Errorf("read athlete: %w", err)
	}
	switch {
	case athlete.Generation == 0 && job.Attempt < patience:
		return g.retry(ctx, job)
	case athlete.State != Active || (job.Generation != 0 && job.Generation != athlete.Generation):
		g.Log.InfoContext(ctx, "job dropped: no such authorization", "kind", job.Kind, "state", athlete.State)
		return nil
	}
	pause, err := g.Pauses.Pause(ctx)
	if err != nil {
		return fmt.Errorf("read pause: %w", err)
	}
	if pause.Until.After(g.Minter.Now()) {
		return g.wait(ctx, job, pause)
	}

	var reading Reading
	switch job.Kind {
	case KindProfile:
		reading, err = g.profile(ctx, athlete)
	case KindPage:
		reading, err = g.page(ctx, athlete, job)
	case KindActivity:
		reading, err = g.activity(ctx, athlete, job)
	default:
		return fault.New(fault.Permanent, "unknown kind of job %q", job.Kind)
	}
	if !reading.Pause.Until.IsZero() {
		if err := g.Pauses.SavePause(ctx, reading.Pause); err != nil {
			return fmt.Errorf("save pause: %w", err)
		}
	}
	switch {
	case errors.Is(err, ErrPaused):
		return g.wait(ctx, job, reading.Pause)
	case errors.Is(err, ErrUnavailable), errors.Is(err, errTooEarly):
		if job.Attempt >= maxAttempts {
			return fmt.Errorf("given up after %d attempts: %w", job.Attempt, err)
		}
		return g.retry(ctx, job)
	case errors.Is(err, ErrRevoked):
		return nil // The news of its end, or of a newer one, is on its way.
	case errors.Is(err, ErrDegraded):
		return g.report(ctx, job.AthleteID, athlete.Generation, func(s *Scan) {
			s.State, s.WaitingFor, s.ResumesAt = gatheringv1.ScanWaiting, gatheringv1.WaitingForReconnect, time.Time{}
		})
	}
	return err
}

// wait puts the job back until the pause is over.
func (g *Gatherer) wait(ctx context.Context, job Job, pause Pause) error {
	return g.putBack(ctx, job, pause.Until, pause.For)
}

// retry puts the job back with a growing delay.
func (g *Gatherer) retry(ctx context.Context, job Job) error {
	delay := min(retryDelay<<job.Attempt, MaxDelay)
	job.Attempt++
	return g.putBack(ctx, job, g.Minter.Now().Add(delay), gatheringv1.WaitingForStrava)
}

// putBack queues the job to be done at until, or at [MaxDelay] from now if that
// is sooner, and tells those who wait for the scan.
func (g *Gatherer) putBack(ctx context.Context, job Job, until time.Time, waitingFor string) error {
	// Whole seconds, rounded up: a job that came back too early would only be
	// put back again.
	delay := (until.Sub(g.Minter.Now()) + time.Second - 1).Truncate(time.Second)
	if err := g.Queue.Send(ctx, job, min(max(delay, time.Second), MaxDelay)); err != nil {
		return fmt.Errorf("put the job back: %w", err)
	}
	if job.Kind != KindPage {
		return nil
	}
	return g.report(ctx, job.AthleteID, job.Generation, func(s *Scan) {
		s.State, s.WaitingFor, s.ResumesAt = gatheringv1.ScanWaiting, waitingFor, until.UTC()
	})
}

var errUnchanged = errors.New("nothing to change")

// report changes the unfinished scan of the authorization and tells of it.
func (g *Gatherer) report(ctx context.Context, athleteID, generation int64, change func(*Scan)) error {
	athlete, err := g.Athletes.Update(ctx, athleteID, func(a *Athlete) error {
		if a.Generation != generation || a.State == Revoked || a.Scan.State == gatheringv1.ScanCompleted {
			return errUnchanged
		}
		before := a.Scan
		if change(&a.Scan); a.Scan == before {
			return errUnchanged
		}
		a.Scan.Sequence++
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note the scan's progress: %w", err)
	}
	return g.publish(ctx, athlete.progressed())
}

func (g *Gatherer) profile(ctx context.Context, a Athlete) (Reading, error) {
	profile, reading, err := g.Strava.Athlete(ctx, a.ID, a.Generation)
	if err != nil {
		return reading, err
	}
	return reading, g.publish(ctx, gatheringv1.AthleteGathered{
		AthleteID: a.ID, Generation: a.Generation, ReadAt: reading.At, Athlete: profile,
	})
}

var errTooEarly = errors.New("not visible yet")

func (g *Gatherer) activity(ctx context.Context, a Athlete, job Job) (Reading, error) {
	activity, reading, err := g.Strava.Activity(ctx, a.ID, a.Generation, job.ActivityID)
	switch {
	case err == nil:
		return reading, g.publish(ctx, gatheringv1.ActivitiesGathered{
			AthleteID: a.ID, Generation: a.Generation, ReadAt: reading.At,
			Activities: []gatheringv1.Activity{activity},
		})
	case errors.Is(err, ErrNotVisible) && job.Aspect == "create" && job.Attempt < patience:
		return reading, errTooEarly
	case errors.Is(err, ErrNotVisible):
		return reading, g.publish(ctx, gatheringv1.ActivityGone{
			AthleteID: a.ID, Generation: a.Generation, ActivityID: job.ActivityID, ReadAt: reading.At,
		})
	}
	return reading, err
}

// page reads the scan's next page, passes it on, notes that, and queues the
// page after it. In this order: cut off anywhere, the job comes back and either
// repeats the page under the same chunk numbers or goes on with the next.
func (g *Gatherer) page(ctx context.Context, a Athlete, job Job) (Reading, error) {
	scan := a.Scan
	if scan.ID != job.ScanID || scan.State == gatheringv1.ScanCompleted {
		return Reading{}, nil
	}
	if job.Page < scan.NextPage {
		return Reading{}, g.queuePage(ctx, a)
	}
	list, n, reading, err := g.Strava.Activities(ctx, a.ID, a.Generation, scan.Before, scan.NextPage)
	if err != nil {
		return reading, err
	}
	if len(list) < n {
		g.Log.ErrorContext(ctx, "activities could not be understood", "count", n-len(list))
	}
	var chunks []gatheringv1.ActivitiesGathered
	for part := range slices.Chunk(list, gatheringv1.MaxActivities) {
		chunks = append(chunks, gatheringv1.ActivitiesGathered{
			AthleteID: a.ID, Generation: a.Generation, ReadAt: reading.At, Activities: part,
			Chunk: &gatheringv1.ScanChunk{ScanID: scan.ID, Number: scan.Chunks + len(chunks)},
		})
	}
	events := make([]event.Event, len(chunks))
	for i, c := range chunks {
		events[i] = g.Minter.First(c)
	}
	if err := g.Publisher.Publish(ctx, events...); err != nil {
		return reading, fmt.Errorf("pass on the page: %w", err)
	}
	a, err = g.Athletes.Update(ctx, a.ID, func(now *Athlete) error {
		if now.Generation != a.Generation || now.State == Revoked || now.Scan.ID != scan.ID || now.Scan.NextPage != scan.NextPage {
			return errUnchanged
		}
		now.Scan.NextPage++
		now.Scan.Chunks += len(chunks)
		now.Scan.Sequence++
		now.Scan.State, now.Scan.WaitingFor, now.Scan.ResumesAt = gatheringv1.ScanScanning, "", time.Time{}
		if n == 0 {
			now.Scan.State = gatheringv1.ScanCompleted
		}
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return reading, nil // The same page was read twice at once; the other goes on.
	}
	if err != nil {
		return reading, fmt.Errorf("note the page: %w", err)
	}
	if a.Scan.State != gatheringv1.ScanCompleted {
		if err := g.queuePage(ctx, a); err != nil {
			return reading, err
		}
	}
	return reading, g.publish(ctx, a.progressed())
}

func (g *Gatherer) queuePage(ctx context.Context, a Athlete) error {
	return g.Queue.Send(ctx, Job{
		Kind: KindPage, AthleteID: a.ID, Generation: a.Generation, ScanID: a.Scan.ID, Page: a.Scan.NextPage,
	}, 0)
}

func (g *Gatherer) publish(ctx context.Context, f event.Fact) error {
	if err := g.Publisher.Publish(ctx, g.Minter.First(f)); err != nil {
		return fmt.Errorf("publish %s: %w", f.DetailType(), err)
	}
	return nil
}
