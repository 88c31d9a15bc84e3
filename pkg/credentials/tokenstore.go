package credentials

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/credentials/metric"

	"github.com/paceline/paceline/pkg/kit/fault"
)

const (
	// saveTime is how long saving a new pair is tried.
	saveTime = 7 * time.Second
	// savePause is the wait between two tries to save.
	savePause = 250 * time.Millisecond
)

// TokenStore keeps token pairs: in the vault or, if the vault does not take a
// pair in time, sealed in the grant.
type TokenStore struct {
	Ledger
	Vault   Vault
	Sealer  Sealer
	Metrics Metrics
	// Sleep waits, or returns early with the context's error.
	Sleep func(context.Context, time.Duration) error
}

// read returns the pair that ref refers to.
func (s TokenStore) read(ctx context.Context, account Account, ref TokenRef) (TokenPair, error) {
	return callStore(ctx, func(ctx context.Context) (TokenPair, error) {
		if ref.Sealed != nil {
			return s.Sealer.Open(ctx, account, ref.Sealed)
		}
		return s.Vault.Tokens(ctx, account, ref.Generation, ref.Version)
	})
}

// newSeal prepares to seal a pair.
func (s TokenStore) newSeal(ctx context.Context, provider string) (Seal, error) {
	seal, err := callStore(ctx, func(ctx context.Context) (Seal, error) { return s.Sealer.NewSeal(ctx, provider) })
	if err != nil {
		return nil, fmt.Errorf("prepare a seal: %w", err)
	}
	return seal, nil
}

// app reads the registration with a provider.
func (s TokenStore) app(ctx context.Context, provider string) (App, error) {
	app, err := callStore(ctx, func(ctx context.Context) (App, error) { return s.Vault.App(ctx, provider) })
	if err != nil {
		return App{}, fmt.Errorf("read the registration: %w", err)
	}
	return app, nil
}

// write puts a pair into the vault.
func (s TokenStore) write(ctx context.Context, account Account, generation int64, pair TokenPair) (TokenRef, error) {
	version, err := callStore(ctx, func(ctx context.Context) (int64, error) {
		return s.Vault.SaveTokens(ctx, account, generation, pair)
	})
	return TokenRef{Generation: generation, Version: version}, err
}

// savingContext returns a context for saving a pair that Strava has just
// issued. It does not end if the caller cancels ctx.
func savingContext(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = context.WithValue(context.WithoutCancel(ctx), savingKey{}, true)
	return context.WithTimeout(ctx, saveTime)
}

// saveRefreshed makes a refreshed pair the valid one. It tries the vault and
// the grant alternately until one has taken the pair or ctx ends. A grant that
// was revoked meanwhile refers to the pair, too, so that the pair can be
// revoked; its state stays. If the grant has changed in another way, the pair
// becomes a candidate and the error is errGrantChanged. With any other error,
// saved says that the pair is safe: the next process that Strava refuses finds
// it.
func (s TokenStore) saveRefreshed(ctx context.Context, seen Grant, owner string, old, fresh TokenPair, seal Seal) (_ Grant, saved bool, _ error) {
	ref := seen.Tokens
	saved = fresh.equal(old)
	for {
		if !saved {
			var err error
			if ref, saved, err = s.writeOrSeal(ctx, seen, ref, fresh, seal); err != nil {
				return Grant{}, false, err
			}
		}
		grant, err := s.putInForce(ctx, seen, owner, ref)
		switch {
		case errors.Is(err, errGrantChanged):
			if grant, _, err = s.saveCandidate(ctx, seen.Account, fresh, seal, seen.Generation); err == nil {
				return grant, true, errGrantChanged
			}
		case !fault.Is(err, fault.Transient):
			if err == nil && !saved {
				s.Metrics.Count(metric.Sealed, 1)
			}
			return grant, saved || err == nil, err
		}
		if s.Sleep(ctx, savePause) != nil {
			return Grant{}, saved, err
		}
	}
}

// putInForce makes the grant refer to a refreshed pair, and releases the lease.
func (s TokenStore) putInForce(ctx context.Context, seen Grant, owner string, ref TokenRef) (Grant, error) {
	return s.update(ctx, seen.Account, func(g *Grant) (bool, error) {
		if g.Generation == seen.Generation && g.Tokens.equal(ref) && g.Lease.Owner != owner {
			return false, nil // The answer to an earlier try was lost.
		}
		return true, g.renew(owner, seen, ref)
	})
}

// writeOrSeal puts a refreshed pair into the vault, or else seals it. tried
// refers to the refreshed pair if an earlier try has written or sealed it,
// otherwise to seen's pair.
func (s TokenStore) writeOrSeal(ctx context.Context, seen Grant, tried TokenRef, fresh TokenPair, seal Seal) (_ TokenRef, written bool, _ error) {
	ref, err := s.write(ctx, seen.Account, seen.Generation, fresh)
	if err == nil {
		return ref, true, nil
	}
	if tried.Sealed != nil && !tried.equal(seen.Tokens) {
		return tried, false, nil
	}
	sealed, err := seal(seen.Account, fresh)
	if err != nil {
		return TokenRef{}, false, fmt.Errorf("seal: %w", err)
	}
	return TokenRef{Sealed: sealed}, false, nil
}

