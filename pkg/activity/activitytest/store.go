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
	fence   activity.Fence
	rows    map[int64]activity.Row
	tallies map[string]*activity.Tally
	sync    *activity.Sync
}

// NewStore makes an empty store.
func NewStore() *Store { return &Store{athletes: map[int64]*athlete{}} }

// of gives the athlete; the store is locked until unlock is called.
func (s *Store) of(athleteID int64) (a *athlete, unlock func()) {
	s.mu.Lock()
	if s.athletes[athleteID] == nil {
		s.athletes[athleteID] = &athlete{rows: map[int64]activity.Row{}, tallies: map[string]*activity.Tally{}}
	}
	return s.athletes[athleteID], s.mu.Unlock
}

// set makes row what is known of the activity; nothing if it is zero.
func (a *athlete) set(id int64, row activity.Row) {
	activity.Exchange(a.tallies, a.rows[id], row)
	maps.DeleteFunc(a.tallies, func(_ string, t *activity.Tally) bool { return t.Empty() })
	if a.rows[id] = row; row == (activity.Row{}) {
		delete(a.rows, id)
	}
}

// revise replaces each row by what decide makes of it.
func (a *athlete) revise(decide func(activity.Row) activity.Row) {
	for id, row := range a.rows {
		if revised := decide(row); revised != row {
			a.set(id, revised)
		}
	}
}

// Put implements [activity.WriteStore].
func (s *Store) Put(_ context.Context, r activity.Reading) error {
	a, unlock := s.of(r.By.AthleteID)
	defer unlock()
	if err := a.fence.Admit(r.By); err != nil {
		return err
	}
	for _, one := range r.Activities {
		a.set(one.ID, a.fence.Learn(a.rows[one.ID], activity.Row{Generation: r.By.Generation, ReadAt: r.At, Activity: &one}))
	}
	return nil
}

// PutGone implements [activity.WriteStore].
func (s *Store) PutGone(_ context.Context, g activity.Absence) error {
	a, unlock := s.of(g.By.AthleteID)
	defer unlock()
	if err := a.fence.Admit(g.By); err != nil {
		return err
	}
	a.set(g.ActivityID, a.fence.Learn(a.rows[g.ActivityID], activity.Row{Generation: g.By.Generation, ReadAt: g.At}))
	return nil
}

// UpdateSync implements [activity.WriteStore].
func (s *Store) UpdateSync(_ context.Context, by activity.Authorization, change func(*activity.Sync) bool) error {
	a, unlock := s.of(by.AthleteID)
	defer unlock()
	if err := a.fence.Admit(by); err != nil {
		return err
	}
	if changed := a.copyOfSync(); change(&changed) {
		a.sync = &changed
	}
	return nil
}

func (a *athlete) copyOfSync() activity.Sync {
	if a.sync == nil {
		return activity.Sync{}
	}
	out := *a.sync
	out.Covered, out.Stored, out.Before = slices.Clone(out.Covered), maps.Clone(out.Stored), maps.Clone(out.Before)
	return out
}

// UpdateFence implements [activity.WriteStore].
func (s *Store) UpdateFence(_ context.Context, athleteID int64, change func(*activity.Fence) bool) error {
	a, unlock := s.of(athleteID)
	defer unlock()
	if changed := a.fence; change(&changed) {
		a.fence = changed
	}
	a.revise(a.fence.Keep)
	if a.sync != nil && !a.fence.KeepsSync(*a.sync) {
		a.sync = nil
	}
	return nil
}

// EndScan implements [activity.WriteStore].
func (s *Store) EndScan(_ context.Context, athleteID int64, scan activity.CompletedScan, agree func([]activity.Row) bool) error {
	a, unlock := s.of(athleteID)
	defer unlock()
	a.fence.Scanned(scan)
	if agree(slices.Collect(maps.Values(a.rows))) {
		a.revise(func(r activity.Row) activity.Row {
			if scan.Outdates(r) {
				return activity.Row{}
			}
			return r
		})
	}
	return nil
}

// Aged implements [activity.WriteStore].
func (s *Store) Aged(_ context.Context, until time.Time, limit int) ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := map[int64]time.Time{}
	for id, a := range s.athletes {
		var ages []time.Time
		for _, t := range a.tallies {
			ages = append(ages, t.Oldest())
		}
		for _, r := range a.rows {
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
		if len(ages) > 0 && !slices.MinFunc(ages, time.Time.Compare).After(until) {
			oldest[id] = slices.MinFunc(ages, time.Time.Compare)
		}
	}
	found := slices.SortedFunc(maps.Keys(oldest), func(a, b int64) int { return oldest[a].Compare(oldest[b]) })
	return found[:min(limit, len(found))], nil
}

