package credentials

import (
	"errors"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/retention"
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
	// at Strava and deleted. No call is made for it any more, and nothing but
	// a new authorization by the athlete revives it.
	Revoked State = "revoked"
	// Erased: the authorization is over and its tokens are gone. What is left
	// is a tombstone.
	Erased State = "erased"
)

// Grant is what the owner of an account allowed, without the tokens.
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
	// Reason why the grant is degraded, as AuthorizationDegraded says it;
	// empty in other states.
	Reason string
	// DegradedAt is when the grant was degraded; zero in other states.
	DegradedAt time.Time
	// Tokens refers to the valid pair; zero once the tokens are deleted.
	Tokens TokenRef
	// Spares are pairs in hand beside the valid one, in the order in which they
	// were added: those of connects that are not completed, and those that may be
	// the valid one if Strava refuses Tokens, because two of its answers crossed.
	Spares []Spare
	// Obsolete are the generations whose parameters are to be deleted.
	Obsolete []int64
	// Lease is held by the process that changes the tokens.
	Lease Lease
	// Doubt is set when an answer to a refresh may have been lost. Strava's
	// refusal of the refresh token then does not prove that the athlete withdrew
	// access.
	InDoubt bool
	// RevokedAt is when the authorization ended; zero while it is in force.
	RevokedAt time.Time
	// EndRequestedAt is when the athlete, or an operator, last asked for an end; zero if
	// neither did. What the athlete allowed before does not come into force any
	// more.
	EndRequestedAt time.Time

	// Unpublished is set while the event about the present state may not have
	// been published. A revocation is announced by its PendingRevocation.
	Unpublished bool
	// Claim is the claim that the athlete withdrew access, until Strava has
	// been asked about it.
	Claim Claim
	// ClaimCheckedAt is when Strava was last asked about a claim.
	ClaimCheckedAt time.Time
	// Revocations are the ends of authorizations that are not completed: of this
	// one, and of earlier ones of the athlete.
	Revocations []PendingRevocation
	// Completed has the receipts of completed revocations, for at least
	// [retention.Tombstone].
	Completed []CompletedRevocation
	// Links are the accounts that the athlete has linked, one of a provider at
	// most. Only an athlete's own grant has any.
	Links []Link
	// Owner is the athlete who linked the account; zero for an athlete's own.
	Owner Authorization
	// Pending says since when and until when the grant's tasks wait; see
	// [Grant.HasPendingTasks].
	Retry RetryState
}

// Claim is an unproven report that an athlete withdrew access at Strava. There
// is none when ClaimedAt is zero.
type Claim struct {
	ClaimedAt time.Time
	// Cause is the event that brought it.
	Cause event.Meta
	// CheckAt is when Strava may be asked about it.
	CheckAt time.Time
}

// PendingRevocation is the end of one authorization until it is completed: it
// has been announced, its tokens are gone, and that is confirmed for the
// receipt.
type PendingRevocation struct {
	// Receipt names the erasure.
	Receipt string
	// Generation is the last one that ended.
	Generation  int64
	RequestedAt time.Time
	// Reason as AuthorizationRevoked says it.
	Reason string
	// Cause is the event that brought it.
	Cause event.Meta
	// Published is set once AuthorizationRevoked, or AccountUnlinked for a linked
	// account, is published.
	Published bool
	// Links are the linked accounts that end with the athlete's authorization.
	Links []Account
	// Owner is the athlete whose link to the account ends; zero if an athlete's own
	// authorization ends.
	Owner Authorization
	// WithAthlete is set if the receipt is that of the owner's own erasure, which the
	// owner's grant publishes.
	WithAthlete bool
}

// CompletedRevocation is the end of an authorization that is completed here. Other
// boundaries may not have heard of it yet.
type CompletedRevocation struct {
	// Receipt names the erasure.
	Receipt                  string
	RequestedAt, CompletedAt time.Time
}

// Pending is the retry state of a grant's tasks.
type RetryState struct {
	// Since is when the oldest of the tasks was added; zero when there is none.
	Since time.Time
	// Next is when the tasks are to be tried (again).
	Next time.Time
	// Attempts that failed.
	Attempts int
}

// HasPendingTasks reports whether the grant has a task that no other process would
// remember: an event to publish, a claim to verify, a revocation to complete, a
// connect to complete, or tokens to revoke or delete.
func (g Grant) HasPendingTasks() bool {
	return g.hasTasksBesideClaim() || !g.Claim.ClaimedAt.IsZero()
}

