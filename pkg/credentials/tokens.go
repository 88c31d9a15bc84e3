package credentials

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/paceline/paceline/pkg/credentials/metric"

	"github.com/paceline/paceline/pkg/kit/fault"
)

const (
	// maxLooks is how often a pair that the grant refers to is read, with
	// leasePoll between, before it counts as missing: SSM may lag behind a
	// write.
	maxLooks = 30
	// maxRestarts is how often a call starts over because its pair was
	// replaced. More would be a defect.
	maxRestarts = 300
	// maxCached bounds the pairs in the memory of one process.
	maxCached = 1000
)

// Tokens hands out valid token pairs inside this boundary and refreshes them.
type Tokens struct {
	TokenStore
	OAuth OAuth

	mu     sync.Mutex
	cached map[Account]cachedPair
	// lastApp is the registration that was last read; see
	// [Tokens.requestRefresh].
	lastApp App
}

// cachedPair is a pair, and the generation and reference that it was read by.
type cachedPair struct {
	generation int64
	ref        TokenRef
	pair       TokenPair
}

// Pair returns a token pair whose access token can be used now. It refreshes
// the pair when less than the provider's margin is left, or if the pair is
// rejected. rejected is a pair whose access token Strava has just refused; the
// zero value for none.
//
// Errors: ErrRevoked when the generation is not the one in force, ErrDegraded,
// ErrAppRefused, a transient fault (ErrProviderUnavailable if it is Strava's),
// or a permanent one if the vault does not hold the pair.
func (t *Tokens) Pair(ctx context.Context, account Account, generation int64, rejected TokenPair) (TokenPair, error) {
	for restarts := 0; ; {
		grant, pair, err := t.currentPair(ctx, account, generation, Grant.callable)
		if err != nil {
			return TokenPair{}, err
		}
		now := t.Events.Now()
		wasRejected := !rejected.Access.Empty() && pair.Access.Equal(rejected.Access)
		if pair.fresh(now, t.OAuth.Rules().RefreshMargin) && !wasRejected {
			return pair, nil
		}
		refreshed, err := t.refresh(ctx, grant, pair)
		switch {
		case err == nil:
			return refreshed, nil
		case errors.Is(err, errBusy):
			// Another process is refreshing. The old access token lives on until it
			// expires, whatever happens to the refresh token (Strava,
			// Authentication), so there is no need to wait for the new one.
			if pair.usable(now) && !wasRejected {
				return pair, nil
			}
		case errors.Is(err, errGrantChanged) && restarts < maxRestarts:
			restarts++
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

// VerifyAuthorization asks Strava whether the authorization still stands, by a
// refresh. nil means that it does. Errors: ErrTokenRefused when Strava refuses
// every known refresh token, ErrRevoked when the authorization was over before,
// ErrAppRefused, or a transient fault.
func (t *Tokens) VerifyAuthorization(ctx context.Context, account Account, generation int64) error {
	for restarts := 0; ; {
		grant, pair, err := t.currentPair(ctx, account, generation, Grant.refreshable)
		if err == nil {
			_, err = t.refresh(ctx, grant, pair)
		}
		switch {
		case errors.Is(err, ErrDegraded):
			return ErrTokenRefused
		case errors.Is(err, errGrantChanged) && restarts < maxRestarts:
			restarts++
			continue
		case !errors.Is(err, errBusy):
			return err
		}
		if err := t.Sleep(ctx, leasePoll); err != nil {
			return fault.New(fault.Transient, "wait for the refresh in flight: %w", err)
		}
	}
}

// Degrade records that the athlete has to connect again before calls can be
// made under the generation, and publishes it. ErrRevoked means that the
// authorization is over.
func (t *Tokens) Degrade(ctx context.Context, account Account, generation int64, reason string) error {
	degraded := false
	grant, err := t.update(ctx, account, func(g *Grant) (_ bool, err error) {
		if g.Generation != generation {
			return false, ErrRevoked
		}
		degraded, err = g.degrade(reason, t.Events.Now())
		return degraded, err
	})
	if err != nil {
		return fmt.Errorf("degrade the grant: %w", err)
	}
	return t.publishDegradation(ctx, grant, degraded)
}

// publishDegradation publishes the state of a degraded grant, and counts it if
// it has just degraded.
func (t *Tokens) publishDegradation(ctx context.Context, grant Grant, justNow bool) error {
	if justNow {
		t.Metrics.Count(metric.Degraded, 1)
	}
	return t.publishState(ctx, grant)
}

// currentPair returns the grant and the pair that it refers to. It reads the
// grant every time, so that a revocation takes effect at once. It takes the
// pair from memory while the grant still refers to it, so that a call needs
// neither SSM nor KMS. allowed returns why the grant may not be used, or nil.
func (t *Tokens) currentPair(ctx context.Context, account Account, generation int64, allowed func(Grant) error) (Grant, TokenPair, error) {
	for look := 1; ; look++ {
		grant, err := t.currentGrant(ctx, account, generation, allowed)
		if err != nil {
			return Grant{}, TokenPair{}, err
		}
		if pair, ok := t.pairInMemory(grant); ok {
			return grant, pair, nil
		}
		pair, err := t.read(ctx, account, grant.Tokens)
		switch {
		case err == nil:
			if moved := t.moveToVault(ctx, grant, pair); !moved.Tokens.equal(grant.Tokens) {
				grant = moved
				t.Metrics.Count(metric.Adopted, 1)
			}
			t.cachePair(grant, pair)
			return grant, pair, nil
		case !fault.Is(err, fault.NotFound):
			return Grant{}, TokenPair{}, fmt.Errorf("read tokens: %w", err)
		case look == maxLooks:
			// The parameter was deleted by hand, which ends no authorization.
			return Grant{}, TokenPair{}, fault.New(fault.Permanent, "the vault does not hold version %d of the tokens, which the grant refers to", grant.Tokens.Version)
		}
		// SSM lags behind, or the authorization has ended since.
		if err := t.Sleep(ctx, leasePoll); err != nil {
			return Grant{}, TokenPair{}, fault.New(fault.Transient, "wait for the token pair: %w", err)
		}
	}
}

// currentGrant reads the grant, publishes its state if that is due, and checks
// that the generation is in force and that the grant is allowed.
func (t *Tokens) currentGrant(ctx context.Context, account Account, generation int64, allowed func(Grant) error) (Grant, error) {
	grant, err := t.grant(ctx, account)
	if fault.Is(err, fault.NotFound) {
		t.evictPair(account)
		return Grant{}, ErrRevoked
	}
	if err != nil {
		return Grant{}, fmt.Errorf("read grant: %w", err)
	}
	if err := t.publishState(ctx, grant); err != nil {
		return Grant{}, err
	}
	if !grant.inForce() {
		t.evictPair(account)
	}
	if grant.Generation != generation {
		return Grant{}, ErrRevoked
	}
	return grant, allowed(grant)
}

// pairInMemory returns the pair that the grant refers to, if it is in memory.
func (t *Tokens) pairInMemory(grant Grant) (TokenPair, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, ok := t.cached[grant.Account]
	return c.pair, ok && c.generation == grant.Generation && c.ref.equal(grant.Tokens)
}

// cachePair keeps a pair in memory. It replaces an arbitrary one if there are
// too many.
func (t *Tokens) cachePair(grant Grant, pair TokenPair) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cached == nil {
		t.cached = map[Account]cachedPair{}
	}
	if _, known := t.cached[grant.Account]; !known && len(t.cached) >= maxCached {
		for account := range t.cached {
			delete(t.cached, account)
			break
		}
	}
	t.cached[grant.Account] = cachedPair{grant.Generation, grant.Tokens, pair}
}

// evictPair removes an account's pair from memory.
func (t *Tokens) evictPair(account Account) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.cached, account)
}
