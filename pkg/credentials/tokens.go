package credentials

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// leaseTime is how long a refresh may take. It is longer than the longest
// function that refreshes may run (30 s), so that whoever finds a lease
// expired knows its holder to be dead.
const leaseTime = 45 * time.Second

// leasePoll is how often somebody who waits for a refresh looks again.
const leasePoll = 200 * time.Millisecond

// Tokens hands out valid token pairs inside this boundary and renews them.
type Tokens struct {
	Grants    Grants
	Vault     Vault
	OAuth     OAuth
	Publisher Publisher
	Minter    event.Minter
	// Sleep waits, or returns early with the context's error.
	Sleep func(context.Context, time.Duration) error

	mu     sync.Mutex
	cached map[int64]cachedPair
}

type cachedPair struct {
	generation, version int64
	pair                TokenPair
}

// Pair returns a token pair whose access token can be used now, renewing it
// when less than an hour is left. rejected is the access token that Strava has
// just refused, if one was: it is then renewed whatever its age says.
//
// Errors: ErrRevoked when the generation is not the one in force, ErrDegraded,
// ErrAppRefused, or a transient fault.
func (t *Tokens) Pair(ctx context.Context, athleteID, generation int64, rejected TokenPair) (TokenPair, error) {
	for {
		grant, pair, err := t.current(ctx, athleteID, generation)
		if err != nil {
			return TokenPair{}, err
		}
		now := t.Minter.Now()
		wasRejected := !rejected.Access.Empty() && pair.Access.Equal(rejected.Access)
		if pair.fresh(now) && !wasRejected {
			return pair, nil
		}
		refreshed, err := t.refresh(ctx, grant, pair)
		switch {
		case err == nil:
			return refreshed, nil
		case errors.Is(err, errBusy):
			// Somebody else is at it. The old access token lives on until it
			// expires, whatever happens to the refresh token (Strava,
			// Authentication), so there is no need to wait for the new one.
			if pair.usable(now) && !wasRejected {
				return pair, nil
			}
		case errors.Is(err, errOutdated):
			continue
		case fault.Is(err, fault.Transient) && pair.usable(now) && !wasRejected:
			return pair, nil
		default:
			return TokenPair{}, err
		}
		if err := t.Sleep(ctx, leasePoll); err != nil {
			return TokenPair{}, fault.New(fault.Transient, "wait for the refresh in flight: %w", err)
		}
	}
}

// Confirm asks Strava whether the authorization still stands, by a refresh.
// nil means that it does. Errors: ErrTokenRefused when it does not, ErrRevoked
// when it was over before, ErrAppRefused, or a transient fault.
func (t *Tokens) Confirm(ctx context.Context, athleteID, generation int64) error {
	for {
		grant, pair, err := t.current(ctx, athleteID, generation)
		if errors.Is(err, ErrDegraded) {
			return ErrTokenRefused
		}
		if err != nil {
			return err
		}
		_, err = t.refresh(ctx, grant, pair)
		switch {
		case errors.Is(err, ErrDegraded):
			return ErrTokenRefused
		case errors.Is(err, errOutdated):
			continue
		case !errors.Is(err, errBusy):
			return err
		}
		if err := t.Sleep(ctx, leasePoll); err != nil {
			return fault.New(fault.Transient, "wait for the refresh in flight: %w", err)
		}
	}
}

// current reads the grant and the pair that it names. The grant is read every
// time, so that a revocation counts at once; the pair is taken from memory
// while the grant still names it, so that SSM and KMS are not asked per call.
func (t *Tokens) current(ctx context.Context, athleteID, generation int64) (Grant, TokenPair, error) {
	for {
		grant, err := t.Grants.Grant(ctx, athleteID)
		if fault.Is(err, fault.NotFound) {
			return Grant{}, TokenPair{}, ErrRevoked
		}
		if err != nil {
			return Grant{}, TokenPair{}, fmt.Errorf("read grant: %w", err)
		}
		if err := grant.inForce(generation); err != nil {
			return Grant{}, TokenPair{}, err
		}
		t.mu.Lock()
		c := t.cached[athleteID]
		t.mu.Unlock()
		if c.generation == grant.Generation && c.version == grant.TokenVersion {
			return grant, c.pair, nil
		}
		pair, err := t.Vault.Tokens(ctx, athleteID, grant.TokenVersion)
		if fault.Is(err, fault.NotFound) {
			// The grant named it a moment ago: either the authorization has
			// ended since, which the next look shows, or SSM lags behind.
			if err := t.Sleep(ctx, leasePoll); err != nil {
				return Grant{}, TokenPair{}, fault.New(fault.Transient, "wait for the token pair: %w", err)
			}
			continue
		}
		if err != nil {
			return Grant{}, TokenPair{}, fmt.Errorf("read tokens: %w", err)
		}
		t.remember(grant, pair)
		return grant, pair, nil
	}
}

