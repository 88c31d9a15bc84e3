package credentials

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// stateLife is how long an athlete may take on Strava's consent screen.
const stateLife = 5 * time.Minute

// Connect leads athletes through OAuth.
type Connect struct {
	Grants    Grants
	States    States
	Vault     Vault
	OAuth     OAuth
	Publisher Publisher
	Minter    event.Minter
	// Capacity is nil where the provider sets no limit.
	Capacity *Capacity
	// NewSecret returns at least 128 unguessable bits as URL-safe text.
	NewSecret func() string
	// RedirectURI is the callback's public URL.
	RedirectURI string
	// Sleep waits, or returns early with the context's error.
	Sleep func(context.Context, time.Duration) error
}

// Started is a connect that has begun.
type Started struct {
	// AuthorizeURL is Strava's consent screen.
	AuthorizeURL string
	// State is what Strava sends back.
	State secret.String
	// Nonce binds the connect to the browser that began it, which keeps it in a
	// cookie. It is new each time, so a nonce that an attacker put into the browser
	// is of no use.
	Nonce secret.String
}

// Start begins a connect. A not-found fault means that the application's
// credentials have not been set.
func (c *Connect) Start(ctx context.Context) (Started, error) {
	app, err := c.Vault.App(ctx, c.OAuth.Rules().Provider)
	if err != nil {
		return Started{}, fmt.Errorf("read app: %w", err)
	}
	state, nonce := secret.New(c.NewSecret()), secret.New(c.NewSecret())
	if err := c.States.PutState(ctx, state.SHA256(), nonce.SHA256(), c.Minter.Now().Add(stateLife)); err != nil {
		return Started{}, fmt.Errorf("remember state: %w", err)
	}
	target := c.OAuth.AuthorizeURL(app.ClientID, c.RedirectURI, state.Reveal(), verifier(state, nonce))
	return Started{AuthorizeURL: target, State: state, Nonce: nonce}, nil
}

// Callback is what Strava's consent screen sends the browser back with.
type Callback struct {
	State secret.String
	Code  secret.String
	// Scope is the list of accepted scopes; empty where the provider tells them
	// in the token answer only.
	Scope string
	// Error is "access_denied" when the athlete refused.
	Error string
	// Nonce is the browser's.
	Nonce secret.String
}

// Finish completes a connect: it checks the answer, exchanges the code, stores
// the tokens and the grant, and announces the athlete. It returns for whom a
// session is to be opened: the zero Session for an account that is not an
// athlete's.
//
// Errors: ErrState, ErrAccessDenied, ErrMissingScope, ErrAppFull,
// ErrStravaUnavailable, or another fault.
func (c *Connect) Finish(ctx context.Context, cb Callback) (Session, error) {
	if err := c.takeState(ctx, cb.State, cb.Nonce); err != nil {
		return Session{}, err
	}
	if cb.Error != "" {
		return Session{}, ErrAccessDenied
	}
	rules := c.OAuth.Rules()
	scopes := splitScopes(cb.Scope)
	if len(scopes) > 0 && !rules.enough(scopes) {
		return Session{}, ErrMissingScope
	}
	app, err := c.Vault.App(ctx, rules.Provider)
	if err != nil {
		return Session{}, fmt.Errorf("read app: %w", err)
	}
	auth, err := c.OAuth.Exchange(ctx, app, c.RedirectURI, cb.Code, verifier(cb.State, cb.Nonce))
	switch {
	case errors.Is(err, ErrCodeRefused):
		return Session{}, fmt.Errorf("%w: %w", ErrState, err)
	case errors.Is(err, ErrAppFull):
		return Session{}, err
	case err != nil:
		return Session{}, fmt.Errorf("%w: exchange: %w", ErrStravaUnavailable, err)
	}
	if len(auth.Scopes) > 0 {
		// What the redirect says passed through the browser; this did not.
		scopes = auth.Scopes
	}
	if !rules.enough(scopes) {
		return Session{}, c.decline(ctx, app, auth)
	}
	if err := c.seat(ctx, app, auth); err != nil {
		return Session{}, err
	}

	grant, err := c.store(ctx, auth, scopes)
	if err != nil {
		return Session{}, err
	}
	if err := announce(ctx, c.Grants, c.Publisher, c.Minter, grant); err != nil {
		return Session{}, err
	}
	athleteID, ok := grant.Account.AthleteID()
	if !ok {
		return Session{}, nil
	}
	return Session{athleteID, grant.Generation}, nil
}

