package credentials

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/credentials/metric"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// stateTTL is how long an athlete may take on the provider's consent screen.
const stateTTL = 5 * time.Minute

// Connect leads people through OAuth.
type Connect struct {
	TokenStore
	States ConnectStates
	OAuth  OAuth
	// Capacity is nil where the provider sets no limit.
	Capacity *Capacity
	// NewSecret returns at least 128 unguessable bits as URL-safe text.
	NewSecret func() string
	// RedirectURI is the callback's public URL.
	RedirectURI string
}

// StartedConnect is a connect that has begun.
type StartedConnect struct {
	// AuthorizeURL is the provider's consent screen.
	AuthorizeURL string
	// State is the OAuth state, which the provider sends back.
	State secret.String
	// Nonce binds the connect to the browser that began it, which keeps it in a
	// cookie. It is new for each connect, so an attacker gains nothing by
	// planting one in a browser.
	Nonce secret.String
}

// Start begins a connect. owner is the athlete who links an account of another
// provider; zero for a connect of an athlete's own account. A not-found fault
// means that the application's credentials have not been set.
func (c *Connect) Start(ctx context.Context, owner Authorization) (StartedConnect, error) {
	app, err := c.app(ctx, c.OAuth.Rules().Provider)
	if err != nil {
		return StartedConnect{}, err
	}
	state, nonce := secret.New(c.NewSecret()), secret.New(c.NewSecret())
	if err := c.States.PutState(ctx, state.SHA256(), ConnectState{
		Nonce: nonce.SHA256(), ExpiresAt: c.Events.Now().Add(stateTTL), Provider: c.OAuth.Rules().Provider, Owner: owner,
	}); err != nil {
		return StartedConnect{}, fmt.Errorf("store the state: %w", err)
	}
	target := c.OAuth.AuthorizeURL(app.ClientID, c.RedirectURI, state.Reveal(), verifier(state, nonce))
	return StartedConnect{AuthorizeURL: target, State: state, Nonce: nonce}, nil
}

// Callback holds the parameters with which the provider's consent screen sends
// the browser back.
type Callback struct {
	State secret.String
	Code  secret.String
	// Scope is the list of accepted scopes; empty where the provider returns them
	// only with the tokens.
	Scope string
	// Error is "access_denied" when the athlete refused.
	Error string
	// Nonce is the browser's.
	Nonce secret.String
}

// revokeTime limits the attempt to revoke a pair that could not be saved.
const revokeTime = 5 * time.Second

// minExchangeTime must be left for the exchange of a code.
const minExchangeTime = 5 * time.Second

// Finish completes a connect: it checks the callback, exchanges the code, saves
// the tokens, puts the authorization into force, and publishes it. It returns
// the authorization for which the browser may have a session; the zero value
// for an account that is not an athlete's.
//
// After Strava's response, the tokens are written to the grant, sealed, before
// anything else is done, so that [Reconciler.Reconcile] can complete a connect
// that is cut off. If no store takes them, they are revoked at Strava.
//
// Errors: ErrState, ErrAccessDenied, ErrMissingScope, ErrAppFull,
// ErrProviderUnavailable, for a link also ErrRevoked and ErrOtherAccountLinked,
// or another fault.
func (c *Connect) Finish(ctx context.Context, cb Callback) (Authorization, error) {
	owner, err := c.takeState(ctx, cb.State, cb.Nonce)
	if err != nil {
		return Authorization{}, err
	}
	if cb.Error != "" {
		return Authorization{}, ErrAccessDenied
	}
	rules := c.OAuth.Rules()
	scopes := splitScopes(cb.Scope)
	if len(scopes) > 0 && !rules.enough(scopes) {
		return Authorization{}, ErrMissingScope
	}
	app, err := c.app(ctx, rules.Provider)
	if err != nil {
		return Authorization{}, err
	}
	seal, err := c.newSeal(ctx, rules.Provider)
	if err != nil {
		return Authorization{}, err
	}
	auth, err := c.exchange(ctx, app, cb)
	if err != nil {
		return Authorization{}, err
	}
	if len(auth.Scopes) > 0 {
		// The scopes in the redirect passed through the browser; these did not.
		scopes = auth.Scopes
	}
	grant, candidate, err := c.saveOrRevoke(ctx, app, PendingConnect{
		Account: auth.Account, ID: c.Events.NewID(), ReceivedAt: auth.receivedAt(c.Events.Now()), Scopes: scopes, Tokens: auth.Tokens,
		Owner: owner,
	}, seal)
	if err != nil {
		return Authorization{}, err
	}
	grant, err = c.complete(ctx, app, grant, candidate, auth.Tokens)
	if err != nil {
		return Authorization{}, err
	}
	athleteID, ok := grant.Account.AthleteID()
	if !ok {
		return Authorization{}, nil
	}
	return Authorization{athleteID, grant.Generation}, nil
}

