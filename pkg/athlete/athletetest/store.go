package athletetest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/paceline/paceline/pkg/athlete"
)

// Store keeps accounts and erasures in memory. It implements
// [athlete.Accounts], [athlete.Erasures] and [athlete.Inventory]. Use
// [NewStore].
type Store struct {
	mu       sync.Mutex
	accounts map[int64]athlete.Account
	erasures map[string]athlete.Erasure
}

// NewStore makes an empty store.
func NewStore() *Store {
	return &Store{accounts: map[int64]athlete.Account{}, erasures: map[string]athlete.Erasure{}}
}

// Account implements [athlete.Accounts].
func (s *Store) Account(_ context.Context, athleteID int64) (athlete.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accounts[athleteID], nil
}

// Update implements [athlete.Accounts].
func (s *Store) Update(_ context.Context, athleteID int64, change func(*athlete.Account) (bool, error)) (athlete.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[athleteID]
	a.Links = slices.Clone(a.Links)
	changed, err := change(&a)
	if err == nil && changed {
		s.accounts[athleteID] = a
	}
	return a, err
}

// Open implements [athlete.Erasures].
func (s *Store) Open(_ context.Context, e athlete.Erasure) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.erasures[e.Receipt]; !known {
		s.erasures[e.Receipt] = e
	}
	return nil
}

// Complete implements [athlete.Erasures].
func (s *Store) Complete(_ context.Context, e athlete.Erasure) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erasures[e.Receipt] = e
	return nil
}

// Erasure implements [athlete.Erasures].
func (s *Store) Erasure(_ context.Context, receipt string) (athlete.Erasure, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, known := s.erasures[receipt]
	if !known {
		return athlete.Erasure{Receipt: receipt}, athlete.ErrNoErasure
	}
	return e, nil
}

// Each implements [athlete.Inventory].
func (s *Store) Each(_ context.Context, profile func(int64, time.Time) error,
	leave func(int64, athlete.Leave) error, erasure func(athlete.Erasure) error,
) error {
	s.mu.Lock()
	accounts, erasures := maps.Clone(s.accounts), maps.Clone(s.erasures)
	s.mu.Unlock()
	for id, a := range accounts {
		if a.Profile != nil {
			if err := profile(id, a.ReadAt); err != nil {
				return err
			}
		}
		if a.Leave != nil {
			if err := leave(id, *a.Leave); err != nil {
				return err
			}
		}
	}
	for _, e := range erasures {
		if err := erasure(e); err != nil {
			return err
		}
	}
	return nil
}
