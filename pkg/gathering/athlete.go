package gathering

import (
	"slices"
	"strconv"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// State of an athlete's authorization as this boundary knows it.
type State string

// The states.
const (
	Active   State = "active"
	Degraded State = "degraded"
	Revoked  State = "revoked"
)

// TombstoneLife is how long the end of an authorization is remembered: longer
// than the news of its beginning counts, see [Authorizations.Begin]. A message
// that is moved back from the dead letters may come even later.
const TombstoneLife = 8 * 24 * time.Hour

// Athlete is what gathering needs to remember about one.
type Athlete struct {
	ID int64
	// Generation of the authorization; 0 when there never was one.
	Generation int64
	State      State
	// RevokedAt is zero unless the state is revoked.
	RevokedAt time.Time
	// JoinedAt is when the athlete joined Strava; zero unless a scan needs it for
	// its estimate.
	JoinedAt time.Time
	// ProfiledAt is when JoinedAt was read, before [Scan.Oldest]; zero without it.
	ProfiledAt time.Time
	// Scan is the present scan, or the last one while the next has not begun.
	Scan Scan
	// Job is the scan's, or the next one's.
	Job Job
	// Last is the last complete scan; zero when there is none.
	Last CompletedScan
	// Holes are what the next scan goes around, from the newest.
	Holes []Hole
	// Doubts counts the scans in a row that were found to have missed activities
	// that Strava still shows, and DoubtedAt is when the last was.
	Doubts    int
	DoubtedAt time.Time
}

// CompletedScan is what is remembered of one.
type CompletedScan struct {
	Started, Finished time.Time
	// Pages that had activities, and how many activities were found.
	Pages, Activities int
}

// How old a complete scan may get. Nothing may be kept for more than 7 days
// without being read again (Strava API Policy 6.2).
const (
	// sweepAge: it may be repeated, if nothing else needs the quota.
	sweepAge = 24 * time.Hour
	// reconcileAge: it has to be repeated.
	reconcileAge = 4 * 24 * time.Hour
	// keepAge: what it found is not kept any longer.
	keepAge = 7 * 24 * time.Hour
	// pageDelay is how much later a scan is due for each of its pages, up to
	// maxPageDelay: cheap ones first, so that a shortage leaves as few athletes
	// as possible without.
	pageDelay    = 30 * time.Minute
	maxPageDelay = 48 * time.Hour
	// promoteAfter is how long a scan is due in the class spare before it has to
	// be made: plan says the same.
	promoteAfter = reconcileAge - sweepAge
)

// doubtDelays are how long after a scan was found to be wrong another one is
// made: a list that stays wrong must not cost much.
var doubtDelays = []time.Duration{time.Minute, 30 * time.Minute, 4 * time.Hour, 12 * time.Hour}

// begin starts the scan called id.
func (a *Athlete) begin(id int64, now time.Time) {
	a.forget()
	a.Scan = Scan{ID: strconv.FormatInt(id, 10), Sequence: 1, State: gatheringv1.ScanScanning}
	a.pin(now)
}

// pin has the scan be about what there is now.
func (a *Athlete) pin(now time.Time) {
	s := &a.Scan
	s.Begun, s.Cutoff = now.UTC(), now.Add(horizon).UTC().Truncate(time.Second)
	s.First = a.Last.Started.IsZero() || now.Sub(a.Last.Started) > keepAge
	s.rewind(a.Holes)
}

// resume makes sure that there is a scan to go on with. One that has read no page
// begins now, so that nothing in it looks older than it is.
func (a *Athlete) resume(now time.Time) {
	switch {
	case a.Scan.State == gatheringv1.ScanCompleted:
		a.restart(now)
	case a.Scan.untouched() && a.Job.Failures == 0:
		a.pin(now)
	}
}

// restart begins a new scan, whose id sorts after that of the last one.
func (a *Athlete) restart(now time.Time) {
	last, err := strconv.ParseInt(a.Scan.ID, 10, 64)
	if err != nil {
		last = a.Generation
	}
	a.begin(max(now.UnixMilli(), last+1), now) // The clock may be behind.
}

// expired says that the scan comes too late to renew anything.
func (a *Athlete) expired(now time.Time) bool {
	return a.Job.Class == quota.Reconcile && now.Sub(a.Last.Started) > keepAge
}

// plan puts the next scan where it waits. Whatever was read before gap, the end
// of the last gap in the webhooks, has to be read again at once.
func (a *Athlete) plan(now, gap time.Time) {
	delay := min(time.Duration(a.Last.Pages)*pageDelay, maxPageDelay)
	must := a.Last.Started.Add(reconcileAge + delay)
	switch {
	case now.Sub(a.Last.Started) > keepAge:
		a.Job.reschedule(quota.Backfill, now)
	case a.Last.Started.Before(gap):
		// Ahead of everything else in the class, and due whatever the delay.
		a.Job.reschedule(quota.Reconcile, gap.Add(delay-keepAge-maxPageDelay))
	case !must.After(now):
		a.Job.reschedule(quota.Reconcile, must)
	default:
		a.Job.reschedule(quota.Spare, a.Last.Started.Add(sweepAge+delay))
	}
}

// applyPage takes in a page of the scan that was read at a time: chunks and
// activities are how many of it were passed on.
func (a *Athlete) applyPage(p Page, at, now, gap time.Time, chunks, activities int) {
	s := &a.Scan
	s.Sequence++
	s.State, s.WaitingFor, s.ResumesAt = gatheringv1.ScanScanning, "", time.Time{}
	a.Job = Job{Class: a.Job.Class, Due: a.Job.Due}
	switch {
	case p.Sent > 0:
		s.takePage(p, at, chunks, activities)
		if a.JoinedAt.IsZero() {
			s.Oldest = time.Time{}
		}
		if activities > 0 {
			s.Repeats = 0
		} else {
			s.Repeats++
		}
	case a.endsEarly(now) && s.EndReads < maxEndsRechecks:
		s.EndReads++
		a.Job.next(a.Job.Class, now.Add(endDelay))
		return
	case s.nextWindow():
		a.complete(now, gap)
		return
	}
	a.readOn(now)
}

// readOn puts the scan where it waits for its next page.
func (a *Athlete) readOn(now time.Time) {
	switch a.Job.Class {
	case quota.Interactive, quota.Backfill:
		// To the end of the line: no athlete waits for another's long history.
		a.Job.next(quota.Backfill, now)
	default:
		a.Job.next(a.Job.Class, a.Job.Due) // Once begun it runs through.
	}
}

// endsEarly says that the list is at its end although it lacks some of what the
// last scan found, or may lack the last page: the one before was full. New uploads
// may have made up for its number.
func (a *Athlete) endsEarly(now time.Time) bool {
	if a.Last.Started.IsZero() || now.Sub(a.Last.Started) > keepAge || a.Scan.Windows[0].Probe {
		return false
	}
	for _, w := range a.Scan.Windows[1:] {
		if !w.Probe {
			return false // There is more to come.
		}
	}
	return a.Scan.Activities < a.Last.Activities || a.Scan.lastPageFull()
}

// failProbe takes in that a hole still cannot be read.
func (a *Athlete) failProbe(now, gap time.Time) {
	a.Scan.Sequence++
	if a.Scan.keepHole() {
		a.complete(now, gap)
		return
	}
	a.readOn(now)
}

// complete ends the scan.
func (a *Athlete) complete(now, gap time.Time) {
	s := &a.Scan
	s.State = gatheringv1.ScanCompleted
	a.Last = CompletedScan{Started: s.Begun, Finished: now, Pages: s.Pages, Activities: s.Activities}
	a.Holes = s.lasting()
	a.forget()
	a.Job = Job{}
	a.plan(now, gap)
}

// failPage takes in that Strava could not show the next page, and reports whether
// the scan is parked.
func (a *Athlete) failPage(f failure, gap time.Time) (parked bool) {
	j, s := &a.Job, &a.Scan
	if s.Windows[0].Probe {
		a.failProbe(f.at, gap)
		return false
	}
	j.noteFailure(f)
	failures := j.Failures
	switch {
	case f.everybodys:
	case s.goAround(failures):
		// Going around ends by itself, and must not be cut short.
		failures = min(failures, maxFailures-1)
	case s.Pages > 0 && !s.First:
		// So that what can be read is read again in time.
		s.giveUp()
		a.complete(f.at, gap)
		return false
	default:
		failures = max(failures, maxFailures)
	}
	at, parked := f.retry(failures, j.FailingSince)
	if f.at.Sub(s.Begun) > reconcileAge {
		a.restart(f.at) // What it has read gets too old.
	}
	if parked {
		j.Failures, j.FailingSince = 0, time.Time{}
	}
	j.RetryAt, j.Due = at, at
	return parked
}

// clockSkew is how far a clock of ours may differ from another one, or from
// Strava's, by which its events are dated.
const clockSkew = time.Minute

// rewindForDeletion takes in that an activity was deleted at a time. Everything
// older moved up by one place, so the first activity of the page that was read
// next, or would be, hides at the end of the one before. The scan goes back to
// that one, and if it is over already, another is made soon.
// It reports whether anything changed.
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
	// Pages that were read at about that time, or are being read, may be of
	// before or after.
	before := slices.IndexFunc(s.RecentPages, func(p PageRead) bool { return !p.At.Before(deleted.Add(-clockSkew)) })
	if before < 0 {
		before = len(s.RecentPages)
	}
	if before == 0 {
		s.rewind(a.Holes)
	} else {
		back := s.RecentPages[before-1]
		s.Offset, s.Pages, s.Chunks, s.Activities = back.Offset, back.Pages, back.Chunks, back.Activities
		s.Size, s.Skipped, s.RecentPages = widest(back.Offset), 0, s.RecentPages[:before-1]
		s.LastID, s.LastStart = 0, time.Time{}
	}
	a.Job.release()
	return true
}

