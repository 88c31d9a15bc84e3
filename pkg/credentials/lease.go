package credentials

import "time"

const (
	// leaseTime is how long a lease lasts. No process needs it for so long:
	// functions that take leases are ended after 45 s, and
	// [Reconciler.Reconcile] gives each grant less. So the holder of an expired
	// lease is dead.
	leaseTime = time.Minute
	// leasePoll is the wait before a lease that is held is tried again.
	leasePoll = 200 * time.Millisecond
)

// Lease excludes other processes from changing the tokens of an account, by a
// refresh or a revocation.
type Lease struct {
	Owner string
	Until time.Time
}

// held reports whether another owner holds the lease at now.
func (l Lease) held(owner string, now time.Time) bool {
	return l.Owner != "" && l.Owner != owner && now.Before(l.Until)
}
