package credentials

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/paceline/paceline/pkg/credentials/metric"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

const (
	// attemptTime is how long the tasks of one grant are tried at a time: less
	// than a lease lasts.
	attemptTime = 40 * time.Second
	// overdueAfter is how long a task may be pending before the alarm.
	overdueAfter = 24 * time.Hour
)

// Reconciler performs the pending tasks of grants.
//
// A caller first writes a task into the grant, and fails only if that write
// fails. The task is tried at once. If it fails, as it does while Strava is
// down, [Reconciler.Reconcile] tries again until it is done.
type Reconciler struct {
	TokenStore
	Connect    *Connect
	Revocation *Revocation
	Log        *slog.Logger
}

// HandleDeauthorization records a webhook's claim that the athlete withdrew
// access at Strava. Webhooks can be forged, so Strava is asked before anything
// is deleted; see [Revocation.isRevokedAtStrava]. An athlete's claims are
// checked at most once in 10 minutes. While Strava cannot be asked, the claim
// stays pending. A connect that is not completed is completed first, because
// the claim may be about its authorization.
func (r *Reconciler) HandleDeauthorization(ctx context.Context, cause event.Meta, account Account) error {
	_, err := r.grant(ctx, account)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read grant: %w", err)
	}
	err = r.addClaim(ctx, cause, account)
	if errors.Is(err, errConnecting) {
		r.attemptTasks(ctx, account)
		err = r.addClaim(ctx, cause, account)
	}
	if err != nil && !errors.Is(err, ErrRevoked) {
		return fmt.Errorf("record the claim: %w", err)
	}
	r.attemptTasks(ctx, account)
	return nil
}

// errConnecting means that a claim is to be recorded after a connect that is not
// completed yet.
var errConnecting = fault.New(fault.Transient, "a connect is not completed")

// addClaim records a claim in the grant. It returns ErrRevoked if there is no
// authorization that the claim could be about.
func (r *Reconciler) addClaim(ctx context.Context, cause event.Meta, account Account) error {
	_, err := r.update(ctx, account, func(g *Grant) (bool, error) {
		if !g.inForce() && g.pendingConnect() != nil {
			return false, errConnecting
		}
		return true, g.addClaim(cause, r.Events.Now())
	})
	return err
}

