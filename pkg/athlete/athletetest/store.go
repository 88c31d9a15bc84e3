package athletetest

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/paceline/paceline/pkg/athlete"
)

// Accounts stores accounts in memory. The zero value is empty.
type Accounts struct {
	mu   sync.Mutex
	byID map[int64]athlete.Account
}

// Account implements [athlete.Accounts].
func (s *Accounts) Account(_ context.Context, athleteID int64) (athlete.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[athleteID], nil
}

// Update implements [athlete.Accounts].
func (s *Accounts) Update(_ context.Context, athleteID int64, change func(*athlete.Account) (bool, error)) (athlete.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.byID[athleteID]
	a.Links = slices.Clone(a.Links)
	changed, err := change(&a)
	if err == nil && changed {
		if s.byID == nil {
			s.byID = map[int64]athlete.Account{}
		}
		s.byID[athleteID] = a
	}
	return a, err
}

func (s *Accounts) all() map[int64]athlete.Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.byID)
}

// Erasures stores erasures in memory. The zero value is empty.
type Erasures struct {
	mu        sync.Mutex
	byReceipt map[string]athlete.Erasure
}

// Erasure implements [athlete.Erasures].
func (s *Erasures) Erasure(_ context.Context, receipt string) (athlete.Erasure, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.erasure(receipt), nil
}

func (s *Erasures) erasure(receipt string) athlete.Erasure {
	if e, known := s.byReceipt[receipt]; known {
		return e
	}
	return athlete.Erasure{Receipt: receipt}
}

// Update implements [athlete.Erasures].
func (s *Erasures) Update(_ context.Context, receipt string, change func(*athlete.Erasure) (bool, error)) (athlete.Erasure, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.erasure(receipt)
	changed, err := change(&e)
	if err == nil && changed {
		if s.byReceipt == nil {
			s.byReceipt = map[string]athlete.Erasure{}
		}
		s.byReceipt[receipt] = e
	}
	return e, err
}

func (s *Erasures) all() map[string]athlete.Erasure {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.byReceipt)
}

// Inventory looks through accounts and erasures in memory.
type Inventory struct {
	Accounts *Accounts
	Erasures *Erasures
}

// Each implements [athlete.Inventory].
func (s *Inventory) Each(_ context.Context, v athlete.Visitor) error {
	for id, a := range s.Accounts.all() {
		if a.Profile != nil && v.Profile != nil {
			if err := v.Profile(id, a.ProfileReadAt); err != nil {
				return err
			}
		}
		if a.ErasureRequest != nil && v.ErasureRequest != nil {
			if err := v.ErasureRequest(id, *a.ErasureRequest); err != nil {
				return err
			}
		}
	}
	for _, e := range s.Erasures.all() {
		if v.Erasure != nil {
			if err := v.Erasure(e); err != nil {
				return err
			}
		}
	}
	return nil
}
