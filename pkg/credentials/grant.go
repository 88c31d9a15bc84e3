package credentials

import (
	"time"

	"github.com/paceline/paceline/pkg/kit/secret"
)

// ProviderStrava names whose authorization a grant is. The name is part of
// every grant so that accounts can be paged through by it.
const ProviderStrava = "strava"

// State of a grant.
type State string

// The states. A grant starts out active.
const (
	// Active: the token pair is believed to work.
	Active State = "active"
	// Degraded: Strava refuses the refresh token for good; the athlete has to
	// connect again. Nothing is erased.
	Degraded State = "degraded"
	// Revoked: the authorization is over. No call is made for it any more, and
	// nothing but a new authorization by the athlete leads out of it.
	Revoked State = "revoked"
)

// Grant is what an athlete allowed, without the tokens.
type Grant struct {
	AthleteID int64
	Provider  string
	// Generation is the Unix time in milliseconds of the authorization,
	// larger than that of any earlier one of this athlete.
	Generation int64
	// Scopes the athlete accepted, in Strava's spelling.
	Scopes []string
	State  State
	// TokenVersion is the version of the athlete's SecureString that holds
	// the valid pair, unless one is parked; 0 once the tokens are dropped.
	TokenVersion int64
	// Parked is the valid pair, sealed, when the SecureString could not be
	// written; nil otherwise.
	Parked []byte
	// Unannounced is set while the event about the present state may not have
	// been published.
	Unannounced bool
	// Lease is held by whoever changes the tokens.
	Lease Lease
	// Receipt names the erasure that the revocation led to, and RevokedAt is
	// when that was; both are empty while the grant is in force.
	Receipt   string
	RevokedAt time.Time
}

// Over reports whether the grant has come to its end: revoked, and its tokens
// dropped. Only then may it be forgotten.
func (g Grant) Over() bool { return g.State == Revoked && g.TokenVersion == 0 }

// Lease keeps those who change the tokens of one athlete apart: refreshes, a
// connect, a departure.
type Lease struct {
	Owner string
	Until time.Time
}

// held reports whether somebody else than owner holds the lease at now.
func (l Lease) held(owner string, now time.Time) bool {
	return l.Owner != "" && l.Owner != owner && now.Before(l.Until)
}

// TokenPair is an athlete's access and refresh token.
type TokenPair struct {
	Access    secret.String
	Refresh   secret.String
	ExpiresAt time.Time
}

// refreshMargin is how long before its end an access token is renewed. Asking
// earlier is useless: Strava hands the same token back while more than an hour
// is left (Strava, Authentication: "Refreshing expired access tokens").
const refreshMargin = time.Hour

// fresh reports whether the access token needs no renewal.
func (p TokenPair) fresh(now time.Time) bool { return p.ExpiresAt.Sub(now) > refreshMargin }

// usable reports whether the access token will survive a call that begins now.
func (p TokenPair) usable(now time.Time) bool { return p.ExpiresAt.Sub(now) > time.Minute }

// App is the registration of this deployment with Strava, and the secrets by
// which Strava's webhooks are told from others'.
type App struct {
	ClientID     string
	ClientSecret secret.String
	// VerifyToken is Strava's hub.verify_token: shown back to us in the
	// handshake of a new push subscription.
	VerifyToken secret.String
	// CallbackKey is the unguessable last path segment of the callback URL.
	CallbackKey secret.String
	// SubscriptionID of the push subscription; 0 while there is none.
	SubscriptionID int64
}

// Erasure is one duty to erase an athlete's data everywhere. It knows nothing
// of the athlete.
type Erasure struct {
	Receipt     string
	RequestedAt time.Time
	// Pending names the boundaries that have not confirmed yet.
	Pending []string
	// CompletedAt is zero until every boundary has confirmed.
	CompletedAt time.Time
}

// Boundaries that take part in an erasure.
const (
	PartCredentials = "credentials"
	PartGathering   = "gathering"
	PartAthlete     = "athlete"
	PartActivity    = "activity"
)

// TombstoneLife is how long an ended grant is remembered: longer than any
// queue keeps an event (at most 4 days) and than any session lives (7 days),
// so that neither can outlive the fence.
const TombstoneLife = 8 * 24 * time.Hour
