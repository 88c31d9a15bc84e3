package credentials

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Link is an account of another provider that an athlete has linked.
type Link struct {
	Account Account
	// Generation is when the provider issued the tokens of the latest consent, in
	// Unix milliseconds.
	Generation int64
}

// ErrNotLinked: the athlete has no linked account of the provider.
var ErrNotLinked = fault.New(fault.NotFound, "no account of the provider is linked")

// linkOf returns the athlete's linked account of a provider, or nil.
func (g Grant) linkOf(provider string) *Link {
	if i := slices.IndexFunc(g.Links, func(l Link) bool { return l.Account.Provider == provider }); i >= 0 {
		return &g.Links[i]
	}
	return nil
}

// admits returns ErrRevoked unless a session of the generation belongs to the
// authorization in force.
func (g Grant) admits(generation int64) error {
	if !g.inForce() || generation < g.Since {
		return ErrRevoked
	}
	return nil
}

// link adds an account to the athlete's links, in place of a stale one of the
// provider. It keeps the state, active or degraded, and returns ErrRevoked in
// other states.
func (g *Grant) link(l Link, by Authorization, stale Account) error {
	if err := g.admits(by.Generation); err != nil {
		return err
	}
	switch present := g.linkOf(l.Account.Provider); {
	case present == nil:
		g.Links = append(g.Links, l)
	case present.Account == stale:
		*present = l
	case present.Account != l.Account:
		return ErrOtherAccountLinked
	default:
		present.Generation = max(present.Generation, l.Generation)
	}
	return nil
}

// unlink ends the link of r's owner to the account. It ends the pending
// connects that the owner began. If the authorization is the owner's, it ends,
// which leads from active and degraded to revoked. If the account has another
// owner by now, or was linked again under a later authorization of the same
// athlete, the state stays. It leads from no state to erased, and keeps any
// other state. The revocation becomes pending in any case.
func (g *Grant) unlink(r PendingRevocation, now time.Time) {
	for i := range g.Candidates {
		if s := &g.Candidates[i]; s.Connecting && r.Owner.covers(s.Owner) {
			s.Connecting = false
			r.Generation = max(r.Generation, s.ReceivedAt)
		}
	}
	if r.Owner.covers(g.Owner) {
		r.Generation = max(r.Generation, g.Generation)
		g.revoke(r, now)
	} else {
		g.createTombstone(now)
		if !g.isRevoking(r.Receipt) {
			g.Revocations = append(g.Revocations, r)
		}
	}
	g.Retry = RetryState{Since: now, Next: now} // Another process may have to complete it.
}

// linkedBy reports whether the account is linked by o, or about to be.
func (g Grant) linkedBy(o Authorization) bool {
	return g.inForce() && o.covers(g.Owner) ||
		slices.ContainsFunc(g.Candidates, func(s Candidate) bool { return s.Connecting && o.covers(s.Owner) })
}

// unlinking returns the receipt of a pending end of the owner's link; empty if
// there is none.
func (g Grant) unlinking(o Authorization) string {
	linked := g.linkedBy(o)
	for _, p := range g.Revocations {
		if !linked && !p.WithAthlete && o.covers(p.Owner) {
			return p.Receipt
		}
	}
	return ""
}

// endMovedLink ends the link of one owner after the account was linked to
// another. The authorization stays as it is.
func (g *Grant) endMovedLink(from, to Authorization, generation int64, receipt string, now time.Time) {
	if from.exists() && from.AthleteID != to.AthleteID {
		g.Revocations = append(g.Revocations, PendingRevocation{
			Receipt: receipt, Generation: generation, RequestedAt: now, Reason: credentialsv1.UnlinkedMoved, Owner: from,
		})
	}
}

// checkOwner returns ErrRevoked unless the athlete who linked the account is
// authorized and has the link.
func (l Ledger) checkOwner(ctx context.Context, grant Grant) error {
	owner, err := l.grant(ctx, Athlete(grant.Owner.AthleteID))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("read the owner's grant: %w", err)
	}
	if link := owner.linkOf(grant.Account.Provider); !owner.inForce() || link == nil || link.Account != grant.Account {
		return ErrRevoked
	}
	return nil
}

