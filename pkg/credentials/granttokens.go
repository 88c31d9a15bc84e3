package credentials

import (
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
)

// pendingConnect returns the oldest candidate whose connect is not completed,
// or nil.
func (g Grant) pendingConnect() *Candidate {
	if i := slices.IndexFunc(g.Candidates, func(s Candidate) bool { return s.Connecting }); i >= 0 {
		return &g.Candidates[i]
	}
	return nil
}

// parameterGenerations returns the generations in whose parameters the vault
// may hold tokens.
func (g Grant) parameterGenerations() []int64 {
	all := append([]int64{g.Generation, g.Tokens.Generation}, g.Obsolete...)
	for _, s := range g.Candidates {
		all = append(all, s.Generation)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(n int64) bool { return n == 0 })
}

// tokenRefs returns the references to the valid pair and to the candidates of
// connects that are completed. The pair of a pending connect is revoked with
// the connect.
func (g Grant) tokenRefs() (refs []TokenRef) {
	if g.Tokens.exists() {
		refs = append(refs, g.Tokens)
	}
	for _, s := range g.Candidates {
		if !s.Connecting && s.exists() {
			refs = append(refs, s.TokenRef)
		}
	}
	return refs
}

// acquire takes the lease for owner unless another owner holds it. It keeps the
// state.
func (g *Grant) acquire(owner string, now time.Time) error {
	if g.Lease.held(owner, now) {
		return errBusy
	}
	if g.Lease.Owner != "" && g.Lease.Owner != owner {
		g.InDoubt = true // Its holder died, perhaps before it saved Strava's response.
	}
	g.Lease = Lease{Owner: owner, Until: now.Add(leaseTime)}
	return nil
}

// release gives owner's lease back, and reports whether owner had it. It keeps
// the state.
func (g *Grant) release(owner string) bool {
	if g.Lease.Owner != owner {
		return false
	}
	g.Lease = Lease{}
	return true
}

// maxCandidates bounds how many candidates a grant holds. They are dropped at
// the next refresh, so only connects that cross add more than two or three.
const maxCandidates = 16

// addCandidate adds a candidate. It leads from no state to erased, and keeps
// any other state.
func (g *Grant) addCandidate(s Candidate, now time.Time) {
	g.createTombstone(now)
	if len(g.Candidates) == maxCandidates {
		g.removeCandidates(g.Candidates[0])
	}
	g.Candidates = append(g.Candidates, s)
}

// restore puts into force a candidate that was received after Strava had
// refused every other pair, as a new authorization of the same series. Its
// generation is the next one instead of the time: the athlete has not consented
// again, so an earlier request to leave ends it. It leads from degraded to
// active, and keeps any other state.
func (g *Grant) restore(s Candidate, now time.Time) {
	if g.State != Degraded || g.Reason != credentialsv1.DegradedTokenRefused {
		return
	}
	g.Candidates = slices.DeleteFunc(g.Candidates, func(other Candidate) bool { return other.equal(s.TokenRef) })
	g.renumber()
	g.InDoubt = false
	if !g.Claim.ClaimedAt.IsZero() {
		g.Claim.CheckAt, g.Retry = now, RetryState{} // Strava can be asked about it again.
	}
	g.replaceTokens(s.TokenRef)
}

// renumber makes the authorization a new one of the same series, which is to be
// published. It leads to active.
func (g *Grant) renumber() {
	before := g.Generation
	g.Generation++
	g.State, g.Reason, g.DegradedAt, g.Unpublished = Active, "", time.Time{}, true
	g.retire(before) // As in authorize.
}

// removeCandidates removes candidates and has their parameters deleted.
func (g *Grant) removeCandidates(dropped ...Candidate) {
	g.Candidates = slices.DeleteFunc(g.Candidates, func(s Candidate) bool {
		return slices.ContainsFunc(dropped, func(d Candidate) bool { return d.TokenRef.equal(s.TokenRef) })
	})
	for _, d := range dropped {
		g.retire(d.Generation)
	}
}

// retire has the generation's parameter deleted unless the grant still refers
// to it or is about to write to it.
func (g *Grant) retire(generation int64) {
	inUse := generation == 0 || generation == g.Tokens.Generation || (g.inForce() && generation == g.Generation) ||
		slices.ContainsFunc(g.Candidates, func(s Candidate) bool { return s.Generation == generation })
	if !inUse && !slices.Contains(g.Obsolete, generation) {
		g.Obsolete = append(g.Obsolete, generation)
	}
}

// forgetObsolete records that the parameters of generations are deleted.
func (g *Grant) forgetObsolete(deleted []int64) {
	g.Obsolete = slices.DeleteFunc(g.Obsolete, func(n int64) bool { return slices.Contains(deleted, n) })
}

