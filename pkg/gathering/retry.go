package gathering

import (
	"time"
)

const (
	// leaseDuration is how long a lease lasts: longer than a call and the writes
	// after it may take.
	leaseDuration = 90 * time.Second
	// retryDelay is the wait after the first failure; it doubles with each, up to
	// maxRetryDelay.
	retryDelay    = 15 * time.Second
	maxRetryDelay = 30 * time.Minute
	// maxFailures is how often in a row a piece of work may fail before it is
	// quarantined for quarantineTime.
	maxFailures    = 8
	quarantineTime = 24 * time.Hour
)

// failure is a failed attempt.
type failure struct {
	at time.Time
	// retryAt is when another attempt may be of use; zero for at once.
	retryAt time.Time
	// servedOthers is when Strava last answered a call for another athlete; zero
	// if that is not known, or if the failure is not Strava's.
	servedOthers time.Time
	// callsPaused says that calls are paused because they fail for different
	// athletes. The failure is then not counted.
	callsPaused bool
	// waitingFor is what the athlete's work waits for now, one of gatheringv1's.
	waitingFor string
}

// count returns the number of failures in a row, including this one. A failure
// during a pause counts only if it is the first.
func (f failure) count(failures int) int {
	if f.callsPaused && failures > 0 {
		return failures
	}
	return failures + 1
}

// retry returns when to try again after so many failures in a row, the first of
// them at since, and whether the work is quarantined. Work is quarantined only
// if Strava has answered other athletes since then: the failure is then its
// own, and more calls would be wasted.
func (f failure) retry(failures int, since time.Time) (at time.Time, quarantined bool) {
	delay := maxRetryDelay
	if failures <= maxFailures {
		delay = min(retryDelay<<(failures-1), maxRetryDelay)
	}
	if failures >= maxFailures && !f.callsPaused && !f.servedOthers.IsZero() && !f.servedOthers.Before(since) {
		delay, quarantined = quarantineTime, true
	}
	from := f.at
	if f.retryAt.After(from) {
		// The delay is added to it, so that another piece of work goes first.
		from = f.retryAt
	}
	return from.Add(delay), quarantined
}

// fail counts a failure, puts the job off, and reports whether it is now
// quarantined.
func (j *Job) fail(f failure) (quarantined bool) {
	j.noteFailure(f)
	return j.putOff(f, j.Failures)
}

// putOff puts the job off as retry decides for so many failures in a row.
func (j *Job) putOff(f failure, failures int) (quarantined bool) {
	j.RetryAt, quarantined = f.retry(failures, j.FailingSince)
	if quarantined {
		j.Failures, j.FailingSince = 0, time.Time{}
	}
	j.Due = j.RetryAt
	return quarantined
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
