package credentials

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/secret"
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
	// Revoked: the authorization is over, and its tokens are yet to be revoked
	// at Strava and dropped. No call is made for it any more, and nothing but
	// a new authorization by the athlete revives it.
	Revoked State = "revoked"
	// Erased: the authorization is over and its tokens are gone. What is left
	// is a tombstone.
	Erased State = "erased"
)

// Grant is what the owner of an account allowed, without the tokens.
type Grant struct {
	Account Account
	// Generation is the Unix time in milliseconds of the authorization,
	// larger than that of any earlier one of this account.
	Generation int64
	// Since is the generation of the first authorization of the unbroken series
	// that the present one belongs to.
	Since int64
	// Scopes that were accepted, in the provider's spelling.
	Scopes []string
	State  State
	// Reason why the grant is degraded, as AuthorizationDegraded says it;
	// empty in other states.
	Reason string
	// TokenVersion is the version of the account's SecureString that holds
	// the valid pair, unless one is parked; 0 once the tokens are dropped.
	TokenVersion int64
	// Parked is the valid pair, sealed, when the SecureString could not be
	// written; nil otherwise.
	Parked []byte
	// Lease is held by whoever changes the tokens.
	Lease Lease
	// RevokedAt is when the authorization ended; zero while it is in force.
	RevokedAt time.Time

	// Unannounced is set while the event about the present state may not have
	// been published. A revocation is announced by its departures.
	Unannounced bool
	// Claim is the claim that the athlete withdrew access, until Strava has
	// been asked about it.
	Claim Claim
	// Departures are the ends of authorizations that are yet to be seen
	// through: of this one, and of earlier ones of the athlete.
	Departures []Departed
	// Owed tells since when and until when the grant's duties wait; see
	// [Grant.Owes].
	Owed Owed
}

// Claim is somebody's word that an athlete withdrew access at Strava. There is
// none when ClaimedAt is zero.
type Claim struct {
	ClaimedAt time.Time
	// Cause is the event that brought it.
	Cause event.Meta
}

// Departed is the end of one authorization: everybody is to be told, its tokens
// are to be gone, and that is to be confirmed for the receipt.
type Departed struct {
	// Receipt names the erasure.
	Receipt string
	// Generation is the last one that ended.
	Generation  int64
	RequestedAt time.Time
	// Reason as AuthorizationRevoked says it.
	Reason string
	// Cause is the event that brought it.
	Cause event.Meta
	// Announced is set once the erasure is open and the neighbours know.
	Announced bool
}

// Owed is the account of what a grant owes.
type Owed struct {
	// Since is when the grant began to owe something; zero when it owes nothing.
	Since time.Time
	// Next is when finishing it is to be tried (again).
	Next time.Time
	// Attempts that failed.
	Attempts int
}

// Owes reports whether there is a duty that nobody but us remembers: an event
// to publish, a claim to look into, a departure to see through, or a lease that
// was never given back, whose holder may have left tokens behind.
func (g Grant) Owes() bool {
	return g.Unannounced || !g.Claim.ClaimedAt.IsZero() || g.State == Revoked || len(g.Departures) > 0 || g.Lease.Owner != ""
}

// Why a transition is refused. The grant is unchanged then.
var (
	errBusy     = errors.New("somebody else is changing the tokens")
	errOutdated = errors.New("the grant was changed meanwhile")
)

// lease reserves the tokens for owner, as long as nobody else has them. It
// leads from any state to the same.
func (g *Grant) lease(owner string, now time.Time) error {
	if g.Lease.held(owner, now) {
		return errBusy
	}
	g.Lease = Lease{Owner: owner, Until: now.Add(leaseTime)}
	return nil
}

// release gives owner's lease back. It leads from any state to the same.
func (g *Grant) release(owner string) error {
	if g.Lease.Owner != owner {
		return errOutdated
	}
	g.Lease = Lease{}
	return nil
}

// expect makes a tombstone for an account of which nothing is known, for the
// lease to be held in while the first authorization is put into force. It leads
// from nothing to erased, and from any state to the same.
func (g *Grant) expect(now time.Time) {
	if g.State == "" {
		g.State, g.RevokedAt = Erased, now
	}
}

// authorize puts a new authorization into force, in place of whatever was. It
// is the only way out of degraded, revoked and erased, and leads from any state
// but nothing to active. Departures of earlier authorizations are still to be
// seen through; claims and degradations were about an earlier one.
func (g *Grant) authorize(owner string, scopes []string, version int64, now time.Time) error {
	if g.State == "" || g.Lease.Owner != owner {
		return errOutdated
	}
	generation := max(now.UnixMilli(), g.Generation+1)
	since := generation
	if g.State == Active || g.State == Degraded {
		since = g.Since
	}
	*g = Grant{
		Account:      g.Account,
		Generation:   generation,
		Since:        since,
		Scopes:       scopes,
		State:        Active,
		TokenVersion: version,
		Unannounced:  true,
		Departures:   g.Departures,
	}
	return nil
}

// renew names another pair under owner's lease, which ends. It leads from
// active, degraded and revoked to the same: a revoked grant names the pair so
// that it can be revoked, and is not revived.
func (g *Grant) renew(owner string, seen Grant, version int64, parked []byte) error {
	if !g.underLease(owner, seen) {
		return errOutdated
	}
	g.TokenVersion, g.Parked, g.Lease = version, parked, Lease{}
	return nil
}