// authorize completes the connect that received the candidate: it puts the
// authorization into force in place of an earlier one. If the one in force is
// the later one, or the athlete has asked to leave since, the pair stays a
// candidate. It reports false if the connect is completed already. It leads
// from every state to active, and is the only way out of revoked and erased.
// Pending revocations stay; claims and degradations from before were about an
// earlier authorization.
//
// If the account was linked to another athlete, that link ends. receipt is for
// its erasure.
func (g *Grant) authorize(candidate Candidate, receipt string, now time.Time) bool {
	i := slices.IndexFunc(g.Candidates, func(s Candidate) bool { return s.equal(candidate.TokenRef) && s.Connecting })
	if i < 0 {
		return false
	}
	if g.State == Active && g.Generation >= candidate.ReceivedAt || candidate.ReceivedAt <= g.EndRequestedAt.UnixMilli() {
		g.Candidates[i].Connecting = false
		g.endMovedLink(candidate.Owner, g.Owner, candidate.ReceivedAt, receipt, now)
		return true
	}
	generation := max(candidate.ReceivedAt, g.Generation+1)
	authorized := Grant{
		Account:        g.Account,
		Generation:     generation,
		Since:          generation,
		Scopes:         candidate.Scopes,
		State:          Active,
		Tokens:         candidate.TokenRef,
		Candidates:     slices.Delete(slices.Clone(g.Candidates), i, i+1),
		Obsolete:       g.Obsolete,
		Unpublished:    true,
		EndRequestedAt: g.EndRequestedAt,
		ClaimCheckedAt: g.ClaimCheckedAt,
		Revocations:    g.Revocations,
		Completed:      g.Completed,
		Links:          g.Links,
		Owner:          candidate.Owner,
	}
	// An end that was requested after this time may have reached Strava after
	// the pair was issued.
	since := time.UnixMilli(candidate.ReceivedAt).Add(-clockSkew)
	switch {
	case g.inForce():
		if g.Owner.AthleteID == candidate.Owner.AthleteID {
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
		authorized.Candidates = append(authorized.Candidates, Candidate{TokenRef: g.Tokens, ReceivedAt: g.Generation, Scopes: g.Scopes})
		authorized.retire(g.Generation) // A process that was cut off may have moved a sealed pair there.
	}
	if g.inForce() {
		authorized.endMovedLink(g.Owner, candidate.Owner, g.Generation, receipt, now)
	}
	*g = authorized
	return true
}

// endConnect ends the connect of a candidate that does not come into force. The
// pair stays a candidate, without the scopes, which may not suffice. endConnect
// reports false if the connect has ended already. It keeps the state.
func (g *Grant) endConnect(candidate Candidate) bool {
	i := slices.IndexFunc(g.Candidates, func(s Candidate) bool { return s.equal(candidate.TokenRef) && s.Connecting })
	if i < 0 {
		return false
	}
	g.Candidates[i].Connecting, g.Candidates[i].Scopes = false, nil
	return true
}

// clockSkew is how far apart the clocks of two processes may be.
const clockSkew = time.Minute

// renew makes another pair the valid one under owner's lease, which ends. It
// keeps the state, active, degraded or revoked: a revoked grant refers to the
// pair so that the pair can be revoked. Strava has just accepted the pair that
// seen refers to, so none of seen's candidates can be the valid one.
func (g *Grant) renew(owner string, seen Grant, tokens TokenRef) error {
	if !g.underLease(owner, seen) {
		return errGrantChanged
	}
	g.replaceTokens(tokens)
	if g.inForce() {
		g.removeCandidates(slices.DeleteFunc(slices.Clone(seen.Candidates), func(s Candidate) bool { return s.Connecting })...)
	}
	g.Lease, g.InDoubt = Lease{}, false
	return nil
}

// adopt makes another pair the valid one under owner's lease, which ends: a
// pair that was left behind, in place of one that Strava refused, or the same
// pair in another store. If a connect of the same owner received it, that
// connect is thereby completed, within the present series of authorizations.
//
// If the athlete accepted other scopes with that pair, these are the ones in
// force at Strava: a new authorization of the same series has them. adopt then
// leads from active and degraded to active, else it keeps the state, active,
// degraded or revoked.
func (g *Grant) adopt(owner string, seen Grant, tokens TokenRef) error {
	if !g.underLease(owner, seen) {
		return errGrantChanged
	}
	i := slices.IndexFunc(g.Candidates, func(s Candidate) bool {
		return s.equal(tokens) || s.Sealed == nil && s.Generation == tokens.Generation // An earlier version.
	})
	if i >= 0 && (!g.Candidates[i].Connecting || g.Candidates[i].Owner.AthleteID == g.Owner.AthleteID) {
		if scopes := g.Candidates[i].Scopes; g.inForce() && scopes != nil && !sameScopes(scopes, g.Scopes) {
			g.Scopes = scopes
			g.renumber()
		}
		g.Candidates = slices.Delete(g.Candidates, i, i+1)
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

// underLease reports whether owner still has the lease, and the tokens are as
// seen.
func (g *Grant) underLease(owner string, seen Grant) bool {
	return g.State != "" && g.State != Erased && g.Generation == seen.Generation && g.Lease.Owner == owner && g.Tokens.equal(seen.Tokens)
}

// sameScopes reports whether two lists have the same scopes.
func sameScopes(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
