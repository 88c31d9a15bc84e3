package gathering

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// inboxJob does the next action for an athlete's inbox. One action answers as
// many hints as possible.
type inboxJob struct {
	g       *Gatherer
	leased  Inbox
	athlete Athlete
	// action is set by run.
	action action
	due    time.Time
}

// leaseInbox leases an athlete's inbox. It returns nil if the inbox is not due.
func (g *Gatherer) leaseInbox(ctx context.Context, ref JobRef) (leasedJob, error) {
	now := g.Events.Now()
	owner, leased, abandoned := g.Events.NewID(), false, false
	m, err := g.Inboxes.UpdateInbox(ctx, ref.AthleteID, func(m *Inbox) (changed bool, _ error) {
		abandoned = m.Job.abandoned(now)
		if leased = m.Generation != 0 && m.Job.lease(ref.Class, now, owner); leased && abandoned {
			m.FailedOn = 0
			m.Job.fail(failure{at: now})
		}
		return leased, nil
	})
	if err != nil {
		return nil, fmt.Errorf("lease an inbox: %w", err)
	}
	if !leased {
		return nil, nil
	}
	if abandoned {
		g.noteAbandoned(ctx, ref, m.Job.Due)
		return nil, nil
	}
	a, err := g.Athletes.Athlete(ctx, ref.AthleteID)
	if err != nil {
		return nil, fmt.Errorf("read the athlete: %w", err)
	}
	return &inboxJob{g: g, leased: m, athlete: a}, nil
}

func (j *inboxJob) dueAt() time.Time { return j.due }

func (j *inboxJob) release(ctx context.Context) error {
	return j.save(ctx, func(m *Inbox) { m.Job.release() })
}

func (j *inboxJob) drop(ctx context.Context, _ error) error {
	// A new authorization leads to a new scan.
	return j.save(ctx, func(m *Inbox) { m.clear() })
}

func (j *inboxJob) fail(ctx context.Context, f failure, cause error) (quarantined bool, _ error) {
	err := j.save(ctx, func(m *Inbox) {
		switch j.action.do {
		case doReread:
			quarantined = m.failReread(j.action.about, f, j.athlete.Last.Pages)
		case doList:
			if errors.Is(cause, ErrUnavailable) {
				m.failList(f.at)
			}
			fallthrough
		default:
			m.FailedOn = 0
			quarantined = m.Job.fail(f)
		}
	})
	return quarantined, err
}