// store puts the new authorization into force in place of any earlier one. It
// holds the lease, so that neither a refresh in flight nor a departure that is
// about to drop the earlier tokens can touch the new ones.
func (c *Connect) store(ctx context.Context, auth Authorization, scopes []string) (Grant, error) {
	owner, _, err := hold(ctx, c.Grants, c.Minter, auth.Account, c.expect)
	for errors.Is(err, errBusy) {
		if err := c.Sleep(ctx, leasePoll); err != nil {
			return Grant{}, fault.New(fault.Transient, "wait for the tokens: %w", err)
		}
		owner, _, err = hold(ctx, c.Grants, c.Minter, auth.Account, c.expect)
	}
	if err != nil {
		return Grant{}, err
	}
	// Killed between here and the commit, the lease is never given back, by
	// which Settle finds the tokens that nobody names.
	version, err := c.Vault.SaveTokens(ctx, auth.Account, auth.Tokens)
	if err != nil {
		release(ctx, c.Grants, c.Minter, auth.Account, owner)
		return Grant{}, fmt.Errorf("save tokens: %w", err)
	}
	grant, err := update(ctx, c.Grants, c.Minter, auth.Account, func(g *Grant) error {
		return g.authorize(owner, scopes, version, c.Minter.Now())
	})
	if errors.Is(err, errOutdated) {
		return Grant{}, fault.New(fault.Transient, "the lease was lost: %w", err)
	}
	if err != nil {
		return Grant{}, fmt.Errorf("save grant: %w", err)
	}
	return grant, nil
}

func (c *Connect) expect(g *Grant) error {
	g.expect(c.Minter.Now())
	return nil
}

// decline gives an authorization back that is of no use, unless there is one of
// the same athlete whose tokens work: revoking would end that, too.
func (c *Connect) decline(ctx context.Context, app App, auth Authorization) error {
	grant, err := c.Grants.Grant(ctx, auth.Account)
	switch {
	case fault.Is(err, fault.NotFound) || (err == nil && grant.refreshable() != nil):
		if err := c.OAuth.Revoke(ctx, app, auth.Tokens); err != nil {
			return errors.Join(ErrMissingScope, err, c.leaveBehind(ctx, auth))
		}
	case err != nil:
		return fmt.Errorf("%w; and the grant could not be read: %w", ErrMissingScope, err)
	}
	return ErrMissingScope
}

// leaveBehind keeps the tokens of an authorization that could not be given
// back, in the way a connect does that is killed: Settle gives it back.
func (c *Connect) leaveBehind(ctx context.Context, auth Authorization) error {
	owner, _, err := hold(ctx, c.Grants, c.Minter, auth.Account, func(g *Grant) error {
		if g.expect(c.Minter.Now()); g.State != Erased {
			return errOutdated
		}
		return nil
	})
	if err != nil {
		return err
	}
	if _, err := c.Vault.SaveTokens(ctx, auth.Account, auth.Tokens); err != nil {
		release(ctx, c.Grants, c.Minter, auth.Account, owner)
		return fmt.Errorf("keep what could not be given back: %w", err)
	}
	return nil
}

func (c *Connect) takeState(ctx context.Context, state, nonce secret.String) error {
	if state.Empty() || nonce.Empty() {
		return ErrState
	}
	wantNonce, expiresAt, err := c.States.TakeState(ctx, state.SHA256())
	if fault.Is(err, fault.NotFound) {
		return ErrState
	}
	if err != nil {
		return fmt.Errorf("take state: %w", err)
	}
	if !c.Minter.Now().Before(expiresAt) || wantNonce != nonce.SHA256() {
		return ErrState
	}
	return nil
}

// verifier is what proves, where the provider wants it proved, that a code is
// redeemed by the connect that it was asked for by (RFC 7636). It takes the
// browser's nonce to make it, and no store to keep it.
func verifier(state, nonce secret.String) secret.String {
	return secret.New(secret.New(state.Reveal() + "." + nonce.Reveal()).SHA256())
}

// splitScopes reads a scope list; Strava separates by commas, OAuth by spaces.
func splitScopes(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}
