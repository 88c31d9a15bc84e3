package gathering

import (
	"slices"
	"strconv"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// State of an athlete's authorization as this boundary knows it.
type State string

// The states.
const (
	Active   State = "active"
	Degraded State = "degraded"
	Revoked  State = "revoked"
)

// Athlete is the gathering state of an athlete.
type Athlete struct {
	ID int64
	// Generation of the authorization; 0 when there never was one.
	Generation int64
	State      State
	// RevokedAt is zero unless the state is revoked.
	RevokedAt time.Time
	// JoinedAt is when the athlete joined Strava; zero unless a running scan needs
	// it for its estimate.
	JoinedAt time.Time
	// ProfiledAt is when JoinedAt was read, which is before [Scan.Oldest] was;
	// zero without it.
	ProfiledAt time.Time
	// Scan is the present scan, or the last one until the next begins.
	Scan Scan
	// Job is the job of the present scan, or of the next one.
	Job Job
	// Last is the last complete scan; zero when there is none.
	Last CompletedScan
	// Holes are what the next scan goes around, the newest first.
	Holes []Hole
	// Doubts counts the wrong scans in a row: those that missed activities that
	// Strava still shows. DoubtedAt is when the last one was found to be wrong.
	Doubts    int
	DoubtedAt time.Time
}

// Clone returns a copy that shares nothing.
func (a Athlete) Clone() Athlete {
	s := &a.Scan
	s.Windows, s.Holes, s.RecentPages = slices.Clone(s.Windows), slices.Clone(s.Holes), slices.Clone(s.RecentPages)
	a.Holes = slices.Clone(a.Holes)
	return a
}

// CompletedScan is what is remembered of a completed scan.
type CompletedScan struct {
	Started, Finished time.Time
	// Pages counts the pages that had activities, Activities the activities found.
	Pages, Activities int
}

// lapsed reports whether what the scan found is not kept any longer, or there
// was no scan.
func (c CompletedScan) lapsed(now time.Time) bool { return now.Sub(c.Started) > retention.StravaData }

// Ages of a completed scan. At the age [retention.StravaData] the data that it
// found is not kept any longer.
const (
	// sweepAge: the scan may be repeated, if nothing else needs the quota.
	sweepAge = 24 * time.Hour
	// reconcileAge: the scan has to be repeated.
	reconcileAge = 4 * 24 * time.Hour
	// pageDelay is how much later a scan is due for each of its pages, up to
	// maxPageDelay: cheap scans go first, so that a shortage of quota affects as
	// few athletes as possible.
	pageDelay    = 30 * time.Minute
	maxPageDelay = 48 * time.Hour
	// promoteAfter is how long a scan is due in class spare before plan moves it
	// to class reconcile.
	promoteAfter = reconcileAge - sweepAge
)

// doubtDelays are the waits before a wrong scan is repeated. They grow, because
// a list that stays wrong must not cost much.
var doubtDelays = []time.Duration{time.Minute, 30 * time.Minute, 4 * time.Hour, 12 * time.Hour}

const (
	// doubtMemory is how long after a wrong scan the next ones use smaller pages:
	// one size smaller for each wrong scan in a row, up to maxDoubtSteps. After
	// more of them the pages are large again, because a long history in small
	// pages costs hundreds of calls.
	doubtMemory   = 24 * time.Hour
	maxDoubtSteps = 3
)

// begin starts the scan called id.
func (a *Athlete) begin(id int64, now time.Time) {
	a.forget()
	a.Scan = Scan{ID: strconv.FormatInt(id, 10), Sequence: 1, State: gatheringv1.ScanScanning}
	a.pin(now)
}

// pin makes the scan begin now: it sets the cutoff and goes to the first page.
func (a *Athlete) pin(now time.Time) {
	s := &a.Scan
	s.Begun, s.Cutoff = now.UTC(), now.Add(horizon).UTC().Truncate(time.Second)
	s.First = a.Last.lapsed(now)
	s.LargestSize = PageSize
	if a.Doubts <= maxDoubtSteps && now.Sub(a.DoubtedAt) < doubtMemory {
		s.LargestSize = pageSizes[a.Doubts]
	}
	s.rewind(a.Holes)
}

// resume makes sure that there is a scan to go on with. A scan that has read no
// page begins now, so that its data does not look older than it is.
func (a *Athlete) resume(now time.Time) {
	switch {
	case a.Scan.State == gatheringv1.ScanCompleted:
		a.restart(now)
	case a.Scan.untouched() && a.Job.Failures == 0:
		a.pin(now)
	}
}

// restart begins a new scan. Its id is larger than that of the last one.
func (a *Athlete) restart(now time.Time) {
	last, err := strconv.ParseInt(a.Scan.ID, 10, 64)
	if err != nil {
		last = a.Generation
	}
	a.begin(max(now.UnixMilli(), last+1), now) // The clock may be behind.
}

// overdue reports whether the scan comes too late to renew anything.
func (a *Athlete) overdue(now time.Time) bool {
	return a.Job.Class == quota.Reconcile && a.Last.lapsed(now)
}

// plan queues the next scan. If the last one began before gapEnd, the end of
// the last gap in the webhooks, the next one is due at once.
func (a *Athlete) plan(now, gapEnd time.Time) {
	delay := min(time.Duration(a.Last.Pages)*pageDelay, maxPageDelay)
	must := a.Last.Started.Add(reconcileAge + delay)
	switch {
	case a.Last.lapsed(now):
		a.Job.reschedule(quota.Backfill, now)
	case a.Last.Started.Before(gapEnd):
		// Ahead of everything else in the class, and due whatever the delay.
		a.Job.reschedule(quota.Reconcile, gapEnd.Add(delay-retention.StravaData-maxPageDelay))
	case !must.After(now):
		a.Job.reschedule(quota.Reconcile, must)
	default:
		a.Job.reschedule(quota.Spare, a.Last.Started.Add(sweepAge+delay))
	}
}

// applyPage advances the scan by a page that was read at a time. chunks and
// activities are how many of them were published from it.
func (a *Athlete) applyPage(p Page, at, now, gapEnd time.Time, chunks, activities int) {
	s := &a.Scan
	s.scanning()
	switch {
	case p.Sent > 0:
		s.takePage(p, at, chunks, activities)
		if a.JoinedAt.IsZero() {
			s.Oldest = time.Time{}
		}
	case a.doubtsEnd(now):
		s.EndReads++
		// In the class spare it might wait for days, and all pages with it.
		a.Job.next(quota.Reconcile, now.Add(endDelay))
		return
	case s.nextWindow():
		a.complete(now, gapEnd)
		return
	}
	a.readOn(now)
}

// scanning notes that Strava answered.
func (s *Scan) scanning() {
	s.Sequence++
	s.State, s.WaitingFor, s.ResumesAt = gatheringv1.ScanScanning, "", time.Time{}
}

// readOn queues the scan for its next page.
func (a *Athlete) readOn(now time.Time) {
	switch a.Job.Class {
	case quota.Interactive, quota.Backfill:
		// To the end of the line: no athlete waits for another's long history.
		a.Job.next(quota.Backfill, now)
	default:
		a.Job.next(a.Job.Class, a.Job.Due) // Once begun it runs through.
	}
}

// doubtsEnd reports whether an empty page has to be read once more. It does if
// the page before it was full, so that nothing else shows the end of the list,
// or if the scan found fewer activities than the last one.
func (a *Athlete) doubtsEnd(now time.Time) bool {
	s := a.Scan
	if a.Last.Activities == 0 || a.Last.lapsed(now) || s.Windows[0].Probe || s.EndReads >= maxEndReads {
		return false
	}
	if w := s.Windows[0]; !w.From.IsZero() && s.LastStart.Equal(w.From) {
		return false // It has read the activity that the window ends with.
	}
	if !s.endsShort() {
		return true
	}
	for _, w := range s.Windows[1:] {
		if !w.Probe {
			return false // Other windows follow.
		}
	}
	return s.Activities < a.Last.Activities
}

// failProbe advances the scan when Strava still fails to show an entry of a
// hole.
func (a *Athlete) failProbe(now, gapEnd time.Time) {
	a.Scan.Sequence++
	if a.Scan.failProbe() {
		a.complete(now, gapEnd)
		return
	}
	a.readOn(now)
}

// complete ends the scan.
func (a *Athlete) complete(now, gapEnd time.Time) {
	s := &a.Scan
	s.State = gatheringv1.ScanCompleted
	a.Last = CompletedScan{Started: s.Begun, Finished: now, Pages: s.Pages, Activities: s.Activities}
	a.Holes = s.lasting()
	a.forget()
	a.Job = Job{}
	a.plan(now, gapEnd)
}

// failPage reacts to a page that Strava failed to show, and reports whether the
// scan is parked.
func (a *Athlete) failPage(f failure, gapEnd time.Time) (parked bool) {
	j, s := &a.Job, &a.Scan
	if s.Windows[0].Probe && !f.callsPaused {
		a.failProbe(f.at, gapEnd)
		return false
	}
	j.noteFailure(f)
	failures := j.Failures
	switch {
	case f.callsPaused:
	case s.goAround(failures):
		// Going around ends by itself; do not park before.
		failures = min(failures, maxFailures-1)
	case s.Pages > 0 && !s.First:
		// Complete what was read, so that it counts as renewed in time.
		s.giveUp()
		a.complete(f.at, gapEnd)
		return false
	default:
		if failures = max(failures, maxFailures); f.at.Sub(s.Begun) > reconcileAge {
			a.restart(f.at) // It gets no further, and what it has read gets too old.
		}
	}
	return j.putOff(f, failures)
}

// clockSkew is how far a clock of ours may differ from another of ours, or from
// Strava's, which dates the events.
const clockSkew = time.Minute

// rewindForDeletion reacts to the deletion of an activity at a time. Everything
// older moved up by one place in the list, so the scan may miss the first
// activity of the page that it read next: that activity is now at the end of
// the page before. The scan goes back to that page. If the scan is over
// already, another one is planned. It reports whether anything changed.
func (a *Athlete) rewindForDeletion(deleted, now time.Time) bool {
	s := &a.Scan
	if s.State == gatheringv1.ScanCompleted {
		if a.Last.Pages == 0 || deleted.Before(a.Last.Started.Add(-clockSkew)) || deleted.After(a.Last.Finished.Add(clockSkew)) {
			return false
		}
		a.Job.reschedule(quota.Reconcile, now.Add(clockSkew)) // One for all deletions of that minute.
		a.Last.Finished = time.Time{}
		return true
	}
	if !s.Profiled || s.Begun.After(deleted.Add(clockSkew)) {
		return false // No page was read before.
	}
	// Pages read at about that time may show the list before the deletion or after
	// it.
	before := slices.IndexFunc(s.RecentPages, func(p PageRead) bool { return !p.At.Before(deleted.Add(-clockSkew)) })
	if before < 0 {
		before = len(s.RecentPages)
	}
	if before == 0 {
		s.rewind(a.Holes)
	} else {
		back := s.RecentPages[before-1]
		s.Offset, s.Pages, s.Chunks, s.Activities = back.Offset, back.Pages, back.Chunks, back.Activities
		s.Size, s.Skipped, s.RecentPages = s.widest(back.Offset), 0, s.RecentPages[:before-1]
		s.LastID, s.LastStart = 0, time.Time{}
	}
	a.Job.release()
	return true
}

// doubt plans another scan after one that missed activities that Strava still
// shows. It uses smaller pages, because a single page may be wrong.
func (a *Athlete) doubt(now time.Time) {
	if now.Sub(a.DoubtedAt) >= doubtMemory {
		a.Doubts = 0
	}
	delay := doubtDelays[min(a.Doubts, len(doubtDelays)-1)]
	a.Doubts, a.DoubtedAt = a.Doubts+1, now.UTC()
	a.restart(now)
	a.Job.reschedule(quota.Reconcile, now.Add(delay))
}

// wait notes what the scan waits for, and reports whether that has changed. A
// time that moved by less than a minute is no change, unless the previous time
// has passed.
func (a *Athlete) wait(waitingFor string, until, now time.Time) bool {
	s := &a.Scan
	near := until.Sub(s.ResumesAt).Abs() < time.Minute && s.ResumesAt.After(now)
	if s.State == gatheringv1.ScanWaiting && s.WaitingFor == waitingFor && near {
		return false
	}
	s.State, s.WaitingFor, s.ResumesAt = gatheringv1.ScanWaiting, waitingFor, until.UTC()
	s.Sequence++
	return true
}

// progressed returns the scan's present state as an event.
func (a Athlete) progressed(now time.Time) gatheringv1.ScanProgressed {
	s := a.Scan
	p := gatheringv1.ScanProgressed{
		AthleteID:  a.ID,
		Generation: a.Generation,
		ScanID:     s.ID,
		Sequence:   s.Sequence,
		State:      s.State,
		Chunks:     s.Chunks,
		// By any clock, all pages were read after this. An activity that was read
		// within this minute and is gone is removed by the next scan.
		StartedAt:  optional(s.Begun.Add(-clockSkew)),
		Pages:      s.Pages,
		Activities: s.Activities,
		WaitingFor: s.WaitingFor,
		ResumesAt:  optional(s.ResumesAt),
		FinishesAt: optional(a.finishesAt(now)),
		Confirmed:  s.Confirmed,
	}
	if s.State == gatheringv1.ScanCompleted {
		p.Covered = s.covered()
	}
	return p
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// finishesAt estimates when the scan will be complete. It assumes that the scan
// keeps its pace, and that the years it has not read are like those it has. It
// is zero without anything to judge by.
func (a Athlete) finishesAt(now time.Time) time.Time {
	s := a.Scan
	life, seen := now.Sub(a.JoinedAt), now.Sub(s.Oldest)
	if s.State == gatheringv1.ScanCompleted || s.Pages == 0 || a.JoinedAt.IsZero() || s.Oldest.IsZero() || seen <= 0 || life <= 0 {
		return time.Time{}
	}
	left := float64(s.Pages)*max(0, float64(life)/float64(seen)-1) + 1 // And the empty page.
	pace := now.Sub(s.Begun) / time.Duration(s.Pages)
	from := now
	if s.ResumesAt.After(from) {
		from = s.ResumesAt
	}
	return from.Add(time.Duration(left * float64(pace))).Truncate(time.Second)
}

// degrade notes that nothing can be read until the athlete connects again, and
// reports whether that has changed anything. A completed scan waits, too, since
// nothing keeps its data current. Waiting may last for ever and a new
// authorization starts over, so all of Strava's data is dropped, including
// counts of activities.
func (a *Athlete) degrade() bool {
	if a.State != Active {
		return false
	}
	*a = Athlete{ID: a.ID, Generation: a.Generation, State: Degraded, Scan: Scan{
		ID: a.Scan.ID, Begun: a.Scan.Begun,
		Sequence: a.Scan.Sequence + 1, State: gatheringv1.ScanWaiting, WaitingFor: gatheringv1.WaitingForReconnect,
	}}
	return true
}

// stravaDataAge returns when the oldest of Strava's data in the item was read;
// false if it holds none. The scan's progress is our own data.
func (a Athlete) stravaDataAge() (readAt time.Time, kept bool) {
	note := func(there bool, at time.Time) {
		if there && (!kept || at.Before(readAt)) {
			readAt, kept = at, true
		}
	}
	note(!a.JoinedAt.IsZero() || !a.Scan.Oldest.IsZero(), a.ProfiledAt)
	if n := len(a.Scan.RecentPages); n > 0 {
		note(a.Scan.LastID != 0, a.Scan.RecentPages[n-1].At)
	}
	note(a.Scan.bounded() || len(a.Scan.Holes) > 0, a.Scan.Begun)
	note(len(a.Holes) > 0, a.Last.Started)
	return readAt, kept
}

// bounded reports whether the scan's windows hold starts of activities.
func (s Scan) bounded() bool {
	return slices.ContainsFunc(s.Windows, func(w Window) bool { return !w.From.IsZero() || w.To.Before(s.Cutoff) })
}

// forget drops Strava's data for the estimate, and the last activity that was
// read.
func (a *Athlete) forget() {
	a.JoinedAt, a.ProfiledAt, a.Scan.Oldest = time.Time{}, time.Time{}, time.Time{}
	a.Scan.LastID, a.Scan.LastStart = 0, time.Time{}
}

// expire drops Strava's data that is too old to be kept, and reports whether
// there was any. A running scan that goes around holes starts over.
func (a *Athlete) expire(now time.Time) bool {
	readAt, kept := a.stravaDataAge()
	if !kept || now.Sub(readAt) < retention.StravaData {
		return false
	}
	a.forget()
	if now.Sub(a.Last.Started) >= retention.StravaData {
		a.Holes = nil
	}
	if now.Sub(a.Scan.Begun) < retention.StravaData {
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
