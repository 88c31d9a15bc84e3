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
}

// CompletedScan is what is remembered of a complete scan.
type CompletedScan struct {
	Started, Finished time.Time
	// Pages that had activities.
	Pages int
}

// Scan is one walk through an athlete's profile and whole history, newest
// activity first, in pages of [PageSize] until an empty one.
type Scan struct {
	ID string
	// Begun is when it began: whatever it finds was read at this time or later.
	Begun time.Time
	// First says that the athlete has nothing to look at before this scan: it
	// tells of each page.
	First bool
	// Before pins the scan: only activities that started before it are listed,
	// so that new ones don't shift the pages.
	Before time.Time
	// Profiled says that the profile was read.
	Profiled bool
	// NextPage is the page to read next, from 1.
	NextPage int
	// Chunks and Activities are how many were passed on.
	Chunks, Activities int
	// Oldest is the start of the oldest activity found; zero at first, and where
	// JoinedAt is: the estimate needs both.
	Oldest time.Time
	// RecentPages are the last pages that were read, in order, at most [maxTrail].
	RecentPages []PageRead
	// Sequence counts the reports of progress.
	Sequence int64
	// State is one of gatheringv1's.
	State      string
	WaitingFor string
	ResumesAt  time.Time
}

// PageRead is a page of a scan that was read: when, and what had been passed on
// before it.
type PageRead struct {
	At                 time.Time
	Chunks, Activities int
}

const (
	// PageSize is how many activities a page has; Strava's largest.
	PageSize = 200
	// maxTrail is how many pages a scan can go back without beginning anew.
	maxTrail = 16
)

// How old a complete scan may get. Nothing may be kept for more than 7 days
// without being read again (Strava API Policy 6.2).
const (
	// sweepAge: it may be repeated, if nothing else needs the quota.
	sweepAge = 24 * time.Hour
	// reconcileAge: it has to be repeated.
	reconcileAge = 4 * 24 * time.Hour
	// keepAge: what it found is not kept any longer.
	keepAge = 7 * 24 * time.Hour
	// pageDelay is how much later a scan's turn comes for each of its pages, up
	// to maxPageDelay: cheap ones first, so that a shortage leaves as few
	// athletes as possible without.
	pageDelay    = 30 * time.Minute
	maxPageDelay = 48 * time.Hour
)

// begin starts the scan called id.
func (a *Athlete) begin(id int64, now time.Time) {
	a.forget()
	a.Scan = Scan{ID: strconv.FormatInt(id, 10), NextPage: 1, Sequence: 1, State: gatheringv1.ScanScanning}
	a.pin(now)
}

// pin has the scan be about what there is now.
func (a *Athlete) pin(now time.Time) {
	s := &a.Scan
	s.Begun, s.Before = now.UTC(), now.UTC().Truncate(time.Second)
	s.First = a.Last.Started.IsZero() || now.Sub(a.Last.Started) > keepAge
}

