package athletetest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// Accounts stores accounts in memory. The zero value is empty.
type Accounts struct{ items[int64, athlete.Account] }

// Account implements [athlete.Accounts].
func (s *Accounts) Account(_ context.Context, athleteID int64) (athlete.Account, error) {
	a, _ := s.read(athleteID)
	return cloneAccount(a), nil
}

// Update implements [athlete.Accounts].
func (s *Accounts) Update(_ context.Context, athleteID int64, change func(*athlete.Account) (bool, error)) (athlete.Account, error) {
	return s.update(athleteID, cloneAccount, change)
}

func cloneAccount(a athlete.Account) athlete.Account {
	a.Profile, a.Consent, a.ErasureRequest = clone(a.Profile), clone(a.Consent), clone(a.ErasureRequest)
	if a.Consent != nil {
		a.Consent.Scopes = slices.Clone(a.Consent.Scopes)
	}
	a.Links = slices.Clone(a.Links)
	a.ExpiresAt = a.ExpiresAt.Truncate(time.Second) // As in a real store.
	return a
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// DropExpired drops each account that has expired at the time, if drop returns
// true, as DynamoDB's TTL would. Erasures never expire.
func (s *Accounts) DropExpired(at time.Time, drop func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	expires := func(a athlete.Account) time.Time { return a.ExpiresAt }
	for _, id := range kittest.DropExpired(s.values, expires, at, drop) {
		s.revisions[id]++
	}
}

// Erasures stores erasures in memory. The zero value is empty.
type Erasures struct{ items[string, athlete.Erasure] }

// Erasure implements [athlete.Erasures].
func (s *Erasures) Erasure(_ context.Context, receipt string) (athlete.Erasure, error) {
	e, _ := s.read(receipt)
	return cloneErasure(receipt)(e), nil
}

// Update implements [athlete.Erasures].
func (s *Erasures) Update(_ context.Context, receipt string, change func(*athlete.Erasure) (bool, error)) (athlete.Erasure, error) {
	return s.update(receipt, cloneErasure(receipt), change)
}

// cloneErasure clones the erasure of this receipt, known or not.
func cloneErasure(receipt string) func(athlete.Erasure) athlete.Erasure {
	return func(e athlete.Erasure) athlete.Erasure {
		e.Receipt, e.Parts, e.Confirmed = receipt, slices.Clone(e.Parts), maps.Clone(e.Confirmed)
		return e
	}
}

// items are the items of a table by their keys.
type items[K cmp.Ordered, V any] struct {
	mu        sync.Mutex
	values    map[K]V
	revisions map[K]int
}

func (s *items[K, V]) read(key K) (value V, revision int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[key], s.revisions[key]
}

// write reports whether the revision was still the item's.
func (s *items[K, V]) write(key K, value V, revision int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.revisions[key] != revision {
		return false
	}
	if s.values == nil {
		s.values, s.revisions = map[K]V{}, map[K]int{}
	}
	s.values[key] = value
	s.revisions[key]++
	return true
}

// update changes an item like a real store: change runs outside any lock, and
// again if another write came in between.
func (s *items[K, V]) update(key K, clone func(V) V, change func(*V) (bool, error)) (V, error) {
	for {
		value, revision := s.read(key)
		value = clone(value)
		changed, err := change(&value)
		if err != nil || !changed || s.write(key, clone(value), revision) {
			return value, err
		}
	}
}

// sorted returns all keys in order.
func (s *items[K, V]) sorted() []K {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.values))
}

// Inventory looks through accounts and erasures in memory.
type Inventory struct {
	Accounts *Accounts
	Erasures *Erasures
}

// Each implements [athlete.Inventory].
func (s *Inventory) Each(ctx context.Context, v athlete.Visitor) error {
	for _, id := range s.Accounts.sorted() {
		a, err := s.Accounts.Account(ctx, id)
		if err == nil && a.Profile != nil && v.Profile != nil {
			err = v.Profile(id, a.ProfileReadAt)
		}
		if err == nil && a.ErasureRequest != nil && v.ErasureRequest != nil {
			err = v.ErasureRequest(id, *a.ErasureRequest)
		}
		if err != nil {
			return err
		}
	}
	for _, receipt := range s.Erasures.sorted() {
		e, err := s.Erasures.Erasure(ctx, receipt)
		if err == nil && v.Erasure != nil {
			err = v.Erasure(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
