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
	"github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Gatherer runs the jobs that are due. Any number of gatherers may run at
// once; the quota limits their calls.
type Gatherer struct {
	Athletes  Athletes
	Inboxes   Inboxes
	Jobs      JobQueue
	Webhooks  Webhooks
	Quota     Quota
	Strava    Strava
	Waker     Waker
	Publisher Publisher
	Events    event.Factory
	Metrics   Metrics
	Log       *slog.Logger
}

const (
	// maxLeaseTries is how many jobs of a class a gatherer tries to lease: other
	// gatherers may have leased the first ones.
	maxLeaseTries = 10
	// maxItemFailures is how many failed writes in one step mean that the storage
	// itself is down.
	maxItemFailures = 3
	// maxNotified is how many scans of a class, the first in the queue, a gatherer
	// reports as waiting.
	maxNotified = 25
	// A gatherer is woken for jobs due within maxWakeDelay, the longest delay of a
	// message (Amazon SQS, "Delay queues"), and for quota that is free within
	// tickInterval. The gatherer that starts every minute serves everything later.
	maxWakeDelay = 15 * time.Minute
	tickInterval = time.Minute
)

// leasedJob is a job that this gatherer has leased.
type leasedJob interface {
	// run does the job's next action, with at most one call of s.
	run(ctx context.Context, s Strava) error
	// release gives the job back as it was.
	release(ctx context.Context) error
	// fail puts off the piece of work that failed, and reports whether it is
	// quarantined.
	fail(ctx context.Context, f failure, cause error) (quarantined bool, _ error)
	// drop ends the job, because nothing can be read under the authorization.
	drop(ctx context.Context, reason error) error
	// dueAt is when the job is due next, once its lease has ended.
	dueAt() time.Time
}

// lease leases the job. It returns nil if the job is not due or leased already.
func (g *Gatherer) lease(ctx context.Context, ref JobRef) (leasedJob, error) {
	if ref.Kind == JobInbox {
		return g.leaseInbox(ctx, ref)
	}
	return g.leaseScan(ctx, ref)
}

// Run runs the jobs that are due, the most urgent first, until none is left,
// the quota refuses a permit, or the time is over. It reports more only in the
// last case.
func (g *Gatherer) Run(ctx context.Context, until time.Time) (more bool, _ error) {
	if err := g.PromoteScans(ctx); err != nil {
		// Jobs that are due do not depend on it. The next run tries again.
		g.Metrics.Count(metric.Failed, 1)
		g.Log.ErrorContext(ctx, "scans not promoted", "error", err.Error())
	}
	for {
		if !g.Events.Now().Before(until) {
			return true, nil
		}
		worked, err := g.Step(ctx)
		var wait *quota.Wait
		if errors.As(err, &wait) {
			g.Log.InfoContext(ctx, "waiting for quota", "reason", wait.Reason, "until", wait.Until)
			if wait.Reason != quota.ReasonConcurrency {
				g.wakeAt(ctx, wait.Until, tickInterval)
			}
			return false, nil
		}
		if err != nil || !worked {
			return false, err
		}
	}
}

// Step does one action of the most urgent job, with at most one call to Strava.
// It reports whether there was a job. The error may be a *[quota.Wait].
func (g *Gatherer) Step(ctx context.Context) (worked bool, _ error) {
	var failures itemFailures
	for _, class := range quota.Classes {
		refs, err := g.Jobs.Due(ctx, class, g.Events.Now(), nil, maxLeaseTries)
		if err != nil {
			return false, fmt.Errorf("list the jobs: %w", err)
		}
		for _, ref := range refs {
			job, err := g.lease(ctx, ref)
			if err != nil {
				// This athlete's item alone may be the problem.
				g.logFailure(ctx, ref, err, false)
				if err := failures.add(err); err != nil {
					return false, err
				}
				continue
			}
			if job == nil {
				continue
			}
			return g.work(ctx, ref, job)
		}
	}
	return false, nil
}

// itemFailures collects failures to read or write athletes' items. Permanent
// ones are not collected: an item that cannot be decoded says nothing about the
// storage.
type itemFailures []error

// add collects a failure, and returns all of them once there are
// maxItemFailures: then the storage itself seems to be down.
func (f *itemFailures) add(err error) error {
	if fault.Is(err, fault.Permanent) {
		return nil
	}
	if *f = append(*f, err); len(*f) < maxItemFailures {
		return nil
	}
	return errors.Join(*f...)
}

// work runs a leased job, and then releases, fails or drops it as the outcome
// demands.
func (g *Gatherer) work(ctx context.Context, ref JobRef, job leasedJob) (worked bool, _ error) {
	calls := &permitted{g: g, ref: ref}
	err := job.run(ctx, calls)
	var wait *quota.Wait
	switch {
	case err == nil:
		g.wakeAt(ctx, job.dueAt(), maxWakeDelay)
		return true, nil
	case errors.As(err, &wait):
		return false, errors.Join(err, job.release(ctx), g.reportWaiting(ctx, ref.Class, wait))
	case errors.Is(err, ErrRevoked), errors.Is(err, ErrDegraded):
		return true, job.drop(ctx, err)
	case errors.Is(err, ErrRateLimited) && calls.settlement.RetryAt.IsZero():
		return true, job.release(ctx) // The quota refuses the next permit for as long as needed.
	}
	f := g.failureOf(err, calls)
	quarantined, failed := job.fail(ctx, f, err)
	g.logFailure(ctx, ref, err, quarantined)
	if failed == nil && !quarantined {
		g.wakeAt(ctx, job.dueAt(), maxWakeDelay)
	}
	if calls.answered && fault.Is(err, fault.Transient) {
		// Strava answered, but the data cannot be stored or published. More calls
		// would be wasted.
		return true, errors.Join(err, failed)
	}
	return true, failed
}

