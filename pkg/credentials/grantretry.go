package credentials

import "time"

// RetryState is the retry state of a grant's pending tasks.
type RetryState struct {
	// Since is when the oldest of the tasks was added; zero when there is none.
	Since time.Time
	// Next is when the tasks are due for an attempt.
	Next time.Time
	// Attempts that failed.
	Attempts int
}

// HasPendingTasks reports whether the grant has a pending task: an event to
// publish, a claim to verify, a revocation or a connect to complete, or tokens
// to revoke or delete.
func (g Grant) HasPendingTasks() bool {
	return g.hasTasksBesideClaim() || !g.Claim.ClaimedAt.IsZero()
}

// hasTasksBesideClaim is [Grant.HasPendingTasks] without the claim.
func (g Grant) hasTasksBesideClaim() bool {
	return g.Unpublished || g.State == Revoked || len(g.Revocations) > 0 || len(g.Obsolete) > 0 ||
		g.pendingConnect() != nil || (!g.inForce() && len(g.Candidates) > 0)
}

// notBefore returns the time before which the tasks are not tried: that of the
// claim if there is no other task, otherwise zero.
func (g Grant) notBefore() time.Time {
	if g.hasTasksBesideClaim() {
		return time.Time{}
	}
	return g.Claim.CheckAt
}

// The wait between two attempts at a task grows from the first to the last.
const (
	firstRetry = 5 * time.Minute
	lastRetry  = 6 * time.Hour
)

// postpone records that a task failed, and sets the time of the next attempt.
func (g *Grant) postpone(now time.Time) {
	g.Retry.Attempts++
	g.Retry.Next = now.Add(min(firstRetry<<min(g.Retry.Attempts-1, 16), lastRetry))
}

// updateRetryState begins the retry state with the first task and ends it with
// the last.
func (g *Grant) updateRetryState(now time.Time) {
	switch {
	case !g.HasPendingTasks():
		g.Retry = RetryState{}
	case g.Retry.Since.IsZero(), g.hasTasksBesideClaim() && g.Retry.Next.After(now.Add(lastRetry+clockSkew)):
		// The process that added the task tries it itself, which takes no longer
		// than a lease lasts. The task is the first one, or the first beside a claim
		// that waits.
		g.Retry = RetryState{Since: now, Next: now.Add(leaseTime)}
	}
	if at := g.notBefore(); at.After(g.Retry.Next) {
		g.Retry.Next = at
	}
}
