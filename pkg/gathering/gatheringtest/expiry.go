package gatheringtest

import (
	"maps"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// DropExpired drops each item that has expired at the time, if drop returns
// true, as DynamoDB's TTL would: tombstones, digests of webhook events, and
// daily counts of them.
func (s *Store) DropExpired(at time.Time, drop func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tombstoneUntil := func(a versioned[gathering.Athlete]) time.Time { return a.value.TombstoneUntil() }
	for _, id := range kittest.DropExpired(s.athletes, tombstoneUntil, at, drop) {
		s.requeue(jobKey{id, gathering.JobScan}, gathering.Job{})
	}
	for _, id := range slices.Sorted(maps.Keys(s.seen)) {
		kittest.DropExpired(s.seen[id], func(expires time.Time) time.Time { return expires }, at, drop)
		if len(s.seen[id]) == 0 {
			delete(s.seen, id)
		}
	}
	kittest.DropExpired(s.events, func(c eventCount) time.Time { return c.expires }, at, drop)
}