// failureOf describes a failed attempt and the calls that it made.
func (g *Gatherer) failureOf(err error, calls *permitted) failure {
	s := calls.settlement
	f := failure{at: g.Events.Now(), retryAt: s.RetryAt, servedOthers: s.ServedOthers, waitingFor: gatheringv1.WaitingForRetry}
	switch {
	case errors.Is(err, ErrInactive):
		f.waitingFor = gatheringv1.WaitingForApplication
	case !isStravas(err):
		// Strava's answers for other athletes do not show that our own parts work.
		f.waitingFor, f.servedOthers = gatheringv1.WaitingForInternal, time.Time{}
	}
	if s.Pause != nil {
		f.callsPaused, f.waitingFor = true, s.Pause.Reason
		f.retryAt = latest(f.retryAt, s.Pause.Until)
	}
	return f
}

// isStravas reports whether the failure is Strava's rather than ours.
func isStravas(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrRateLimited) || errors.Is(err, ErrInactive)
}

// wakeAt wakes a gatherer at a time in the future, at most within from now. It
// is best effort: a gatherer runs every minute anyway.
func (g *Gatherer) wakeAt(ctx context.Context, due time.Time, within time.Duration) {
	after := due.Sub(g.Events.Now())
	if after <= 0 || after > within {
		return
	}
	if err := g.Waker.Wake(ctx, after); err != nil {
		g.Log.WarnContext(ctx, "gatherer not woken", "error", err.Error())
	}
}

// reportWaiting reports for the first scans in the queue why and until when
// they wait.
func (g *Gatherer) reportWaiting(ctx context.Context, class quota.Class, wait *quota.Wait) error {
	if wait.Reason == quota.ReasonConcurrency {
		return nil // The wait takes seconds.
	}
	now := g.Events.Now()
	refused := quota.Classes[slices.Index(quota.Classes, class):]
	for _, c := range []quota.Class{quota.Interactive, quota.Backfill} {
		if !slices.Contains(refused, c) {
			continue
		}
		refs, err := g.Jobs.Due(ctx, c, now, nil, maxNotified)
		if err != nil {
			return fmt.Errorf("list the jobs that wait: %w", err)
		}
		for _, ref := range refs {
			err := g.reportProgress(ctx, ref.AthleteID, func(a *Athlete) bool {
				// A leased scan does not wait, and will report its own progress.
				return a.State == Active && a.Job.Class == c && !a.Job.LeasedUntil.After(now) && a.Scan.First && a.noteWaiting(wait.Reason, wait.Until, now)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// reportProgress changes an athlete's scan and publishes its progress, unless
// change returns false.
func (g *Gatherer) reportProgress(ctx context.Context, athleteID int64, change func(*Athlete) bool) error {
	changed := false
	a, err := g.Athletes.Update(ctx, athleteID, func(a *Athlete) (bool, error) {
		changed = change(a)
		return changed, nil
	})
	if err != nil {
		return fmt.Errorf("store the scan's progress: %w", err)
	}
	if !changed {
		return nil
	}
	return g.publish(ctx, a.progressed(g.Events.Now()))
}

func (g *Gatherer) publish(ctx context.Context, facts ...event.Fact) error {
	if len(facts) == 0 {
		return nil
	}
	events := make([]event.Event, len(facts))
	for i, f := range facts {
		events[i] = g.Events.New(f)
	}
	if err := g.Publisher.Publish(ctx, events...); err != nil {
		return fmt.Errorf("publish %s: %w", facts[0].DetailType(), err)
	}
	return nil
}

// logFailure logs the failure of a job, and counts Strava's failures and ours
// separately.
func (g *Gatherer) logFailure(ctx context.Context, ref JobRef, err error, quarantined bool) {
	counted := metric.Failed
	if isStravas(err) {
		counted = metric.StravaFailed
	}
	g.Metrics.Count(counted, 1)
	if quarantined {
		g.Metrics.Count(metric.Quarantined, 1)
	}
	g.Log.ErrorContext(ctx, "job failed", "athlete_id", ref.AthleteID, "kind", ref.Kind, "class", ref.Class,
		"quarantined", quarantined, "fault", fault.Of(err), "error", err.Error())
}

// errAbandoned means that a gatherer was killed while it worked on the job.
var errAbandoned = errors.New("the lease ended without an outcome")

// noteAbandoned logs a job whose last gatherer was killed. The job is put off
// like one that failed, since it may be the cause.
func (g *Gatherer) noteAbandoned(ctx context.Context, ref JobRef, due time.Time) {
	g.logFailure(ctx, ref, errAbandoned, false)
	g.wakeAt(ctx, due, maxWakeDelay)
}

// countUnreadable logs and counts the parts of a page that could not be
// decoded, by name and never by value.
func (g *Gatherer) countUnreadable(ctx context.Context, athleteID int64, p Page) {
	members := 0
	for _, n := range p.UnreadableMembers {
		members += n
	}
	if members == 0 && len(p.Unreadable) == 0 {
		return
	}
	g.Metrics.Count(metric.ActivitiesUnreadable, len(p.Unreadable))
	g.Metrics.Count(metric.MembersUnreadable, members)
	g.Log.WarnContext(ctx, "answer partly unreadable", "athlete_id", athleteID,
		"activities", len(p.Unreadable), "members", p.UnreadableMembers)
}
