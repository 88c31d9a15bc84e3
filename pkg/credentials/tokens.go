package credentials

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

const (
	// refreshTime must be left of a call's time when Strava is asked: a
	// process that is ended between Strava's answer and the write loses the
	// answer. It covers asking Strava (20 s) and saveTime.
	refreshTime = 28 * time.Second
	// saveTime is how long saving a new pair is tried.
	saveTime = 7 * time.Second
	// savePause is the wait between two tries to save.
	savePause = 250 * time.Millisecond
	// maxLooks is how often a pair that the grant names is looked for, with
	// leasePoll between: SSM may lag behind a write by a moment.
	maxLooks = 30
	// maxRestarts is how often a call starts over because the pair it worked
	// on was replaced, before it takes that for a defect.
	maxRestarts = 300
)

// Tokens hands out valid token pairs inside this boundary and renews them.
type Tokens struct {
	Grants    Grants
	Vault     Vault
	Sealer    Sealer
	OAuth     OAuth
	Publisher Publisher
	Metrics   Metrics
	Minter    event.Minter
	// Sleep waits, or returns early with the context's error.
	Sleep func(context.Context, time.Duration) error

	mu     sync.Mutex
	cached map[Account]cachedPair
	// app is the registration that was last good; see [Tokens.ask].
	app App
}

// cachedPair is a pair and what of the grant named it.
type cachedPair struct {
	generation, version int64
	parked              []byte
	pair                TokenPair
}

