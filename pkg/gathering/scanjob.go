package gathering

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// scanJob reads the next page of an athlete's scan, publishes it, and then
// saves the progress. If it is cut off in between, the page is read and
// published again under the same chunk numbers.
type scanJob struct {
	g      *Gatherer
	leased Athlete
	// overdue says that the scan came too late, see [Athlete.overdue]: leasing it
	// only moved it to another class.
	overdue bool
	due     time.Time
}

// leaseScan leases an athlete's scan. It returns nil if the scan is not due.
func (g *Gatherer) leaseScan(ctx context.Context, ref JobRef) (leasedJob, error) {
	now := g.Events.Now()
	owner, leased, overdue, abandoned := g.Events.NewID(), false, false, false
	a, err := g.Athletes.Update(ctx, ref.AthleteID, func(a *Athlete) (changed bool, _ error) {
		overdue, abandoned = false, a.Job.abandoned(now)
		if leased = a.State == Active && a.Job.lease(ref.Class, now, owner); !leased {
			return false, nil
		}
		if abandoned {
			a.Job.fail(failure{at: now})
			return true, nil
		}
		if overdue = a.overdue(now); overdue {
			a.plan(now, time.Time{})
			return true, nil
		}
		a.resume(now)
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("lease a scan: %w", err)
	}
	if !leased {
		return nil, nil
	}
	if abandoned {
		g.noteAbandoned(ctx, ref, a.Job.Due)
		return nil, nil
	}
	return &scanJob{g: g, leased: a, overdue: overdue, due: a.Job.Due}, nil
}

func (j *scanJob) dueAt() time.Time { return j.due }

func (j *scanJob) release(ctx context.Context) error {
	return j.save(ctx, func(a *Athlete) { a.Job.release() })
}

func (j *scanJob) drop(ctx context.Context, reason error) error {
	if !errors.Is(reason, ErrDegraded) {
		return j.save(ctx, func(a *Athlete) { a.Job = Job{} })
	}
	// The athlete has to connect again.
	return j.g.reportProgress(ctx, j.leased.ID, func(a *Athlete) bool {
		return a.State == Active && a.Generation == j.leased.Generation && a.degrade()
	})
}

func (j *scanJob) fail(ctx context.Context, f failure, cause error) (quarantined bool, _ error) {
	next := j.leased.Clone()
	var reported error
	if isStravas(cause) && next.Scan.ProfileDone {
		gapEnd, err := j.gapEnd(ctx)
		if err != nil {
			return false, err
		}
		if quarantined = next.failPage(f, gapEnd); next.Scan.State == gatheringv1.ScanCompleted {
			if reported = j.g.publish(ctx, next.progressed(f.at)); reported == nil {
				return false, j.save(ctx, func(a *Athlete) { *a = next })
			}
			next = j.leased.Clone()
			quarantined = next.Job.fail(f)
		}
	} else {
		quarantined = next.Job.fail(f)
	}
	waits := next.Scan.First && next.noteWaiting(f.waitingFor, next.Job.Due, f.at)
	if err := j.save(ctx, func(a *Athlete) { *a = next }); err != nil || !waits {
		return quarantined, errors.Join(reported, err)
	}
	return quarantined, errors.Join(reported, j.g.publish(ctx, next.progressed(f.at)))
}

// save changes the athlete, unless this job has lost its lease.
func (j *scanJob) save(ctx context.Context, change func(*Athlete)) error {
	leased := j.leased
	saved := false
	a, err := j.g.Athletes.Update(ctx, leased.ID, func(a *Athlete) (changed bool, _ error) {
		if saved = a.Generation == leased.Generation && a.Job.LeaseOwner == leased.Job.LeaseOwner; saved {
			change(a)
		}
		return saved, nil
	})
	if err != nil {
		return fmt.Errorf("write a scan: %w", err)
	}
	if saved {
		j.due = a.Job.Due
	}
	return nil
}

// gapEnd returns the end of the last gap in the webhooks.
func (j *scanJob) gapEnd(ctx context.Context) (time.Time, error) {
	w, err := j.g.Webhooks.Webhook(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the last gap in the webhooks: %w", err)
	}
	return w.Gap.To, nil
}

// publishAndSave publishes the facts together with the progress, and then saves
// the athlete.
func (j *scanJob) publishAndSave(ctx context.Context, facts []event.Fact, change func(a *Athlete, gapEnd time.Time)) error {
	gapEnd, err := j.gapEnd(ctx)
	if err != nil {
		return err
	}
	next := j.leased.Clone()
	change(&next, gapEnd)
	if next.Scan.First || next.Scan.State == gatheringv1.ScanCompleted {
		facts = append(facts, next.progressed(j.g.Events.Now()))
	}
	if err := j.g.publish(ctx, facts...); err != nil {
		return err
	}
	return j.save(ctx, func(a *Athlete) { *a = next })
}

// errStalled: Strava answered with a page that brings the scan no further. It
// counts as a failed page, so smaller ones are tried. They also get past the
// harmless case: a whole page of activities uploaded in between.
var errStalled = fmt.Errorf("the page brings nothing new: %w", ErrUnavailable)

func (j *scanJob) run(ctx context.Context, s Strava) error {
	a := j.leased
	switch {
	case j.overdue:
		return nil
	case !a.Scan.ProfileDone:
		return j.readProfile(ctx, s)
	}
	page, reading, err := s.Activities(ctx, a.authorization(), a.Scan.request())
	if err != nil {
		return err
	}
	if a.Scan.stalls(page) {
		return errStalled
	}
	j.g.countUnreadable(ctx, a.ID, page)
	fresh := a.Scan.unread(a.Scan.fresh(page))
	var facts []event.Fact
	for _, part := range chunks(fresh) {
		facts = append(facts, gatheringv1.ActivitiesGathered{
			AthleteID: a.ID, Generation: a.Generation, ReadAt: reading.At, Activities: part,
			Chunk: &gatheringv1.ScanChunk{ScanID: a.Scan.ID, Number: a.Scan.Chunks + len(facts)},
		})
	}
	return j.publishAndSave(ctx, facts, func(a *Athlete, gapEnd time.Time) {
		a.applyPage(page, reading.At, j.g.Events.Now(), gapEnd, len(facts), len(fresh))
	})
}

// readProfile reads the athlete's profile. If Strava cannot show it, the
// profile is left to the inbox and the scan goes on with the activities. After
// any other failure the job fails, since reading activities would fail
// likewise.
func (j *scanJob) readProfile(ctx context.Context, s Strava) error {
	a := j.leased
	profile, reading, err := s.Athlete(ctx, a.authorization())
	switch {
	case errors.Is(err, ErrUnavailable):
		return j.deferProfile(ctx, err)
	case err != nil:
		return err
	}
	joined, malformed := time.Parse(time.RFC3339, profile.CreatedAt)
	return j.publishAndSave(ctx, []event.Fact{gatheringv1.AthleteGathered{
		AthleteID: a.ID, Generation: a.Generation, ReadAt: reading.At, Athlete: profile,
	}}, func(a *Athlete, _ time.Time) {
		a.Scan.ProfileDone = true
		if malformed == nil {
			a.JoinedAt, a.ProfileReadAt = joined.UTC(), reading.At.UTC()
		}
		a.Scan.scanning()
		a.Job.next(a.Job.Class, a.Job.Due)
	})
}

// deferProfile adds a hint to the inbox to read the profile later.
func (j *scanJob) deferProfile(ctx context.Context, cause error) error {
	now := j.g.Events.Now()
	j.g.logFailure(ctx, JobRef{AthleteID: j.leased.ID, Kind: JobScan, Class: j.leased.Job.Class}, cause, false)
	_, err := j.g.Inboxes.UpdateInbox(ctx, j.leased.ID, func(m *Inbox) (changed bool, _ error) {
		if m.Generation != j.leased.Generation {
			return false, nil
		}
		m.addProfileHint(failure{at: now})
		if m.Job.Class == "" {
			m.reschedule(now, j.leased.Last.Pages)
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("add a hint about the profile: %w", err)
	}
	return j.save(ctx, func(a *Athlete) {
		a.Scan.ProfileDone = true
		a.Job.next(a.Job.Class, now.Add(time.Second)) // Behind the jobs that are due already.
	})
}
