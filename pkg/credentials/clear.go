package credentials

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paceline/paceline/pkg/kit/fault"
)

// Remains is what a stage still holds of athletes.
type Remains struct {
	// InForce counts the authorizations that were not ended.
	InForce int
	// Ending counts those that were ended here and are not completed: Strava does
	// not know yet, or the tokens are yet to be deleted.
	Ending int
	// Failing counts those of Ending whose last attempt failed.
	Failing int
	// Erasures counts those that a boundary is yet to confirm.
	Erasures int
}

// Nothing reports whether nothing remains.
func (r Remains) Nothing() bool { return r == Remains{} }

// clearTime is what is left of an invocation's time when a step of clearing the
// stage stops, to be called again.
const clearTime = 10 * time.Second

// RevokeAll ends all authorizations as [Admin.RevokeAthlete] ends one, and
// returns how many it ended and what remains then. It stops early when little
// time is left: call it until nothing remains. [Reconciler.Reconcile]
// completes what it has ended.
func (a *Admin) RevokeAll(ctx context.Context) (ended int, _ Remains, _ error) {
	var r Remains
	for _, provider := range a.Providers {
		for cursor := ""; ; {
			page, next, err := a.Grants.List(ctx, provider, cursor, 200)
			if err != nil {
				return ended, Remains{}, fmt.Errorf("list the authorizations: %w", err)
			}
			for _, g := range page {
				if g.inForce() && !tooLate(ctx, clearTime) {
					ending, err := a.end(ctx, g.Account)
					switch {
					case err == nil:
						g = ending
						ended++
					case !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound): // The list may lag behind.
						return ended, Remains{}, fmt.Errorf("end an authorization: %w", err)
					}
				}
				r.add(g)
			}
			if cursor = next; cursor == "" {
				break
			}
		}
	}
	err := a.Erasures.EachErasure(ctx, func(e Erasure) {
		if e.CompletedAt.IsZero() {
			r.Erasures++
		}
	})
	if err != nil {
		return ended, Remains{}, fmt.Errorf("count the erasures: %w", err)
	}
	return ended, r, nil
}

func (r *Remains) add(g Grant) {
	switch {
	case g.inForce():
		r.InForce++
	case g.HasPending():
		r.Ending++
		if g.Pending.Attempts > 0 {
			r.Failing++
		}
	}
}

// Cleared is what [Admin.Clear] has done.
type Cleared struct {
	// Parameters counts those that were deleted. Call again until it is 0.
	Parameters int
	// Subscription says what became of Strava's push subscription.
	Subscription SubscriptionEnd
}

// SubscriptionEnd is what became of the push subscription when a stage was
// cleared.
type SubscriptionEnd string

// The ends.
const (
	// SubscriptionDeleted: it was deleted at Strava.
	SubscriptionDeleted SubscriptionEnd = "deleted"
	// SubscriptionNone: Strava has none, or the stage has no registration.
	SubscriptionNone SubscriptionEnd = "none"
	// SubscriptionOthers: it points to another host and was left alone.
	SubscriptionOthers SubscriptionEnd = "others"
	// SubscriptionUnknown: the registration can never be read again or Strava
	// refuses it, so Strava was not asked. A subscription may be left there.
	SubscriptionUnknown SubscriptionEnd = "unknown"
)

// Clear deletes the push subscription and then the parameters, a part at a
// time: call it until it deletes none. While something remains of athletes it
// returns a conflict, for the parameters are needed to end their
// authorizations; with abandon it deletes them all the same, and the
// authorizations that were not ended stay at Strava until the athletes remove
// the application in their settings there.
func (a *Admin) Clear(ctx context.Context, abandon bool) (Cleared, error) {
	if !abandon {
		_, r, err := a.RevokeAll(ctx)
		if err != nil {
			return Cleared{}, err
		}
		if !r.Nothing() {
			return Cleared{}, fault.New(fault.Conflict, "%d authorizations and %d erasures are not through", r.InForce+r.Ending, r.Erasures)
		}
	}
	var c Cleared
	err := a.DeleteSubscription(ctx)
	switch {
	case err == nil:
		c.Subscription = SubscriptionDeleted
	case fault.Is(err, fault.NotFound):
		c.Subscription = SubscriptionNone
	case fault.Is(err, fault.Conflict):
		c.Subscription = SubscriptionOthers
	case fault.Is(err, fault.Permanent), errors.Is(err, ErrAppRefused):
		c.Subscription = SubscriptionUnknown
	default:
		return Cleared{}, err
	}
	if c.Parameters, err = a.Parameters.Clear(ctx); err != nil {
		return Cleared{}, fmt.Errorf("clear the parameters: %w", err)
	}
	return c, nil
}
