package quota

import (
	"context"
	"fmt"
	"time"
)

// Class of work. What a class is refused, all classes below it are refused, too.
type Class string

// The classes, the most urgent first.
const (
	// Leave: what an athlete's departure needs.
	Leave Class = "leave"
	// Webhook: what Strava says has changed.
	Webhook Class = "webhook"
	// Interactive: what a newcomer is looking at the page for.
	Interactive Class = "interactive"
	// Reconcile: reading again what would soon be too old to be kept.
	Reconcile Class = "reconcile"
	// Backfill: the rest of a newcomer's history.
	Backfill Class = "backfill"
	// Spare: reading again ahead of need.
	Spare Class = "spare"
)

// Classes are all classes, the most urgent first.
var Classes = []Class{Leave, Webhook, Interactive, Reconcile, Backfill, Spare}

// What a [Wait] is for.
const (
	// ForRateLimit: the quarter hour's limit, or what is left of it is
	// reserved for more urgent work.
	ForRateLimit = "rate_limit"
	// ForDailyLimit: the same of the day's limit.
	ForDailyLimit = "daily_limit"
	// ForStrava: Strava is down.
	ForStrava = "strava"
	// ForApplication: Strava refuses the application itself.
	ForApplication = "application"
	// ForTurn: as many calls as may be made at once are being made.
	ForTurn = "turn"
)

// Wait is the refusal of a permit. It is an error to be found by errors.As.
type Wait struct {
	// Until is the earliest time at which the class could get a permit, as far
	// as can be known.
	Until time.Time
	// For is one of the constants above.
	For string
}

// Error implements error.
func (w *Wait) Error() string {
	return fmt.Sprintf("wait for %s until %s", w.For, w.Until.UTC().Format(time.RFC3339))
}

// Permit allows one call to Strava, to be begun at once and over within
// [CallTime].
type Permit struct {
	// ID counts permits from 1.
	ID    int64
	Class Class
	// Expires is when it counts as spent if it has not been settled.
	Expires time.Time
	// Scarce says that what is left of the quota may not last for the webhooks
	// that are expected. It is not stored.
	Scarce bool
}

// Outcome of a call: what it says about Strava.
type Outcome int

// The outcomes.
const (
	// Answered: Strava answered, and the answer was understood.
	Answered Outcome = iota
	// RateLimited: 429.
	RateLimited
	// Maintenance: 502 or 597.
	Maintenance
	// Unavailable: another failure of Strava's: no answer in time, another 5xx,
	// or an answer that makes no sense.
	Unavailable
	// Inactive: Strava says that the application is inactive (403 with the error
	// Application/Status/Inactive).
	Inactive
	// Unknown: the call says nothing about Strava. It was not made, or failed on
	// our side.
	Unknown
)

// CallsUncertain says that a call may have been made.
const CallsUncertain = -1

// Answer is what came of a call, as far as the quota is concerned.
type Answer struct {
	Outcome Outcome
	// AthleteID is whom the call was for.
	AthleteID int64
	// Calls is how many calls were made: two where an access token was refused
	// and renewed, none where something failed before, or [CallsUncertain].
	Calls int
	// Began and Ended are when the call did, by the caller's clock.
	Began, Ended time.Time
	// Date is the answer's Date header; zero when there was none.
	Date time.Time
	// Rates are what the answer's headers say; nil unless all four are there.
	Rates *Rates
}

// Rates are Strava's four rate limit headers.
type Rates struct {
	// Overall is X-RateLimit-Limit and X-RateLimit-Usage.
	Overall Rate
	// Read is X-ReadRateLimit-Limit and X-ReadRateLimit-Usage.
	Read Rate
}

// exceeded reports whether there are rates and one of the limits is reached.
func (r *Rates) exceeded() bool {
	if r == nil {
		return false
	}
	for _, rate := range []Rate{r.Overall, r.Read} {
		if rate.Usage.Quarter >= rate.Limit.Quarter || rate.Usage.Day >= rate.Limit.Day {
			return true
		}
	}
	return false
}

// Rate is a limit and the usage so far.
type Rate struct{ Limit, Usage Pair }

// Pair is a figure for each window, as in "100,1000".
type Pair struct{ Quarter, Day int }

// Budgets stores the one Budget.
type Budgets interface {
	// Budget returns it, strongly consistent; the zero one before the first
	// update. A failure is a transient fault.
	Budget(ctx context.Context) (Budget, error)
	// UpdateBudget changes it: change is given a copy of what is stored, and
	// what it leaves is written only if nobody wrote in between; otherwise it
	// is called again on what is then stored. It must therefore make no calls.
	// An error of change is returned as it is and nothing is written. Other
	// errors are transient faults.
	UpdateBudget(ctx context.Context, change func(*Budget) error) error
}

// Engine hands out permits.
type Engine struct {
	Budgets Budgets
	Now     func() time.Time
}

// Reserve returns a permit for one call, or a *[Wait]; other errors are the
// storage's. due is since when the work could have been done: what a class will
// need is learned from when its work came up, not from when there was room.
func (e *Engine) Reserve(ctx context.Context, class Class, due time.Time) (Permit, error) {
	var permit Permit
	err := e.Budgets.UpdateBudget(ctx, func(b *Budget) (err error) {
		permit, err = b.Reserve(e.Now(), class, due)
		return err
	})
	if err != nil {
		return Permit{}, fmt.Errorf("reserve a call: %w", err)
	}
	return permit, nil
}

// Settle gives the permit back together with what its call has shown. To
// settle twice, or late, does no harm.
func (e *Engine) Settle(ctx context.Context, permit Permit, answer Answer) (Standing, error) {
	var standing Standing
	err := e.Budgets.UpdateBudget(ctx, func(b *Budget) error {
		standing = b.Settle(e.Now(), permit, answer)
		return nil
	})
	if err != nil {
		return Standing{}, fmt.Errorf("settle a call: %w", err)
	}
	return standing, nil
}

// Status tells how things stand.
func (e *Engine) Status(ctx context.Context) (Status, error) {
	b, err := e.Budgets.Budget(ctx)
	if err != nil {
		return Status{}, fmt.Errorf("read the budget: %w", err)
	}
	return b.Status(e.Now()), nil
}

// Status is how things stand with the quota.
type Status struct {
	Quarter, Day WindowStatus
	// Outstanding is how many permits are neither settled nor expired.
	Outstanding int
	// Parallel is how many may be outstanding at once.
	Parallel int
	// Pause is nil unless Strava must not be called at all.
	Pause *Wait
	// Others is when somebody else was last seen to spend of the quota; zero
	// when that was more than a day ago.
	Others time.Time
	// CallsToday and CallsYesterday count permits by class, by UTC day.
	CallsToday, CallsYesterday map[Class]int
	// RateLimitedToday counts the calls that Strava answered with 429.
	RateLimitedToday int
	// PausesToday counts today's pauses. PausedSince is when the first one began
	// since Strava last answered; zero while it does.
	PausesToday int
	PausedSince time.Time
}

// WindowStatus is how things stand in one window.
type WindowStatus struct {
	// Limit and Used are of the bucket that binds; Used includes calls that
	// are under way.
	Limit, Used int
	Resets      time.Time
	// Reserves is how many calls are kept for each class from those below it.
	Reserves map[Class]float64
	// Refused names the classes that have to wait because of this window.
	Refused []Class
}
