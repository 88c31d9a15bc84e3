package quotatest

import (
	"context"
	"sync"

	"github.com/paceline/paceline/pkg/gathering/quota"
)

// Budgets is the quota's budget in memory.
type Budgets struct {
	mu       sync.Mutex
	budget   quota.Budget
	revision int
}

// Budget implements [quota.Budgets].
func (s *Budgets) Budget(context.Context) (quota.Budget, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.budget.Clone(), nil
}

// UpdateBudget implements [quota.Budgets]. Like a real store it runs change
// outside any lock, and writes only if no other write came in between.
func (s *Budgets) UpdateBudget(_ context.Context, change func(*quota.Budget) (bool, error)) error {
	for {
		s.mu.Lock()
		b, seen := s.budget.Clone(), s.revision
		s.mu.Unlock()
		if changed, err := change(&b); err != nil || !changed {
			return err
		}
		s.mu.Lock()
		if s.revision == seen {
			s.budget = b
			s.revision++
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
	}
}