// exchange exchanges the code for tokens. It ends early enough to leave time
// for saving them.
func (c *Connect) exchange(ctx context.Context, app App, cb Callback) (TokenResponse, error) {
	if tooLate(ctx, minExchangeTime+saveTime+revokeTime) {
		return TokenResponse{}, errTooLate
	}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-saveTime-revokeTime))
		defer cancel()
	}
	auth, err := c.OAuth.Exchange(ctx, app, c.RedirectURI, cb.Code, verifier(cb.State, cb.Nonce))
	switch {
	case errors.Is(err, ErrCodeRefused):
		return TokenResponse{}, fmt.Errorf("%w: %w", ErrState, err)
	case errors.Is(err, ErrAppFull):
		return TokenResponse{}, err
	case err != nil:
		return TokenResponse{}, fmt.Errorf("%w: exchange: %w", ErrProviderUnavailable, err)
	}
	return auth, nil
}

// receivedAt returns when the provider issued the tokens, in Unix milliseconds:
// now by our clock, moved into the second that the provider names, so that two
// consents come into force in the order in which they were given even if the
// clocks of the processes that receive them differ. A provider's clock that is
// far off counts for nothing.
func (r TokenResponse) receivedAt(now time.Time) int64 {
	if d := now.Sub(r.AnsweredAt); d < -clockSkew || d > clockSkew {
		return now.UnixMilli()
	}
	second := r.AnsweredAt.UnixMilli()
	return min(max(now.UnixMilli(), second), second+999)
}

// saveOrRevoke makes the tokens of a connect durable, or else revokes them at
// Strava: without them, the athlete would take up a place there that we could
// not free.
func (c *Connect) saveOrRevoke(ctx context.Context, app App, r PendingConnect, seal Seal) (Grant, Candidate, error) {
	within, cancel := savingContext(ctx)
	defer cancel()
	grant, candidate, err := c.saveConnect(within, r, seal)
	if err == nil || errors.Is(err, errDeferred) {
		return grant, candidate, err
	}
	within, cancel = context.WithTimeout(context.WithoutCancel(ctx), revokeTime)
	defer cancel()
	if revokeErr := c.OAuth.Revoke(within, app, r.Tokens); revokeErr != nil {
		c.Metrics.Count(metric.Unsaved, 1)
		return Grant{}, Candidate{}, errors.Join(err, revokeErr)
	}
	return Grant{}, Candidate{}, err
}

// complete puts the authorization of a candidate into force. It cancels the
// connect if the scopes are insufficient or there is no place. It may be called
// again for the same candidate. pair is the candidate's.
//
// It writes the link of a linked account to its athlete's grant first, so that
// leaving always finds it.
//
// Errors: ErrMissingScope, ErrAppFull, for a link ErrRevoked and
// ErrOtherAccountLinked, or another fault, after which [Reconciler.Reconcile]
// calls it again.
func (c *Connect) complete(ctx context.Context, app App, grant Grant, candidate Candidate, pair TokenPair) (Grant, error) {
	if !c.OAuth.Rules().enough(candidate.Scopes) {
		_, err := c.cancel(ctx, app, grant.Account, candidate, pair)
		return Grant{}, errors.Join(ErrMissingScope, err)
	}
	if candidate.Owner.exists() {
		err := c.addLink(ctx, grant.Account, candidate)
		if errors.Is(err, ErrRevoked) || errors.Is(err, ErrOtherAccountLinked) {
			_, backErr := c.cancel(ctx, app, grant.Account, candidate, pair)
			return Grant{}, errors.Join(err, backErr)
		}
		if err != nil {
			return Grant{}, err
		}
	}
	if c.isFull(ctx, grant) {
		present, err := c.cancel(ctx, app, grant.Account, candidate, pair)
		if err == nil && present.inForce() {
			return present, nil // Another connect has given the athlete a place.
		}
		return Grant{}, errors.Join(ErrAppFull, err)
	}
	grant, err := c.authorize(ctx, grant.Account, candidate)
	if err != nil {
		return Grant{}, err
	}
	if err := c.publishState(ctx, grant); err != nil {
		return Grant{}, err
	}
	if grant.Tokens.equal(candidate.TokenRef) {
		grant = c.moveToVault(ctx, grant, pair)
	}
	return grant, nil
}