// addLink writes the link that a candidate's connect makes to the athlete's
// grant. A link to another account stays unless it is stale, as after a connect
// that was cut off while the athlete unlinked.
func (c *Connect) addLink(ctx context.Context, account Account, candidate Candidate) error {
	athlete := Athlete(candidate.Owner.AthleteID)
	add := func(stale Account) error {
		_, err := c.update(ctx, athlete, func(g *Grant) (bool, error) {
			return true, g.link(Link{account, candidate.ReceivedAt}, candidate.Owner, stale)
		})
		return err
	}
	err := add(Account{})
	if errors.Is(err, ErrOtherAccountLinked) {
		var stale Account
		if stale, err = c.staleLink(ctx, athlete, account.Provider); err == nil {
			err = add(stale)
		}
	}
	if err != nil {
		return fmt.Errorf("add the link: %w", err)
	}
	return nil
}

// staleLink returns the athlete's linked account of a provider if no grant or
// pending connect of that account is the athlete's; the zero Account otherwise.
func (c *Connect) staleLink(ctx context.Context, athlete Account, provider string) (Account, error) {
	owner, err := c.grant(ctx, athlete)
	if err != nil {
		return Account{}, fmt.Errorf("read the owner's grant: %w", err)
	}
	link := owner.linkOf(provider)
	if link == nil {
		return Account{}, nil
	}
	linked, err := c.grant(ctx, link.Account)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Account{}, fmt.Errorf("read the linked grant: %w", err)
	}
	athleteID, _ := athlete.AthleteID()
	if linked.linkedBy(Authorization{athleteID, owner.Generation}) {
		return Account{}, nil
	}
	return link.Account, nil
}

