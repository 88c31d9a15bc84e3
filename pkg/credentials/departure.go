package credentials

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Departure ends authorizations and sees to it that everything is erased.
type Departure struct {
	Grants    Grants
	Erasures  Erasures
	Vault     Vault
	OAuth     OAuth
	API       API
	Tokens    *Tokens
	Publisher Publisher
	Minter    event.Minter
	// NewSecret returns at least 128 unguessable bits as URL-safe text.
	NewSecret func() string
}

// Deauthorized acts on a webhook's claim that the athlete withdrew access at
// Strava. Webhooks can be forged, so Strava is asked first: while it still
// accepts the refresh token, the claim is false and nothing happens. A
// transient fault means that Strava could not be asked; the claim stands
// unanswered and must be brought again.
func (d *Departure) Deauthorized(ctx context.Context, cause event.Meta, athleteID int64) error {
	grant, err := d.Grants.Grant(ctx, athleteID)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read grant: %w", err)
	}
	if grant.Over() {
		if grant.Receipt == "" {
			return nil
		}
		// All is done, but perhaps not confirmed.
		return d.Confirm(ctx, cause, grant.Receipt, PartCredentials)
	}
	if grant.State != Revoked { // Otherwise an end that was cut off goes on.
		gone, err := d.gone(ctx, athleteID, grant.Generation)
		if err != nil {
			return fmt.Errorf("confirm the deauthorization: %w", err)
		}
		if !gone {
			return nil
		}
	}
	return d.end(ctx, cause, departure{
		athleteID: athleteID, generation: grant.Generation, reason: credentialsv1.RevokedDeauthorized,
	})
}

// gone asks Strava whether the authorization is over. That the refresh token is
// refused is not enough while there is a living access token to ask with: the
// refresh token may have been replaced by one that we lost.
func (d *Departure) gone(ctx context.Context, athleteID, generation int64) (bool, error) {
	err := d.Tokens.Confirm(ctx, athleteID, generation)
	switch {
	case err == nil || errors.Is(err, ErrRevoked):
		return false, nil
	case !errors.Is(err, ErrTokenRefused):
		return false, err
	}
	grant, err := d.Grants.Grant(ctx, athleteID)
	if err != nil {
		return false, fmt.Errorf("read grant: %w", err)
	}
	pair, err := d.Tokens.read(ctx, grant)
	if fault.Is(err, fault.NotFound) || (err == nil && !pair.usable(d.Minter.Now())) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read tokens: %w", err)
	}
	answer, err := d.API.Get(ctx, pair.Access, "/athlete", nil)
	switch {
	case err != nil:
		return false, err
	case answer.Status == http.StatusOK:
		return false, nil
	case answer.Status == http.StatusUnauthorized && !missingScope(answer.Body):
		return true, nil
	}
	return false, fault.New(fault.Transient, "Strava answered with status %d", answer.Status)
}

// Left acts on the athlete's own wish to leave, for which the receipt was
// given.
func (d *Departure) Left(ctx context.Context, cause event.Meta, athleteID, generation int64, receipt string, requestedAt time.Time) error {
	return d.end(ctx, cause, departure{
		athleteID: athleteID, generation: generation, reason: credentialsv1.RevokedLeft,
		receipt: receipt, requestedAt: requestedAt,
	})
}

type departure struct {
	athleteID, generation int64
	reason                string
	// receipt and requestedAt are empty when nobody was promised a receipt
	// yet; the grant's own are taken then.
	receipt     string
	requestedAt time.Time
}

var errNewer = errors.New("the athlete has authorized anew")