// resume makes sure that there is a scan to go on with. One that has read no page
// begins now, so that nothing in it looks older than it is.
func (a *Athlete) resume(now time.Time) {
	switch {
	case a.Scan.State == gatheringv1.ScanCompleted:
		a.restart(now)
	case a.Scan.NextPage == 1:
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

// plan puts the next scan where it waits for its turn. Whatever was read before
// gap, the end of the last gap in the webhooks, has to be read again at once.
func (a *Athlete) plan(now, gap time.Time) {
	delay := min(time.Duration(a.Last.Pages)*pageDelay, maxPageDelay)
	must := a.Last.Started.Add(reconcileAge + delay)
	switch {
	case now.Sub(a.Last.Started) > keepAge:
		a.Job.next(quota.Backfill, now)
	case a.Last.Started.Before(gap):
		// Ahead of everything else in the class, and due whatever the delay.
		a.Job.next(quota.Reconcile, gap.Add(delay-keepAge-maxPageDelay))
	case !must.After(now):
		a.Job.next(quota.Reconcile, must)
	default:
		a.Job.next(quota.Spare, a.Last.Started.Add(sweepAge+delay))
	}
}

// promoteAfter is how long a scan is due in the class spare before it has to be
// made: plan says the same.
const promoteAfter = reconcileAge - sweepAge

// page is what was read of the scan's next page.
type page struct {
	at time.Time
	// n is how many activities Strava sent.
	n int
	// chunks and activities are how many were passed on, oldest the start of
	// the last one.
	chunks, activities int
	oldest             time.Time
}

// turnPage takes the page in.
func (a *Athlete) turnPage(p page, now, gap time.Time) {
	s := &a.Scan
	s.Sequence++
	s.State, s.WaitingFor, s.ResumesAt = gatheringv1.ScanScanning, "", time.Time{}
	if p.n == 0 {
		s.State = gatheringv1.ScanCompleted
		a.Last = CompletedScan{Started: s.Begun, Finished: now, Pages: s.NextPage - 1}
		a.forget()
		a.plan(now, gap)
		return
	}
	s.RecentPages = append(slices.Clone(s.RecentPages), PageRead{p.at, s.Chunks, s.Activities})
	s.RecentPages = s.RecentPages[max(0, len(s.RecentPages)-maxTrail):]
	s.NextPage++
	s.Chunks += p.chunks
	s.Activities += p.activities
	if !p.oldest.IsZero() && !a.JoinedAt.IsZero() {
		s.Oldest = p.oldest
	}
	switch a.Job.Class {
	case quota.Interactive, quota.Backfill:
		// To the end of the line: nobody waits for somebody else's long history.
		a.Job.next(quota.Backfill, now)
	default:
		// Once begun it runs through.
		a.Job.next(a.Job.Class, a.Job.Due)
	}
}

// clockSkew is how far a clock of ours may differ from another one, or from
// Strava's, by which its events are dated.
const clockSkew = time.Minute

// shift takes in that an activity was deleted at a time. Everything older moved
// up by one place, so the first activity of the page that was read next, or
// would be, hides at the end of the one before. The scan goes back to that one,
// and if it is over already, another is made soon.
// It reports whether anything changed.
func (a *Athlete) shift(deleted, now time.Time) bool {
	s := &a.Scan
	if s.State == gatheringv1.ScanCompleted {
		if a.Last.Pages == 0 || deleted.Before(a.Last.Started.Add(-clockSkew)) || deleted.After(a.Last.Finished.Add(clockSkew)) {
			return false
		}
		a.Job.next(quota.Reconcile, now.Add(clockSkew)) // One for all deletions of that minute.
		a.Last.Finished = time.Time{}
		return true
	}
	if !s.Profiled || s.Begun.After(deleted.Add(clockSkew)) {
		return false // No page was read before.
	}
	// Pages that were read at about that time, or are being read, may be of
	// before or after.
	before := slices.IndexFunc(s.RecentPages, func(t PageRead) bool { return !t.At.Before(deleted.Add(-clockSkew)) })
	if before < 0 {
		before = len(s.RecentPages)
	}
	if before == 0 {
		s.NextPage, s.Chunks, s.Activities, s.RecentPages = 1, 0, 0, nil
	} else {
		first := s.NextPage - len(s.RecentPages) // The page that the trail begins with.
		back := s.RecentPages[before-1]
		s.NextPage, s.Chunks, s.Activities, s.RecentPages = first+before-1, back.Chunks, back.Activities, s.RecentPages[:before-1]
	}
	a.Job.release()
	return true
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
	return gatheringv1.ScanProgressed{
		AthleteID:  a.ID,
		Generation: a.Generation,
		ScanID:     s.ID,
		Sequence:   s.Sequence,
		State:      s.State,
		Chunks:     s.Chunks,
		// By whichever clock a page was read, it was read after this. What is
		// gone and was read within this minute goes with the next scan.
		StartedAt:  optional(s.Begun.Add(-clockSkew)),
		Pages:      s.NextPage - 1,
		Activities: s.Activities,
		WaitingFor: s.WaitingFor,
		ResumesAt:  optional(s.ResumesAt),
		FinishesAt: optional(a.finishesAt(now)),
	}
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
	read, life, seen := s.NextPage-1, now.Sub(a.JoinedAt), now.Sub(s.Oldest)
	if s.State == gatheringv1.ScanCompleted || read == 0 || a.JoinedAt.IsZero() || s.Oldest.IsZero() || seen <= 0 || life <= 0 {
		return time.Time{}
	}
	left := float64(read)*max(0, float64(life)/float64(seen)-1) + 1 // And the empty page.
	pace := now.Sub(s.Begun) / time.Duration(read)
	from := now
	if s.ResumesAt.After(from) {
		from = s.ResumesAt
	}
	return from.Add(time.Duration(left * float64(pace))).Truncate(time.Second)
}

// degrade notes that nothing can be read until the athlete connects again, and
// reports whether that is news. A completed scan waits, too: nothing keeps it
// true any more. That may last for ever, and whoever connects again starts over:
// nothing is left of what Strava told, nor of how many activities there were.
func (a *Athlete) degrade() bool {
	if a.State != Active {
		return false
	}
	*a = Athlete{ID: a.ID, Generation: a.Generation, State: Degraded, Scan: Scan{
		ID: a.Scan.ID, Begun: a.Scan.Begun, NextPage: 1,
		Sequence: a.Scan.Sequence + 1, State: gatheringv1.ScanWaiting, WaitingFor: gatheringv1.WaitingForReconnect,
	}}
	return true
}

// told is when what is kept of what Strava told of the athlete was read; false
// when that is nothing. How far the scan got is our own.
func (a Athlete) told() (readAt time.Time, kept bool) {
	return a.ProfiledAt, !a.JoinedAt.IsZero() || !a.Scan.Oldest.IsZero()
}

// forget drops what Strava told. Only an estimate goes with it.
func (a *Athlete) forget() {
	a.JoinedAt, a.ProfiledAt, a.Scan.Oldest = time.Time{}, time.Time{}, time.Time{}
}

// expire drops what Strava told if it is too old to be kept, and reports whether
// it was.
func (a *Athlete) expire(now time.Time) bool {
	readAt, kept := a.told()
	if !kept || now.Sub(readAt) < keepAge {
		return false
	}
	a.forget()
	return true
}