// save changes the inbox, unless this job has lost its lease. Hints that
// arrived meanwhile stay.
func (j *inboxJob) save(ctx context.Context, change func(*Inbox)) error {
	leased := j.leased
	saved := false
	m, err := j.g.Inboxes.UpdateInbox(ctx, leased.AthleteID, func(m *Inbox) (changed bool, _ error) {
		saved = m.Generation == leased.Generation && m.Job.LeaseOwner == leased.Job.LeaseOwner
		if !saved {
			return false, nil
		}
		fresh := m.Hints[len(leased.Hints):] // New ones come last.
		m.Hints = slices.Clone(leased.Hints)
		change(m)
		if len(fresh) > 0 {
			m.Hints = append(m.Hints, fresh...)
			m.reschedule(j.g.Events.Now(), j.athlete.Last.Pages)
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("write an inbox: %w", err)
	}
	if saved {
		j.due = m.Job.Due
	}
	return nil
}

func (j *inboxJob) run(ctx context.Context, s Strava) error {
	now := j.g.Events.Now()
	m, a := j.leased, j.athlete
	j.action = m.next(now, a.Last.Pages)
	switch do := j.action.do; {
	case do == doReport:
		return j.report(ctx)
	case a.State != Active || a.Generation != m.Generation:
		return j.drop(ctx, nil)
	case do == doNothing || j.action.at.After(now):
		return j.save(ctx, func(m *Inbox) { m.reschedule(now, a.Last.Pages) })
	case do == doAnswer:
		return j.answer(ctx)
	case do == doScan:
		return j.rescan(ctx)
	case do == doList:
		return j.list(ctx, s)
	case j.action.about.activityID == 0:
		return j.readProfile(ctx, s)
	}
	return j.reread(ctx, s)
}

// report publishes the claim that the athlete withdrew access. The credentials
// boundary verifies it at Strava.
func (j *inboxJob) report(ctx context.Context) error {
	claimed := func(h Hint) bool { return h.Aspect == AspectDeauthorize }
	claim := j.leased.Hints[slices.IndexFunc(j.leased.Hints, claimed)]
	err := j.g.publish(ctx, gatheringv1.DeauthorizationReported{AthleteID: j.leased.AthleteID, EventTime: claim.EventTime})
	if err != nil {
		return err
	}
	return j.save(ctx, func(m *Inbox) {
		m.Hints = slices.DeleteFunc(m.Hints, claimed)
		m.reschedule(j.g.Events.Now(), j.athlete.Last.Pages)
	})
}

// rescan plans a scan, which answers every hint so far. The scan begins after
// clockSkew: an activity that was read right before its beginning would not be
// removed by it.
func (j *inboxJob) rescan(ctx context.Context) error {
	now := j.g.Events.Now()
	err := j.updateScan(ctx, func(a *Athlete) bool {
		a.restart(now)
		a.Job.reschedule(quota.Webhook, now.Add(clockSkew))
		return true
	})
	if err != nil {
		return err
	}
	return j.save(ctx, func(m *Inbox) {
		m.clear()
		m.ListedAt = now
	})
}

// answer answers the question whether the activities that the last scan did not
// find are gone.
func (j *inboxJob) answer(ctx context.Context) error {
	now, q := j.g.Events.Now(), j.leased.Question
	a := j.athlete
	if a.Scan.ID == q.ScanID && a.Scan.State == gatheringv1.ScanCompleted { // A newer scan leads to its own question.
		var confirmed *Athlete
		err := j.updateScan(ctx, func(a *Athlete) bool {
			confirmed = nil
			if a.Scan.ID != q.ScanID || a.Scan.State != gatheringv1.ScanCompleted {
				return false
			}
			switch {
			case q.Seen:
				a.noteWrongScan(now)
				return true
			case q.Gone == 0:
				return false // No re-read succeeded. The next scan leads to the same question.
			case !a.Scan.Confirmed:
				a.Scan.Confirmed = true
				a.Scan.Sequence++
			}
			confirmed = a
			return true
		})
		if err != nil {
			return err
		}
		if confirmed != nil {
			if err := j.g.publish(ctx, confirmed.progressed(now)); err != nil {
				return err
			}
		}
	}
	return j.save(ctx, func(m *Inbox) {
		if m.Question.ScanID == q.ScanID { // Another question may have replaced it meanwhile.
			m.Question = Question{}
			m.Hints = slices.DeleteFunc(m.Hints, func(h Hint) bool { return h.Aspect == AspectMissing })
		}
		m.reschedule(now, a.Last.Pages)
	})
}

// updateScan changes the athlete's scan, unless the authorization has ended or
// change returns false, and wakes a gatherer for it.
func (j *inboxJob) updateScan(ctx context.Context, change func(*Athlete) bool) error {
	changed := false
	a, err := j.g.Athletes.Update(ctx, j.athlete.ID, func(a *Athlete) (bool, error) {
		changed = a.State == Active && a.Generation == j.leased.Generation && change(a)
		return changed, nil
	})
	if err != nil {
		return fmt.Errorf("change the scan: %w", err)
	}
	if !changed {
		return nil
	}
	j.g.wakeAt(ctx, a.Job.Due, maxWakeDelay)
	return nil
}

// publishAndSave publishes the facts and then saves the inbox.
func (j *inboxJob) publishAndSave(ctx context.Context, r Reading, facts []event.Fact, change func(*Inbox)) error {
	if err := j.g.publish(ctx, facts...); err != nil {
		return err
	}
	return j.save(ctx, func(m *Inbox) {
		m.noteAnswer(r)
		change(m)
		m.reschedule(j.g.Events.Now(), j.athlete.Last.Pages)
	})
}

// list reads the newest activities. Most hints are about one of them.
func (j *inboxJob) list(ctx context.Context, s Strava) error {
	now, m := j.g.Events.Now(), j.leased
	page, reading, err := s.Activities(ctx, m.authorization(), PageRequest{
		To: now.Add(horizon).Truncate(time.Second), Page: 1, PerPage: m.listSize(),
	})
	if err != nil {
		return err
	}
	j.g.countUnreadable(ctx, m.AthleteID, page)
	var facts []event.Fact
	listed := map[int64]bool{}
	for _, part := range chunks(page.Activities) {
		facts = append(facts, gatheringv1.ActivitiesGathered{
			AthleteID: m.AthleteID, Generation: m.Generation, ReadAt: reading.At, Activities: part,
		})
		for _, a := range part {
			listed[a.ID] = true
		}
	}
	hinted := m.hinted(now)
	return j.publishAndSave(ctx, reading, facts, func(m *Inbox) {
		m.ListedAt, m.GatherRequested = now, false
		m.ListSize = wider(m.listSize())
		for _, s := range hinted {
			switch {
			case listed[s.activityID]:
				m.answered(s.activityID, true)
			case s.created && !s.deleted && !s.unlisted:
				m.postpone(s, now)
			default:
				m.eachHint(s.activityID, func(h *Hint) { h.Unlisted = true })
			}
		}
	})
}

// reread reads one activity.
func (j *inboxJob) reread(ctx context.Context, s Strava) error {
	now, m, about := j.g.Events.Now(), j.leased, j.action.about
	activity, reading, err := s.Activity(ctx, m.authorization(), about.activityID)
	paced := func(change func(*Inbox)) func(*Inbox) {
		return func(m *Inbox) {
			m.PacedAt = latest(m.PacedAt, now).Add(m.pace())
			change(m)
		}
	}
	answered := func(seen bool) func(*Inbox) {
		return paced(func(m *Inbox) { m.answered(about.activityID, seen) })
	}
	switch {
	case err == nil:
		return j.publishAndSave(ctx, reading, []event.Fact{gatheringv1.ActivitiesGathered{
			AthleteID: m.AthleteID, Generation: m.Generation, ReadAt: reading.At, Activities: []gatheringv1.Activity{activity},
		}}, answered(true))
	case !errors.Is(err, ErrNotVisible):
		return err
	case about.attempts < about.retries():
		return j.publishAndSave(ctx, reading, nil, paced(func(m *Inbox) { m.postpone(about, now) }))
	}
	gone := gatheringv1.ActivityGone{AthleteID: m.AthleteID, Generation: m.Generation, ActivityID: about.activityID, ReadAt: reading.At}
	if err := j.g.publish(ctx, gone); err != nil {
		return err
	}
	// In the list that a running scan reads, everything older moved up.
	deleted := time.Unix(about.eventTime, 0)
	if err := j.updateScan(ctx, func(a *Athlete) bool { return a.rewindForDeletion(deleted, now) }); err != nil {
		return err
	}
	return j.publishAndSave(ctx, reading, nil, answered(false))
}

// readProfile reads the profile that a scan could not read.
func (j *inboxJob) readProfile(ctx context.Context, s Strava) error {
	m := j.leased
	profile, reading, err := s.Athlete(ctx, m.authorization())
	if err != nil {
		return err
	}
	return j.publishAndSave(ctx, reading, []event.Fact{gatheringv1.AthleteGathered{
		AthleteID: m.AthleteID, Generation: m.Generation, ReadAt: reading.At, Athlete: profile,
	}}, func(m *Inbox) { m.answered(0, false) })
}
