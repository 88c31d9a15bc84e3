package credentials

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// verifyClaim asks Strava about a claim that is due, and ends the authorization
// or dismisses the claim. It returns the grant as it is afterwards.
func (r *Revocation) verifyClaim(ctx context.Context, grant Grant) (Grant, error) {
	account := grant.Account
	begun := false
	grant, err := r.update(ctx, account, func(g *Grant) (bool, error) {
		begun = g.beginCheck(r.Events.Now())
		return begun, nil
	})
	if err != nil {
		return Grant{}, fmt.Errorf("begin to check the claim: %w", err)
	}
	if !begun { // Another process checks it, or the authorization is over.
		return grant, nil
	}
	answer, err := r.isRevokedAtStrava(ctx, grant)
	if err != nil {
		return Grant{}, err
	}
	receipt, claim, generation := r.NewSecret(), grant.Claim, grant.Generation
	grant, err = r.update(ctx, account, func(g *Grant) (bool, error) {
		if g.Generation != generation || !g.inForce() {
			// Revoked, or authorized again, in between. The answer says nothing
			// about the new tokens.
			return false, nil
		}
		switch answer {
		case accessStands:
			return g.dismissClaim(claim), nil
		case accessUnknown:
			return g.deferClaim(claim), nil
		}
		now := r.Events.Now()
		g.revoke(PendingRevocation{
			Receipt: receipt, Generation: g.Generation, RequestedAt: now, Reason: credentialsv1.RevokedDeauthorized, Cause: claim.Cause,
			Owner: g.Owner,
		}, now)
		return true, nil
	})
	return grant, err
}

// claimResult is the result of a check of a claim.
type claimResult int

const (
	// accessStands: Strava accepts the tokens.
	accessStands claimResult = iota
	// accessWithdrawn: Strava refuses them.
	accessWithdrawn
	// accessUnknown: no token is left by which Strava could be asked.
	accessUnknown
)

// isRevokedAtStrava asks Strava whether the athlete withdrew access. It first
// makes a call with the access token, which rotates nothing, as long as that
// token is valid. Only if Strava refuses the access token does it try the
// refresh token: no single answer ends an authorization.
//
// A refused refresh token is no proof if a newer one may have been lost: if the
// grant is degraded for that reason, or in doubt.
func (r *Revocation) isRevokedAtStrava(ctx context.Context, grant Grant) (claimResult, error) {
	pair, err := r.Tokens.read(ctx, grant.Account, grant.Tokens)
	if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Permanent) {
		return accessStands, fmt.Errorf("read tokens: %w", err)
	}
	accessRefused := false
	if err == nil && pair.usable(r.Events.Now()) {
		answer, err := r.API.Get(ctx, pair.Access, r.OAuth.Rules().CheckPath, nil)
		switch {
		case err != nil:
			return accessStands, err
		case answer.Status == http.StatusOK, errors.Is(answer.Refused, ErrInsufficientScope):
			return accessStands, nil
		case !errors.Is(answer.Refused, ErrAccessTokenInvalid):
			return accessStands, fault.New(fault.Transient, "Strava answered with status %d", answer.Status)
		}
		accessRefused = true
	}
	if grant.refreshable() != nil {
		if accessRefused || !r.Events.Now().Before(grant.DegradedAt.Add(retention.StravaData)) {
			return accessWithdrawn, nil
		}
		return accessUnknown, nil
	}
	err = r.Tokens.VerifyAuthorization(ctx, grant.Account, grant.Generation)
	switch {
	case err == nil || errors.Is(err, ErrRevoked):
		return accessStands, nil
	case !errors.Is(err, ErrTokenRefused):
		return accessStands, err
	case accessRefused:
		return accessWithdrawn, nil
	}
	after, err := r.grant(ctx, grant.Account)
	if err != nil {
		return accessStands, fmt.Errorf("read grant: %w", err)
	}
	if after.InDoubt {
		return accessUnknown, nil
	}
	return accessWithdrawn, nil
}