// HandleErasureRequest ends the authorization of an athlete who asked to leave
// and was given the receipt.
func (r *Reconciler) HandleErasureRequest(ctx context.Context, cause event.Meta, account Account, generation int64, receipt string, requestedAt time.Time) error {
	_, err := r.update(ctx, account, func(g *Grant) (bool, error) {
		g.revoke(PendingRevocation{
			Receipt: receipt, Generation: generation, RequestedAt: requestedAt, Reason: credentialsv1.RevokedLeft, Cause: cause,
		}, r.Events.Now())
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("end the authorization: %w", err)
	}
	r.attemptTasks(ctx, account)
	return nil
}

// Reconcile tries the pending tasks that are due, and counts those that have
// been pending for too long. Repeated calls complete every task, even if
// processes are killed or Strava is down for days. It stops early when the
// context is about to end; the next call goes on.
func (r *Reconciler) Reconcile(ctx context.Context) error {
	provider := r.Connect.OAuth.Rules().Provider
	receivedErr := r.importPendingConnects(ctx, provider)
	grants, err := r.Grants.Pending(ctx, provider)
	if err != nil {
		return errors.Join(receivedErr, fmt.Errorf("read grants with pending tasks: %w", err))
	}
	now := r.Events.Now()
	overdue := 0
	for _, g := range grants {
		if now.Sub(g.Retry.Since) > overdueAfter && now.Sub(g.notBefore()) > overdueAfter {
			overdue++
		}
	}
	r.Metrics.Count(metric.Overdue, overdue)
	for _, g := range grants {
		if tooLate(ctx, attemptTime) {
			return receivedErr
		}
		now := r.Events.Now()
		// The holder of a lease performs the tasks.
		if g.Retry.Next.After(now) || g.Lease.held("", now) {
			continue
		}
		within, cancel := context.WithTimeout(ctx, attemptTime)
		r.attemptTasks(within, g.Account)
		cancel()
	}
	return receivedErr
}

// importPendingConnects moves connects from the vault, where they were stored
// when their grants could not be written, to their grants. It leaves time for
// the grants.
func (r *Reconciler) importPendingConnects(ctx context.Context, provider string) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	var failed []error
	received, err := callStore(ctx, func(ctx context.Context) ([]PendingConnect, error) { return r.Vault.PendingConnects(ctx, provider) })
	if err != nil {
		failed = append(failed, fmt.Errorf("read pending connects from the vault: %w", err))
	}
	for _, one := range received {
		if ctx.Err() != nil {
			break
		}
		if err := r.importPendingConnect(ctx, one); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

func (r *Reconciler) importPendingConnect(ctx context.Context, received PendingConnect) error {
	seal, err := r.newSeal(ctx, received.Account.Provider)
	if err != nil {
		return err
	}
	sealed, err := seal(received.Account, received.Tokens)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	now := r.Events.Now()
	_, err = r.update(ctx, received.Account, func(g *Grant) (bool, error) {
		g.addCandidate(received.candidate(sealed), now)
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("move a pending connect to its grant: %w", err)
	}
	_, err = callStore(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, r.Vault.DeletePendingConnect(ctx, received)
	})
	if err != nil {
		return fmt.Errorf("delete a pending connect from the vault: %w", err)
	}
	return nil
}

// attemptTasks performs the tasks of an account's grant, and postpones them if
// one fails.
func (r *Reconciler) attemptTasks(ctx context.Context, account Account) {
	err := r.performTasks(ctx, account)
	if err == nil {
		return
	}
	r.Metrics.Count(metric.Postponed, 1)
	r.Log.WarnContext(ctx, "task postponed", "account", account.String(), "fault", fault.Of(err), "error", err.Error())
	// If this fails, too, the next attempt comes earlier.
	ctx, cancel := withoutCancel(ctx)
	defer cancel()
	_, _ = r.update(ctx, account, func(g *Grant) (bool, error) {
		if !g.HasPendingTasks() {
			return false, nil
		}
		g.postpone(r.Events.Now())
		return true, nil
	})
}

// performTasks performs the grant's tasks one after the other. It may be cut
// off anywhere and called again: a step that was done before changes nothing.
func (r *Reconciler) performTasks(ctx context.Context, account Account) error {
	grant, err := r.grant(ctx, account)
	if err != nil {
		return fmt.Errorf("read grant: %w", err)
	}
	err = r.publishState(ctx, grant)
	if errors.Is(err, ErrRevoked) {
		grant, err = r.Revocation.revokeOrphan(ctx, grant)
	}
	if err != nil {
		return err
	}
	// The other boundaries can erase before the tokens are revoked.
	if grant, err = r.Revocation.publishRevocations(ctx, grant); err != nil {
		return err
	}
	if grant.pendingConnect() != nil {
		if grant, err = r.completeConnects(ctx, grant); err != nil {
			return err
		}
	}
	if !grant.Claim.ClaimedAt.IsZero() && !r.Events.Now().Before(grant.Claim.CheckAt) {
		if grant, err = r.Revocation.verifyClaim(ctx, grant); err != nil {
			return fmt.Errorf("verify the claim: %w", err)
		}
	}
	if grant, err = r.completeRevocations(ctx, grant); err != nil {
		return err
	}
	return r.deleteObsolete(ctx, grant)
}

// completeRevocations completes the pending revocations, and revokes pairs that
// came in after the authorization had ended.
func (r *Reconciler) completeRevocations(ctx context.Context, grant Grant) (Grant, error) {
	if grant.State == Revoked || len(grant.Revocations) > 0 {
		if err := r.Revocation.complete(ctx, grant); err != nil {
			return Grant{}, err
		}
		var err error
		if grant, err = r.grant(ctx, grant.Account); err != nil {
			return Grant{}, fmt.Errorf("read grant: %w", err)
		}
	}
	if grant.State == Erased && len(grant.Candidates) > 0 {
		if err := r.Revocation.revokeAndDelete(ctx, grant); err != nil && !errors.Is(err, errGrantChanged) {
			return Grant{}, err
		}
	}
	return grant, nil
}

// completeConnects completes the connects that were cut off.
func (r *Reconciler) completeConnects(ctx context.Context, grant Grant) (Grant, error) {
	app, err := r.app(ctx, r.Connect.OAuth.Rules().Provider)
	if err != nil {
		return Grant{}, err
	}
	for candidate := grant.pendingConnect(); candidate != nil; candidate = grant.pendingConnect() {
		pair, completeErr := r.read(ctx, grant.Account, candidate.TokenRef)
		switch {
		case completeErr == nil:
			_, completeErr = r.Connect.complete(ctx, app, grant, *candidate, pair)
		case fault.Is(completeErr, fault.Permanent):
			r.Metrics.Count(metric.Unsaved, 1)
			_, completeErr = r.update(ctx, grant.Account, func(g *Grant) (bool, error) {
				g.removeCandidates(*candidate)
				return true, nil
			})
		}
		if grant, err = r.grant(ctx, grant.Account); err != nil {
			return Grant{}, fmt.Errorf("read grant: %w", err)
		}
		if left := grant.pendingConnect(); completeErr != nil && left != nil && left.equal(candidate.TokenRef) {
			return Grant{}, fmt.Errorf("complete a connect: %w", completeErr)
		}
	}
	return grant, nil
}

// deleteObsolete deletes the parameters that hold no pair in use.
func (r *Reconciler) deleteObsolete(ctx context.Context, grant Grant) error {
	if len(grant.Obsolete) == 0 {
		return nil
	}
	for _, generation := range grant.Obsolete {
		if err := r.deleteParameter(ctx, grant.Account, generation); err != nil {
			return err
		}
	}
	_, err := r.update(ctx, grant.Account, func(g *Grant) (bool, error) {
		g.forgetObsolete(grant.Obsolete)
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("record the deleted parameters: %w", err)
	}
	return nil
}
