package credentials

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/credentials/metric"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// refreshTime must be left of a call's time when Strava is asked: a process
// that is ended between Strava's response and the write loses the response. It
// covers the call to Strava (20 s) and saveTime.
const refreshTime = 28 * time.Second

// refresh renews pair, which seen refers to. Its steps, and the state after
// each if the process is killed then:
//
//  1. acquire the lease: no other process refreshes until the lease is released
//     or expires.
//  2. prepare a seal, so that sealing the new pair needs no KMS. As 1.
//  3. call Strava. If Strava replaced the refresh token, the new one is lost:
//     only this process had it. The next refresh is refused, and the grant
//     degrades. See docs/token-safety.md.
//  4. save the new pair as a new version. The grant does not refer to it yet; the
//     next process that is refused finds and adopts it.
//  5. commit: the grant refers to the version or, if the vault did not take it,
//     holds the pair itself, sealed. The lease ends.
func (t *Tokens) refresh(ctx context.Context, seen Grant, pair TokenPair) (TokenPair, error) {
	if tooLate(ctx, refreshTime) { // Other processes need not wait.
		return TokenPair{}, errTooLate
	}
	owner, err := t.acquireAs(ctx, seen)
	if err != nil {
		return TokenPair{}, err
	}
	seal, err := t.newSeal(ctx, seen.Account.Provider)
	if err != nil {
		t.release(ctx, seen.Account, owner, false)
		return TokenPair{}, err
	}
	fresh, err := t.requestRefresh(ctx, pair)
	switch {
	case errors.Is(err, ErrTokenRefused):
		return TokenPair{}, t.handleRefusal(ctx, seen, owner, pair)
	case err != nil:
		t.Metrics.Count(metric.RefreshFailed, 1)
		t.release(ctx, seen.Account, owner, errors.Is(err, ErrAnswerLost))
		return TokenPair{}, fmt.Errorf("refresh: %w", err)
	}
	ctx, cancel := savingContext(ctx)
	defer cancel()
	grant, saved, err := t.saveRefreshed(ctx, seen, owner, pair, fresh, seal)
	switch {
	case err == nil && grant.State == Revoked:
		// The authorization ended during the call to Strava. The revocation
		// waits for this lease, and now finds the pair that it has to revoke
		// and delete.
		return TokenPair{}, ErrRevoked
	case errors.Is(err, errGrantChanged):
		return TokenPair{}, err
	case err != nil:
		if !saved {
			t.Metrics.Count(metric.Unsaved, 1)
		}
		return TokenPair{}, fmt.Errorf("save refreshed tokens: %w", err)
	}
	t.Metrics.Count(metric.Refreshed, 1)
	t.cachePair(grant, fresh)
	return fresh, nil
}

// errTooLate means that Strava was not called.
var errTooLate = fault.New(fault.Transient, "too little time is left to call Strava")

// tooLate reports whether less than need is left before the context ends. It
// compares with the real clock, because contexts do.
func tooLate(ctx context.Context, need time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < need
}

// requestRefresh has Strava renew the pair. It keeps the application's
// registration in memory for as long as Strava accepts it, so that a refresh
// needs neither SSM nor KMS. After a refusal it reads the registration again:
// an admin may have changed the secret, or even the application, to which the
// token is unknown.
func (t *Tokens) requestRefresh(ctx context.Context, pair TokenPair) (TokenPair, error) {
	t.mu.Lock()
	app := t.lastApp
	t.mu.Unlock()
	var refused error
	if app.ClientID != "" {
		fresh, err := t.requestRefreshAs(ctx, app, pair)
		if !errors.Is(err, ErrAppRefused) && !errors.Is(err, ErrTokenRefused) {
			return fresh, err
		}
		refused = err
	}
	read, err := t.app(ctx, t.OAuth.Rules().Provider)
	if err != nil {
		return TokenPair{}, err
	}
	if read.ClientID == app.ClientID && read.ClientSecret.Equal(app.ClientSecret) {
		return TokenPair{}, refused
	}
	t.mu.Lock()
	t.lastApp = read
	t.mu.Unlock()
	return t.requestRefreshAs(ctx, read, pair)
}

