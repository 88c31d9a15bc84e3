package credentials

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/paceline/paceline/pkg/credentials/metric"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Revocation completes the ends of authorizations: it verifies claims,
// publishes revocations, revokes tokens at Strava and deletes them.
type Revocation struct {
	TokenStore
	Tokens *Tokens
	OAuth  OAuth
	// API is asked about claims.
	API API
	// Sessions of athletes; accounts of other providers have none.
	Sessions *Sessions
	// NewSecret returns at least 128 unguessable bits as URL-safe text.
	NewSecret func() string
}

// complete completes the revocations of the athlete's authorizations: it has
// every boundary erase, revokes the tokens at Strava, deletes them, and
// confirms that. After a new authorization the old tokens have been replaced,
// but the data that was gathered under the old one is still to be erased.
func (r *Revocation) complete(ctx context.Context, grant Grant) error {
	if _, err := r.publishRevocations(ctx, grant); err != nil {
		return err
	}
	// Neither waits for the other: Strava may be down for days.
	ended := r.endSessions(ctx, grant)
	if grant.State == Revoked || grant.State == Erased && len(grant.Candidates) > 0 {
		if err := r.revokeAndDelete(ctx, grant); err != nil && !errors.Is(err, errGrantChanged) {
			return errors.Join(err, ended)
		}
	}
	if ended != nil {
		return ended
	}
	if err := r.confirm(ctx, grant); err != nil {
		return err
	}
	_, err := r.update(ctx, grant.Account, func(g *Grant) (bool, error) {
		g.completeRevocations(grant, r.Events.Now())
		if g.State == Revoked && g.Generation == grant.Generation && len(g.Revocations) == 0 && !g.erase() {
			return false, errGrantChanged
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("record the completed revocation: %w", err)
	}
	return nil
}

// confirm publishes that this boundary has done its part of the erasures, and
// removes the links that ended.
func (r *Revocation) confirm(ctx context.Context, grant Grant) error {
	for _, p := range grant.Revocations {
		completed := credentialsv1.ErasureCompleted{Receipt: p.Receipt}
		if p.Owner.exists() {
			if err := r.removeLink(ctx, p.Owner.AthleteID, grant.Account, p.Generation); err != nil {
				return err
			}
			completed.LinkedProvider = grant.Account.Provider
		}
		if err := r.Publisher.Publish(ctx, r.Events.CausedBy(p.Cause, completed)); err != nil {
			return fmt.Errorf("confirm the erasure: %w", err)
		}
	}
	return nil
}

// endSessions ends the sessions and keys of the authorizations that ended.
func (r *Revocation) endSessions(ctx context.Context, grant Grant) error {
	athleteID, ok := grant.Account.AthleteID()
	if !ok {
		return nil
	}
	for _, p := range grant.Revocations {
		if err := r.Sessions.EndAll(ctx, athleteID, p.Generation, p.Receipt); err != nil {
			return err
		}
	}
	return nil
}

// publishRevocations ends the links of athletes, and publishes
// AuthorizationRevoked, or AccountUnlinked for a linked account. It returns the
// grant as it is afterwards.
func (r *Revocation) publishRevocations(ctx context.Context, grant Grant) (Grant, error) {
	published := false
	for _, p := range grant.Revocations {
		if p.Published {
			continue
		}
		published = true
		if p.WithAthlete {
			continue
		}
		for _, account := range p.Links {
			if err := r.endLink(ctx, grant.Account, account, p); err != nil {
				return Grant{}, err
			}
		}
		if err := r.Publisher.Publish(ctx, r.Events.CausedBy(p.Cause, ended(grant.Account, p))); err != nil {
			return Grant{}, fmt.Errorf("publish the revocation: %w", err)
		}
	}
	if !published {
		return grant, nil
	}
	after, err := r.update(ctx, grant.Account, func(g *Grant) (bool, error) {
		for i := range g.Revocations {
			g.Revocations[i].Published = g.Revocations[i].Published || grant.isRevoking(g.Revocations[i].Receipt)
		}
		return true, nil
	})
	if err != nil {
		return Grant{}, fmt.Errorf("record the published revocation: %w", err)
	}
	return after, nil
}

// ended returns the event about the end of an account's authorization.
func ended(account Account, p PendingRevocation) event.Fact {
	if p.Owner.exists() {
		return credentialsv1.AccountUnlinked{
			AthleteID: p.Owner.AthleteID, Provider: account.Provider, AccountID: account.ID,
			Generation: p.Generation, Receipt: p.Receipt, Reason: p.Reason, RequestedAt: p.RequestedAt.UTC(),
		}
	}
	athleteID, _ := account.AthleteID()
	return credentialsv1.AuthorizationRevoked{
		AthleteID: athleteID, Generation: p.Generation, Receipt: p.Receipt, Reason: p.Reason,
		RequestedAt: p.RequestedAt.UTC(), LinkedProviders: p.linkedProviders(),
	}
}

// revokeAndDelete revokes the tokens at Strava and then deletes them, holding
// the lease. In the other order, a failure in between would leave an
// authorization that we cannot revoke, and that takes up a place permanently.
// errGrantChanged means that the grant has changed.
func (r *Revocation) revokeAndDelete(ctx context.Context, grant Grant) error {
	owner, grant, err := r.acquire(ctx, grant.Account, func(g Grant) error {
		if g.Generation != grant.Generation || g.State != grant.State || g.inForce() {
			return errGrantChanged
		}
		return nil
	})
	if errors.Is(err, errBusy) {
		return fault.New(fault.Transient, "a refresh is in flight, whose tokens have to be deleted, too: %w", err)
	}
	if err != nil {
		return err
	}
	if err := r.revokeAndDeleteAs(ctx, owner, grant); err != nil {
		r.release(ctx, grant.Account, owner, false)
		return err
	}
	return nil
}

func (r *Revocation) revokeAndDeleteAs(ctx context.Context, owner string, grant Grant) error {
	if err := r.revokeAll(ctx, grant); err != nil {
		return err
	}
	for _, generation := range grant.parameterGenerations() {
		if err := r.deleteParameter(ctx, grant.Account, generation); err != nil {
			return err
		}
	}
	_, err := r.update(ctx, grant.Account, func(g *Grant) (bool, error) {
		err := g.deleteTokens(owner, grant, r.Events.Now())
		if err != nil && g.inForce() {
			// The athlete has connected since. The new tokens may be revoked, too.
			return true, g.addClaim(event.Meta{}, r.Events.Now())
		}
		return true, err
	})
	if err != nil {
		return fmt.Errorf("record the deleted tokens: %w", err)
	}
	return nil
}

// revokeAll revokes every pair of the grant that may be valid.
func (r *Revocation) revokeAll(ctx context.Context, grant Grant) error {
	pairs, err := r.allPairs(ctx, grant)
	if err != nil || len(pairs) == 0 {
		return err
	}
	app, err := r.app(ctx, r.OAuth.Rules().Provider)
	if err != nil {
		return err
	}
	for _, pair := range pairs {
		if err := r.revokePair(ctx, app, grant.Account, pair); err != nil {
			return fmt.Errorf("revoke at Strava: %w", err)
		}
	}
	return nil
}

// allPairs returns every pair that may be valid: the one that the grant refers
// to, its candidates, and those that a refresh left in the vault when it was
// cut off.
func (r *Revocation) allPairs(ctx context.Context, grant Grant) (pairs []TokenPair, _ error) {
	add := func(pair TokenPair) {
		if !slices.ContainsFunc(pairs, pair.equal) {
			pairs = append(pairs, pair)
		}
	}
	for _, ref := range grant.tokenRefs() {
		pair, err := r.read(ctx, grant.Account, ref)
		switch {
		case err == nil:
			add(pair)
		case fault.Is(err, fault.Permanent):
			// The pair will never be readable: waiting for it would keep the
			// receipt open forever.
			r.Metrics.Count(metric.Unsaved, 1)
		case !fault.Is(err, fault.NotFound):
			return nil, fmt.Errorf("read tokens: %w", err)
		}
	}
	for _, generation := range grant.parameterGenerations() {
		left, version, err := r.latest(ctx, grant.Account, generation)
		if err != nil && !fault.Is(err, fault.Permanent) {
			return nil, fmt.Errorf("read the latest tokens: %w", err)
		}
		if err == nil && version != 0 {
			add(left)
		}
	}
	return pairs, nil
}

// revokePair revokes one pair. If the provider needs an access token and the
// pair's is invalid, it refreshes the pair first, and saves the new one before
// it uses it, so that the next attempt finds it if the process is cut off.
func (r *Revocation) revokePair(ctx context.Context, app App, account Account, pair TokenPair) error {
	err := r.OAuth.Revoke(ctx, app, pair)
	if !errors.Is(err, ErrAccessTokenInvalid) {
		return err
	}
	seal, err := r.newSeal(ctx, account.Provider)
	if err != nil {
		return err
	}
	if tooLate(ctx, refreshTime) {
		return errTooLate
	}
	fresh, err := r.OAuth.Refresh(ctx, app, pair.Refresh)
	if errors.Is(err, ErrTokenRefused) {
		return nil // Both tokens are invalid.
	}
	if err != nil {
		return err
	}
	within, cancel := savingContext(ctx)
	defer cancel()
	_, candidate, saveErr := r.saveCandidate(within, account, fresh, seal, 0)
	if err := r.OAuth.Revoke(ctx, app, fresh); err != nil {
		return errors.Join(err, saveErr)
	}
	_, err = r.update(ctx, account, func(g *Grant) (bool, error) {
		g.removeCandidates(candidate)
		return true, nil
	})
	return err
}
