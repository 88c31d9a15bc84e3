package gathering

import (
	"time"

	"github.com/paceline/paceline/pkg/gathering/quota"
)

// Job is an athlete's place in the work queue: the class in which the work
// waits, since when it is due, and who has leased it.
type Job struct {
	// Class is empty when there is nothing to do.
	Class quota.Class
	// Due is the earliest time at which the job may run. Within a class the job
	// that has been due longest goes first.
	Due time.Time
	// LeasedUntil is when the lease ends; zero without one. LeaseOwner is the
	// random id of its holder, who may write only while it is unchanged.
	LeasedUntil time.Time
	LeaseOwner  string
	// RetryAt is the earliest retry after a failed attempt: nothing makes the job
	// due before that. It is zero unless the last attempt failed.
	RetryAt time.Time
	// Failures counts the attempts in a row that failed, and FailingSince is when
	// the first of them did.
	Failures     int
	FailingSince time.Time
}

// lease leases the job to owner. It reports false if the job is not due or is
// leased already.
func (j *Job) lease(class quota.Class, now time.Time, owner string) bool {
	if j.Class != class || j.Due.After(now) || j.LeasedUntil.After(now) {
		return false
	}
	j.LeasedUntil, j.LeaseOwner = now.Add(leaseDuration), owner
	return true
}

// abandoned reports whether the last lease ended without an outcome: its holder
// was killed, perhaps by this very job.
func (j Job) abandoned(now time.Time) bool {
	return !j.LeasedUntil.IsZero() && !j.LeasedUntil.After(now)
}

// release ends the lease. The job keeps its place in the queue.
func (j *Job) release() { j.LeasedUntil, j.LeaseOwner = time.Time{}, "" }

// next queues the job again after an attempt that succeeded.
func (j *Job) next(class quota.Class, due time.Time) { *j = Job{Class: class, Due: due} }

// reschedule moves the job in the queue and ends the lease. A job that failed
// still waits for its retry.
func (j *Job) reschedule(class quota.Class, due time.Time) {
	j.release()
	j.Class, j.Due = class, latest(due, j.RetryAt)
}

// JobKind names one of an athlete's two jobs.
type JobKind string

// The kinds of job.
const (
	// JobScan reads the whole history.
	JobScan JobKind = "scan"
	// JobInbox works off the athlete's inbox.
	JobInbox JobKind = "inbox"
)

// JobRef refers to a job in the queue of its class.
type JobRef struct {
	AthleteID int64
	Kind      JobKind
	Class     quota.Class
	Due       time.Time
}
