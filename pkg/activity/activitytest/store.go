package activitytest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/paceline/paceline/pkg/activity"
)

// Store keeps activities in memory. It implements [activity.WriteStore],
// [activity.ReadStore] and [activity.AuditStore]. Use [NewStore].
type Store struct {
	mu       sync.Mutex
	athletes map[int64]*athlete
}

type athlete struct {
	guard   activity.Guard
	records map[int64]activity.Record
	totals  map[string]*activity.MonthlyTotals
	sync    *activity.Sync
}

// NewStore returns an empty store.
func NewStore() *Store { return &Store{athletes: map[int64]*athlete{}} }

// of returns the athlete; the store is locked until unlock is called.
func (s *Store) of(athleteID int64) (a *athlete, unlock func()) {
	s.mu.Lock()
	if s.athletes[athleteID] == nil {
		s.athletes[athleteID] = &athlete{records: map[int64]activity.Record{}, totals: map[string]*activity.MonthlyTotals{}}
	}
	return s.athletes[athleteID], s.mu.Unlock
}

// set stores the record of an activity, or deletes it if record is zero.
func (a *athlete) set(id int64, record activity.Record) {
	activity.Replace(a.totals, a.records[id], record)
	maps.DeleteFunc(a.totals, func(_ string, t *activity.MonthlyTotals) bool { return t.Empty() })
	if a.records[id] = record; record == (activity.Record{}) {
		delete(a.records, id)
	}
}

// revise replaces each record by what decide returns.
func (a *athlete) revise(decide func(activity.Record) activity.Record) {
	for id, record := range a.records {
		if revised := decide(record); revised != record {
			a.set(id, revised)
		}
	}
}

// Put implements [activity.WriteStore].
func (s *Store) Put(_ context.Context, r activity.Reading) error {
	a, unlock := s.of(r.By.AthleteID)
	defer unlock()
	if err := a.guard.Admit(r.By); err != nil {
		return err
	}
	for _, one := range r.Activities {
		a.set(one.ID, a.guard.Merge(a.records[one.ID], activity.Record{Generation: r.By.Generation, ReadAt: r.At, Activity: &one}))
	}
	return nil
}

// PutDeletion implements [activity.WriteStore].
func (s *Store) PutDeletion(_ context.Context, d activity.Deletion) error {
	a, unlock := s.of(d.By.AthleteID)
	defer unlock()
	if err := a.guard.Admit(d.By); err != nil {
		return err
	}
	a.set(d.ActivityID, a.guard.Merge(a.records[d.ActivityID], activity.Record{Generation: d.By.Generation, ReadAt: d.At}))
	return nil
}

// UpdateSync implements [activity.WriteStore].
func (s *Store) UpdateSync(_ context.Context, by activity.Authorization, change func(*activity.Sync) (bool, error)) error {
	a, unlock := s.of(by.AthleteID)
	defer unlock()
	if err := a.guard.Admit(by); err != nil {
		return err
	}
	sync := a.copyOfSync()
	changed, err := change(&sync)
	if err == nil && changed {
		a.sync = &sync
	}
	return err
}

func (a *athlete) copyOfSync() activity.Sync {
	if a.sync == nil {
		return activity.Sync{}
	}
	out := *a.sync
	out.Covered, out.Stored, out.Before = slices.Clone(out.Covered), maps.Clone(out.Stored), maps.Clone(out.Before)
	return out
}

// UpdateGuard implements [activity.WriteStore].
func (s *Store) UpdateGuard(_ context.Context, athleteID int64, change func(*activity.Guard) (bool, error)) error {
	a, unlock := s.of(athleteID)
	defer unlock()
	guard := a.guard
	changed, err := change(&guard)
	if err != nil {
		return err
	}
	if changed {
		a.guard = guard
	}
	a.revise(a.guard.Keep)
	if a.sync != nil && !a.guard.KeepsSync(*a.sync) {
		a.sync = nil
	}
	return nil
}

// EndScan implements [activity.WriteStore].
func (s *Store) EndScan(_ context.Context, athleteID int64, scan activity.CompletedScan, approve func([]activity.Record) bool) error {
	a, unlock := s.of(athleteID)
	defer unlock()
	a.guard.Scanned(scan)
	if approve(slices.Collect(maps.Values(a.records))) {
		a.revise(func(r activity.Record) activity.Record {
			if scan.Outdates(r) {
				return activity.Record{}
			}
			return r
		})
	}
	return nil
}

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
	if a.sync != nil {
		for _, chunks := range []map[int]activity.StoredChunk{a.sync.Stored, a.sync.Before} {
			for _, chunk := range chunks {
				ages = append(ages, chunk.ReadAt)
			}
		}
	}
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
	found := slices.SortedFunc(maps.Keys(oldest), func(a, b int64) int { return oldest[a].Compare(oldest[b]) })
	return found[:min(limit, len(found))], nil
}

// Expire implements [activity.WriteStore].
func (s *Store) Expire(_ context.Context, athleteID int64, until time.Time) error {
	a, unlock := s.of(athleteID)
	defer unlock()
	a.guard.Expire(until)
	a.revise(func(r activity.Record) activity.Record { return r.Expire(until) })
	if a.sync != nil {
		a.sync.Expire(until)
	}
	for month, t := range a.totals {
		if !t.Drifted(until) {
			continue
		}
		if a.totals[month] = activity.TotalsByMonth(slices.Collect(maps.Values(a.records)))[month]; a.totals[month] == nil {
			delete(a.totals, month)
		}
	}
	return nil
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
	for _, r := range a.records {
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
	return slices.Collect(maps.Values(a.records)), nil
}

// Sync implements [activity.ReadStore].
func (s *Store) Sync(_ context.Context, by activity.Authorization) (activity.Sync, error) {
	a, unlock := s.of(by.AthleteID)
	defer unlock()
	return a.copyOfSync(), a.guard.Admit(by)
}

// Held returns how many items the store has of the athlete: records, including
// deletions, and the sync, but neither the guard nor the monthly totals.
func (s *Store) Held(athleteID int64) int {
	a, unlock := s.of(athleteID)
	defer unlock()
	n := len(a.records)
	if a.sync != nil {
		n++
	}
	return n
}

// Ages implements [activity.AuditStore].
func (s *Store) Ages(_ context.Context, count func(kind string, readAt time.Time)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.athletes {
		for _, r := range a.records {
			kind := activity.KindActivity
			if r.Activity == nil {
				kind = activity.KindDeletion
			}
			count(kind, r.ReadAt)
		}
		for _, t := range a.totals {
			count(activity.KindTotals, t.Oldest().Add(time.Hour))
		}
		for _, chunk := range a.copyOfSync().Stored {
			count(activity.KindSync, chunk.ReadAt)
		}
	}
	return nil
}

// DropExpired drops each record that may have expired at the time, if drop
// returns true, as DynamoDB's TTL would: without a change of the monthly
// totals.
func (s *Store) DropExpired(athleteID int64, at time.Time, drop func() bool) {
	a, unlock := s.of(athleteID)
	defer unlock()
	for _, id := range slices.Sorted(maps.Keys(a.records)) {
		if !activity.ExpiresAt(a.records[id].ReadAt).After(at) && drop() {
			delete(a.records, id)
		}
	}
}