// hasTasksBesideClaim is [Grant.HasPendingTasks] without the claim.
func (g Grant) hasTasksBesideClaim() bool {
	return g.Unpublished || g.State == Revoked || len(g.Revocations) > 0 || len(g.Obsolete) > 0 ||
		g.pendingConnect() != nil || (!g.inForce() && len(g.Spares) > 0)
}

// notBefore is the time before which the grant's tasks are not to be tried:
// that of the claim if there is no other task, otherwise zero.
func (g Grant) notBefore() time.Time {
	if g.hasTasksBesideClaim() {
		return time.Time{}
	}
	return g.Claim.CheckAt
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
// nil. A missing scope is no such reason.
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
// athlete capacity. At Strava every authorized athlete does, active or not, so
// a degraded grant counts, and so does a revoked one until its tokens have been
// revoked at Strava and deleted.
func (g Grant) Authorized() bool { return g.Tokens.exists() }

// SignedInAt is when the athlete last signed in, which at Strava is to authorize
// again. A session that is used lasts for 30 days, so an athlete who uses the site
// signs in every 30 days, and the time of their last visit is known to that. No
// call of theirs has to be noted for it.
func (g Grant) SignedInAt() time.Time { return time.UnixMilli(g.Generation).UTC() }

// connecting returns the oldest spare whose connect is not completed, or nil.
func (g Grant) pendingConnect() *Spare {
	if i := slices.IndexFunc(g.Spares, func(s Spare) bool { return s.Connecting }); i >= 0 {
		return &g.Spares[i]
	}
	return nil
}

// stored returns the generations in whose parameters the vault may hold tokens.
func (g Grant) parameterGenerations() []int64 {
	all := append([]int64{g.Generation, g.Tokens.Generation}, g.Obsolete...)
	for _, s := range g.Spares {
		all = append(all, s.Generation)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(n int64) bool { return n == 0 })
}

// tokenRefs returns the references to the valid pair and to the spares of connects
// that are completed. The pair of a pending connect is revoked with the connect.
func (g Grant) tokenRefs() (refs []TokenRef) {
	if g.Tokens.exists() {
		refs = append(refs, g.Tokens)
	}
	for _, s := range g.Spares {
		if !s.Connecting && s.exists() {
			refs = append(refs, s.TokenRef)
		}
	}
	return refs
}

// Errors that refuse a transition. The grant is unchanged then.
var (
	errBusy         = errors.New("another process is changing the tokens")
	errGrantChanged = errors.New("the grant has changed")
)

// acquire takes the lease for owner unless another owner holds it. It leads
// from any state to the same.
func (g *Grant) acquire(owner string, now time.Time) error {
	if g.Lease.held(owner, now) {
		return errBusy
	}
	if g.Lease.Owner != "" && g.Lease.Owner != owner {
		g.InDoubt = true // Its holder died, perhaps with Strava's answer in hand.
	}
	g.Lease = Lease{Owner: owner, Until: now.Add(leaseTime)}
	return nil
}

// release gives owner's lease back, and reports whether owner had it. It leads
// from any state to the same.
func (g *Grant) release(owner string) bool {
	if g.Lease.Owner != owner {
		return false
	}
	g.Lease = Lease{}
	return true
}

// createTombstone makes a grant for an account that has none. It leads from
// nothing to erased, and from any state to the same.
func (g *Grant) createTombstone(now time.Time) {
	if g.State == "" {
		g.State, g.RevokedAt = Erased, now
	}
}

// maxSpares bounds how many spares a grant holds. They are dropped at the next
// refresh, so only connects that cross add more than two or three.
const maxSpares = 16

// addSpare puts a pair beside the valid one. It leads from any state to the
// same.
func (g *Grant) addSpare(s Spare, now time.Time) {
	g.createTombstone(now)
	if len(g.Spares) == maxSpares {
		g.removeSpares(g.Spares[0])
	}
	g.Spares = append(g.Spares, s)
}

// restore puts a spare that came after Strava had refused every other pair into
// force, as a new authorization of the same series. Its generation is the next
// one, not the time: the athlete allowed nothing new, so an earlier request to
// leave ends it. It leads from degraded to active, and from any other state to
// the same.
func (g *Grant) restore(s Spare, now time.Time) {
	if g.State != Degraded || g.Reason != credentialsv1.DegradedTokenRefused {
		return
	}
	g.Spares = slices.DeleteFunc(g.Spares, func(other Spare) bool { return other.equal(s.TokenRef) })
	g.Generation++
	g.State, g.Reason, g.DegradedAt, g.Unpublished, g.InDoubt = Active, "", time.Time{}, true, false
	if !g.Claim.ClaimedAt.IsZero() {
		g.Claim.CheckAt, g.Retry = now, RetryState{} // Strava can be asked about it again.
	}
	g.replaceTokens(s.TokenRef)
}

// removeSpares forgets spares and has their parameters deleted.
func (g *Grant) removeSpares(dropped ...Spare) {
	g.Spares = slices.DeleteFunc(g.Spares, func(s Spare) bool {
		return slices.ContainsFunc(dropped, func(d Spare) bool { return d.TokenRef.equal(s.TokenRef) })
	})
	for _, d := range dropped {
		g.retire(d.Generation)
	}
}

// retire has the generation's parameter deleted unless the grant still refers to
// it or is about to write to it.
func (g *Grant) retire(generation int64) {
	inUse := generation == 0 || generation == g.Tokens.Generation || (g.inForce() && generation == g.Generation) ||
		slices.ContainsFunc(g.Spares, func(s Spare) bool { return s.Generation == generation })
	if !inUse && !slices.Contains(g.Obsolete, generation) {
		g.Obsolete = append(g.Obsolete, generation)
	}
}

// forgetObsolete notes that the parameters of generations are deleted.
func (g *Grant) forgetObsolete(deleted []int64) {
	g.Obsolete = slices.DeleteFunc(g.Obsolete, func(n int64) bool { return slices.Contains(deleted, n) })
}

// authorize completes the connect that received the spare: it puts the
// authorization into force in place of an earlier one. If the one in force is
// the later one, or the athlete has left since, the pair stays a spare. It is the
// only way out of degraded,
// revoked and erased, and leads from any state but nothing to active. Pending
// revocations stay; claims and degradations from before it were about an earlier
// authorization.
//
// If the account was linked to another athlete, that link ends. receipt is for
// its erasure.
func (g *Grant) authorize(spare Spare, receipt string, now time.Time) bool {
	i := slices.IndexFunc(g.Spares, func(s Spare) bool { return s.equal(spare.TokenRef) && s.Connecting })
	if i < 0 {
		return false
	}
	if g.State == Active && g.Generation >= spare.ReceivedAt || spare.ReceivedAt <= g.EndRequestedAt.UnixMilli() {
		g.Spares[i].Connecting = false
		g.endMovedLink(spare.Owner, g.Owner, spare.ReceivedAt, receipt, now)
		return true
	}
	generation := max(spare.ReceivedAt, g.Generation+1)
	authorized := Grant{
		Account:        g.Account,
		Generation:     generation,
		Since:          generation,
		Scopes:         spare.Scopes,
		State:          Active,
		Tokens:         spare.TokenRef,
		Spares:         slices.Delete(slices.Clone(g.Spares), i, i+1),
		Obsolete:       g.Obsolete,
		Unpublished:    true,
		EndRequestedAt: g.EndRequestedAt,
		ClaimCheckedAt: g.ClaimCheckedAt,
		Revocations:    g.Revocations,
		Completed:      g.Completed,
		Links:          g.Links,
		Owner:          spare.Owner,
	}
	// An end that was asked for from then on may have reached Strava after the pair
	// was issued.
	since := time.UnixMilli(spare.ReceivedAt).Add(-clockSkew)
	switch {
	case g.inForce():
		if g.Owner.AthleteID == spare.Owner.AthleteID {
			authorized.Since = g.Since
		}
		authorized.InDoubt = g.Lease.Owner != "" // A refresh in flight may replace these tokens, too.
		if !g.Claim.ClaimedAt.Before(since) {
			authorized.Claim = g.Claim
			authorized.Claim.CheckAt = now
		}
	case g.Generation != 0 && (g.State == Revoked || !g.RevokedAt.Before(since)):
		// The end of the earlier authorization may have ended this one, too.
		authorized.Claim = Claim{ClaimedAt: now, CheckAt: now}
	}
	if g.Tokens.exists() {
		authorized.Spares = append(authorized.Spares, Spare{TokenRef: g.Tokens, ReceivedAt: g.Generation})
	}
	if g.inForce() {
		authorized.endMovedLink(g.Owner, spare.Owner, g.Generation, receipt, now)
	}
	*g = authorized
	return true
}

// endConnect ends the connect of a spare that does not come into force. The pair
// stays a spare. It reports false if the connect has ended already. It leads from
// any state to the same.
func (g *Grant) endConnect(spare Spare) bool {
	i := slices.IndexFunc(g.Spares, func(s Spare) bool { return s.equal(spare.TokenRef) && s.Connecting })
	if i < 0 {
		return false
	}
	g.Spares[i].Connecting = false
	return true
}

// clockSkew is how far apart the clocks of two processes may be.
const clockSkew = time.Minute

// renew makes another pair the valid one under owner's lease, which ends. It
// leads from active, degraded and revoked to the same: a revoked grant refers to
// the pair so that it can be revoked, and is not revived. Strava has just
// accepted the pair before, so no spare that was there then can be the valid
// one.
func (g *Grant) renew(owner string, seen Grant, tokens TokenRef) error {
	if !g.underLease(owner, seen) {
		return errGrantChanged
	}
	g.replaceTokens(tokens)
	if g.inForce() {
		g.removeSpares(slices.DeleteFunc(slices.Clone(seen.Spares), func(s Spare) bool { return s.Connecting })...)
	}
	g.Lease, g.InDoubt = Lease{}, false
	return nil
}

// adopt makes another pair the valid one under owner's lease, which ends: one
// that was left behind, in place of one that Strava refused, or the same one at
// another place. If a connect of the same owner received it, that connect is
// thereby completed, within the present authorization. It leads from active, degraded and revoked
// to the same.
func (g *Grant) adopt(owner string, seen Grant, tokens TokenRef) error {
	if !g.underLease(owner, seen) {
		return errGrantChanged
	}
	i := slices.IndexFunc(g.Spares, func(s Spare) bool { return s.equal(tokens) })
	if i >= 0 && (!g.Spares[i].Connecting || g.Spares[i].Owner.AthleteID == g.Owner.AthleteID) {
		if g.Spares[i].Connecting {
			g.Scopes = g.Spares[i].Scopes
		}
		g.Spares = slices.Delete(g.Spares, i, i+1)
	}
	g.replaceTokens(tokens)
	g.Lease = Lease{}
	return nil
}

func (g *Grant) replaceTokens(tokens TokenRef) {
	before := g.Tokens
	g.Tokens = tokens
	g.retire(before.Generation)
}

// underLease reports whether owner still has the lease to the tokens as seen.
func (g *Grant) underLease(owner string, seen Grant) bool {
	return g.State != "" && g.State != Erased && g.Generation == seen.Generation && g.Lease.Owner == owner && g.Tokens.equal(seen.Tokens)
}

// degrade notes that the athlete has to connect again. It leads from active to
// degraded; within degraded, a refused token is the graver reason and replaces
// a missing scope. It changes nothing that is degraded already, and refuses
// what is over.
func (g *Grant) degrade(reason string, now time.Time) (changed bool, _ error) {
	switch {
	case g.State == Active, g.State == Degraded && reason == credentialsv1.DegradedTokenRefused && g.Reason != reason:
		g.State, g.Reason, g.DegradedAt, g.Unpublished = Degraded, reason, now, true
		return true, nil
	case g.State != Degraded:
		return false, ErrRevoked
	}
	return false, nil
}

// claimPace is the time from one check of an athlete's claims to the next: a
// forged report costs Strava and us a call.
const claimPace = 10 * time.Minute

// claim notes a report that the athlete withdrew access. It leads from active
// and degraded to the same, and refuses what is over.
func (g *Grant) addClaim(cause event.Meta, now time.Time) error {
	if !g.inForce() {
		return ErrRevoked
	}
	checkAt := now
	if next := g.ClaimCheckedAt.Add(claimPace); next.After(now) {
		checkAt = next
	}
	if !g.Claim.ClaimedAt.Before(now) {
		now = g.Claim.ClaimedAt.Add(time.Millisecond) // A claim is known by its time.
	}
	g.Claim = Claim{ClaimedAt: now, Cause: cause, CheckAt: checkAt}
	return nil
}

// check begins a check of the claim. It reports false if there is none to check
// now. It leads from active and degraded to the same.
func (g *Grant) beginCheck(now time.Time) bool {
	if !g.inForce() || g.Claim.ClaimedAt.IsZero() || now.Before(g.Claim.CheckAt) {
		return false
	}
	g.ClaimCheckedAt, g.Claim.CheckAt = now, now.Add(claimPace)
	return true
}

// deferClaim has a claim about which Strava cannot be asked wait until the data
// that was gathered under the grant has aged out.
func (g *Grant) deferClaim(c Claim) bool {
	if g.State != Degraded || !g.Claim.ClaimedAt.Equal(c.ClaimedAt) {
		return false
	}
	g.Claim.CheckAt = g.DegradedAt.Add(retention.StravaData)
	return true
}

// dismiss forgets a claim that proved wrong, unless there is a later one. It
// leads from active and degraded to the same.
func (g *Grant) dismissClaim(c Claim) bool {
	if !g.inForce() || !g.Claim.ClaimedAt.Equal(c.ClaimedAt) {
		return false
	}
	g.Claim = Claim{}
	return true
}

// revoke ends the authorization of r's generation and any earlier one. A later
// one of the same series ends, too, unless it was given after the end was
// requested. It leads from active and degraded to revoked, and from nothing to
// erased; where the authorization is over already, or replaced by a later one,
// the state stays and the revocation is completed all the same.
func (g *Grant) revoke(r PendingRevocation, now time.Time) {
	if g.inForce() && r.Generation >= g.Since && r.RequestedAt.UnixMilli() >= g.Generation {
		r.Generation = max(r.Generation, g.Generation)
	}
	switch {
	case g.State == "":
		g.createTombstone(now)
		g.Generation = r.Generation
	case g.Generation > r.Generation:
	case g.inForce():
		// A refresh in flight may still save a pair; it does not change the state.
		g.State, g.Reason, g.DegradedAt, g.Unpublished, g.Claim = Revoked, "", time.Time{}, false, Claim{}
		g.Generation, g.RevokedAt, g.Retry = r.Generation, now, RetryState{}
		for _, l := range g.Links {
			r.Links = append(r.Links, l.Account)
		}
		g.Links = nil
	default:
		for _, other := range g.Revocations { // This receipt stands for the same links.
			if other.Generation <= r.Generation {
				r.Links = append(r.Links, other.Links...)
			}
		}
	}
	// Strava's refusal says nothing about a connect that it answered since.
	if r.Reason != credentialsv1.RevokedDeauthorized && r.RequestedAt.After(g.EndRequestedAt) {
		g.EndRequestedAt = r.RequestedAt
	}
	if !g.isRevoking(r.Receipt) {
		g.Revocations = append(g.Revocations, r)
	}
}

// isRevoking reports whether the receipt is that of a pending revocation.
func (g Grant) isRevoking(receipt string) bool {
	return slices.ContainsFunc(g.Revocations, func(r PendingRevocation) bool { return r.Receipt == receipt })
}

// completeRevocations notes that those of seen's revocations are completed, and
// forgets receipts of which other boundaries have heard by now. It leads from any
// state to the same.
func (g *Grant) completeRevocations(seen Grant, now time.Time) {
	var left []PendingRevocation
	completed := slices.DeleteFunc(slices.Clone(g.Completed), func(c CompletedRevocation) bool {
		return now.Sub(c.CompletedAt) >= retention.Tombstone
	})
	for _, r := range g.Revocations {
		switch {
		case !seen.isRevoking(r.Receipt):
			left = append(left, r)
		case !r.WithAthlete: // The athlete's grant keeps that receipt.
			completed = append(completed, CompletedRevocation{r.Receipt, r.RequestedAt, now})
		}
	}
	g.Revocations, g.Completed = left, completed
}

// deleteTokens notes that the tokens as seen are revoked at Strava and deleted.
// Pairs that came since stay. It leads from revoked and erased to the same.
func (g *Grant) deleteTokens(owner string, seen Grant) error {
	if g.inForce() || g.Generation != seen.Generation || g.Lease.Owner != owner {
		return errGrantChanged
	}
	g.Spares = slices.DeleteFunc(g.Spares, func(s Spare) bool {
		return slices.ContainsFunc(seen.Spares, func(d Spare) bool { return d.TokenRef.equal(s.TokenRef) && !d.Connecting })
	})
	g.forgetObsolete(seen.parameterGenerations())
	g.Tokens, g.Lease, g.InDoubt = TokenRef{}, Lease{}, false
	return nil
}

// erase notes that the tokens are gone and that every revocation is completed.
// It leads from revoked to erased.
func (g *Grant) erase() bool {
	if g.State != Revoked || len(g.Revocations) > 0 || g.Tokens.exists() {
		return false
	}
	g.State, g.Since, g.Scopes, g.ClaimCheckedAt, g.Owner = Erased, 0, nil, time.Time{}, Authorization{}
	return true
}

// The wait between two attempts at a task grows from the first to the last.
const (
	firstRetry = 5 * time.Minute
	lastRetry  = 6 * time.Hour
)

// postpone notes that a task failed.
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
