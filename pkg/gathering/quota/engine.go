package quota

import (
	"context"
	"fmt"
	"time"
)

// Budgets stores the one Budget.
type Budgets interface {
	// Budget returns the budget, strongly consistent; the zero value before the
	// first update. A failure is a transient fault.
	Budget(ctx context.Context) (Budget, error)
	// UpdateBudget calls change with a copy of the stored budget, and writes the
	// result if no other write came in between. Otherwise it starts over, so
	// change may run several times and must make no calls. UpdateBudget writes
	// nothing if change reports that it changed nothing, or returns an error,
	// which UpdateBudget returns as it is. Other errors are transient faults.
	UpdateBudget(ctx context.Context, change func(*Budget) (changed bool, err error)) error
}

// Engine grants permits.
type Engine struct {
	budgets Budgets
	now     func() time.Time
}

// NewEngine returns an engine over the stored budget.
func NewEngine(budgets Budgets, now func() time.Time) *Engine { return &Engine{budgets, now} }

// Acquire returns a permit for one call, or a *[Wait] as its error; other
// errors are the storage's. due is when the work came up: forecasts count it at
// that time, even if it had to wait.
func (e *Engine) Acquire(ctx context.Context, class Class, due time.Time) (Permit, error) {
	var permit Permit
	err := e.budgets.UpdateBudget(ctx, func(b *Budget) (changed bool, err error) {
		permit, err = b.Acquire(e.now(), class, due)
		return true, err
	})
	if err != nil {
		return Permit{}, fmt.Errorf("acquire a permit: %w", err)
	}
	return permit, nil
}

// Settle gives the permit back together with the result of its call. Settling
// twice or late does no harm.
func (e *Engine) Settle(ctx context.Context, permit Permit, answer Answer) (Settlement, error) {
	var settlement Settlement
	err := e.budgets.UpdateBudget(ctx, func(b *Budget) (changed bool, _ error) {
		settlement = b.Settle(e.now(), permit, answer)
		return true, nil
	})
	if err != nil {
		return Settlement{}, fmt.Errorf("settle a call: %w", err)
	}
	return settlement, nil
}

// Status reads the state of the quota.
func (e *Engine) Status(ctx context.Context) (Status, error) {
	b, err := e.budgets.Budget(ctx)
	if err != nil {
		return Status{}, fmt.Errorf("read the budget: %w", err)
	}
	return b.Status(e.now()), nil
}