// authorize puts the authorization of a candidate into force. If that
// authorization has ended already, it removes the link that the connect made.
func (c *Connect) authorize(ctx context.Context, account Account, candidate Candidate) (Grant, error) {
	receipt := c.NewSecret()
	grant, err := c.update(ctx, account, func(g *Grant) (bool, error) {
		authorized := g.authorize(candidate, receipt, c.Events.Now())
		if !authorized && (!g.inForce() || g.Owner.AthleteID != candidate.Owner.AthleteID) {
			return false, errEnded
		}
		return authorized, nil // If not, a refresh or another process has completed it.
	})
	if err == nil && !grant.inForce() {
		err = errEnded
	}
	if fault.Is(err, fault.Conflict) && candidate.Owner.exists() {
		err = errors.Join(err, c.removeLink(ctx, candidate.Owner.AthleteID, account, candidate.ReceivedAt))
	}
	if err != nil {
		return Grant{}, fmt.Errorf("authorize: %w", err)
	}
	if grant.Owner.AthleteID != candidate.Owner.AthleteID {
		return Grant{}, fault.New(fault.Conflict, "a later consent has linked the account to another athlete")
	}
	return grant, nil
}

// errEnded is [ErrRevoked] for an authorization that ended before its connect
// was completed.
var errEnded = fault.New(fault.Conflict, "%w before the connect was completed", ErrRevoked)

// cancel ends the connect of a candidate, and then revokes its tokens at Strava
// and removes them. It keeps them as a candidate if revoking them would end a
// present authorization, too: Strava may have replaced the present tokens by
// them. If Strava does not answer, they stay in the grant, and
// [Reconciler.Reconcile] revokes them with the grant's other tokens. cancel
// returns the grant after the end of the connect; the zero Grant if another
// process has ended it.
func (c *Connect) cancel(ctx context.Context, app App, account Account, candidate Candidate, pair TokenPair) (Grant, error) {
	ended := false
	present, err := c.update(ctx, account, func(g *Grant) (bool, error) {
		ended = g.endConnect(candidate)
		return ended, nil
	})
	if err != nil {
		return Grant{}, fmt.Errorf("end the connect: %w", err)
	}
	if !ended { // Another process has done it.
		return Grant{}, nil
	}
	if present.refreshable() == nil {
		return present, nil
	}
	if err := c.OAuth.Revoke(ctx, app, pair); err != nil {
		return Grant{}, fmt.Errorf("revoke the tokens of a canceled connect: %w", err)
	}
	_, err = c.update(ctx, account, func(g *Grant) (bool, error) {
		g.removeCandidates(candidate)
		if g.Generation != present.Generation {
			// Another connect has come into force. Its tokens may be revoked, too.
			_ = g.addClaim(event.Meta{}, c.Events.Now())
		}
		return true, nil
	})
	if err != nil {
		return Grant{}, fmt.Errorf("remove the tokens of a canceled connect: %w", err)
	}
	return present, nil
}

// takeState checks that the callback belongs to a connect of this browser and
// of this provider, and returns the athlete who links an account.
func (c *Connect) takeState(ctx context.Context, state, nonce secret.String) (Authorization, error) {
	if state.Empty() || nonce.Empty() {
		return Authorization{}, ErrState
	}
	started, err := c.States.TakeState(ctx, state.SHA256())
	if fault.Is(err, fault.NotFound) {
		return Authorization{}, ErrState
	}
	if err != nil {
		return Authorization{}, fmt.Errorf("take state: %w", err)
	}
	if !c.Events.Now().Before(started.ExpiresAt) || started.Nonce != nonce.SHA256() || started.Provider != c.OAuth.Rules().Provider ||
		started.Owner.exists() == (started.Provider == ProviderStrava) { // An athlete's own account is at Strava.
		return Authorization{}, ErrState
	}
	return started.Owner, nil
}

// verifier returns the PKCE code verifier (RFC 7636) of a connect. It is
// derived from the browser's nonce, so no store has to hold it.
func verifier(state, nonce secret.String) secret.String {
	return secret.New(secret.New(state.Reveal() + "." + nonce.Reveal()).SHA256())
}

// splitScopes splits a scope list. Strava separates by commas, OAuth by spaces.
func splitScopes(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}