// Expire implements [activity.WriteStore].
func (s *Store) Expire(_ context.Context, athleteID int64, until time.Time) error {
	a, unlock := s.of(athleteID)
	defer unlock()
	a.fence.Forget(until)
	a.revise(func(r activity.Row) activity.Row { return r.Expire(until) })
	if a.sync != nil {
		a.sync.Forget(until)
	}
	for month, t := range a.tallies {
		if !t.Drifted(until) {
			continue
		}
		if a.tallies[month] = activity.Tallies(slices.Collect(maps.Values(a.rows)))[month]; a.tallies[month] == nil {
			delete(a.tallies, month)
		}
	}
	return nil
}

// Get implements [activity.ReadStore].
func (s *Store) Get(_ context.Context, by activity.Authorization, activityID int64) (activity.Row, error) {
	a, unlock := s.of(by.AthleteID)
	defer unlock()
	return a.rows[activityID], a.fence.Admit(by)
}

// List implements [activity.ReadStore].
func (s *Store) List(_ context.Context, by activity.Authorization, sel activity.Selection) (activity.Page, error) {
	a, unlock := s.of(by.AthleteID)
	defer unlock()
	if err := a.fence.Admit(by); err != nil {
		return activity.Page{}, err
	}
	found := map[activity.Position]activity.Row{}
	for _, r := range a.rows {
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
	newestFirst := slices.SortedFunc(maps.Keys(found), func(p, q activity.Position) int {
		if q.Less(p) {
			return -1
		}
		return 1
	})
	var out activity.Page
	for i, p := range newestFirst {
		if r := found[p]; sel.Takes(r) {
			if len(out.Rows) == sel.Limit {
				last, err := activity.PositionOf(*out.Rows[sel.Limit-1].Activity)
				out.Next = &last
				return out, err
			}
			out.Rows = append(out.Rows, r)
		}
		if i+1 == activity.SearchDepth {
			out.Next = &p
			return out, nil
		}
	}
	return out, nil
}

// Tallies implements [activity.ReadStore].
func (s *Store) Tallies(_ context.Context, by activity.Authorization) (map[string]*activity.Tally, error) {
	a, unlock := s.of(by.AthleteID)
	defer unlock()
	out := map[string]*activity.Tally{}
	for month, t := range a.tallies {
		out[month] = t.Clone()
	}
	return out, a.fence.Admit(by)
}

// Rows implements [activity.ReadStore].
func (s *Store) Rows(_ context.Context, athleteID int64) ([]activity.Row, error) {
	a, unlock := s.of(athleteID)
	defer unlock()
	return slices.Collect(maps.Values(a.rows)), nil
}

// Sync implements [activity.ReadStore].
func (s *Store) Sync(_ context.Context, by activity.Authorization) (activity.Sync, error) {
	a, unlock := s.of(by.AthleteID)
	defer unlock()
	return a.copyOfSync(), a.fence.Admit(by)
}

// Held is how many items the store has of the athlete besides the fence and the
// tallies, memories of gone activities and the sync among them.
func (s *Store) Held(athleteID int64) int {
	a, unlock := s.of(athleteID)
	defer unlock()
	n := len(a.rows)
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
		for _, r := range a.rows {
			kind := activity.KindActivity
			if r.Activity == nil {
				kind = activity.KindGone
			}
			count(kind, r.ReadAt)
		}
		for _, t := range a.tallies {
			count(activity.KindTally, t.Oldest().Add(time.Hour))
		}
		for _, chunk := range a.copyOfSync().Stored {
			count(activity.KindSync, chunk.ReadAt)
		}
	}
	return nil
}

// Lapse drops activities as DynamoDB's TTL might at the time, if the dice say so:
// without a word to the tallies.
func (s *Store) Lapse(athleteID int64, at time.Time, dice func() bool) {
	a, unlock := s.of(athleteID)
	defer unlock()
	for _, id := range slices.Sorted(maps.Keys(a.rows)) {
		if !activity.LapsesAt(a.rows[id].ReadAt).After(at) && dice() {
			delete(a.rows, id)
		}
	}
}