// underLease reports whether owner still has the lease to the tokens as seen.
func (g *Grant) underLease(owner string, seen Grant) bool {
	return g.State != "" && g.State != Erased && g.Generation == seen.Generation && g.Lease.Owner == owner && g.names(seen)
}

// degrade notes that the athlete has to connect again. It leads from active to
// degraded; within degraded, a refused token is the graver reason and replaces
// a missing scope. It does nothing to what is degraded already, and refuses
// what is over.
func (g *Grant) degrade(reason string) error {
	switch {
	case g.State == Active, g.State == Degraded && reason == credentialsv1.DegradedTokenRefused && g.Reason != reason:
		g.State, g.Reason, g.Unannounced = Degraded, reason, true
	case g.State != Degraded:
		return ErrRevoked
	}
	return nil
}

// claim notes somebody's word that the athlete withdrew access. It leads from
// active and degraded to the same, and refuses what is over.
func (g *Grant) claim(c Claim) error {
	if g.State != Active && g.State != Degraded {
		return ErrRevoked
	}
	g.Claim = c
	return nil
}

// dismiss forgets a claim that was looked into and found wrong, unless there is
// a later one. It leads from active and degraded to the same.
func (g *Grant) dismiss(c Claim) error {
	if (g.State != Active && g.State != Degraded) || !g.Claim.ClaimedAt.Equal(c.ClaimedAt) {
		return errOutdated
	}
	g.Claim = Claim{}
	return nil
}

// depart ends the authorization of d's generation and any earlier one. It
// leads from active and degraded to revoked, and from nothing to erased; where
// the authorization is over already, or replaced by a later one, the state
// stays and the departure is to be seen through all the same.
func (g *Grant) depart(d Departed, now time.Time) {
	switch {
	case g.State == "":
		g.expect(now)
		g.Generation = d.Generation
	case g.Generation > d.Generation:
	case g.State == Active || g.State == Degraded:
		// A late refresh may still save a pair; it finds the state and leaves it.
		g.State, g.Reason, g.Unannounced, g.Claim = Revoked, "", false, Claim{}
		g.Generation, g.RevokedAt, g.Owed = d.Generation, now, Owed{}
	}
	if !slices.ContainsFunc(g.Departures, func(o Departed) bool { return o.Receipt == d.Receipt }) {
		g.Departures = append(g.Departures, d)
	}
}

// erase notes that the tokens are dropped and that every departure is seen
// through. It leads from revoked to erased.
func (g *Grant) erase() error {
	if g.State != Revoked || len(g.Departures) > 0 {
		return errOutdated
	}
	g.State, g.TokenVersion, g.Parked, g.Scopes = Erased, 0, nil, nil
	return nil
}

// The wait between two attempts at a duty grows from the first to the last.
const (
	firstRetry = 5 * time.Minute
	lastRetry  = 6 * time.Hour
)

// postpone notes that a duty could not be done now.
func (g *Grant) postpone(now time.Time) {
	g.Owed.Attempts++
	g.Owed.Next = now.Add(min(firstRetry<<min(g.Owed.Attempts-1, 16), lastRetry))
}

// keepAccount begins the account of what is owed and closes it.
func (g *Grant) keepAccount(now time.Time) {
	switch {
	case !g.Owes():
		g.Owed = Owed{}
	case g.Owed.Since.IsZero():
		// Whoever made the debt is at it, for as long as a lease lasts at most.
		g.Owed = Owed{Since: now, Next: now.Add(leaseTime)}
	}
}

// Lease keeps those who change the tokens of one account apart: refreshes, a
// connect, a departure.
type Lease struct {
	Owner string
	Until time.Time
}

// held reports whether somebody else than owner holds the lease at now.
func (l Lease) held(owner string, now time.Time) bool {
	return l.Owner != "" && l.Owner != owner && now.Before(l.Until)
}

// TokenPair is an account's access and refresh token.
type TokenPair struct {
	Access    secret.String
	Refresh   secret.String
	ExpiresAt time.Time
}

// fresh reports whether the access token needs no renewal.
func (p TokenPair) fresh(now time.Time, margin time.Duration) bool {
	return p.ExpiresAt.Sub(now) > margin
}

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
	// Confirmed is when each of the others has.
	Confirmed map[string]time.Time
	// CompletedAt is zero until every boundary has confirmed.
	CompletedAt time.Time
	// Issued says that the receipt was announced.
	Issued bool
}

// parts are those that were confirmed, in that order.
func (e Erasure) parts() (out []credentialsv1.ErasedPart) {
	for boundary, at := range e.Confirmed {
		out = append(out, credentialsv1.ErasedPart{Boundary: boundary, At: at.UTC()})
	}
	slices.SortFunc(out, func(a, b credentialsv1.ErasedPart) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Boundary, b.Boundary))
	})
	return out
}

// Boundaries that take part in an erasure.
const (
	PartCredentials = "credentials"
	PartGathering   = "gathering"
	PartAthlete     = "athlete"
	PartActivity    = "activity"
)

// TombstoneLife is how long an ended grant is remembered: longer than a queue
// keeps an event (4 days). An event that is moved back from the dead letters may
// come later still: it grants nothing. Sessions need no tombstone to end: they
// are refused without a grant. The tombstone of an ended session or key lives as
// long, for its holder to learn why it ended.
const TombstoneLife = 8 * 24 * time.Hour
