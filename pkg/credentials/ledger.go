package credentials

import (
	"context"
	"fmt"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
)

// Ledger changes grants, leases their tokens, and publishes their states.
type Ledger struct {
	Grants    Grants
	Publisher Publisher
	Events    event.Factory
}

const (
	// storeTime limits a call to a store: the grants table, the vault, or the
	// key. It leaves time for the attempts of the AWS SDK, which take 2 s each.
	storeTime = 7 * time.Second
	// tryTime limits a call to a store while a pair that Strava has just issued
	// is saved: a store that does not answer must leave time for the other one.
	tryTime = 2 * time.Second
)

// savingKey marks the context of [saving].
type savingKey struct{}

// callStore makes one call to a store, for at most storeTime, or tryTime while
// a pair is saved.
func callStore[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	limit := storeTime
	if ctx.Value(savingKey{}) != nil {
		limit = tryTime
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return call(ctx)
}

// withoutCancel returns a context that ends at ctx's deadline only, even if the
// caller cancels ctx.
func withoutCancel(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(context.WithoutCancel(ctx))
	}
	return context.WithDeadline(context.WithoutCancel(ctx), deadline)
}

// grant reads the account's grant.
func (l Ledger) grant(ctx context.Context, account Account) (Grant, error) {
	return callStore(ctx, func(ctx context.Context) (Grant, error) { return l.Grants.Grant(ctx, account) })
}

// update changes the account's grant and its retry state, and forgets receipts
// that are no longer needed.
func (l Ledger) update(ctx context.Context, account Account, change func(*Grant) (changed bool, err error)) (Grant, error) {
	return callStore(ctx, func(ctx context.Context) (Grant, error) {
		return l.Grants.Update(ctx, account, func(g *Grant) (bool, error) {
			changed, err := change(g)
			if err != nil || !changed {
				return false, err
			}
			g.updateRetryState(l.Events.Now())
			g.forgetCompleted(l.Events.Now())
			return true, nil
		})
	})
}

// acquire takes the account's lease if check returns nil. It fails with errBusy
// if another process holds the lease.
func (l Ledger) acquire(ctx context.Context, account Account, check func(Grant) error) (owner string, _ Grant, _ error) {
	owner = l.Events.NewID()
	grant, err := l.update(ctx, account, func(g *Grant) (bool, error) {
		if err := check(*g); err != nil {
			return false, err
		}
		return true, g.acquire(owner, l.Events.Now())
	})
	if err != nil {
		return "", Grant{}, fmt.Errorf("acquire the lease: %w", err)
	}
	return owner, grant, nil
}

// release gives the lease back, so that no process waits for its end. It
// ignores errors, because the lease expires by itself. doubt says that Strava's
// response to a refresh may have been lost.
func (l Ledger) release(ctx context.Context, account Account, owner string, doubt bool) {
	ctx, cancel := withoutCancel(ctx)
	defer cancel()
	_, _ = l.update(ctx, account, func(g *Grant) (bool, error) {
		if !g.release(owner) {
			return false, nil
		}
		g.InDoubt = g.InDoubt || doubt
		return true, nil
	})
}

// publishState publishes the event about the grant's present state if that is
// due, and records it. If it is cut off in between, the next process that uses
// the grant repeats it, or else [Reconciler.Reconcile] does. ErrRevoked means
// that the account is linked to no athlete, and is to be revoked.
func (l Ledger) publishState(ctx context.Context, grant Grant) error {
	if !grant.Unpublished {
		return nil
	}
	var fact event.Fact
	athleteID, _ := grant.Account.AthleteID()
	switch {
	case !grant.inForce():
		return nil // A revocation is published as a task of its own.
	case grant.Owner.exists():
		if err := l.checkOwner(ctx, grant); err != nil {
			return err
		}
		fact = credentialsv1.AccountLinked{
			AthleteID: grant.Owner.AthleteID, AthleteGeneration: grant.Owner.Generation,
			Provider: grant.Account.Provider, AccountID: grant.Account.ID,
			Generation: grant.Generation, LinkedAt: time.UnixMilli(grant.Since).UTC(),
		}
	case grant.State == Active:
		fact = credentialsv1.AthleteAuthorized{AthleteID: athleteID, Generation: grant.Generation, Scopes: grant.Scopes}
	default:
		fact = credentialsv1.AuthorizationDegraded{
			AthleteID: athleteID, Generation: grant.Generation, Reason: grant.Reason,
		}
	}
	if err := l.Publisher.Publish(ctx, l.Events.New(fact)); err != nil {
		return fmt.Errorf("publish the state of the grant: %w", err)
	}
	_, err := l.update(ctx, grant.Account, func(g *Grant) (bool, error) {
		if g.Generation != grant.Generation || g.State != grant.State || g.Reason != grant.Reason {
			return false, nil
		}
		g.Unpublished = false
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("record the published state: %w", err)
	}
	return nil
}
