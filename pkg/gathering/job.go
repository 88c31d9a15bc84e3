package gathering

import (
	"errors"
	"time"

	"github.com/paceline/paceline/pkg/gathering/quota"
)

// Job says when a piece of an athlete's work is done: in which class it waits
// and since when it is due.
type Job struct {
	// Class is empty when there is nothing to do.
	Class quota.Class
	// Due is when it may be done at the earliest. Within a class what has been
	// due longest goes first.
	Due time.Time
	// LeasedUntil is when the gatherer that has leased the job loses it. It also
	// identifies the lease: what its holder writes counts only while it is
	// unchanged.
	LeasedUntil time.Time
	// RetryAt is when a job that failed is tried again, whatever else makes it
	// due earlier; zero unless the last attempt failed.
	RetryAt time.Time
	// Failures counts the attempts in a row that failed, and FailingSince is when
	// the first of them did.
	Failures     int
	FailingSince time.Time
}

const (
	// leaseTime is how long a job is leased at most: longer than any call and
	// what is written after it may take.
	leaseTime = 90 * time.Second
	// retryDelay is the wait after the first failure; it doubles with each, up to
	// maxRetryDelay.
	retryDelay    = 15 * time.Second
	maxRetryDelay = 30 * time.Minute
	// maxFailures is how often in a row a piece of work may fail before it is
	// parked for parkTime.
	maxFailures = 8
	parkTime    = 24 * time.Hour
)

// failure is a failed attempt.
type failure struct {
	at time.Time
	// retryAt is when another attempt may be of use; zero for at once.
	retryAt time.Time
	// servedOthers is when Strava last answered a call for another athlete; zero
	// if that is not known.
	servedOthers time.Time
	// everybodys says that Strava answers nobody: the failure is not counted.
	everybodys bool
	// waitingFor is what the athlete's work waits for now, one of gatheringv1's.
	waitingFor string
}

// count adds the failure to those in a row.
func (f failure) count(failures int) int {
	if f.everybodys && failures > 0 {
		return failures
	}
	return failures + 1
}

// retry returns when work is tried again whose attempts failed so many times in
// a row since a time, and whether it is parked. It is parked only if Strava has
// answered others since: then the failure is the work's own, and trying is a
// waste.
func (f failure) retry(failures int, since time.Time) (at time.Time, parked bool) {
	delay := maxRetryDelay
	if failures <= maxFailures {
		delay = min(retryDelay<<(failures-1), maxRetryDelay)
	}
	if failures >= maxFailures && !f.everybodys && !f.servedOthers.IsZero() && !f.servedOthers.Before(since) {
		delay, parked = parkTime, true
	}
	from := f.at
	if f.retryAt.After(from) {
		// Later than that, so that another piece of work goes first.
		from = f.retryAt
	}
	return from.Add(delay), parked
}

// lease leases the job to the caller. It reports false when the job is not due
// or leased already.
func (j *Job) lease(class quota.Class, now time.Time) bool {
	if j.Class != class || j.Due.After(now) || j.LeasedUntil.After(now) {
		return false
	}
	j.LeasedUntil = now.Add(leaseTime)
	return true
}

// abandoned says that the last lease ended without a word: its holder was killed,
// perhaps by this very job.
func (j Job) abandoned(now time.Time) bool {
	return !j.LeasedUntil.IsZero() && !j.LeasedUntil.After(now)
}

// release gives the job back as it was; it keeps its place in the queue.
func (j *Job) release() { j.LeasedUntil = time.Time{} }

// next puts the job where it waits for its next attempt, after one that
// succeeded.
func (j *Job) next(class quota.Class, due time.Time) { *j = Job{Class: class, Due: due} }

// reschedule puts the job somewhere else in the queue. If it failed it still
// waits until it is to be retried.
func (j *Job) reschedule(class quota.Class, due time.Time) {
	j.Class, j.Due, j.LeasedUntil = class, latest(due, j.RetryAt), time.Time{}
}

// fail puts the job off and reports whether it is now parked.
func (j *Job) fail(f failure) (parked bool) {
	j.noteFailure(f)
	j.RetryAt, parked = f.retry(j.Failures, j.FailingSince)
	if parked {
		j.Failures, j.FailingSince = 0, time.Time{}
	}
	j.Due = j.RetryAt
	return parked
}

// noteFailure counts a failure and ends the lease.
func (j *Job) noteFailure(f failure) {
	j.release()
	if j.Failures == 0 {
		j.FailingSince = f.at
	}
	j.Failures = f.count(j.Failures)
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// errUnchanged ends an update that has nothing to change.
var errUnchanged = errors.New("nothing to change")

// JobKind names one of an athlete's two jobs.
type JobKind string

// The kinds of job.
const (
	// JobScan reads the whole history.
	JobScan JobKind = "scan"
	// JobInbox looks into what webhooks and athletes reported.
	JobInbox JobKind = "inbox"
)

// JobRef refers to a job in the queue of its class.
type JobRef struct {
	AthleteID int64
	Kind      JobKind
	Class     quota.Class
	Due       time.Time
}

// Compare orders the jobs of one class: the longest due first.
func (p JobRef) Compare(q JobRef) int {
	switch {
	case !p.Due.Equal(q.Due):
		return p.Due.Compare(q.Due)
	case p.AthleteID != q.AthleteID:
		return int(min(max(p.AthleteID-q.AthleteID, -1), 1))
	case p.Kind != q.Kind && p.Kind < q.Kind:
		return -1
	case p.Kind != q.Kind:
		return 1
	}
	return 0
}
