package credentials

import (
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// createTombstone turns a grant without a state into a tombstone. It leads from
// no state to erased, and keeps any other state.
func (g *Grant) createTombstone(now time.Time) {
	if g.State == "" {
		g.State, g.RevokedAt = Erased, now
	}
}

// degrade records that the athlete has to connect again. It leads from active
// to degraded. Within degraded, a refused token replaces a missing scope as the
// reason. It returns ErrRevoked if the authorization is over.
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

// claimPace is the least time between two checks of an athlete's claims: a
// forged report costs a call to Strava.
const claimPace = 10 * time.Minute

// addClaim records a report that the athlete withdrew access. It keeps the
// state, active or degraded, and returns ErrRevoked if the authorization is
// over.
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

// beginCheck begins a check of the claim. It reports false if no claim is due.
// It keeps the state, active or degraded.
func (g *Grant) beginCheck(now time.Time) bool {
	if !g.inForce() || g.Claim.ClaimedAt.IsZero() || now.Before(g.Claim.CheckAt) {
		return false
	}
	g.ClaimCheckedAt, g.Claim.CheckAt = now, now.Add(claimPace)
	return true
}

// deferClaim postpones a claim that Strava cannot be asked about. The claim is
// due again when the data that was gathered under the grant has aged out. It
// reports false if there is another claim, or the grant is not degraded.
func (g *Grant) deferClaim(c Claim) bool {
	if g.State != Degraded || !g.Claim.ClaimedAt.Equal(c.ClaimedAt) {
		return false
	}
	g.Claim.CheckAt = g.DegradedAt.Add(retention.StravaData)
	return true
}

// dismissClaim removes a claim that proved wrong, unless there is a later one.
// It keeps the state, active or degraded.
func (g *Grant) dismissClaim(c Claim) bool {
	if !g.inForce() || !g.Claim.ClaimedAt.Equal(c.ClaimedAt) {
		return false
	}
	g.Claim = Claim{}
	return true
}

// revoke ends the authorization of r's generation and any earlier one. A later
// one of the same series ends, too, unless the athlete gave it after the end
// was requested. It leads from active and degraded to revoked, and from no
// state to erased. If the authorization is over already, or was replaced by a
// later one, the state stays. The revocation becomes pending in any case.
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
	for _, c := range g.Completed { // This receipt also covers what a linked account has not completed.
		if c.Receipt == r.Receipt || c.Generation <= r.Generation {
			r.Links = append(r.Links, c.Links...)
		}
	}
	if !g.isRevoking(r.Receipt) {
		g.Revocations = append(g.Revocations, r)
	}
}

// linkedProviders returns the providers of the linked accounts that end with an
// athlete's authorization, each once, in alphabetical order.
func (r PendingRevocation) linkedProviders() []string {
	var providers []string
	for _, account := range r.Links {
		providers = append(providers, account.Provider)
	}
	slices.Sort(providers)
	return slices.Compact(providers)
}

// isRevoking reports whether the receipt is that of a pending revocation.
func (g Grant) isRevoking(receipt string) bool {
	return slices.ContainsFunc(g.Revocations, func(r PendingRevocation) bool { return r.Receipt == receipt })
}

// completeRevocations notes that those of seen's revocations are completed. It
// keeps the state.
func (g *Grant) completeRevocations(seen Grant, now time.Time) {
	var left []PendingRevocation
	for _, r := range g.Revocations {
		switch {
		case !seen.isRevoking(r.Receipt):
			left = append(left, r)
		case !r.WithAthlete: // The athlete's grant keeps that receipt.
			// A request that is repeated is completed again.
			g.Completed = slices.DeleteFunc(slices.Clone(g.Completed), func(c CompletedRevocation) bool { return c.Receipt == r.Receipt })
			g.Completed = append(g.Completed, CompletedRevocation{r.Receipt, r.RequestedAt, now, r.Generation, r.Links})
		}
	}
	g.Revocations = left
}

// forgetCompleted forgets the receipts of completed revocations that other
// boundaries know of by now. It keeps the state.
func (g *Grant) forgetCompleted(now time.Time) {
	g.Completed = slices.DeleteFunc(slices.Clone(g.Completed), func(c CompletedRevocation) bool {
		return now.Sub(c.CompletedAt) >= retention.Tombstone
	})
}

// TombstoneUntil returns until when an erased grant is kept as a tombstone,
// with its receipts; zero for a grant that is not erased or has pending tasks.
func (g Grant) TombstoneUntil() time.Time {
	if g.State != Erased || g.HasPendingTasks() {
		return time.Time{}
	}
	last := g.RevokedAt
	for _, c := range g.Completed {
		if c.CompletedAt.After(last) {
			last = c.CompletedAt
		}
	}
	return last.Add(retention.Tombstone)
}

// deleteTokens records that the tokens as seen are revoked at Strava and
// deleted. Later pairs stay. It keeps the state, revoked or erased.
func (g *Grant) deleteTokens(owner string, seen Grant, now time.Time) error {
	if g.inForce() || g.Generation != seen.Generation || g.Lease.Owner != owner {
		return errGrantChanged
	}
	g.Candidates = slices.DeleteFunc(g.Candidates, func(s Candidate) bool {
		return slices.ContainsFunc(seen.Candidates, func(d Candidate) bool { return d.TokenRef.equal(s.TokenRef) && !d.Connecting })
	})
	g.forgetObsolete(seen.parameterGenerations())
	g.Tokens, g.Lease, g.InDoubt, g.RevokedAt = TokenRef{}, Lease{}, false, now
	return nil
}

// erase records that the tokens are deleted and that every revocation is
// completed. It leads from revoked to erased, and reports false if that is not
// so.
func (g *Grant) erase() bool {
	if g.State != Revoked || len(g.Revocations) > 0 || g.Tokens.exists() {
		return false
	}
	g.State, g.Since, g.Scopes, g.ClaimCheckedAt, g.Owner = Erased, 0, nil, time.Time{}, Authorization{}
	return true
}