// doubt takes in that the last scan missed activities that Strava still shows:
// another is made.
func (a *Athlete) doubt(now time.Time) {
	if now.Sub(a.DoubtedAt) > 2*doubtDelays[len(doubtDelays)-1] {
		a.Doubts = 0
	}
	delay := doubtDelays[min(a.Doubts, len(doubtDelays)-1)]
	a.Doubts, a.DoubtedAt = a.Doubts+1, now.UTC()
	a.restart(now)
	a.Job.reschedule(quota.Reconcile, now.Add(delay))
}

// wait notes what the scan waits for and reports whether that is news. A
// time that moved by less than a minute is none.
func (a *Athlete) wait(waitingFor string, until time.Time) bool {
	s := &a.Scan
	if s.State == gatheringv1.ScanWaiting && s.WaitingFor == waitingFor && until.Sub(s.ResumesAt).Abs() < time.Minute {
		return false
	}
	s.State, s.WaitingFor, s.ResumesAt = gatheringv1.ScanWaiting, waitingFor, until.UTC()
	s.Sequence++
	return true
}

// progressed is the scan's present state as an event.
func (a Athlete) progressed(now time.Time) gatheringv1.ScanProgressed {
	s := a.Scan
	p := gatheringv1.ScanProgressed{
		AthleteID:  a.ID,
		Generation: a.Generation,
		ScanID:     s.ID,
		Sequence:   s.Sequence,
		State:      s.State,
		Chunks:     s.Chunks,
		// By whichever clock a page was read, it was read after this. What is
		// gone and was read within this minute goes with the next scan.
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

// finishesAt estimates when the scan will be complete: it will go on at the
// pace it had so far, and the years that it has not seen are like those it has.
// Zero when there is nothing to judge by.
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
// reports whether that is news. A completed scan waits, too: nothing keeps it
// true any more. That may last for ever, and a new authorization starts over:
// nothing is left of Strava's data, nor of how many activities there were.
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

// stravaDataAge returns when the oldest of Strava's data was read that is kept
// of the athlete; false when none is. How far the scan got is our own.
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

// bounded says that the scan's windows hold starts of activities.
func (s Scan) bounded() bool {
	return slices.ContainsFunc(s.Windows, func(w Window) bool { return !w.From.IsZero() || w.To.Before(s.Cutoff) })
}

// forget drops the estimate's data and where the scan is.
func (a *Athlete) forget() {
	a.JoinedAt, a.ProfiledAt, a.Scan.Oldest = time.Time{}, time.Time{}, time.Time{}
	a.Scan.LastID, a.Scan.LastStart = 0, time.Time{}
}

// expire drops Strava's data that is too old to be kept, and reports whether
// there was any. A scan that went around holes starts over without them.
func (a *Athlete) expire(now time.Time) bool {
	readAt, kept := a.stravaDataAge()
	if !kept || now.Sub(readAt) < keepAge {
		return false
	}
	a.forget()
	if now.Sub(a.Last.Started) >= keepAge {
		a.Holes = nil
	}
	if now.Sub(a.Scan.Begun) < keepAge {
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
