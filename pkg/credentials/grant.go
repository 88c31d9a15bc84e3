package credentials

import (
	"errors"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
)

// State of a grant. docs/adr/0007 has the picture.
type State string

// The states. Only [Grant]'s transitions change them.
const (
	// Active: the token pair is believed to work.
	Active State = "active"
	// Degraded: the athlete has to connect again, for the grant's Reason.
	// Nothing is erased.
	Degraded State = "degraded"
	// Revoked: the authorization is over, but its tokens are not revoked at
	// Strava and deleted yet. No calls are made under it, and only a new
	// authorization by the athlete leads out of it.
	Revoked State = "revoked"
	// Erased: the authorization is over and its tokens are deleted. The grant is a
	// tombstone.
	Erased State = "erased"
)

// Grant is the state of an account: what its owner allowed, and references to
// its tokens.
type Grant struct {
	Account Account
	// Generation is the Unix time in milliseconds at which Strava issued the
	// tokens of the authorization. It is larger than that of any earlier
	// authorization of this account.
	Generation int64
	// Since is the generation of the first authorization of the unbroken series
	// that the present one belongs to: the one after the last end.
	Since int64
	// Scopes that were accepted, in the provider's spelling.
	Scopes []string
	State  State
	// Reason is why the grant is degraded: a reason of AuthorizationDegraded;
	// empty in other states.
	Reason string
	// DegradedAt is when the grant was degraded; zero in other states.
	DegradedAt time.Time
	// Tokens refers to the valid pair; zero once the tokens are deleted.
	Tokens TokenRef
	// Candidates are other pairs, in the order in which they were added: those
	// of pending connects, and those that may be the valid one if Strava
	// refuses Tokens, because two of its responses crossed.
	Candidates []Candidate
	// Obsolete are the generations whose parameters are to be deleted.
	Obsolete []int64
	// Lease is held by the process that changes the tokens.
	Lease Lease
	// InDoubt is set when a response to a refresh may have been lost. Strava's
	// refusal of the refresh token then does not prove that the athlete
	// withdrew access.
	InDoubt bool
	// RevokedAt is when the authorization ended, and later when its tokens were
	// last revoked at Strava; zero while it is in force.
	RevokedAt time.Time
	// EndRequestedAt is when the athlete or an operator last asked for an end;
	// zero if neither did. An authorization from before cannot come into force.
	EndRequestedAt time.Time

	// Unpublished is set while the event about the present state may not have been
	// published. The event about a revocation belongs to its PendingRevocation.
	Unpublished bool
	// Claim is a pending claim that the athlete withdrew access.
	Claim Claim
	// ClaimCheckedAt is when Strava was last asked about a claim.
	ClaimCheckedAt time.Time
	// Revocations are the ends of authorizations that are not completed: of this
	// one, and of earlier ones of the athlete.
	Revocations []PendingRevocation
	// Completed has the receipts of completed revocations, each once. A change of
	// the grant drops those that are older than [retention.Tombstone].
	Completed []CompletedRevocation
	// Links are the accounts that the athlete has linked, one of a provider at
	// most. Only an athlete's own grant has any.
	Links []Link
	// Owner is the athlete who linked the account; zero for an athlete's own.
	Owner Authorization
	// Retry is the retry state of the pending tasks; see [Grant.HasPendingTasks].
	Retry RetryState
}

// Claim is an unproven report that an athlete withdrew access at Strava. There
// is none when ClaimedAt is zero.
type Claim struct {
	ClaimedAt time.Time
	// Cause is the event that reported it.
	Cause event.Meta
	// CheckAt is when Strava may be asked about it.
	CheckAt time.Time
}

// PendingRevocation is the end of one authorization that is not completed. To
// complete it, the end is published, the tokens are deleted, and
// ErasureCompleted is published for the receipt.
type PendingRevocation struct {
	// Receipt names the erasure.
	Receipt string
	// Generation is the last one that ended.
	Generation  int64
	RequestedAt time.Time
	// Reason is a reason of AuthorizationRevoked or AccountUnlinked.
	Reason string
	// Cause is the event that led to it.
	Cause event.Meta
	// Published is set once AuthorizationRevoked, or AccountUnlinked for a linked
	// account, is published.
	Published bool
	// Links are the linked accounts that end with the athlete's authorization.
	Links []Account
	// Owner is the athlete whose link to the account ends; zero if an athlete's
	// own authorization ends.
	Owner Authorization
	// WithAthlete is set if the receipt is that of the owner's own erasure,
	// which the owner's grant publishes.
	WithAthlete bool
}

// CompletedRevocation is the end of an authorization that is completed here.
// Other boundaries may not know of it yet.
type CompletedRevocation struct {
	// Receipt names the erasure.
	Receipt                  string
	RequestedAt, CompletedAt time.Time
	// Generation is the last one that ended.
	Generation int64
	// Links are the linked accounts that ended with it and whose tokens are not
	// deleted yet.
	Links []Account
}

// inForce reports whether the authorization has not ended.
func (g Grant) inForce() bool { return g.State == Active || g.State == Degraded }

// callable returns the reason why no call can be made under the grant, or nil.
func (g Grant) callable() error {
	if g.State == Degraded {
		return ErrDegraded
	}
	return g.refreshable()
}

// refreshable returns the reason why the grant's tokens cannot be refreshed, or
// nil. A missing scope is no reason.
func (g Grant) refreshable() error {
	switch {
	case g.State == Active, g.State == Degraded && g.Reason == credentialsv1.DegradedScopeMissing:
		return nil
	case g.State == Degraded:
		return ErrDegraded
	}
	return ErrRevoked
}

// Authorized reports whether the athlete counts against the application's
// athlete capacity. At Strava every authorized athlete does, so a degraded
// grant counts, and so does a revoked one until its tokens have been revoked at
// Strava and deleted.
func (g Grant) Authorized() bool { return g.Tokens.exists() }

// SignedInAt returns when the athlete last signed in, which at Strava is a new
// authorization. A session lasts for at most 30 days, so an athlete who uses
// the site signs in that often, and the time of the last visit is known to that
// precision without recording visits.
func (g Grant) SignedInAt() time.Time { return time.UnixMilli(g.Generation).UTC() }

// Errors that refuse a transition, which then changes nothing.
var (
	errBusy         = errors.New("another process is changing the tokens")
	errGrantChanged = errors.New("the grant has changed")
)
