package quota

import (
	"context"
	"fmt"
	"time"
)

// Class of work. When a class is refused a call, so are all classes below it.
type Class string

// The classes, the most urgent first.
const (
	// Leave: calls that an athlete's departure needs.
	Leave Class = "leave"
	// Webhook: changes that Strava reported.
	Webhook Class = "webhook"
	// Interactive: data that an athlete is waiting for at the page.
	Interactive Class = "interactive"
	// Reconcile: reading histories again before they are too old to be kept.
	Reconcile Class = "reconcile"
	// Backfill: the rest of a newcomer's history.
	Backfill Class = "backfill"
	// Spare: reading histories again earlier than necessary.
	Spare Class = "spare"
)

// Classes are all classes, the most urgent first.
var Classes = []Class{Leave, Webhook, Interactive, Reconcile, Backfill, Spare}

// What a [Wait] is for.
const (
	// ForRateLimit: the quarter hour's limit is reached, or the rest is reserved
	// for more urgent work.
	ForRateLimit = "rate_limit"
	// ForDailyLimit: the same for the day's limit.
	ForDailyLimit = "daily_limit"
	// ForStrava: Strava is down.
	ForStrava = "strava"
	// ForApplication: Strava refuses the application itself.
	ForApplication = "application"
	// ForTurn: as many calls are under way as are allowed at once.
	ForTurn = "turn"
)

// Wait is the refusal of a permit, an error for errors.As.
type Wait struct {
	// Until is the earliest time at which the class could get a permit, as far as
	// is known.
	Until time.Time
	// For is one of the constants above.
	For string
}

// Error implements error.
func (w *Wait) Error() string {
	return fmt.Sprintf("wait for %s until %s", w.For, w.Until.UTC().Format(time.RFC3339))
}

// Permit allows one call to Strava, which must begin at once and end within
// [CallTime].
type Permit struct {
	// ID counts permits from 1.
	ID    int64
	Class Class
	// Expires is when it counts as spent if it has not been settled.
	Expires time.Time
	// Scarce says that the rest of the quota may not suffice for the webhooks that
	// are expected. It is not stored.
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

// CallsUncertain is for [Answer] Calls: a call may have been made.
const CallsUncertain = -1

// Answer is the result of a call, as far as it concerns the quota.
type Answer struct {
	Outcome Outcome
	// AthleteID is whom the call was for.
	AthleteID int64
	// Calls is how many calls were made: two if an access token was refused and
	// renewed, none if something failed before, or [CallsUncertain].
	Calls int
	// Began and Ended are when the call did, by the caller's clock.
	Began, Ended time.Time
	// Date is the answer's Date header; zero when there was none.
	Date time.Time
	// Rates are from the answer's headers; nil unless all four are there.
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
	// Budget returns the budget, strongly consistent; the zero value before the
	// first update. A failure is a transient fault.
	Budget(ctx context.Context) (Budget, error)
	// UpdateBudget calls change with a copy of the stored budget, and writes the
	// result if no other write came in between. Otherwise it starts over, so
	// change may run several times and must make no calls. UpdateBudget writes
	// nothing if change reports that it changed nothing, or returns an error, which
	// UpdateBudget returns as it is. Other errors are transient faults.
	UpdateBudget(ctx context.Context, change func(*Budget) (changed bool, err error)) error
}

// Engine hands out permits.
type Engine struct {
	budgets Budgets
	now     func() time.Time
}

// NewEngine returns an engine over the stored budget.
func NewEngine(budgets Budgets, now func() time.Time) *Engine { return &Engine{budgets, now} }

// Reserve returns a permit for one call, or a *[Wait] as its error; other
// errors are the storage's. due is when the work came up: forecasts are learned
// from that, and not from when there was room for it.
func (e *Engine) Reserve(ctx context.Context, class Class, due time.Time) (Permit, error) {
	var permit Permit
	err := e.budgets.UpdateBudget(ctx, func(b *Budget) (changed bool, err error) {
		permit, err = b.Reserve(e.now(), class, due)
		return true, err
	})
	if err != nil {
		return Permit{}, fmt.Errorf("reserve a call: %w", err)
	}
	return permit, nil
}

// Settle gives the permit back together with the result of its call. Settling
// twice or late does no harm.
func (e *Engine) Settle(ctx context.Context, permit Permit, answer Answer) (Standing, error) {
	var standing Standing
	err := e.budgets.UpdateBudget(ctx, func(b *Budget) (changed bool, _ error) {
		standing = b.Settle(e.now(), permit, answer)
		return true, nil
	})
	if err != nil {
		return Standing{}, fmt.Errorf("settle a call: %w", err)
	}
	return standing, nil
}

// Status reads the state of the quota.
func (e *Engine) Status(ctx context.Context) (Status, error) {
	b, err := e.budgets.Budget(ctx)
	if err != nil {
		return Status{}, fmt.Errorf("read the budget: %w", err)
	}
	return b.Status(e.now()), nil
}

// Status is the state of the quota.
type Status struct {
	Quarter, Day WindowStatus
	// Outstanding is how many permits are neither settled nor expired.
	Outstanding int
	// Parallel is how many may be outstanding at once.
	Parallel int
	// Pause is nil unless Strava must not be called at all.
	Pause *Wait
	// Others is when another client of the application was last seen to use the
	// quota; zero if more than a day ago.
	Others time.Time
	// CallsToday and CallsYesterday count permits by class, by UTC day.
	CallsToday, CallsYesterday map[Class]int
	// RateLimitedToday counts the calls that Strava answered with 429.
	RateLimitedToday int
	// PausesToday counts today's pauses. PausedSince is when the first pause since
	// Strava's last answer began; zero without one.
	PausesToday int
	PausedSince time.Time
}

// WindowStatus is the state of one window.
type WindowStatus struct {
	// Limit and Used are those of the bucket with the smaller limit. Used includes
	// calls that are under way.
	Limit, Used int
	Resets      time.Time
	// Reserves is how many calls each class keeps from the classes below it.
	Reserves map[Class]float64
	// Refused names the classes that have to wait because of this window.
	Refused []Class
}
