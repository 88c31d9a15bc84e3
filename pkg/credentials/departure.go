package credentials

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Departure ends authorizations and sees to it that everything is erased.
//
// What is to be done is first written into the grant; only that can fail a
// caller. The rest is tried at once, and where it fails, as it does for as long
// as Strava is down, [Departure.Settle] tries again until it is done.
type Departure struct {
	Grants   Grants
	Erasures Erasures
	Vault    Vault
	OAuth    OAuth
	// API is asked about claims. There are none where no webhook brings any.
	API    API
	Tokens *Tokens
	// Sessions of athletes; accounts of other providers have none.
	Sessions  *Sessions
	Publisher Publisher
	Metrics   Metrics
	Minter    event.Minter
	Log       *slog.Logger
	// NewSecret returns at least 128 unguessable bits as URL-safe text.
	NewSecret func() string
}

// Deauthorized takes in a webhook's claim that the athlete withdrew access at
// Strava. Webhooks can be forged, so Strava is asked before anything is
// dropped: while it still accepts the refresh token, the claim is false and
// nothing happens. While Strava can't be asked, the claim waits.
func (d *Departure) Deauthorized(ctx context.Context, cause event.Meta, account Account) error {
	_, err := d.Grants.Grant(ctx, account)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read grant: %w", err)
	}
	_, err = update(ctx, d.Grants, d.Minter, account, func(g *Grant) error {
		return g.claim(Claim{ClaimedAt: d.Minter.Now(), Cause: cause})
	})
	if err != nil && !errors.Is(err, ErrRevoked) {
		return fmt.Errorf("note the claim: %w", err)
	}
	d.try(ctx, account)
	return nil
}

// Left acts on the athlete's own wish to leave, for which the receipt was
// given.
func (d *Departure) Left(ctx context.Context, cause event.Meta, account Account, generation int64, receipt string, requestedAt time.Time) error {
	_, err := update(ctx, d.Grants, d.Minter, account, func(g *Grant) error {
		g.depart(Departed{
			Receipt: receipt, Generation: generation, RequestedAt: requestedAt, Reason: credentialsv1.RevokedLeft, Cause: cause,
		}, d.Minter.Now())
		return nil
	})
	if err != nil {
		return fmt.Errorf("take the grant out of force: %w", err)
	}
	d.try(ctx, account)
	return nil
}

// try does what the athlete's grant owes. What can't be done now is put off.
func (d *Departure) try(ctx context.Context, account Account) {
	err := d.settle(ctx, account)
	if err == nil {
		return
	}
	d.Metrics.Count(string(MetricPostponed), 1)
	d.Log.WarnContext(ctx, "a duty is put off", "account", account.String(), "fault", fault.Of(err), "error", err.Error())
	// Should this fail, too, it is tried again all the sooner.
	_, _ = update(context.WithoutCancel(ctx), d.Grants, d.Minter, account, func(g *Grant) error {
		if !g.Owes() {
			return errOutdated
		}
		g.postpone(d.Minter.Now())
		return nil
	})
}

// settle does what the grant owes, one duty after the other. It may be cut off
// anywhere and called again: every step either is a repeat that changes nothing
// or goes on.
func (d *Departure) settle(ctx context.Context, account Account) error {
	grant, err := d.Grants.Grant(ctx, account)
	if err != nil {
		return fmt.Errorf("read grant: %w", err)
	}
	if grant.Unannounced {
		if err := announce(ctx, d.Grants, d.Publisher, d.Minter, grant); err != nil {
			return err
		}
	}
	if !grant.Claim.ClaimedAt.IsZero() {
		if grant, err = d.lookInto(ctx, grant); err != nil {
			return fmt.Errorf("look into the claim: %w", err)
		}
	}
	if grant.State == Revoked || len(grant.Departures) > 0 {
		return d.seeThrough(ctx, grant)
	}
	if grant.Lease.Owner != "" && !grant.Lease.held("", d.Minter.Now()) {
		return d.takeOver(ctx, grant)
	}
	return nil
}

// lookInto asks Strava about a claim, and ends the authorization or dismisses
// the claim. It returns the grant as it is then.
func (d *Departure) lookInto(ctx context.Context, grant Grant) (Grant, error) {
	gone, err := d.gone(ctx, grant.Account, grant.Generation)
	if err != nil {
		return Grant{}, err
	}
	receipt := d.NewSecret()
	grant, err = update(ctx, d.Grants, d.Minter, grant.Account, func(g *Grant) error {
		if !gone {
			return g.dismiss(grant.Claim)
		}
		if g.Generation != grant.Generation || (g.State != Active && g.State != Degraded) {
			return errOutdated
		}
		now := d.Minter.Now()
		g.depart(Departed{
			Receipt: receipt, Generation: g.Generation, RequestedAt: now, Reason: credentialsv1.RevokedDeauthorized, Cause: grant.Claim.Cause,
		}, now)
		return nil
	})
	if errors.Is(err, errOutdated) { // Another claim, a departure or a new authorization came in between.
		return Grant{}, fault.New(fault.Transient, "note what became of the claim: %w", err)
	}
	return grant, err
}