// saveCandidate adds a refreshed pair to a grant that has changed: another
// response of Strava crossed this one, or the authorization has ended. written
// is the generation whose parameter may hold the pair, too; 0 for none. That
// parameter is deleted unless it is in use.
func (s TokenStore) saveCandidate(ctx context.Context, account Account, pair TokenPair, seal Seal, written int64) (Grant, Candidate, error) {
	sealed, err := seal(account, pair)
	if err != nil {
		return Grant{}, Candidate{}, fmt.Errorf("seal: %w", err)
	}
	now := s.Events.Now()
	candidate := Candidate{TokenRef: TokenRef{Sealed: sealed}, ReceivedAt: now.UnixMilli()}
	grant, err := s.update(ctx, account, func(g *Grant) (bool, error) {
		g.addCandidate(candidate, now)
		g.restore(candidate, now)
		g.retire(written)
		return true, nil
	})
	return grant, candidate, err
}

// saveConnect makes the pair of a connect durable. It tries the grant, as a
// candidate whose connect is pending, and the vault alternately until one has
// taken it or ctx ends. errDeferred means that the vault has it.
func (s TokenStore) saveConnect(ctx context.Context, r PendingConnect, seal Seal) (Grant, Candidate, error) {
	sealed, err := seal(r.Account, r.Tokens)
	if err != nil {
		return Grant{}, Candidate{}, fmt.Errorf("seal: %w", err)
	}
	candidate := r.candidate(sealed)
	for {
		grant, err := s.update(ctx, r.Account, func(g *Grant) (bool, error) {
			// The answer to an earlier try may have been lost.
			if slices.ContainsFunc(g.Candidates, func(s Candidate) bool { return s.equal(candidate.TokenRef) }) {
				return false, nil
			}
			g.addCandidate(candidate, s.Events.Now())
			return true, nil
		})
		if err == nil {
			return grant, candidate, nil
		}
		if _, vaultErr := callStore(ctx, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, s.Vault.SavePendingConnect(ctx, r)
		}); vaultErr == nil {
			return Grant{}, Candidate{}, fault.New(fault.Transient, "%w: %w", errDeferred, err)
		}
		if s.Sleep(ctx, savePause) != nil {
			return Grant{}, Candidate{}, fmt.Errorf("save the tokens of a connect: %w", err)
		}
	}
}

// errDeferred means that [Reconciler.Reconcile] completes a connect later.
var errDeferred = errors.New("the connect is completed later")

// moveToVault moves a sealed pair into the vault if that succeeds at once.
// Otherwise the pair stays in the grant, where it is as safe.
func (s TokenStore) moveToVault(ctx context.Context, seen Grant, pair TokenPair) Grant {
	if seen.Tokens.Sealed == nil {
		return seen
	}
	owner, err := s.acquireAs(ctx, seen)
	if err != nil {
		return seen
	}
	ref, err := s.write(ctx, seen.Account, seen.Generation, pair)
	if err != nil {
		s.release(ctx, seen.Account, owner, false)
		return seen
	}
	moved := false
	grant, err := s.update(ctx, seen.Account, func(g *Grant) (bool, error) {
		moved = g.adopt(owner, seen, ref) == nil
		if !moved {
			g.retire(ref.Generation) // The lease was lost, and the tokens may be deleted already.
		}
		return true, nil
	})
	if err != nil || !moved {
		return seen
	}
	return grant
}

// acquireAs takes the lease to change the pair that seen refers to.
func (s TokenStore) acquireAs(ctx context.Context, seen Grant) (owner string, _ error) {
	owner, _, err := s.acquire(ctx, seen.Account, func(g Grant) error {
		switch {
		case g.Generation != seen.Generation || !g.inForce():
			return ErrRevoked
		case g.State != seen.State || g.Reason != seen.Reason || !g.Tokens.equal(seen.Tokens):
			return errGrantChanged
		}
		return nil
	})
	return owner, err
}

// deleteParameter deletes the parameter of a generation.
func (s TokenStore) deleteParameter(ctx context.Context, account Account, generation int64) error {
	_, err := callStore(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.Vault.DeleteTokens(ctx, account, generation)
	})
	if err != nil {
		return fmt.Errorf("delete tokens: %w", err)
	}
	return nil
}

// latest returns the newest pair in a generation's parameter. version is 0 if
// there is none.
func (s TokenStore) latest(ctx context.Context, account Account, generation int64) (_ TokenPair, version int64, _ error) {
	pair, err := callStore(ctx, func(ctx context.Context) (pair TokenPair, err error) {
		pair, version, err = s.Vault.Latest(ctx, account, generation)
		return pair, err
	})
	if fault.Is(err, fault.NotFound) {
		return TokenPair{}, 0, nil
	}
	return pair, version, err
}
