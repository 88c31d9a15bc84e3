package gathering

import (
	"errors"
	"time"

	"github.com/paceline/paceline/pkg/gathering/quota"
)

// Turn says when a piece of work is done: which class it waits in and since when
// it is due.
type Turn struct {
	// Class is empty when there is nothing to do.
	Class quota.Class
	// Due is when it may be done at the earliest. Within a class what has been
	// due longest goes first.
	Due time.Time
	// HeldUntil is when whoever has taken the piece loses it. It also tells one
	// holder from the next: what a holder writes counts only while it is
	// unchanged.
	HeldUntil time.Time
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
func (t *Turn) take(class quota.Class, now time.Time) bool {
	if t.Class != class || t.Due.After(now) || t.HeldUntil.After(now) {
		return false
	}
	t.HeldUntil = now.Add(holdTime)
	return true
}

// release gives the turn back; it keeps its place.
func (t *Turn) release() { t.HeldUntil = time.Time{} }

// next puts the work where it waits for its next turn.
func (t *Turn) next(class quota.Class, due time.Time) { *t = Turn{Class: class, Due: due} }

// fail puts the work off and reports whether it is now parked. own says that
// the failure is the work's own: Strava works for others.
func (t *Turn) fail(now time.Time, own bool) (parked bool) {
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

// Kind tells an athlete's two pieces of work apart.
type Kind string

// The kinds.
const (
	KindScan    Kind = "scan"
	KindMailbox Kind = "mailbox"
)

// Place is a piece of work in the queue of its class.
type Place struct {
	AthleteID int64
	Kind      Kind
	Class     quota.Class
	Due       time.Time
}

// Compare orders the places of one class: the longest due first.
func (p Place) Compare(q Place) int {
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
