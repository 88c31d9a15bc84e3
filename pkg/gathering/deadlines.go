package gathering

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// Deadlines drops Strava's data that is older than [retention.StravaData], even
// if the work that needs it still waits. Run it every hour.
type Deadlines struct {
	Athletes  Athletes
	Inboxes   Inboxes
	Inventory Inventory
	Now       func() time.Time
}

// Kinds of Strava's data that are stored.
const (
	// KindProfile: when an athlete joined, and the start of the oldest activity.
	KindProfile = "profile"
	// KindHint: a hint about an activity.
	KindHint = "hint"
	// KindDeauthorization: a hint that an athlete withdrew access.
	KindDeauthorization = "deauthorization"
	// KindEvent: the digest of a webhook event. The table drops it after
	// [DigestTTL].
	KindEvent = "event"
)

// RetentionReport counts Strava's data that was stored when the deadlines were
// enforced, including data that was then dropped.
type RetentionReport struct {
	// ByAge counts by the days since the data was read or received, see
	// [retention.Day].
	ByAge [retention.Days]int
	// TooOld counts, by kind, data that is older than [retention.StravaData] and
	// [retention.Grace] together.
	TooOld map[string]int
}

func (r *RetentionReport) count(kind string, age time.Duration) {
	r.ByAge[retention.Day(age)]++
	if age >= retention.StravaData+retention.Grace {
		r.TooOld[kind]++
	}
}

// Enforce drops data that is too old, and counts all data. It goes on after data
// that cannot be dropped; the error names every such failure. If the inventory
// fails, the report is incomplete.
func (d *Deadlines) Enforce(ctx context.Context) (RetentionReport, error) {
	run := enforcement{Deadlines: d, now: d.Now(), report: RetentionReport{TooOld: map[string]int{}}}
	err := d.Inventory.Each(ctx,
		func(a Athlete) { run.athlete(ctx, a) },
		func(m Inbox) { run.inbox(ctx, m) },
		func(receivedAt time.Time) { run.report.count(KindEvent, run.now.Sub(receivedAt)) },
	)
	if err != nil {
		err = fmt.Errorf("visit all items: %w", err)
	}
	return run.report, errors.Join(append(run.failed, err)...)
}

// enforcement is one run of [Deadlines.Enforce].
type enforcement struct {
	*Deadlines
	now    time.Time
	report RetentionReport
	failed []error
}

// athlete counts the data of an athlete, and drops it if it is too old.
func (e *enforcement) athlete(ctx context.Context, a Athlete) {
	if readAt, kept := a.stravaDataAge(); kept {
		e.report.count(KindProfile, e.now.Sub(readAt))
	}
	if !a.expire(e.now) {
		return
	}
	_, err := e.Athletes.Update(ctx, a.ID, func(a *Athlete) (changed bool, _ error) { return a.expire(e.now), nil })
	e.note("scan", a.ID, err)
}

// inbox counts the hints of an inbox, and drops those that are too old.
func (e *enforcement) inbox(ctx context.Context, m Inbox) {
	for _, h := range m.Hints {
		kind := KindHint
		if h.Aspect == AspectDeauthorize {
			kind = KindDeauthorization
		}
		e.report.count(kind, e.now.Sub(h.ReceivedAt))
	}
	if !m.expire(e.now) {
		return
	}
	_, err := e.Inboxes.UpdateInbox(ctx, m.AthleteID, func(m *Inbox) (changed bool, _ error) { return m.expire(e.now), nil })
	e.note("inbox", m.AthleteID, err)
}

func (e *enforcement) note(item string, athleteID int64, err error) {
	if err != nil {
		e.failed = append(e.failed, fmt.Errorf("drop old data from the %s of athlete %d: %w", item, athleteID, err))
	}
}

// stravaDataAge returns when the oldest of Strava's data in the item was read;
// false if it holds none. The scan's progress is our own data.
func (a Athlete) stravaDataAge() (readAt time.Time, kept bool) {
	note := func(there bool, at time.Time) {
		if there && (!kept || at.Before(readAt)) {
			readAt, kept = at, true
		}
	}
	note(!a.JoinedAt.IsZero() || !a.Scan.Oldest.IsZero(), a.ProfileReadAt)
	if n := len(a.Scan.RecentPages); n > 0 {
		note(a.Scan.LastID != 0, a.Scan.RecentPages[n-1].At)
	}
	note(a.Scan.bounded() || len(a.Scan.Holes) > 0, a.Scan.StartedAt)
	note(len(a.Holes) > 0, a.Last.Started)
	return readAt, kept
}

// bounded reports whether the scan's stretches hold starts of activities.
func (s Scan) bounded() bool {
	return slices.ContainsFunc(s.Stretches, func(st Stretch) bool { return !st.From.IsZero() || st.To.Before(s.Cutoff) })
}

// dropStravaData drops Strava's data: what the estimate needs, and the last
// activity that was read.
func (a *Athlete) dropStravaData() {
	a.JoinedAt, a.ProfileReadAt, a.Scan.Oldest = time.Time{}, time.Time{}, time.Time{}
	a.Scan.LastID, a.Scan.LastStart = 0, time.Time{}
}

// expire drops Strava's data that is too old to be kept, and reports whether
// there was any. A running scan that goes around holes starts over.
func (a *Athlete) expire(now time.Time) bool {
	readAt, kept := a.stravaDataAge()
	if !kept || now.Sub(readAt) < retention.StravaData {
		return false
	}
	a.dropStravaData()
	if now.Sub(a.Last.Started) >= retention.StravaData {
		a.Holes = nil
	}
	if now.Sub(a.Scan.StartedAt) < retention.StravaData {
		return true
	}
	if a.Scan.State == gatheringv1.ScanCompleted {
		a.Scan.Holes = nil
	} else if a.Scan.bounded() || len(a.Scan.Holes) > 0 {
		class, due := a.Job.Class, a.Job.Due
		a.restart(now)
		a.Job.next(class, due)
	}
	return true
}

// expire drops the hints that are too old to be kept, and reports whether there
// were any. The inbox then counts as overflowed, so that a scan makes up for
// them. A deauthorization stays until it is reported.
func (m *Inbox) expire(now time.Time) bool {
	old := func(h Hint) bool {
		return h.Aspect != AspectDeauthorize && now.Sub(h.ReceivedAt) >= retention.StravaData
	}
	if !slices.ContainsFunc(m.Hints, old) {
		return false
	}
	m.Hints = slices.DeleteFunc(m.Hints, old)
	m.Overflowed = true
	m.Question = Question{} // The next scan asks again.
	m.Job.release()         // The holder of the lease still has the old hints.
	return true
}