// requestRefreshAs has Strava renew the pair for app, unless too little time is
// left: the steps before may have taken long.
func (t *Tokens) requestRefreshAs(ctx context.Context, app App, pair TokenPair) (TokenPair, error) {
	if tooLate(ctx, refreshTime) {
		return TokenPair{}, errTooLate
	}
	fresh, err := t.OAuth.Refresh(ctx, app, pair.Refresh)
	return fresh, unavailable(ctx, err)
}

// handleRefusal acts on Strava's refusal of the refresh token of pair, which
// seen refers to. Another pair may be the valid one: one that a refresh saved
// before it was cut off, or a candidate. handleRefusal then adopts that pair
// and returns errGrantChanged, so that the caller starts over. Otherwise the
// grant degrades.
func (t *Tokens) handleRefusal(ctx context.Context, seen Grant, owner string, pair TokenPair) error {
	other, err := t.findOtherPair(ctx, seen, pair)
	if err != nil {
		t.release(ctx, seen.Account, owner, false)
		return fmt.Errorf("look for another pair: %w", err)
	}
	if other.exists() {
		if _, err := t.update(ctx, seen.Account, func(g *Grant) (bool, error) { return true, g.adopt(owner, seen, other) }); err != nil {
			return fmt.Errorf("adopt another pair: %w", err)
		}
		t.Metrics.Count(metric.Adopted, 1)
		return errGrantChanged
	}
	degraded := false
	grant, err := t.update(ctx, seen.Account, func(g *Grant) (_ bool, err error) {
		added := !slices.EqualFunc(g.Candidates, seen.Candidates, func(a, b Candidate) bool { return a.equal(b.TokenRef) })
		if !g.underLease(owner, seen) || added {
			return false, errGrantChanged
		}
		if g.State != Revoked {
			if degraded, err = g.degrade(credentialsv1.DegradedTokenRefused, t.Events.Now()); err != nil {
				return false, err
			}
		}
		g.release(owner)
		return true, nil
	})
	switch {
	case errors.Is(err, errGrantChanged):
		t.release(ctx, seen.Account, owner, false) // A connect has added a candidate.
		return err
	case err != nil:
		return fmt.Errorf("record the refused token: %w", err)
	case grant.State == Revoked:
		return ErrRevoked
	}
	if err := t.publishDegradation(ctx, grant, degraded); err != nil {
		return err
	}
	return ErrDegraded
}

// findOtherPair returns a reference to a pair that may be valid although Strava
// refused the one that the grant refers to; the zero value if there is none.
func (t *Tokens) findOtherPair(ctx context.Context, seen Grant, refused TokenPair) (TokenRef, error) {
	left, version, err := t.latest(ctx, seen.Account, seen.Generation)
	if err != nil {
		return TokenRef{}, err
	}
	if version != 0 && !left.Refresh.Equal(refused.Refresh) && !left.IssuedAt.Before(refused.IssuedAt.Add(-clockSkew)) {
		return TokenRef{Generation: seen.Generation, Version: version}, nil
	}
	for _, candidate := range slices.Backward(seen.Candidates) {
		ref, pair, err := t.newest(ctx, seen.Account, candidate.TokenRef)
		switch {
		case err == nil && !pair.Refresh.Equal(refused.Refresh):
			return ref, nil
		case err != nil && fault.Is(err, fault.Transient):
			return TokenRef{}, err
		}
	}
	return TokenRef{}, nil
}

// newest returns the pair that ref refers to, or a newer one in its parameter: a
// refresh may have been cut off after a connect replaced its authorization.
func (t *Tokens) newest(ctx context.Context, account Account, ref TokenRef) (TokenRef, TokenPair, error) {
	if ref.Sealed == nil {
		left, version, err := t.latest(ctx, account, ref.Generation)
		if err != nil && fault.Is(err, fault.Transient) {
			return TokenRef{}, TokenPair{}, err
		}
		if err == nil && version > ref.Version {
			return TokenRef{Generation: ref.Generation, Version: version}, left, nil
		}
	}
	pair, err := t.read(ctx, account, ref)
	return ref, pair, err
}
