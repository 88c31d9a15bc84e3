package athlete

import (
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// Session is whom a call comes from, and the generation of the authorization
// that the session was opened under.
type Session struct {
	AthleteID  int64
	Generation int64
}

// RevokedError means that the session's authorization is over.
type RevokedError struct {
	// Receipt names the erasure that followed; empty when it isn't known.
	Receipt string
}

// Error implements error.
func (e RevokedError) Error() string { return "the authorization is revoked" }

const (
	// Retention is how long a reading may be kept without another (Strava API
	// Policy 6.2). From then on it is not shown, soon it is not there, and one
	// that arrives only then, say from a dead letter, is ignored.
	Retention = 7 * 24 * time.Hour
	// TombstoneLifetime is how long a tombstone fences. It is longer than
	// [Retention], so that no reading outlives the tombstone that fences it.
	TombstoneLifetime = Retention + 24*time.Hour
)

// Account is what is known of one athlete. The zero Account knows nothing.
type Account struct {
	// Profile is nil when none is known. The last one was read under Generation,
	// at ReadAt.
	Profile    *gatheringv1.Athlete
	Generation int64
	ReadAt     time.Time
	// Authorization is the latest one in force that is known, nil when none is.
	Authorization *Authorization
	// Links are the accounts of other providers that the athlete has linked, one of
	// a provider at most, and what is left of those that were unlinked.
	Links []Link
	// Asked is when the athlete last asked for a refresh; zero if that is no
	// longer of interest.
	Asked time.Time
	// Leave is the athlete's pending wish to leave, nil without one.
	Leave *Leave
	// Revoked is the tombstone: nothing of this or an earlier generation is
	// accepted any more. 0 without one.
	Revoked int64
	// Receipt names the erasure of Revoked. An athlete who ended the authorization
	// elsewhere learns it through a session that is still open. It is empty once the
	// athlete has connected again.
	Receipt string
	// Expires is when the account may be forgotten altogether: zero as long as
	// there is an authorization or a wish to leave.
	Expires time.Time
}

// Link is an account of another provider.
type Link struct {
	Provider string
	// AccountID is empty once the account is unlinked: nothing of this or an earlier
	// Generation is accepted any more.
	AccountID string
	// Generation of the account's authorization.
	Generation int64
	// AthleteGeneration is that of the authorization under which it was linked.
	AthleteGeneration int64
	// LinkedAt is zero once the account is unlinked.
	LinkedAt time.Time
}

// Linked are the accounts that are linked now.
func (a Account) Linked() []Link {
	return slices.DeleteFunc(slices.Clone(a.Links), func(l Link) bool { return l.AccountID == "" })
}

// link takes in a link, or the end of one, in any order, and tells whether that
// counts. The end counts if both are of one generation.
func (a *Account) link(f Link, now time.Time) bool {
	if f.AccountID != "" && f.AthleteGeneration <= a.Revoked {
		return false
	}
	i := slices.IndexFunc(a.Links, func(l Link) bool { return l.Provider == f.Provider })
	if i < 0 {
		a.Links = append(a.Links, f)
		a.keep(now)
		return true
	}
	known := a.Links[i]
	if f.Generation < known.Generation || f.Generation == known.Generation && (f.AccountID != "" || known.AccountID == "") {
		return false
	}
	f.AthleteGeneration = max(f.AthleteGeneration, known.AthleteGeneration)
	a.Links[i] = f
	a.keep(now)
	return true
}

// Authorization is what an athlete allowed, as the credentials boundary
// announces it.
type Authorization struct {
	// Generation is when, in Unix milliseconds.
	Generation int64
	// Scopes are those that were accepted, in Strava's spelling; nil as long as
	// no more is known than that it is degraded.
	Scopes []string
	// Degraded says that Strava refuses calls for the athlete until they connect
	// again.
	Degraded bool
}

// admit fails with a [RevokedError] when the authorization is over.
func (a Account) admit(by Session) error {
	switch {
	case by.Generation > a.Revoked:
		return nil
	case a.Leave != nil && a.Leave.Generation == a.Revoked:
		return RevokedError{a.Leave.Receipt} // The athlete's own, which is still owed.
	}
	return RevokedError{a.Receipt}
}

// profile is nil when none is known that may still be shown.
func (a Account) profile(now time.Time) *gatheringv1.Athlete {
	if now.Sub(a.ReadAt) >= Retention {
		return nil
	}
	return a.Profile
}

// keep lets the account be there for as long as a tombstone fences, from at on.
func (a *Account) keep(at time.Time) {
	expires := at.Add(TombstoneLifetime)
	switch {
	case a.Authorization != nil, a.Leave != nil:
		a.Expires = time.Time{}
	case expires.After(a.Expires):
		a.Expires = expires
	}
}

// Leave is a wish to leave.
type Leave struct {
	// Receipt names the erasure and suffices to look up its state.
	Receipt string
	// Generation of the authorization that is to end, and every earlier one
	// with it.
	Generation  int64
	RequestedAt time.Time
}

// gathered takes in a reading of the profile and tells whether it is news.
func (a *Account) gathered(f gatheringv1.AthleteGathered) bool {
	f.ReadAt = stored(f.ReadAt)
	newer := f.Generation > a.Generation || f.Generation == a.Generation && f.ReadAt.After(a.ReadAt)
	if f.Generation <= a.Revoked || !newer {
		return false
	}
	a.Profile, a.Generation, a.ReadAt = &f.Athlete, f.Generation, f.ReadAt
	a.keep(f.ReadAt)
	return true
}

// authorized takes in what is announced of an authorization, in any order, and
// tells whether that counts.
func (a *Account) authorized(f Authorization, now time.Time) bool {
	if f.Generation <= a.Revoked {
		return false
	}
	if known := a.Authorization; known != nil {
		switch {
		case f.Generation < known.Generation:
			return false
		case f.Generation == known.Generation:
			// Only a later authorization ends a degradation.
			f.Degraded = f.Degraded || known.Degraded
			if f.Scopes == nil {
				f.Scopes = known.Scopes
			}
		}
	}
	a.Authorization, a.Receipt = &f, ""
	a.keep(now)
	return true
}

// leave remembers the wish to leave and tells whether it is a new one; a
// repetition leaves the first, and so its receipt, in force.
//
// An athlete may be connected under a later authorization than the session
// they leave by. They mean to leave for good, so the latest one known counts.
func (a *Account) leave(generation int64, receipt string, now time.Time) bool {
	generation = max(generation, a.Generation)
	if a.Authorization != nil {
		generation = max(generation, a.Authorization.Generation)
	}
	if a.Leave != nil && a.Leave.Generation >= generation {
		return false
	}
	a.Leave = &Leave{Receipt: receipt, Generation: generation, RequestedAt: now}
	a.keep(now)
	return true
}

// RefreshPause is how long an athlete who asked for a refresh has to wait before
// asking again: Strava's limits are shared by all athletes.
const RefreshPause = 15 * time.Minute

// TooSoonError is a wish that comes too soon after the last one.
type TooSoonError struct {
	// Wait is how long it is too soon.
	Wait time.Duration
}

// Error implements error.
func (e TooSoonError) Error() string { return "too soon by " + e.Wait.String() }

// ask remembers that the athlete asks for a refresh. It fails with a
// [TooSoonError].
func (a *Account) ask(now time.Time) error {
	if wait := a.Asked.Add(RefreshPause).Sub(now); wait > 0 {
		return TooSoonError{wait}
	}
	a.Asked = now
	a.keep(now)
	return nil
}

// expire drops the profile once it has been kept for as long as it may be, and
// tells whether it has.
func (a *Account) expire(now time.Time) bool {
	if a.Profile == nil || a.profile(now) != nil {
		return false
	}
	a.Profile = nil
	return true
}

// revoke sets the tombstone, of the erasure with that receipt, and erases what
// belongs to this and earlier generations. It tells whether that changed anything.
//
// A wish to leave is pending until the erasure of its own receipt has come: when
// the same authorization ended otherwise first, that receipt is still owed.
func (a *Account) revoke(generation int64, receipt string, now time.Time) bool {
	granted := a.Leave != nil && a.Leave.Receipt == receipt
	if granted {
		a.Leave = nil
	}
	if generation <= a.Revoked {
		if granted && generation == a.Revoked && a.Authorization == nil {
			a.Receipt = receipt
		}
		a.keep(now)
		return granted
	}
	a.Revoked = generation
	if a.Generation <= generation {
		a.Profile, a.Generation, a.ReadAt, a.Asked = nil, 0, time.Time{}, time.Time{}
	}
	if a.Authorization != nil && a.Authorization.Generation <= generation {
		a.Authorization = nil
	}
	a.Links = slices.DeleteFunc(a.Links, func(l Link) bool { return l.AthleteGeneration <= generation })
	if a.Authorization == nil {
		a.Receipt = receipt
	}
	a.keep(now)
	return true
}
