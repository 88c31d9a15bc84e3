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

// mailbox looks into an athlete's mailbox and does one errand: at most one call
// to Strava, for as many hints as it can answer.
func (g *Gatherer) mailbox(ctx context.Context, p JobRef) (worked bool, _ error) {
	now := g.Minter.Now()
	m, err := g.Inboxes.UpdateInbox(ctx, p.AthleteID, func(m *Inbox) error {
		if m.Generation == 0 || !m.Job.take(p.Class, now) {
			return errUnchanged
		}
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("take a mailbox: %w", err)
	}
	a, err := g.Athletes.Athlete(ctx, p.AthleteID)
	if err != nil {
		return false, fmt.Errorf("read athlete: %w", err)
	}

	reading, err := g.run(ctx, p, m, a)
	if err == nil {
		return true, nil
	}
	if wait := (*quota.Wait)(nil); errors.As(err, &wait) {
		return false, errors.Join(err, g.put(ctx, m, a, func(m *Inbox) { m.Job.release() }))
	}
	switch verdict, own := judge(err, reading); verdict {
	case again:
		return true, g.put(ctx, m, a, func(m *Inbox) { m.Job.release() })
	case never:
		return true, g.put(ctx, m, a, func(m *Inbox) { m.empty() })
	default:
		var parked bool
		failed := g.put(ctx, m, a, func(m *Inbox) {
			m.rotate(now)
			parked = m.Job.fail(g.Minter.Now(), own)
		})
		g.complain(ctx, p, err, parked)
		if verdict == stop {
			return true, errors.Join(err, failed)
		}
		return true, failed
	}
}

// put writes what the holder of a mailbox leaves, unless it has lost it. Hints
// that came meanwhile stay.
func (g *Gatherer) put(ctx context.Context, held Inbox, a Athlete, change func(*Inbox)) error {
	_, err := g.Inboxes.UpdateInbox(ctx, held.AthleteID, func(m *Inbox) error {
		if m.Generation != held.Generation || !m.Job.LeasedUntil.Equal(held.Job.LeasedUntil) {
			return errUnchanged
		}
		fresh := m.Hints[len(held.Hints):] // New ones come last.
		m.Hints = held.Hints
		change(m)
		if len(fresh) > 0 {
			m.Hints = append(slices.Clone(m.Hints), fresh...)
			m.settle(g.Minter.Now(), a.Last.Pages)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return fmt.Errorf("give a mailbox back: %w", err)
	}
	return nil
}

// run does the mailbox's next errand.
func (g *Gatherer) run(ctx context.Context, p JobRef, m Inbox, a Athlete) (Reading, error) {
	now := g.Minter.Now()
	e := m.errand(now, a.Last.Pages)
	switch {
	case e.do == doReport:
		return Reading{}, g.report(ctx, m, a)
	case a.State != Active || a.Generation != m.Generation:
		// What a new authorization will read makes up for it.
		return Reading{}, g.put(ctx, m, a, func(m *Inbox) { m.empty() })
	case e.do == doNothing || e.at.After(now):
		return Reading{}, g.put(ctx, m, a, func(m *Inbox) { m.settle(now, a.Last.Pages) })
	case e.do == doScan:
		return Reading{}, g.rescan(ctx, m, a)
	}
	permit, err := g.reserve(ctx, p)
	if err != nil {
		return Reading{}, err
	}
	do := g.list
	if e.do == doReread {
		do = g.reread
	}
	found, reading, err := do(ctx, m, e.subject)
	g.settle(ctx, permit, reading.Answer)
	if err != nil {
		return reading, err
	}
	if len(found.facts) > 0 {
		if err := g.publish(ctx, found.facts...); err != nil {
			return reading, err
		}
	}
	if found.gone {
		if err := g.shift(ctx, a, time.Unix(e.subject.eventTime, 0)); err != nil {
			return reading, err
		}
	}
	return reading, g.put(ctx, m, a, func(m *Inbox) {
		found.change(m)
		m.settle(g.Minter.Now(), a.Last.Pages)
	})
}

// report passes the claim that the athlete withdrew access on to credentials,
// which asks Strava.
func (g *Gatherer) report(ctx context.Context, m Inbox, a Athlete) error {
	claimed := func(h Hint) bool { return h.Aspect == AspectDeauthorize }
	claim := m.Hints[slices.IndexFunc(m.Hints, claimed)]
	err := g.publish(ctx, gatheringv1.DeauthorizationReported{AthleteID: m.AthleteID, EventTime: claim.EventTime})
	if err != nil {
		return err
	}
	return g.put(ctx, m, a, func(m *Inbox) {
		m.Hints = slices.DeleteFunc(slices.Clone(m.Hints), claimed)
		m.settle(g.Minter.Now(), a.Last.Pages)
	})
}

// rescan has the whole history read again, which answers every hint so far: in
// a minute, because what was read right before a scan does not end with it.
func (g *Gatherer) rescan(ctx context.Context, m Inbox, a Athlete) error {
	now := g.Minter.Now()
	_, err := g.Athletes.Update(ctx, a.ID, func(a *Athlete) error {
		if a.State != Active || a.Generation != m.Generation {
			return errUnchanged
		}
		a.restart(now)
		a.Job.next(quota.Webhook, now.Add(clockSkew))
		return nil
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return fmt.Errorf("plan a scan: %w", err)
	}
	return g.put(ctx, m, a, func(m *Inbox) {
		m.empty()
		m.ListedAt = now
	})
}

// shift has a scan that is under way take in that an activity is gone.
func (g *Gatherer) shift(ctx context.Context, a Athlete, deleted time.Time) error {
	now := g.Minter.Now()
	_, err := g.Athletes.Update(ctx, a.ID, func(stored *Athlete) error {
		if stored.State != Active || stored.Generation != a.Generation || !stored.shift(deleted, now) {
			return errUnchanged
		}
		return nil
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return fmt.Errorf("shift the scan: %w", err)
	}
	return nil
}

// finding is what an errand brought.
type finding struct {
	facts []event.Fact
	// change notes it in the mailbox.
	change func(*Inbox)
	// gone says that the activity is.
	gone bool
}

// list reads the newest activities: most hints are about one of them.
func (g *Gatherer) list(ctx context.Context, m Inbox, _ subject) (finding, Reading, error) {
	now := g.Minter.Now()
	// A day from now: start times may be a little ahead.
	list, n, reading, err := g.Strava.Activities(ctx, m.AthleteID, m.Generation, now.Add(24*time.Hour), 1)
	if err != nil {
		return finding{}, reading, err
	}
	g.leftOut(ctx, m.AthleteID, n-len(list))
	var facts []event.Fact
	listed := map[int64]bool{}
	for part := range slices.Chunk(list, gatheringv1.MaxActivities) {
		facts = append(facts, gatheringv1.ActivitiesGathered{
			AthleteID: m.AthleteID, Generation: m.Generation, ReadAt: reading.At, Activities: part,
		})
		for _, a := range part {
			listed[a.ID] = true
		}
	}
	subjects := m.subjects(now)
	return finding{facts: facts, change: func(m *Inbox) {
		m.ListedAt, m.RefreshRequested = now, false
		for _, s := range subjects {
			switch {
			case listed[s.activityID]:
				m.answered(s.activityID)
			case s.created && !s.deleted && !s.unlisted:
				m.postpone(s, now)
			default:
				m.each(s.activityID, func(h *Hint) { h.Unlisted = true })
			}
		}
	}}, reading, nil
}

// reread reads one activity.
func (g *Gatherer) reread(ctx context.Context, m Inbox, s subject) (finding, Reading, error) {
	now := g.Minter.Now()
	activity, reading, err := g.Strava.Activity(ctx, m.AthleteID, m.Generation, s.activityID)
	paced := func(change func(*Inbox)) func(*Inbox) {
		return func(m *Inbox) {
			if m.PacedAt.Before(now) {
				m.PacedAt = now
			}
			m.PacedAt = m.PacedAt.Add(pace)
			change(m)
		}
	}
	answered := paced(func(m *Inbox) { m.answered(s.activityID) })
	switch {
	case err == nil:
		return finding{facts: []event.Fact{gatheringv1.ActivitiesGathered{
			AthleteID: m.AthleteID, Generation: m.Generation, ReadAt: reading.At, Activities: []gatheringv1.Activity{activity},
		}}, change: answered}, reading, nil
	case errors.Is(err, ErrUnreadable):
		g.leftOut(ctx, m.AthleteID, 1)
		return finding{change: answered}, reading, nil
	case !errors.Is(err, ErrNotVisible):
		return finding{}, reading, err
	case s.created && !s.deleted && s.attempts < len(patience):
		return finding{change: paced(func(m *Inbox) { m.postpone(s, now) })}, reading, nil
	}
	return finding{gone: true, facts: []event.Fact{gatheringv1.ActivityGone{
		AthleteID: m.AthleteID, Generation: m.Generation, ActivityID: s.activityID, ReadAt: reading.At,
	}}, change: answered}, reading, nil
}
