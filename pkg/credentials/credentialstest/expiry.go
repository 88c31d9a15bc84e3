package credentialstest

import (
	"maps"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// DropExpired drops each item that has expired at the time, if drop returns
// true, as DynamoDB's TTL would: tombstones of grants, connect states and forms,
// sessions and keys with their tombstones, and entries of the waitlist.
func (m *Memory) DropExpired(at time.Time, drop func() bool) {
	m.Store.dropExpired(at, drop)
	m.Credentials.dropExpired(at, drop)
	m.Waitlist.dropExpired(at, drop)
}

func (s *Store) dropExpired(at time.Time, drop func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, account := range slices.SortedFunc(maps.Keys(s.grants), byName) {
		if kittest.Expired(s.grants[account].TombstoneUntil(), at) && drop() {
			delete(s.grants, account)
			s.revision[account]++
		}
	}
	kittest.DropExpired(s.states, func(c credentials.ConnectState) time.Time { return c.ExpiresAt }, at, drop)
}

func (s *CredentialStore) dropExpired(at time.Time, drop func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kittest.DropExpired(s.all, credentials.Credential.RetainedUntil, at, drop)
}

func (r *WaitlistStore) dropExpired(at time.Time, drop func() bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kittest.DropExpired(r.waiting, func(w waiting) time.Time { return w.until }, at, drop)
}