// Pair returns a token pair whose access token can be used now, renewing it
// when less than an hour is left. rejected is the access token that Strava has
// just refused, if one was: it is then renewed whatever its age says.
//
// Errors: ErrRevoked when the generation is not the one in force, ErrDegraded,
// ErrAppRefused, a transient fault (Strava's if it is ErrStravaUnavailable), or a
// permanent one when the pair is nowhere.
func (t *Tokens) Pair(ctx context.Context, account Account, generation int64, rejected TokenPair) (TokenPair, error) {
	for restarts := 0; ; {
		grant, pair, err := t.current(ctx, account, generation, Grant.callable)
		if err != nil {
			return TokenPair{}, err
		}
		now := t.Minter.Now()
		wasRejected := !rejected.Access.Empty() && pair.Access.Equal(rejected.Access)
		if pair.fresh(now, t.OAuth.Rules().RefreshMargin) && !wasRejected {
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
		case errors.Is(err, errOutdated) && restarts < maxRestarts:
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

// Confirm asks Strava whether the authorization still stands, by a refresh.
// nil means that it does. Errors: ErrTokenRefused when it does not, ErrRevoked
// when it was over before, ErrAppRefused, or a transient fault.
func (t *Tokens) Confirm(ctx context.Context, account Account, generation int64) error {
	for restarts := 0; ; {
		grant, pair, err := t.current(ctx, account, generation, Grant.refreshable)
		if err == nil {
			_, err = t.refresh(ctx, grant, pair)
		}
		switch {
		case errors.Is(err, ErrDegraded):
			return ErrTokenRefused
		case errors.Is(err, errOutdated) && restarts < maxRestarts:
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

// Degrade notes that the athlete has to connect again before the generation is
// of use, and has it announced. ErrRevoked says that it is over.
func (t *Tokens) Degrade(ctx context.Context, account Account, generation int64, reason string) error {
	degraded := false
	grant, err := update(ctx, t.Grants, t.Minter, account, func(g *Grant) error {
		if g.Generation != generation {
			return ErrRevoked
		}
		before := *g
		err := g.degrade(reason)
		degraded = g.Reason != before.Reason
		return err
	})
	if err != nil {
		return fmt.Errorf("degrade the grant: %w", err)
	}
	return t.degraded(ctx, grant, degraded)
}

// degraded counts and announces what has just become degraded.
func (t *Tokens) degraded(ctx context.Context, grant Grant, anew bool) error {
	if anew {
		t.Metrics.Count(string(MetricDegraded), 1)
	}
	if !grant.Unannounced {
		return nil
	}
	return announce(ctx, t.Grants, t.Publisher, t.Minter, grant)
}

// current reads the grant and the pair that it names. The grant is read every
// time, so that a revocation counts at once; the pair is taken from memory
// while the grant still names it, so that SSM and KMS are not asked per call.
// allowed says what the grant may be used for.
func (t *Tokens) current(ctx context.Context, account Account, generation int64, allowed func(Grant) error) (Grant, TokenPair, error) {
	for look := 1; ; look++ {
		grant, err := t.Grants.Grant(ctx, account)
		if fault.Is(err, fault.NotFound) {
			return Grant{}, TokenPair{}, ErrRevoked
		}
		if err != nil {
			return Grant{}, TokenPair{}, fmt.Errorf("read grant: %w", err)
		}
		if grant.Unannounced {
			if err := announce(ctx, t.Grants, t.Publisher, t.Minter, grant); err != nil {
				return Grant{}, TokenPair{}, err
			}
		}
		if grant.Generation != generation {
			return Grant{}, TokenPair{}, ErrRevoked
		}
		if err := allowed(grant); err != nil {
			return Grant{}, TokenPair{}, err
		}
		t.mu.Lock()
		c := t.cached[account]
		t.mu.Unlock()
		if c.generation == grant.Generation && c.version == grant.TokenVersion && bytes.Equal(c.parked, grant.Parked) {
			return grant, c.pair, nil
		}
		pair, err := t.read(ctx, grant)
		if fault.Is(err, fault.NotFound) {
			// The grant named it a moment ago: either the authorization has
			// ended since, which the next look shows, or SSM lags behind. Else
			// somebody took it away, of whom we know nothing: it costs no grant.
			if look == maxLooks {
				return Grant{}, TokenPair{}, fault.New(fault.Permanent, "the vault has no version %d of the tokens, which the grant names", grant.TokenVersion)
			}
			if err := t.Sleep(ctx, leasePoll); err != nil {
				return Grant{}, TokenPair{}, fault.New(fault.Transient, "wait for the token pair: %w", err)
			}
			continue
		}
		if err != nil {
			return Grant{}, TokenPair{}, fmt.Errorf("read tokens: %w", err)
		}
		if grant.Parked != nil {
			grant = t.unpark(ctx, grant, pair)
		}
		t.remember(grant, pair)
		return grant, pair, nil
	}
}

// read returns the pair that the grant names, wherever it is.
func (t *Tokens) read(ctx context.Context, grant Grant) (TokenPair, error) {
	if grant.Parked != nil {
		return t.Sealer.Open(ctx, grant.Account, grant.Parked)
	}
	return t.Vault.Tokens(ctx, grant.Account, grant.TokenVersion)
}

func (t *Tokens) remember(grant Grant, pair TokenPair) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cached == nil {
		t.cached = map[Account]cachedPair{}
	}
	t.cached[grant.Account] = cachedPair{grant.Generation, grant.TokenVersion, grant.Parked, pair}
}

// callable tells whether calls can be made under the grant.
func (g Grant) callable() error {
	if g.State == Degraded {
		return ErrDegraded
	}
	return g.refreshable()
}

// refreshable tells whether the grant's tokens are worth asking with: whether
// they cover activities makes no difference to that.
func (g Grant) refreshable() error {
	switch {
	case g.State == Active, g.State == Degraded && g.Reason == credentialsv1.DegradedScopeMissing:
		return nil
	case g.State == Degraded:
		return ErrDegraded
	}
	return ErrRevoked
}

// names reports whether the grant names the same pair as seen.
func (g Grant) names(seen Grant) bool {
	return g.TokenVersion == seen.TokenVersion && bytes.Equal(g.Parked, seen.Parked)
}

// refresh renews pair, which seen names. The steps, and what is left when the
// process is killed after each:
//
//  1. lease: nobody else refreshes until the lease is given back or expires.
//  2. prepare a seal, so that parking will need no KMS. As 1.
//  3. ask Strava. If Strava replaced the refresh token, the new one is lost:
//     nobody but this process had it. The next refresh is refused, and the
//     grant degrades. See docs/token-safety.md.
//  4. save the new pair as a new version. The version exists, the grant does
//     not name it; whoever is refused next finds and adopts it.
//  5. commit: the grant names the version or, where the vault refused, holds
//     the pair itself, sealed; and the lease ends.
func (t *Tokens) refresh(ctx context.Context, seen Grant, pair TokenPair) (TokenPair, error) {
	if tooLate(ctx, refreshTime) { // There is no need to keep others waiting.
		return TokenPair{}, errTooLate
	}
	owner, err := t.acquire(ctx, seen)
	if err != nil {
		return TokenPair{}, err
	}
	seal, err := t.Sealer.NewSeal(ctx, seen.Account)
	if err != nil {
		t.release(ctx, seen, owner)
		return TokenPair{}, fmt.Errorf("prepare to park: %w", err)
	}
	fresh, err := t.ask(ctx, pair)
	switch {
	case errors.Is(err, ErrTokenRefused):
		return TokenPair{}, t.refused(ctx, seen, owner)
	case err != nil:
		t.Metrics.Count(string(MetricRefreshFailed), 1)
		t.release(ctx, seen, owner)
		return TokenPair{}, fmt.Errorf("refresh: %w", err)
	}
	// The caller's giving up must not keep the answer from being saved.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	grant, err := t.save(ctx, seen, owner, pair, fresh, seal)
	switch {
	case err == nil && grant.State == Revoked:
		// The authorization ended while we asked. Whoever ended it waits for
		// this lease, and now finds the pair that is to be revoked and dropped.
		return TokenPair{}, ErrRevoked
	case errors.Is(err, errOutdated):
		return TokenPair{}, errors.Join(err, t.discard(ctx, seen, fresh))
	case err != nil:
		t.Metrics.Count(string(MetricUnsaved), 1)
		return TokenPair{}, fmt.Errorf("save refreshed tokens: %w", err)
	}
	t.Metrics.Count(string(MetricRefreshed), 1)
	t.remember(grant, fresh)
	return fresh, nil
}

// errTooLate says that Strava was not asked.
var errTooLate = fault.New(fault.Transient, "too little time is left to call Strava")

// tooLate reports whether less than need is left before the context ends. That
// is a matter of the real clock, whatever the Minter's.
func tooLate(ctx context.Context, need time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < need
}

// ask has Strava renew the pair. The application's registration stays in memory
// for as long as Strava accepts it, so that SSM and KMS are not asked per
// refresh. After a refusal it is read anew: an admin may have changed the
// secret meanwhile, or even the application, to which the token is a strange one.
func (t *Tokens) ask(ctx context.Context, pair TokenPair) (TokenPair, error) {
	t.mu.Lock()
	app := t.app
	t.mu.Unlock()
	var refused error
	if app.ClientID != "" {
		fresh, err := t.askAs(ctx, app, pair)
		if !errors.Is(err, ErrAppRefused) && !errors.Is(err, ErrTokenRefused) {
			return fresh, err
		}
		refused = err
	}
	read, err := t.Vault.App(ctx, t.OAuth.Rules().Provider)
	if err != nil {
		return TokenPair{}, fmt.Errorf("read app: %w", err)
	}
	if read.ClientID == app.ClientID && read.ClientSecret.Equal(app.ClientSecret) {
		return TokenPair{}, refused
	}
	t.mu.Lock()
	t.app = read
	t.mu.Unlock()
	return t.askAs(ctx, read, pair)
}

// askAs has Strava renew the pair for app, unless too little time is left for
// it: whatever came before may have taken long.
func (t *Tokens) askAs(ctx context.Context, app App, pair TokenPair) (TokenPair, error) {
	if tooLate(ctx, refreshTime) {
		return TokenPair{}, errTooLate
	}
	fresh, err := t.OAuth.Refresh(ctx, app, pair.Refresh)
	return fresh, unavailable(ctx, err)
}

// save has the grant name the fresh pair, which it puts into the vault or else
// parks, and tries until it has succeeded, is fenced off, or the context ends.
// In a grant that was revoked meanwhile the pair is named, too, so that it can
// be revoked; the state stays as it is.
func (t *Tokens) save(ctx context.Context, seen Grant, owner string, old, fresh TokenPair, seal Seal) (Grant, error) {
	version, parked := seen.TokenVersion, seen.Parked
	saved := fresh.Refresh.Equal(old.Refresh) && fresh.Access.Equal(old.Access)
	for {
		if !saved {
			if v, err := t.Vault.SaveTokens(ctx, seen.Account, fresh); err == nil {
				version, parked, saved = v, nil, true
			} else if parked, err = seal(fresh); err != nil {
				return Grant{}, fmt.Errorf("seal: %w", err)
			}
		}
		grant, err := t.renew(ctx, seen, owner, version, parked)
		if !fault.Is(err, fault.Transient) {
			if err == nil && !saved {
				t.Metrics.Count(string(MetricParked), 1)
			}
			return grant, err
		}
		if t.Sleep(ctx, savePause) != nil {
			return Grant{}, err
		}
	}
}

// renew has the grant name the pair and gives the lease back, on condition that
// the grant is of the same generation, under this lease, and names the pair
// that the work began with; errOutdated otherwise.
func (t *Tokens) renew(ctx context.Context, seen Grant, owner string, version int64, parked []byte) (Grant, error) {
	return update(ctx, t.Grants, t.Minter, seen.Account, func(g *Grant) error {
		return g.renew(owner, seen, version, parked)
	})
}

// discard gets rid of a pair that came after its lease had expired and the
// authorization had been brought to its end without it. It revokes the pair;
// what the vault has of it is dropped under a lease only, for a connect may be
// about to save new tokens there. Whoever sees a departure through does that,
// or else Settle, for which this leaves a lease behind.
func (t *Tokens) discard(ctx context.Context, seen Grant, fresh TokenPair) error {
	grant, err := t.Grants.Grant(ctx, seen.Account)
	if err != nil {
		return fmt.Errorf("read grant: %w", err)
	}
	if grant.State != Revoked && grant.State != Erased {
		return nil
	}
	app, err := t.Vault.App(ctx, t.OAuth.Rules().Provider)
	if err != nil {
		return fmt.Errorf("read app: %w", err)
	}
	if err := t.OAuth.Revoke(ctx, app, fresh); err != nil {
		return fmt.Errorf("revoke a late pair: %w", err)
	}
	_, _, err = hold(ctx, t.Grants, t.Minter, seen.Account, func(g *Grant) error {
		if g.State != Erased {
			return errOutdated
		}
		return nil
	})
	return err
}

// acquire takes the lease to work on the pair that seen names.
func (t *Tokens) acquire(ctx context.Context, seen Grant) (owner string, _ error) {
	owner, _, err := hold(ctx, t.Grants, t.Minter, seen.Account, func(g *Grant) error {
		switch {
		case g.Generation != seen.Generation || g.State == Revoked || g.State == Erased || g.State == "":
			return ErrRevoked
		case g.State != seen.State || g.Reason != seen.Reason || !g.names(seen):
			return errOutdated
		}
		return nil
	})
	return owner, err
}

func (t *Tokens) release(ctx context.Context, seen Grant, owner string) {
	release(ctx, t.Grants, t.Minter, seen.Account, owner)
}

// unpark moves a parked pair into the vault, where it belongs, if that is
// possible at once; it is as good where it is.
func (t *Tokens) unpark(ctx context.Context, seen Grant, pair TokenPair) Grant {
	owner, err := t.acquire(ctx, seen)
	if err != nil {
		return seen
	}
	version, err := t.Vault.SaveTokens(ctx, seen.Account, pair)
	if err != nil {
		t.release(ctx, seen, owner)
		return seen
	}
	grant, err := t.renew(ctx, seen, owner, version, nil)
	if err != nil {
		return seen
	}
	t.Metrics.Count(string(MetricAdopted), 1)
	return grant
}

// refused acts on Strava's refusal of the refresh token that seen names. It
// may have been replaced by a refresh that was cut off after saving its pair:
// then that pair is adopted, and errOutdated sends the caller to it. Otherwise
// the grant degrades.
func (t *Tokens) refused(ctx context.Context, seen Grant, owner string) error {
	_, latest, err := t.Vault.Latest(ctx, seen.Account)
	if err != nil && !fault.Is(err, fault.NotFound) {
		t.release(ctx, seen, owner)
		return fmt.Errorf("look for a newer pair: %w", err)
	}
	if err == nil && latest > seen.TokenVersion {
		if _, err := t.renew(ctx, seen, owner, latest, nil); err != nil {
			return fmt.Errorf("adopt a newer pair: %w", err)
		}
		t.Metrics.Count(string(MetricAdopted), 1)
		return errOutdated
	}
	degraded := false
	grant, err := update(ctx, t.Grants, t.Minter, seen.Account, func(g *Grant) error {
		if !g.underLease(owner, seen) {
			return errOutdated
		}
		if g.State != Revoked {
			before := g.Reason
			if err := g.degrade(credentialsv1.DegradedTokenRefused); err != nil {
				return err
			}
			degraded = g.Reason != before
		}
		return g.release(owner)
	})
	switch {
	case err != nil:
		return fmt.Errorf("note the refused token: %w", err)
	case grant.State == Revoked:
		return ErrRevoked
	}
	if err := t.degraded(ctx, grant, degraded); err != nil {
		return err
	}
	return ErrDegraded
}