func (t *Tokens) remember(grant Grant, pair TokenPair) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cached == nil {
		t.cached = map[int64]cachedPair{}
	}
	t.cached[grant.AthleteID] = cachedPair{grant.Generation, grant.TokenVersion, pair}
}

// inForce tells whether the grant allows calls for the generation.
func (g Grant) inForce(generation int64) error {
	switch {
	case g.State == Revoked || g.State == "" || g.Generation != generation:
		return ErrRevoked
	case g.State == Degraded:
		return ErrDegraded
	}
	return nil
}

var (
	errBusy     = errors.New("another refresh is in flight")
	errOutdated = errors.New("the token pair was replaced meanwhile")
)

// refresh renews pair, which seen names. The steps and what a crash after each
// of them leaves are:
//
//  1. lease: nobody else refreshes until it is committed or expires.
//  2. ask Strava. Crash: if Strava rotated the refresh token, only it knows.
//  3. save the new pair as a new version. Crash: the version exists, the grant
//     does not name it.
//  4. commit: the grant names the version, and the lease ends.
func (t *Tokens) refresh(ctx context.Context, seen Grant, pair TokenPair) (TokenPair, error) {
	owner := t.Minter.NewID()
	if err := t.acquire(ctx, seen, owner); err != nil {
		return TokenPair{}, err
	}
	app, err := t.Vault.App(ctx)
	if err != nil {
		t.release(ctx, seen, owner)
		return TokenPair{}, fmt.Errorf("read app: %w", err)
	}
	fresh, err := t.OAuth.Refresh(ctx, app, pair.Refresh)
	if errors.Is(err, ErrTokenRefused) {
		return TokenPair{}, t.degrade(ctx, seen, owner)
	}
	if err != nil {
		t.release(ctx, seen, owner)
		return TokenPair{}, fmt.Errorf("refresh: %w", err)
	}
	version := seen.TokenVersion
	if !fresh.Refresh.Equal(pair.Refresh) || !fresh.Access.Equal(pair.Access) {
		if version, err = t.Vault.SaveTokens(ctx, seen.AthleteID, fresh); err != nil {
			t.release(ctx, seen, owner)
			return TokenPair{}, fmt.Errorf("save refreshed tokens: %w", err)
		}
	}
	grant, err := t.Grants.Update(ctx, seen.AthleteID, func(g *Grant) error {
		if err := g.inForce(seen.Generation); err != nil {
			return err
		}
		if g.Lease.Owner != owner || g.TokenVersion != seen.TokenVersion {
			return errOutdated
		}
		g.TokenVersion = version
		g.Lease = Lease{}
		return nil
	})
	if errors.Is(err, ErrRevoked) {
		// The authorization ended while we asked. Whoever ended it waits for
		// this lease before dropping tokens, so the pair just saved goes too.
		t.release(ctx, seen, owner)
		return TokenPair{}, ErrRevoked
	}
	if err != nil {
		return TokenPair{}, fmt.Errorf("commit refreshed tokens: %w", err)
	}
	t.remember(grant, fresh)
	return fresh, nil
}

func (t *Tokens) acquire(ctx context.Context, seen Grant, owner string) error {
	_, err := t.Grants.Update(ctx, seen.AthleteID, func(g *Grant) error {
		now := t.Minter.Now()
		if err := g.inForce(seen.Generation); err != nil {
			return err
		}
		if g.TokenVersion != seen.TokenVersion {
			return errOutdated
		}
		if g.Lease.held(owner, now) {
			return errBusy
		}
		g.Lease = Lease{Owner: owner, Until: now.Add(leaseTime)}
		return nil
	})
	if err != nil {
		return fmt.Errorf("lease: %w", err)
	}
	return nil
}

// release gives the lease back so that nobody waits for its end. Failing to is
// no harm: it ends by itself.
func (t *Tokens) release(ctx context.Context, seen Grant, owner string) {
	_, _ = t.Grants.Update(ctx, seen.AthleteID, func(g *Grant) error {
		if g.Lease.Owner != owner {
			return errOutdated
		}
		g.Lease = Lease{}
		return nil
	})
}

// degrade marks the grant after Strava refused its refresh token, unless the
// pair that was refused is not the grant's any more.
func (t *Tokens) degrade(ctx context.Context, seen Grant, owner string) error {
	grant, err := t.Grants.Update(ctx, seen.AthleteID, func(g *Grant) error {
		if err := g.inForce(seen.Generation); err != nil {
			return err
		}
		if g.Lease.Owner != owner || g.TokenVersion != seen.TokenVersion {
			return errOutdated
		}
		g.State = Degraded
		g.Lease = Lease{}
		return nil
	})
	if err != nil {
		return fmt.Errorf("mark the grant degraded: %w", err)
	}
	err = t.Publisher.Publish(ctx, t.Minter.First(credentialsv1.AuthorizationDegraded{
		AthleteID: grant.AthleteID, Generation: grant.Generation, Reason: credentialsv1.DegradedTokenRefused,
	}))
	if err != nil {
		return fmt.Errorf("announce the degraded grant: %w", err)
	}
	return ErrDegraded
}
