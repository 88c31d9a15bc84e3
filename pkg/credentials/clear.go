package credentials

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paceline/paceline/pkg/kit/fault"
)

// Remaining counts the authorizations that a stage still has.
type Remaining struct {
	// InForce counts those that were not ended.
	InForce int
	// Ending counts those that were ended here and are not completed: Strava has
	// not revoked them yet, or their tokens are not deleted yet.
	Ending int
	// Failing counts those of Ending whose last attempt failed.
	Failing int
}

// Empty reports whether nothing remains.
func (r Remaining) Empty() bool { return r == Remaining{} }

// clearTime is how much of an invocation's time must be left for another step
// of clearing the stage. With less time the action stops, and has to be called
// again.
const clearTime = 10 * time.Second

// RevokedAll is the result of [Admin.RevokeAll].
type RevokedAll struct {
	// Ended counts the authorizations that it ended.
	Ended     int
	Remaining Remaining
	// Receipts are those of all erasures that may not be complete, or that the
	// athlete plane may not know of yet.
	Receipts []IssuedReceipt
}

// RevokeAll ends all authorizations as [Admin.RevokeAthlete] ends one. It stops
// early when little time is left: call it until nothing remains.
// [Reconciler.Reconcile] completes the revocations. The stage is clear when the
// athlete plane also reports every receipt as complete.
func (a *Admin) RevokeAll(ctx context.Context) (RevokedAll, error) {
	var all RevokedAll
	for _, provider := range a.Providers {
		err := a.eachGrant(ctx, provider, func(g Grant) error {
			after, err := a.revokeInTime(ctx, g)
			if err != nil {
				return err
			}
			if g.inForce() && !after.inForce() {
				all.Ended++
			}
			all.Remaining.add(after)
			all.Receipts = append(all.Receipts, after.receipts()...)
			return nil
		})
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// revokeInTime ends the authorization of a grant unless it has ended or little
// time is left, and returns the grant as it is afterwards.
func (a *Admin) revokeInTime(ctx context.Context, g Grant) (Grant, error) {
	if !g.inForce() || tooLate(ctx, clearTime) {
		return g, nil
	}
	after, err := a.revoke(ctx, g.Account)
	switch {
	case err == nil:
		return after, nil
	case fault.Is(err, fault.Conflict), fault.Is(err, fault.NotFound): // The list lags behind.
		return g, nil
	}
	return Grant{}, fmt.Errorf("end an authorization: %w", err)
}

func (r *Remaining) add(g Grant) {
	switch {
	case g.inForce():
		r.InForce++
	case g.HasPendingTasks():
		r.Ending++
		if g.Retry.Attempts > 0 {
			r.Failing++
		}
	}
}

// ClearResult is the result of [Admin.Clear].
type ClearResult struct {
	// Parameters counts those that were deleted. Call again until it is 0.
	Parameters int
	// Subscription is what happened to Strava's push subscription.
	Subscription ClearedSubscription
}

// ClearedSubscription is what happened to the push subscription when a stage
// was cleared.
type ClearedSubscription string

// The results.
const (
	// SubscriptionDeleted: it was deleted at Strava.
	SubscriptionDeleted ClearedSubscription = "deleted"
	// SubscriptionNone: Strava has none, or the stage has no registration.
	SubscriptionNone ClearedSubscription = "none"
	// SubscriptionElsewhere: it points to another host and was left alone.
	SubscriptionElsewhere ClearedSubscription = "others"
	// SubscriptionUnknown: Strava was not asked, because the registration can
	// never be read again or Strava refuses it. A subscription may be left there.
	SubscriptionUnknown ClearedSubscription = "unknown"
)

// Clear deletes the push subscription and then the parameters, a part at a
// time: call it until it deletes none. It returns a conflict while
// authorizations remain, because the parameters are needed to end them. With
// abandon it deletes the parameters nevertheless: the remaining authorizations
// then stay at Strava until the athletes remove the application in their
// settings there.
func (a *Admin) Clear(ctx context.Context, abandon bool) (ClearResult, error) {
	if !abandon {
		all, err := a.RevokeAll(ctx)
		if err != nil {
			return ClearResult{}, err
		}
		if r := all.Remaining; !r.Empty() {
			return ClearResult{}, fault.New(fault.Conflict, "%d authorizations are not ended; call revoke_all until none remains", r.InForce+r.Ending)
		}
	}
	var c ClearResult
	err := a.DeleteSubscription(ctx)
	switch {
	case err == nil:
		c.Subscription = SubscriptionDeleted
	case fault.Is(err, fault.NotFound):
		c.Subscription = SubscriptionNone
	case fault.Is(err, fault.Conflict):
		c.Subscription = SubscriptionElsewhere
	case fault.Is(err, fault.Permanent), errors.Is(err, ErrAppRefused):
		c.Subscription = SubscriptionUnknown
	default:
		return ClearResult{}, err
	}
	if c.Parameters, err = a.Parameters.Clear(ctx); err != nil {
		return ClearResult{}, fmt.Errorf("clear the parameters: %w", err)
	}
	return c, nil
}
