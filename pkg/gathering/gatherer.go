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
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Gatherer does the work that is planned. Any number of them may be at it at
// once; the quota decides how many calls they make.
type Gatherer struct {
	Athletes  Athletes
	Inboxes   Inboxes
	Jobs      JobQueue
	Webhooks  Webhooks
	Quota     Quota
	Strava    Strava
	Publisher Publisher
	Minter    event.Minter
	Metrics   Metrics
	Log       *slog.Logger
}

const (
	// lookahead is how many pieces of work are looked at in one go: others may
	// be at the first ones.
	lookahead = 10
	// audience is how many athletes, the next in line, are told that they wait.
	audience = 25
)

// Run does what is due, the most urgent first, until nothing is, the quota says
// wait, or the time is over; then it reports that there may be more.
func (g *Gatherer) Run(ctx context.Context, until time.Time) (more bool, _ error) {
	if err := g.Tidy(ctx); err != nil {
		return false, err
	}
	for {
		if !g.Minter.Now().Before(until) {
			return true, nil
		}
		worked, err := g.Step(ctx)
		var wait *quota.Wait
		if errors.As(err, &wait) {
			g.Log.InfoContext(ctx, "waiting", "for", wait.For, "until", wait.Until)
			return false, nil
		}
		if err != nil || !worked {
			return false, err
		}
	}
}

// Step does the most urgent piece of work: at most one call to Strava. It
// reports whether there was one; the error may be a *[quota.Wait].
func (g *Gatherer) Step(ctx context.Context) (worked bool, _ error) {
	for _, class := range quota.Classes {
		places, err := g.Jobs.Due(ctx, class, g.Minter.Now(), nil, lookahead)
		if err != nil {
			return false, fmt.Errorf("list the work: %w", err)
		}
		for _, p := range places {
			do := g.scan
			if p.Kind == JobInbox {
				do = g.mailbox
			}
			worked, err := do(ctx, p)
			if wait := (*quota.Wait)(nil); errors.As(err, &wait) {
				err = errors.Join(err, g.announce(ctx, class, wait))
			}
			if worked || err != nil {
				return worked, err
			}
		}
	}
	return false, nil
}

// reserve gets a permit.
func (g *Gatherer) reserve(ctx context.Context, p JobRef) (quota.Permit, error) {
	permit, err := g.Quota.Reserve(ctx, p.Class, p.Due)
	if err == nil {
		g.Metrics.Count(MetricCalls(p.Class), 1)
	}
	return permit, err
}

// settle gives the permit back. What the call has brought does not depend on
// it: a permit that nobody settles counts as spent in the end.
func (g *Gatherer) settle(ctx context.Context, permit quota.Permit, answer quota.Answer) {
	if answer.Outcome == quota.RateLimited {
		g.Metrics.Count(MetricRateLimited, 1)
	}
	if err := g.Quota.Settle(ctx, permit, answer); err != nil {
		g.Log.WarnContext(ctx, "permit not settled", "error", err.Error())
	}
}