// end takes the authorization out of force, has everybody erase, revokes it at
// Strava, and drops the tokens. It may be cut off anywhere and called again:
// every step either is a repeat that changes nothing or goes on. The grant
// keeps its token version until they are dropped, by which a cut is noticed.
func (d *Departure) end(ctx context.Context, cause event.Meta, dep departure) error {
	// First of all no new call and no new refresh: this wins over a refresh
	// in flight, whose commit then fails.
	receipt := d.NewSecret()
	grant, err := d.Grants.Update(ctx, dep.athleteID, func(g *Grant) error {
		if g.Generation > dep.generation {
			return errNewer
		}
		if g.State != Revoked {
			g.AthleteID, g.Provider, g.Generation = dep.athleteID, ProviderStrava, dep.generation
			g.State, g.Unannounced = Revoked, false
			g.Receipt, g.RevokedAt = receipt, d.Minter.Now()
		}
		return nil
	})
	// After a new authorization the old tokens have been replaced; what the
	// old one gathered is still to be erased.
	renewed := errors.Is(err, errNewer)
	if err != nil && !renewed {
		return fmt.Errorf("take the grant out of force: %w", err)
	}
	if dep.receipt == "" {
		if renewed {
			return nil
		}
		dep.receipt, dep.requestedAt = grant.Receipt, grant.RevokedAt
	}
	err = d.Erasures.Open(ctx, Erasure{
		Receipt: dep.receipt, RequestedAt: dep.requestedAt,
		Pending: []string{PartCredentials, PartGathering, PartAthlete, PartActivity},
	})
	if err != nil {
		return fmt.Errorf("open erasure: %w", err)
	}
	err = d.Publisher.Publish(ctx, d.Minter.Next(cause, credentialsv1.AuthorizationRevoked{
		AthleteID: dep.athleteID, Generation: dep.generation, Receipt: dep.receipt, Reason: dep.reason,
	}))
	if err != nil {
		return fmt.Errorf("announce the revocation: %w", err)
	}
	if !renewed {
		if renewed, err = d.drop(ctx, grant); err != nil {
			return err
		}
	}
	if !renewed {
		_, err = d.Grants.Update(ctx, dep.athleteID, func(g *Grant) error {
			if g.Generation != grant.Generation || g.State != Revoked {
				return errNewer
			}
			g.TokenVersion, g.Parked, g.Scopes = 0, nil, nil
			return nil
		})
		if err != nil && !errors.Is(err, errNewer) {
			return fmt.Errorf("note the dropped tokens: %w", err)
		}
	}
	return d.Confirm(ctx, cause, dep.receipt, PartCredentials)
}

// drop revokes the tokens at Strava and then destroys them, holding the lease.
// In this order: an authorization whose refresh token is lost can never be
// revoked by us and would fill one of the application's athlete slots for good.
func (d *Departure) drop(ctx context.Context, grant Grant) (renewed bool, _ error) {
	if grant.TokenVersion == 0 {
		return false, nil
	}
	owner, grant, err := hold(ctx, d.Grants, d.Minter, grant.AthleteID, func(g *Grant) error {
		if g.Generation != grant.Generation || g.State != Revoked {
			return errNewer
		}
		return nil
	})
	switch {
	case errors.Is(err, errNewer):
		return true, nil
	case errors.Is(err, errBusy):
		return false, fault.New(fault.Transient, "a refresh is in flight; its outcome has to be dropped, too")
	case err != nil:
		return false, err
	}
	defer release(ctx, d.Grants, grant.AthleteID, owner)
	if err := d.revoke(ctx, grant); err != nil {
		return false, err
	}
	if err := d.Vault.DropTokens(ctx, grant.AthleteID); err != nil {
		return false, fmt.Errorf("drop tokens: %w", err)
	}
	return false, nil
}

// revoke revokes every pair that may be alive: the one that the grant names,
// and a newer one that a refresh left behind when it was cut off.
func (d *Departure) revoke(ctx context.Context, grant Grant) error {
	var pairs []TokenPair
	named, err := d.Tokens.read(ctx, grant)
	if err == nil {
		pairs = append(pairs, named)
	} else if !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("read tokens: %w", err)
	}
	newest, version, err := d.Vault.Latest(ctx, grant.AthleteID)
	if err == nil && version > grant.TokenVersion {
		pairs = append(pairs, newest)
	} else if err != nil && !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("read the latest tokens: %w", err)
	}
	if len(pairs) == 0 {
		return nil
	}
	app, err := d.Vault.App(ctx)
	if err != nil {
		return fmt.Errorf("read app: %w", err)
	}
	for _, pair := range pairs {
		if err := d.OAuth.Revoke(ctx, app, pair); err != nil {
			return fmt.Errorf("revoke at Strava: %w", err)
		}
	}
	return nil
}

// Confirm notes that one boundary has erased what the receipt stands for, and
// issues the receipt when it was the last.
func (d *Departure) Confirm(ctx context.Context, cause event.Meta, receipt, part string) error {
	erasure, err := d.Erasures.Confirm(ctx, receipt, part)
	if err != nil {
		return fmt.Errorf("confirm erasure: %w", err)
	}
	if len(erasure.Pending) > 0 {
		return nil
	}
	completedAt, err := d.Erasures.Complete(ctx, receipt, d.Minter.Now())
	if err != nil {
		return fmt.Errorf("complete erasure: %w", err)
	}
	err = d.Publisher.Publish(ctx, d.Minter.Next(cause, credentialsv1.ErasureReceiptIssued{
		Receipt: receipt, RequestedAt: erasure.RequestedAt.UTC(), CompletedAt: completedAt.UTC(),
	}))
	if err != nil {
		return fmt.Errorf("issue receipt: %w", err)
	}
	return nil
}