// gone asks Strava whether the authorization is over. That the refresh token is
// refused is not enough while there is a living access token to ask with: the
// refresh token may have been replaced by one that we lost.
func (d *Departure) gone(ctx context.Context, account Account, generation int64) (bool, error) {
	err := d.Tokens.Confirm(ctx, account, generation)
	switch {
	case err == nil || errors.Is(err, ErrRevoked):
		return false, nil
	case !errors.Is(err, ErrTokenRefused):
		return false, err
	}
	grant, err := d.Grants.Grant(ctx, account)
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
	case errors.Is(answer.Refused, ErrAccessTokenDead):
		return true, nil
	}
	return false, fault.New(fault.Transient, "Strava answered with status %d", answer.Status)
}

// seeThrough sees the departures of the athlete's authorizations through: has
// everybody erase, revokes the tokens at Strava, drops them, and confirms that.
// After a new authorization the old tokens have been replaced, and what the old
// one gathered is still to be erased.
func (d *Departure) seeThrough(ctx context.Context, grant Grant) error {
	if err := d.tell(ctx, grant); err != nil {
		return err
	}
	// Neither waits for the other: Strava may be down for days.
	ended := d.endSessions(ctx, grant)
	if grant.State == Revoked {
		if err := d.drop(ctx, grant, Revoked); err != nil && !errors.Is(err, errOutdated) {
			return errors.Join(err, ended)
		}
	}
	if ended != nil {
		return ended
	}
	for _, o := range grant.Departures {
		if err := d.Confirm(ctx, o.Cause, o.Receipt, PartCredentials); err != nil {
			return err
		}
	}
	_, err := update(ctx, d.Grants, d.Minter, grant.Account, func(g *Grant) error {
		g.Departures = slices.DeleteFunc(g.Departures, func(o Departed) bool { return grant.departed(o.Receipt) })
		if g.State == Revoked && g.Generation == grant.Generation && len(g.Departures) == 0 {
			return g.erase()
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note the end of the departure: %w", err)
	}
	return nil
}

// endSessions ends the sessions and keys of the authorizations that ended.
func (d *Departure) endSessions(ctx context.Context, grant Grant) error {
	athleteID, ok := grant.Account.AthleteID()
	if !ok {
		return nil
	}
	for _, o := range grant.Departures {
		if err := d.Sessions.EndAll(ctx, athleteID, o.Generation, o.Receipt); err != nil {
			return err
		}
	}
	return nil
}

// departed reports whether the receipt is among those the grant owes.
func (g Grant) departed(receipt string) bool {
	return slices.ContainsFunc(g.Departures, func(o Departed) bool { return o.Receipt == receipt })
}

// tell opens the erasures and tells everybody to erase.
func (d *Departure) tell(ctx context.Context, grant Grant) error {
	parts := []string{PartCredentials}
	athleteID, gathered := grant.Account.AthleteID()
	if gathered {
		parts = append(parts, PartGathering, PartAthlete, PartActivity)
	}
	told := false
	for _, o := range grant.Departures {
		if o.Announced {
			continue
		}
		err := d.Erasures.Open(ctx, Erasure{Receipt: o.Receipt, RequestedAt: o.RequestedAt, Pending: parts})
		if err != nil {
			return fmt.Errorf("open erasure: %w", err)
		}
		told = true
		if !gathered {
			continue
		}
		err = d.Publisher.Publish(ctx, d.Minter.Next(o.Cause, credentialsv1.AuthorizationRevoked{
			AthleteID: athleteID, Generation: o.Generation, Receipt: o.Receipt, Reason: o.Reason,
		}))
		if err != nil {
			return fmt.Errorf("announce the revocation: %w", err)
		}
	}
	if !told {
		return nil
	}
	_, err := update(ctx, d.Grants, d.Minter, grant.Account, func(g *Grant) error {
		for i := range g.Departures {
			g.Departures[i].Announced = g.Departures[i].Announced || grant.departed(g.Departures[i].Receipt)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note the announced revocation: %w", err)
	}
	return nil
}

// takeOver does what became of a lease whose holder died. A grant in force or
// degraded names a pair, and whoever is refused by it finds a newer one. An
// erased one names none: a connect saved tokens that it never put into force,
// and the athlete, who saw an error, would fill a place at Strava for good. Or
// a refresh that came too late has left tokens to be dropped.
func (d *Departure) takeOver(ctx context.Context, grant Grant) error {
	if grant.State == Erased {
		return d.drop(ctx, grant, Erased)
	}
	_, err := update(ctx, d.Grants, d.Minter, grant.Account, func(g *Grant) error { return g.release(grant.Lease.Owner) })
	if err != nil && !errors.Is(err, errOutdated) {
		return fmt.Errorf("give back a lease: %w", err)
	}
	return nil
}

// drop revokes the tokens at Strava and then destroys them, holding the lease.
// In this order: an authorization whose refresh token is lost can never be
// revoked by us and would fill one of the application's athlete slots for good.
// errOutdated says that the grant is not in the state any more.
func (d *Departure) drop(ctx context.Context, grant Grant, state State) error {
	owner, grant, err := hold(ctx, d.Grants, d.Minter, grant.Account, func(g *Grant) error {
		if g.Generation != grant.Generation || g.State != state {
			return errOutdated
		}
		return nil
	})
	if errors.Is(err, errBusy) {
		return fault.New(fault.Transient, "a refresh or a connect is in flight; its outcome has to be dropped, too: %w", err)
	}
	if err != nil {
		return err
	}
	if err := d.revoke(ctx, grant); err != nil {
		return d.halt(ctx, grant, owner, err)
	}
	if err := d.Vault.DropTokens(ctx, grant.Account); err != nil {
		return d.halt(ctx, grant, owner, fmt.Errorf("drop tokens: %w", err))
	}
	release(ctx, d.Grants, d.Minter, grant.Account, owner)
	return nil
}

// halt lets others to the tokens that could not be dropped. For an erased grant
// it does not: the lease is all that tells of them.
func (d *Departure) halt(ctx context.Context, grant Grant, owner string, because error) error {
	if grant.State != Erased {
		release(ctx, d.Grants, d.Minter, grant.Account, owner)
	}
	return because
}

// revoke revokes every pair that may be alive: the one that the grant names,
// and another one that somebody left behind who was cut off. That one is newer;
// its version need not be higher, for SSM counts anew once all were dropped.
func (d *Departure) revoke(ctx context.Context, grant Grant) error {
	var pairs []TokenPair
	if grant.TokenVersion != 0 {
		named, err := d.Tokens.read(ctx, grant)
		if err == nil {
			pairs = append(pairs, named)
		} else if !fault.Is(err, fault.NotFound) {
			return fmt.Errorf("read tokens: %w", err)
		}
	}
	newest, version, err := d.Vault.Latest(ctx, grant.Account)
	if err == nil && version != grant.TokenVersion {
		pairs = append(pairs, newest)
	} else if err != nil && !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("read the latest tokens: %w", err)
	}
	if len(pairs) == 0 {
		return nil
	}
	app, err := d.Vault.App(ctx, d.OAuth.Rules().Provider)
	if err != nil {
		return fmt.Errorf("read app: %w", err)
	}
	for _, pair := range pairs {
		if err := d.revokePair(ctx, app, grant.Account, pair); err != nil {
			return fmt.Errorf("revoke at Strava: %w", err)
		}
	}
	return nil
}

// revokePair revokes one pair, with a new access token where one is needed and
// the pair's is dead. The new pair is saved before it is used: should we be cut
// off in between, the next attempt finds it.
func (d *Departure) revokePair(ctx context.Context, app App, account Account, pair TokenPair) error {
	err := d.OAuth.Revoke(ctx, app, pair)
	if !errors.Is(err, ErrAccessTokenDead) {
		return err
	}
	if tooLate(ctx, refreshTime) {
		return errTooLate
	}
	fresh, err := d.OAuth.Refresh(ctx, app, pair.Refresh)
	if errors.Is(err, ErrTokenRefused) {
		return nil // Both of its tokens are dead.
	}
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	_, saveErr := d.Vault.SaveTokens(within, account, fresh)
	if err := d.OAuth.Revoke(ctx, app, fresh); err != nil {
		return errors.Join(err, saveErr)
	}
	return nil
}

// Confirm notes that one boundary has erased what the receipt stands for, and
// issues the receipt when it was the last. A confirmation that comes again issues
// nothing, unless the receipt could not be announced before.
func (d *Departure) Confirm(ctx context.Context, cause event.Meta, receipt, part string) error {
	erasure, err := d.Erasures.Confirm(ctx, receipt, part, d.Minter.Now())
	if err != nil {
		return fmt.Errorf("confirm erasure: %w", err)
	}
	if len(erasure.Pending) > 0 || erasure.Issued {
		return nil
	}
	completedAt, err := d.Erasures.Complete(ctx, receipt, d.Minter.Now())
	if err != nil {
		return fmt.Errorf("complete erasure: %w", err)
	}
	err = d.Publisher.Publish(ctx, d.Minter.Next(cause, credentialsv1.ErasureReceiptIssued{
		Receipt: receipt, RequestedAt: erasure.RequestedAt.UTC(), CompletedAt: completedAt.UTC(), Erased: erasure.parts(),
	}))
	if err != nil {
		return fmt.Errorf("issue receipt: %w", err)
	}
	if err := d.Erasures.Issued(ctx, receipt); err != nil {
		return fmt.Errorf("note the issued receipt: %w", err)
	}
	return nil
}