// announce tells athletes whose first scan waits for the quota, the next ones
// in line.
func (g *Gatherer) announce(ctx context.Context, class quota.Class, wait *quota.Wait) error {
	if wait.For == quota.ForTurn {
		return nil // It is a matter of seconds.
	}
	now := g.Minter.Now()
	refused := quota.Classes[slices.Index(quota.Classes, class):]
	for _, c := range []quota.Class{quota.Interactive, quota.Backfill} {
		if !slices.Contains(refused, c) {
			continue
		}
		places, err := g.Jobs.Due(ctx, c, now, nil, audience)
		if err != nil {
			return fmt.Errorf("list those who wait: %w", err)
		}
		for _, p := range places {
			err := g.tell(ctx, p.AthleteID, func(a *Athlete) bool {
				// Who is held is not waiting, and its holder is about to tell more.
				return a.State == Active && a.Job.Class == c && !a.Job.LeasedUntil.After(now) && a.Scan.First && a.wait(wait.For, wait.Until)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// tell changes an athlete's scan if change says that there is something to
// tell, and publishes its progress.
func (g *Gatherer) tell(ctx context.Context, athleteID int64, change func(*Athlete) bool) error {
	a, err := g.Athletes.Update(ctx, athleteID, func(a *Athlete) error {
		if !change(a) {
			return errUnchanged
		}
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note the scan's progress: %w", err)
	}
	return g.publish(ctx, a.progressed(g.Minter.Now()))
}

func (g *Gatherer) publish(ctx context.Context, facts ...event.Fact) error {
	events := make([]event.Event, len(facts))
	for i, f := range facts {
		events[i] = g.Minter.First(f)
	}
	if err := g.Publisher.Publish(ctx, events...); err != nil {
		return fmt.Errorf("publish %s: %w", facts[0].DetailType(), err)
	}
	return nil
}

// verdict is what an error means for the work that it ended.
type verdict int

const (
	// again: as it was, once the quota allows.
	again verdict = iota
	// later: after a while, which grows.
	later
	// never: nothing can be read for the athlete.
	never
	// stop: as later, and nothing else is read for now: what Strava says cannot
	// be stored or passed on.
	stop
)

// judge tells what to do about an error of a piece of work. own says that
// Strava works and it is the work that does not.
func judge(err error, reading Reading) (_ verdict, own bool) {
	switch {
	case errors.Is(err, ErrPaused):
		return again, false
	case errors.Is(err, ErrRevoked), errors.Is(err, ErrDegraded):
		return never, false
	}
	answered := reading.Answer.Rates != nil
	if answered && fault.Is(err, fault.Transient) {
		return stop, false
	}
	return later, answered
}

// complain logs and counts a failure of a piece of work.
func (g *Gatherer) complain(ctx context.Context, p JobRef, err error, parked bool) {
	if !errors.Is(err, ErrUnavailable) {
		g.Metrics.Count(MetricFailed, 1)
	}
	if parked {
		g.Metrics.Count(MetricParked, 1)
	}
	g.Log.ErrorContext(ctx, "work failed", "athlete_id", p.AthleteID, "kind", p.Kind, "class", p.Class,
		"parked", parked, "fault", fault.Of(err), "error", err.Error())
}

// scan reads the next part of an athlete's scan, passes it on, and notes that,
// in this order: cut off anywhere, the same part is read again and passed on
// under the same numbers.
func (g *Gatherer) scan(ctx context.Context, p JobRef) (worked bool, _ error) {
	now := g.Minter.Now()
	moved := false
	a, err := g.Athletes.Update(ctx, p.AthleteID, func(a *Athlete) error {
		moved = false
		if a.State != Active || !a.Job.take(p.Class, now) {
			return errUnchanged
		}
		if moved = a.expired(now); moved {
			a.plan(now, time.Time{})
			return nil
		}
		a.resume(now)
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("take a scan: %w", err)
	}
	if moved {
		return true, nil
	}
	permit, err := g.reserve(ctx, p)
	if err != nil {
		return false, errors.Join(err, g.give(ctx, a, func(a *Athlete) { a.Job.release() }))
	}

	read := g.page
	if !a.Scan.Profiled {
		read = g.profile
	}
	facts, change, reading, err := read(ctx, a)
	g.settle(ctx, permit, reading.Answer)
	if err == nil {
		err = g.pass(ctx, a, facts, change)
	}
	if err == nil {
		return true, nil
	}

	switch verdict, own := judge(err, reading); verdict {
	case again:
		return true, g.give(ctx, a, func(a *Athlete) { a.Job.release() })
	case never:
		if errors.Is(err, ErrDegraded) {
			return true, g.degraded(ctx, a)
		}
		return true, g.give(ctx, a, func(a *Athlete) { a.Job = Job{} })
	default:
		var parked bool
		failed := g.give(ctx, a, func(a *Athlete) { parked = a.Job.fail(g.Minter.Now(), own) })
		g.complain(ctx, p, err, parked)
		if verdict == stop {
			return true, errors.Join(err, failed)
		}
		if failed != nil || !a.Scan.First {
			return true, failed
		}
		return true, g.tell(ctx, a.ID, func(now *Athlete) bool {
			return now.State == Active && now.Generation == a.Generation && now.Scan.ID == a.Scan.ID &&
				now.wait(gatheringv1.WaitingForStrava, now.Job.Due)
		})
	}
}

// give writes what the holder of a scan's turn leaves, unless it has lost it.
func (g *Gatherer) give(ctx context.Context, held Athlete, change func(*Athlete)) error {
	_, err := g.Athletes.Update(ctx, held.ID, func(a *Athlete) error {
		if a.Generation != held.Generation || !a.Job.LeasedUntil.Equal(held.Job.LeasedUntil) {
			return errUnchanged
		}
		change(a)
		return nil
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return fmt.Errorf("give a scan back: %w", err)
	}
	return nil
}

// pass publishes what was read together with the progress, and then notes it.
func (g *Gatherer) pass(ctx context.Context, held Athlete, facts []event.Fact, change func(a *Athlete, gap time.Time)) error {
	webhook, err := g.Webhooks.Webhook(ctx)
	if err != nil {
		return fmt.Errorf("read the last gap: %w", err)
	}
	next := held
	change(&next, webhook.Gap.To)
	if next.Scan.First || next.Scan.State == gatheringv1.ScanCompleted {
		facts = append(facts, next.progressed(g.Minter.Now()))
	}
	if len(facts) > 0 {
		if err := g.publish(ctx, facts...); err != nil {
			return err
		}
	}
	return g.give(ctx, held, func(a *Athlete) { *a = next })
}

// degraded tells that the athlete has to connect again.
func (g *Gatherer) degraded(ctx context.Context, held Athlete) error {
	return g.tell(ctx, held.ID, func(a *Athlete) bool {
		return a.State == Active && a.Generation == held.Generation && a.degrade()
	})
}

func (g *Gatherer) profile(ctx context.Context, a Athlete) ([]event.Fact, func(*Athlete, time.Time), Reading, error) {
	profile, reading, err := g.Strava.Athlete(ctx, a.ID, a.Generation)
	joined, malformed := time.Parse(time.RFC3339, profile.CreatedAt)
	return []event.Fact{gatheringv1.AthleteGathered{
			AthleteID: a.ID, Generation: a.Generation, ReadAt: reading.At, Athlete: profile,
		}}, func(a *Athlete, _ time.Time) {
			a.Scan.Profiled = true
			if malformed == nil {
				a.JoinedAt, a.ProfiledAt = joined.UTC(), reading.At.UTC()
			}
			a.Scan.State, a.Scan.WaitingFor, a.Scan.ResumesAt = gatheringv1.ScanScanning, "", time.Time{}
			a.Scan.Sequence++
			a.Job.next(a.Job.Class, a.Job.Due)
		}, reading, err
}

func (g *Gatherer) page(ctx context.Context, a Athlete) ([]event.Fact, func(*Athlete, time.Time), Reading, error) {
	list, n, reading, err := g.Strava.Activities(ctx, a.ID, a.Generation, a.Scan.Before, a.Scan.NextPage)
	if err != nil {
		return nil, nil, reading, err
	}
	g.leftOut(ctx, a.ID, n-len(list))
	var facts []event.Fact
	for part := range slices.Chunk(list, gatheringv1.MaxActivities) {
		facts = append(facts, gatheringv1.ActivitiesGathered{
			AthleteID: a.ID, Generation: a.Generation, ReadAt: reading.At, Activities: part,
			Chunk: &gatheringv1.ScanChunk{ScanID: a.Scan.ID, Number: a.Scan.Chunks + len(facts)},
		})
	}
	p := page{at: reading.At, n: n, chunks: len(facts), activities: len(list)}
	if len(list) > 0 {
		p.oldest, _ = time.Parse(time.RFC3339, list[len(list)-1].StartDate)
	}
	return facts, func(a *Athlete, gap time.Time) { a.turnPage(p, g.Minter.Now(), gap) }, reading, nil
}

// leftOut logs and counts activities that could not be understood.
func (g *Gatherer) leftOut(ctx context.Context, athleteID int64, n int) {
	if n > 0 {
		g.Metrics.Count(MetricUnreadable, n)
		g.Log.ErrorContext(ctx, "activities could not be understood", "athlete_id", athleteID, "count", n)
	}
}
