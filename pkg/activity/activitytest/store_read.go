package activitytest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/activity"
)

// oldest returns when the oldest of the athlete's data that the sweeper looks
// for was read.
func (a *athlete) oldest() (at time.Time, any bool) {
	var ages []time.Time
	for _, t := range a.totals {
		ages = append(ages, t.Oldest())
	}
	for _, r := range a.records {
		if r.Activity == nil {
			ages = append(ages, r.ReadAt)
		}
	}
	if at, any := a.oldestOfSync(); any {
		ages = append(ages, at)
	}
	return earliest(ages)
}

// oldestOfSync returns when the oldest chunk of the sync was read.
func (a *athlete) oldestOfSync() (at time.Time, any bool) {
	var ages []time.Time
	sync := a.copyOfSync()
	for _, chunks := range []map[int]activity.StoredChunk{sync.Stored, sync.Before} {
		for _, chunk := range chunks {
			ages = append(ages, chunk.ReadAt)
		}
	}
	return earliest(ages)
}

func earliest(ages []time.Time) (at time.Time, any bool) {
	if len(ages) == 0 {
		return time.Time{}, false
	}
	return slices.MinFunc(ages, time.Time.Compare), true
}

// AthletesToExpire implements [activity.WriteStore].
func (s *Store) AthletesToExpire(_ context.Context, until time.Time, limit int) ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := map[int64]time.Time{}
	for id, a := range s.athletes {
		if at, any := a.oldest(); any && !at.After(until) {
			oldest[id] = at
		}
	}
	found := slices.SortedFunc(maps.Keys(oldest), func(a, b int64) int { return cmp.Or(oldest[a].Compare(oldest[b]), cmp.Compare(a, b)) })
	return found[:min(limit, len(found))], nil
}

// Get implements [activity.ReadStore].
func (s *Store) Get(_ context.Context, by activity.Authorization, activityID int64) (activity.Record, error) {
	a, unlock := s.of(by.AthleteID)
	defer unlock()
	return a.records[activityID], a.guard.Admit(by)
}

// List implements [activity.ReadStore].
func (s *Store) List(_ context.Context, by activity.Authorization, sel activity.Selection) (activity.Page, error) {
	a, unlock := s.of(by.AthleteID)
	defer unlock()
	if err := a.guard.Admit(by); err != nil {
		return activity.Page{}, err
	}
	found := map[activity.Position]activity.Record{}
	for _, r := range a.all() {
		if r.Activity == nil {
			continue
		}
		p, err := activity.PositionOf(*r.Activity)
		if err != nil {
			return activity.Page{}, err
		}
		if sel.In.Contains(p) {
			found[p] = r
		}
	}
	newestFirst := slices.SortedFunc(maps.Keys(found), func(p, q activity.Position) int { return q.Compare(p) })
	var out activity.Page
	for i, p := range newestFirst {
		if r := found[p]; sel.Matches(r) {
			if len(out.Records) == sel.Limit {
				last, err := activity.PositionOf(*out.Records[sel.Limit-1].Activity)
				out.Next = &last
				return out, err
			}
			out.Records = append(out.Records, r)
		}
		if i+1 == activity.SearchDepth {
			out.Next = &p
			return out, nil
		}
	}
	return out, nil
}

// MonthlyTotals implements [activity.ReadStore].
func (s *Store) MonthlyTotals(_ context.Context, by activity.Authorization) (map[string]*activity.MonthlyTotals, error) {
	a, unlock := s.of(by.AthleteID)
	defer unlock()
	out := map[string]*activity.MonthlyTotals{}
	for month, t := range a.totals {
		out[month] = t.Clone()
	}
	return out, a.guard.Admit(by)
}

// Records implements [activity.ReadStore].
func (s *Store) Records(_ context.Context, athleteID int64) ([]activity.Record, error) {
	a, unlock := s.of(athleteID)
	defer unlock()
	return a.all(), nil
}

// Sync implements [activity.ReadStore].
func (s *Store) Sync(_ context.Context, by activity.Authorization) (activity.Sync, error) {
	a, unlock := s.of(by.AthleteID)
	defer unlock()
	return a.copyOfSync(), a.guard.Admit(by)
}

// Ages implements [activity.AuditStore].
func (s *Store) Ages(_ context.Context, count func(kind string, readAt time.Time)) error {
	type age struct {
		kind   string
		readAt time.Time
	}
	var ages []age
	s.mu.Lock()
	for _, id := range slices.Sorted(maps.Keys(s.athletes)) {
		a := s.athletes[id]
		for _, r := range a.all() {
			kind := activity.KindActivity
			if r.Activity == nil {
				kind = activity.KindDeletion
			}
			ages = append(ages, age{kind, r.ReadAt})
		}
		for _, month := range slices.Sorted(maps.Keys(a.totals)) {
			ages = append(ages, age{activity.KindTotals, a.totals[month].Oldest().Add(time.Hour)})
		}
		if at, any := a.oldestOfSync(); any {
			ages = append(ages, age{activity.KindSync, at})
		}
	}
	s.mu.Unlock()
	for _, a := range ages {
		count(a.kind, a.readAt)
	}
	return nil
}
