package gathering

import (
	"errors"
	"time"

	"github.com/paceline/paceline/pkg/gathering/quota"
)

// Job says when a piece of work is done: which class it waits in and since when
// it is due.
type Job struct {
	// Class is empty when there is nothing to do.
	Class quota.Class
	// Due is when it may be done at the earliest. Within a class what has been
	// due longest goes first.
	Due time.Time
	// LeasedUntil is when whoever has taken the piece loses it. It also tells one
	// holder from the next: what a holder writes counts only while it is
	// unchanged.
	LeasedUntil time.Time
	// Failures counts the attempts in a row that failed.
	Failures int
}

const (
	// holdTime is how long a piece is held at most: longer than any call and
	// what is written after it may take.
	holdTime = 90 * time.Second
	// retryDelay is the wait after the first failure; it doubles with each.
	retryDelay = 15 * time.Second
	maxDelay   = time.Hour
	// maxFailures is how often in a row a piece may fail for a reason of its
	// own before it is parked.
	maxFailures = 8
	parkTime    = 24 * time.Hour
)

// take holds the turn for the caller. It reports false when the turn has not
// come or somebody else has it.
func (t *Job) take(class quota.Class, now time.Time) bool {
	if t.Class != class || t.Due.After(now) || t.LeasedUntil.After(now) {
		return false
	}
	t.LeasedUntil = now.Add(holdTime)
	return true
}

// release gives the turn back; it keeps its place.
func (t *Job) release() { t.LeasedUntil = time.Time{} }

// next puts the work where it waits for its next turn.
func (t *Job) next(class quota.Class, due time.Time) { *t = Job{Class: class, Due: due} }

// fail puts the work off and reports whether it is now parked. own says that
// the failure is the work's own: Strava works for others.
func (t *Job) fail(now time.Time, own bool) (parked bool) {
	t.release()
	delay := min(retryDelay<<min(t.Failures, maxFailures), maxDelay)
	if own {
		t.Failures++
	}
	if parked = t.Failures >= maxFailures; parked {
		t.Failures, delay = 0, parkTime
	}
	t.Due = now.Add(delay)
	return parked
}

// errUnchanged ends an update that has nothing to change.
var errUnchanged = errors.New("nothing to change")

// JobKind tells an athlete's two pieces of work apart.
type JobKind string

// The kinds.
const (
	JobScan  JobKind = "scan"
	JobInbox JobKind = "mailbox"
)

// JobRef is a piece of work in the queue of its class.
type JobRef struct {
	AthleteID int64
	Kind      JobKind
	Class     quota.Class
	Due       time.Time
}

// Compare orders the places of one class: the longest due first.
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
