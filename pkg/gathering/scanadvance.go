package gathering

import (
	"slices"
	"strconv"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// begin starts the scan called id.
func (a *Athlete) begin(id int64, now time.Time) {
	a.dropStravaData()
	a.Scan = Scan{ID: strconv.FormatInt(id, 10), Sequence: 1, State: gatheringv1.ScanScanning}
	a.setCutoff(now)
}

// setCutoff makes the scan begin now: it sets the cutoff and goes to the first
// page.
func (a *Athlete) setCutoff(now time.Time) {
	s := &a.Scan
	s.StartedAt, s.Cutoff = now.UTC(), now.Add(horizon).UTC().Truncate(time.Second)
	s.First = a.Last.lapsed(now)
	s.LargestSize = PageSize
	if a.WrongScans <= maxWrongScanSteps && now.Sub(a.WrongScanAt) < wrongScanMemory {
		s.LargestSize = pageSizes[a.WrongScans]
	}
	s.rewind(a.Holes)
}

// resume prepares the scan for its next page: it restarts a completed scan. A
// scan that has read no page begins now, so that its data does not look older
// than it is.
func (a *Athlete) resume(now time.Time) {
	switch {
	case a.Scan.State == gatheringv1.ScanCompleted:
		a.restart(now)
	case a.Scan.untouched() && a.Job.Failures == 0:
		a.setCutoff(now)
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

// applyPage advances the scan by a page that was read at a time. chunks and
// activities are how many of them were published from it.
func (a *Athlete) applyPage(p Page, at, now, gapEnd time.Time, chunks, activities int) {
	s := &a.Scan
	s.scanning()
	over := false
	switch {
	case p.Entries > 0:
		s.takePage(p, at, chunks, activities)
		if a.JoinedAt.IsZero() {
			s.Oldest = time.Time{}
		}
		over = s.probed(p) && s.nextStretch()
	case s.Size < PageSize:
		over = s.takeEmpty()
	case a.rereadsEnd(now):
		s.EndReads++
		// In class spare the scan might wait for days.
		a.Job.next(quota.Reconcile, now.Add(endDelay))
		return
	default:
		over = s.nextStretch()
	}
	if over {
		a.complete(now, gapEnd)
		return
	}
	a.readOn(now)
}

// scanning sets the state after an answer of Strava's.
func (s *Scan) scanning() {
	s.Sequence++
	s.State, s.WaitingFor, s.ResumesAt = gatheringv1.ScanScanning, "", time.Time{}
}

// readOn queues the scan for its next page.
func (a *Athlete) readOn(now time.Time) {
	switch a.Job.Class {
	case quota.Interactive, quota.Backfill:
		// To the end of the queue: no athlete waits for another's long history.
		a.Job.next(quota.Backfill, now)
	default:
		a.Job.next(a.Job.Class, a.Job.Due) // Once begun, the scan keeps its place.
	}
}

// rereadsEnd reports whether an empty page has to be read once more. It does if
// the page before it was full, so that nothing else shows the end of the list,
// or if the scan found fewer activities than the last one.
func (a *Athlete) rereadsEnd(now time.Time) bool {
	s := a.Scan
	if a.Last.Activities == 0 || a.Last.lapsed(now) || s.Stretches[0].Probe || s.EndReads >= maxEndReads {
		return false
	}
	if st := s.Stretches[0]; !st.From.IsZero() && s.LastStart.Equal(st.From) {
		return false // It has read the activity that the stretch ends with.
	}
	if !s.endsShort() {
		return true
	}
	for _, st := range s.Stretches[1:] {
		if !st.Probe {
			return false // Other stretches follow.
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
	a.Last = CompletedScan{Started: s.StartedAt, Finished: now, Pages: s.Pages, Activities: s.Activities}
	a.Holes = s.lasting()
	a.dropStravaData()
	a.Job = Job{}
	a.plan(now, gapEnd)
}

// failPage reacts to a page that Strava failed to show, and reports whether the
// scan is quarantined.
func (a *Athlete) failPage(f failure, gapEnd time.Time) (quarantined bool) {
	j, s := &a.Job, &a.Scan
	if s.Stretches[0].Probe && !f.callsPaused {
		a.failProbe(f.at, gapEnd)
		return false
	}
	j.noteFailure(f)
	failures := j.Failures
	switch {
	case f.callsPaused:
	case s.goAround(failures):
		// Going around ends by itself. Until then the scan is not quarantined.
		failures = min(failures, maxFailures-1)
	case s.Pages > 0 && !s.First:
		// Complete what was read, so that it counts as renewed in time.
		s.giveUp()
		a.complete(f.at, gapEnd)
		return false
	default:
		if failures = max(failures, maxFailures); f.at.Sub(s.StartedAt) > reconcileAge {
			a.restart(f.at) // It makes no progress, and its data gets too old.
		}
	}
	return j.putOff(f, failures)
}

// clockSkew bounds the difference between two clocks of ours, or between ours
// and Strava's, which dates the events.
const clockSkew = time.Minute

// rewindForDeletion reacts to the deletion of an activity at a time. Everything
// older moved up by one place in the list, so the scan may miss the first
// activity of the page that it read next: that activity is now at the end of
// the page before. The scan goes back to that page. If the scan is complete
// already, another one is planned. It reports whether anything changed.
func (a *Athlete) rewindForDeletion(deleted, now time.Time) bool {
	s := &a.Scan
	if s.State == gatheringv1.ScanCompleted {
		if a.Last.Pages == 0 || deleted.Before(a.Last.Started.Add(-clockSkew)) || deleted.After(a.Last.Finished.Add(clockSkew)) {
			return false
		}
		a.Job.reschedule(quota.Reconcile, now.Add(clockSkew)) // One scan for all deletions of that minute.
		a.Last.Finished = time.Time{}
		return true
	}
	if !s.ProfileDone || s.StartedAt.After(deleted.Add(clockSkew)) {
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
		s.Size, s.Skipped, s.Unread, s.RecentPages = s.widest(back.Offset), 0, false, s.RecentPages[:before-1]
		s.LastID, s.LastStart = 0, time.Time{}
	}
	a.Job.release()
	return true
}
