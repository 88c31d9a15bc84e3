package athlete

import (
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// Account is everything that is stored about one athlete. The zero Account is
// that of an unknown athlete.
type Account struct {
	// Profile is nil if there is none. It was read under the authorization of
	// ProfileGeneration, at ProfileReadAt.
	Profile           *gatheringv1.Athlete
	ProfileGeneration int64
	ProfileReadAt     time.Time
	// Consent is the latest one in force, nil without one.
	Consent *Consent
	// Links are the linked accounts at other providers, at most one per provider,
	// and the tombstones of those that were unlinked.
	Links []Link
	// GatherRequestedAt is the time of the athlete's last gather request; zero
	// without one since the last revocation.
	GatherRequestedAt time.Time
	// ErasureRequest is the athlete's pending request to leave, nil without one.
	ErasureRequest *ErasureRequest
	// RevokedGeneration is the tombstone: no event of this or an earlier
	// generation is accepted. 0 without one.
	RevokedGeneration int64
	// Receipt is that of the erasure which RevokedGeneration belongs to.
	// Sessions that are still open are led to it. It is empty once the athlete
	// has connected again.
	Receipt string
	// ExpiresAt is when the account may be deleted; zero while there is a
	// consent or a request to leave.
	ExpiresAt time.Time
}

// ErasureRequest is an athlete's request to leave.
type ErasureRequest struct {
	// Receipt names the erasure.
	Receipt string
	// Generation of the authorization that is to end, with every earlier one.
	Generation  int64
	RequestedAt time.Time
}

// checkNotRevoked returns a [*RevokedError] if the authorization is over.
func (a Account) checkNotRevoked(by Authorization) error {
	switch {
	case by.Generation > a.RevokedGeneration:
		return nil
	case a.ErasureRequest != nil && a.ErasureRequest.Generation == a.RevokedGeneration:
		return &RevokedError{a.ErasureRequest.Receipt} // The receipt that the athlete was given.
	}
	return &RevokedError{a.Receipt}
}

// updateExpiry keeps the account for as long as a tombstone of the time at
// would live, or without end if it is in use.
func (a *Account) updateExpiry(at time.Time) {
	expiresAt := at.Add(retention.Tombstone)
	switch {
	case a.Consent != nil, a.ErasureRequest != nil:
		a.ExpiresAt = time.Time{}
	case expiresAt.After(a.ExpiresAt):
		a.ExpiresAt = expiresAt
	}
}

// applyReading stores a reading of the profile, unless a newer one is stored or
// its authorization is over. It reports whether that changed anything.
func (a *Account) applyReading(f gatheringv1.AthleteGathered) bool {
	readAt := stored(f.ReadAt)
	newer := f.Generation > a.ProfileGeneration || f.Generation == a.ProfileGeneration && readAt.After(a.ProfileReadAt)
	if f.Generation <= a.RevokedGeneration || !newer {
		return false
	}
	a.Profile, a.ProfileGeneration, a.ProfileReadAt = &f.Athlete, f.Generation, readAt
	a.updateExpiry(readAt)
	return true
}

// dropExpiredProfile drops a profile that was not read again for
// [retention.StravaData]. It reports whether it did.
func (a *Account) dropExpiredProfile(now time.Time) bool {
	if a.Profile == nil || now.Sub(a.ProfileReadAt) < retention.StravaData {
		return false
	}
	a.Profile = nil
	return true
}

// applyConsent stores a consent. Events about it may come in any order. It
// reports whether that changed anything.
func (a *Account) applyConsent(c Consent, now time.Time) bool {
	if c.Generation <= a.RevokedGeneration {
		return false
	}
	if known := a.Consent; known != nil {
		switch {
		case c.Generation < known.Generation:
			return false
		case c.Generation == known.Generation:
			// Only a later authorization ends a degradation.
			c.Degraded = c.Degraded || known.Degraded
			if c.Scopes == nil {
				c.Scopes = known.Scopes
			}
		}
	}
	a.Consent, a.Receipt = &c, ""
	a.updateExpiry(now)
	return true
}

// GatherInterval is the time between two gather requests: Strava's limits are
// shared by all athletes.
const GatherInterval = 15 * time.Minute

// TooSoonError means that a gather request came less than
// [GatherInterval] after the last one.
type TooSoonError struct {
	// Wait is the rest of the interval.
	Wait time.Duration
}

// Error implements error.
func (e TooSoonError) Error() string { return "too soon by " + e.Wait.String() }

// requestGather notes a gather request of the athlete. It fails with a
// [TooSoonError].
func (a *Account) requestGather(now time.Time) error {
	if wait := a.GatherRequestedAt.Add(GatherInterval).Sub(now); wait > 0 {
		return TooSoonError{wait}
	}
	a.GatherRequestedAt = now
	a.updateExpiry(now)
	return nil
}

// requestErasure stores a request to leave and reports whether it is a new one.
// A repetition keeps the first request and its receipt.
//
// The athlete may have authorized again since the session was opened. A request
// to leave ends all of that, so the latest generation counts.
func (a *Account) requestErasure(generation int64, receipt string, now time.Time) bool {
	generation = max(generation, a.ProfileGeneration)
	if a.Consent != nil {
		generation = max(generation, a.Consent.Generation)
	}
	if a.ErasureRequest != nil && a.ErasureRequest.Generation >= generation {
		return false
	}
	a.ErasureRequest = &ErasureRequest{Receipt: receipt, Generation: generation, RequestedAt: now}
	a.updateExpiry(now)
	return true
}

// revoke sets the tombstone and erases everything of this and earlier
// generations. receipt is that of the erasure. It reports whether that changed
// anything.
//
// A request to leave is pending until its own receipt has come: if the same
// authorization was ended in another way first, the athlete still waits for the
// receipt that they were given.
func (a *Account) revoke(generation int64, receipt string, now time.Time) bool {
	granted := a.ErasureRequest != nil && a.ErasureRequest.Receipt == receipt
	if granted {
		a.ErasureRequest = nil
	}
	if generation <= a.RevokedGeneration {
		if granted && generation == a.RevokedGeneration && a.Consent == nil {
			a.Receipt = receipt
		}
		a.updateExpiry(now)
		return granted
	}
	a.RevokedGeneration = generation
	if a.ProfileGeneration <= generation {
		a.Profile, a.ProfileGeneration, a.ProfileReadAt, a.GatherRequestedAt = nil, 0, time.Time{}, time.Time{}
	}
	if a.Consent != nil && a.Consent.Generation <= generation {
		a.Consent = nil
	}
	a.Links = slices.DeleteFunc(a.Links, func(l Link) bool { return l.AthleteGeneration <= generation })
	if a.Consent == nil {
		a.Receipt = receipt
	}
	a.updateExpiry(now)
	return true
}