// endLink writes the end of an athlete's authorization into the grant of an
// account that is linked to it. It is completed there, under the same receipt.
func (r *Revocation) endLink(ctx context.Context, athlete, linked Account, p PendingRevocation) error {
	athleteID, _ := athlete.AthleteID()
	_, err := r.update(ctx, linked, func(g *Grant) (bool, error) {
		g.unlink(PendingRevocation{
			Receipt: p.Receipt, RequestedAt: p.RequestedAt, Reason: p.Reason, Cause: p.Cause,
			Owner: Authorization{athleteID, p.Generation}, WithAthlete: true,
		}, r.Events.Now())
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("end the link to %s: %w", linked.Provider, err)
	}
	return nil
}

// revokeOrphan revokes a linked account whose owner left or unlinked it while
// it was being linked.
func (r *Revocation) revokeOrphan(ctx context.Context, grant Grant) (Grant, error) {
	receipt := r.NewSecret()
	ended, err := r.update(ctx, grant.Account, func(g *Grant) (bool, error) {
		if !g.inForce() || g.Owner != grant.Owner || g.Generation != grant.Generation {
			return false, nil
		}
		now := r.Events.Now()
		g.unlink(PendingRevocation{
			Receipt: receipt, RequestedAt: now, Reason: credentialsv1.UnlinkedByAthlete, Owner: g.Owner,
		}, now)
		return true, nil
	})
	if err != nil {
		return Grant{}, fmt.Errorf("revoke an orphaned link: %w", err)
	}
	return ended, nil
}

// removeLink removes an ended link from its athlete's grant, unless a consent
// after generation has made it again, and from the revocations that it belongs
// to.
func (l Ledger) removeLink(ctx context.Context, athleteID int64, account Account, generation int64) error {
	_, err := l.update(ctx, Athlete(athleteID), func(g *Grant) (bool, error) {
		before := len(g.Links)
		g.Links = slices.DeleteFunc(g.Links, func(l Link) bool { return l.Account == account && l.Generation <= generation })
		return g.completeLink(account) || len(g.Links) < before, nil
	})
	if err != nil {
		return fmt.Errorf("remove the link: %w", err)
	}
	return nil
}

// completeLink removes an account whose tokens are deleted from the revocations
// of the athlete's authorization. It reports whether one of them had it.
func (g *Grant) completeLink(account Account) (changed bool) {
	without := func(links []Account) []Account {
		changed = changed || slices.Contains(links, account)
		return slices.DeleteFunc(slices.Clone(links), func(a Account) bool { return a == account })
	}
	for i := range g.Revocations {
		if g.Revocations[i].Published { // Otherwise the event has yet to name it.
			g.Revocations[i].Links = without(g.Revocations[i].Links)
		}
	}
	for i := range g.Completed {
		g.Completed[i].Links = without(g.Completed[i].Links)
	}
	return changed
}

// Links shows athletes their linked accounts of one provider, and unlinks them.
type Links struct {
	Reconciler *Reconciler
	Requester  *Requester
	// ReadToday reads the page's data by calls to the provider's API.
	ReadToday func(ctx context.Context, now time.Time, get func(path string) (credentialsv1.ForwardResponse, error)) (Today, error)
	// NewSecret returns at least 128 unguessable bits as URL-safe text.
	NewSecret func() string
}

// Today is the data on a linked account that the page shows. It is not stored.
type Today struct {
	// DisplayName is empty if the person did not allow us to read it.
	DisplayName string
	// Date is the person's day, YYYY-MM-DD.
	Date string
	// Steps and ActiveMinutes are those of the day so far.
	Steps, ActiveMinutes int
}

// find returns the athlete's grant and linked account.
func (l *Links) find(ctx context.Context, by Authorization) (Grant, Account, error) {
	athlete, err := l.Reconciler.grant(ctx, Athlete(by.AthleteID))
	if fault.Is(err, fault.NotFound) {
		return Grant{}, Account{}, ErrRevoked
	}
	if err != nil {
		return Grant{}, Account{}, fmt.Errorf("read the athlete's grant: %w", err)
	}
	if err := athlete.admits(by.Generation); err != nil {
		return Grant{}, Account{}, err
	}
	link := athlete.linkOf(l.Requester.Tokens.OAuth.Rules().Provider)
	if link == nil {
		return Grant{}, Account{}, ErrNotLinked
	}
	return athlete, link.Account, nil
}

// Unlink ends the link to the athlete's account at the provider, and returns
// the receipt of the erasure. It tries to complete the revocation at once;
// [Reconciler.Reconcile] goes on if that fails. Until it is completed, another
// call returns the same receipt.
//
// Errors: ErrRevoked when the session's authorization is over, ErrNotLinked, or
// a transient fault.
func (l *Links) Unlink(ctx context.Context, by Authorization) (receipt string, _ error) {
	athlete, account, err := l.find(ctx, by)
	if err != nil {
		return "", err
	}
	receipt = l.NewSecret()
	_, err = l.Reconciler.update(ctx, account, func(g *Grant) (bool, error) {
		owner := Authorization{by.AthleteID, athlete.Generation}
		if pending := g.unlinking(owner); pending != "" {
			receipt = pending
			return false, nil
		}
		now := l.Reconciler.Events.Now()
		g.unlink(PendingRevocation{Receipt: receipt, RequestedAt: now, Reason: credentialsv1.UnlinkedByAthlete, Owner: owner}, now)
		return true, nil
	})
	if err != nil {
		return "", fmt.Errorf("end the link: %w", err)
	}
	l.Reconciler.attemptTasks(ctx, account)
	return receipt, nil
}

// Today reads the data on the athlete's linked account that the page shows.
//
// Errors: ErrRevoked when the session's authorization is over, ErrNotLinked,
// ErrDegraded when the athlete has to link the account again,
// ErrProviderUnavailable when a call brought no answer, whether the fault was
// the provider's or ours, or another fault when a grant cannot be read.
func (l *Links) Today(ctx context.Context, by Authorization) (Today, error) {
	_, account, err := l.find(ctx, by)
	if err != nil {
		return Today{}, err
	}
	grant, err := l.Reconciler.grant(ctx, account)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Today{}, fmt.Errorf("read grant: %w", err)
	}
	if !grant.inForce() || grant.Owner.AthleteID != by.AthleteID {
		return Today{}, ErrNotLinked // It is being linked or unlinked.
	}
	return l.ReadToday(ctx, l.Reconciler.Events.Now(), func(path string) (credentialsv1.ForwardResponse, error) {
		res, err := l.Requester.Call(ctx, Call{Account: account, Generation: grant.Generation, Path: path})
		if err != nil {
			return res, err
		}
		switch res.Outcome {
		case credentialsv1.OutcomeAnswered:
			return res, nil
		case credentialsv1.OutcomeRevoked:
			return res, ErrNotLinked
		case credentialsv1.OutcomeDegraded:
			return res, ErrDegraded
		}
		return res, ErrProviderUnavailable
	})
}
