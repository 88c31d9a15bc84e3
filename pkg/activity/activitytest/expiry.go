package activitytest

import (
	"maps"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// DropExpired drops each item that has expired at the time, if drop returns
// true, as DynamoDB's TTL would: records, without a change of the monthly
// totals, and guards of authorizations that are over.
func (s *Store) DropExpired(at time.Time, drop func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(s.athletes)) {
		a := s.athletes[id]
		a.dropExpiredRecords(at, drop)
		if kittest.Expired(a.guard.Expires, at) && drop() {
			a.guard = activity.Guard{}
			a.revision.guard++
		}
	}
}

// DropExpiredRecords is [Store.DropExpired] for an athlete's records alone.
func (s *Store) DropExpiredRecords(athleteID int64, at time.Time, drop func() bool) {
	a, unlock := s.of(athleteID)
	defer unlock()
	a.dropExpiredRecords(at, drop)
}

func (a *athlete) dropExpiredRecords(at time.Time, drop func() bool) {
	kittest.DropExpired(a.records, func(r activity.Record) time.Time { return activity.ExpiresAt(r.ReadAt) }, at, drop)
}
