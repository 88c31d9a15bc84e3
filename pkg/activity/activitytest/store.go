package activitytest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// Store keeps activities in memory. It implements [activity.WriteStore],
// [activity.ReadStore] and [activity.AuditStore]. Use [NewStore].
//
// Like a real store it calls none of its callers' functions while it is locked,
// and writes in parts: see [kittest.BetweenParts].
type Store struct {
	mu       sync.Mutex
	athletes map[int64]*athlete
}

type athlete struct {
	guard   activity.Guard
	records map[int64]activity.Record
	totals  map[string]*activity.MonthlyTotals
	sync    *activity.Sync
	// revision counts the writes of the guard and of the sync.
	revision struct{ guard, sync int }
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

// ids returns those of the athlete's activities in order.
func (a *athlete) ids() []int64 { return slices.Sorted(maps.Keys(a.records)) }

// all returns the athlete's records in the order of their ids.
func (a *athlete) all() []activity.Record {
	out := make([]activity.Record, 0, len(a.records))
	for _, id := range a.ids() {
		out = append(out, a.records[id])
	}
	return out
}

// decision returns the record that replaces old, under the guard.
type decision func(g activity.Guard, id int64, old activity.Record) (activity.Record, error)

// maxPart is how many records are replaced at once. A real store replaces more;
// this number has tests see parts of smaller histories.
const maxPart = 20

// rewrite replaces the records with these ids, one part after the other.
func (s *Store) rewrite(ctx context.Context, athleteID int64, ids []int64, decide decision) error {
	for begin := 0; begin < len(ids); begin += maxPart {
		if begin > 0 {
			if err := kittest.BetweenParts(ctx); err != nil {
				return err
			}
		}
		if err := s.rewritePart(athleteID, ids[begin:min(begin+maxPart, len(ids))], decide); err != nil {
			return err
		}
	}
	return nil
}

// rewritePart replaces all of the records, or none.
func (s *Store) rewritePart(athleteID int64, ids []int64, decide decision) error {
	a, unlock := s.of(athleteID)
	defer unlock()
	next := make([]activity.Record, len(ids))
	for i, id := range ids {
		var err error
		if next[i], err = decide(a.guard, id, a.records[id]); err != nil {
			return err
		}
	}
	for i, id := range ids {
		if next[i] != a.records[id] {
			a.set(id, next[i])
		}
	}
	return nil
}

// revise replaces each record by what decide returns, and counts those that are
// left.
func (s *Store) revise(ctx context.Context, athleteID int64, decide func(activity.Record) activity.Record) (left int, err error) {
	var changed []int64
	a, unlock := s.of(athleteID)
	for _, id := range a.ids() {
		revised := decide(a.records[id])
		if revised != a.records[id] {
			changed = append(changed, id)
		}
		if revised != (activity.Record{}) {
			left++
		}
	}
	unlock()
	return left, s.rewrite(ctx, athleteID, changed, func(_ activity.Guard, _ int64, old activity.Record) (activity.Record, error) {
		return decide(old), nil
	})
}

// Put implements [activity.WriteStore].
func (s *Store) Put(ctx context.Context, r activity.Reading) error {
	read := map[int64]activity.Record{}
	for _, one := range r.Activities {
		read[one.ID] = activity.Record{Generation: r.By.Generation, ReadAt: r.At, Activity: &one}
	}
	return s.merge(ctx, r.By, read)
}

// PutDeletion implements [activity.WriteStore].
func (s *Store) PutDeletion(ctx context.Context, d activity.Deletion) error {
	return s.merge(ctx, d.By, map[int64]activity.Record{d.ActivityID: {Generation: d.By.Generation, ReadAt: d.At}})
}

// merge stores those readings of activities that are the newest.
func (s *Store) merge(ctx context.Context, by activity.Authorization, read map[int64]activity.Record) error {
	ids := slices.Sorted(maps.Keys(read))
	return s.rewrite(ctx, by.AthleteID, ids, func(g activity.Guard, id int64, old activity.Record) (activity.Record, error) {
		return g.Merge(old, read[id]), g.Admit(by)
	})
}

// UpdateSync implements [activity.WriteStore].
func (s *Store) UpdateSync(_ context.Context, by activity.Authorization, change func(*activity.Sync) (bool, error)) error {
	return s.updateSync(by.AthleteID, func(g activity.Guard, sync *activity.Sync) (bool, error) {
		if err := g.Admit(by); err != nil {
			return false, err
		}
		return change(sync)
	})
}

// updateSync writes the sync if neither it nor the guard was written in between.
func (s *Store) updateSync(athleteID int64, change func(activity.Guard, *activity.Sync) (bool, error)) error {
	for {
		a, unlock := s.of(athleteID)
		guard, sync, seen := a.guard, a.copyOfSync(), a.revision
		unlock()
		if changed, err := change(guard, &sync); err != nil || !changed {
			return err
		}
		a, unlock = s.of(athleteID)
		written := a.revision == seen
		if written {
			a.sync = &sync
			a.revision.sync++
		}
		unlock()
		if written {
			return nil
		}
	}
}

func (a *athlete) copyOfSync() activity.Sync {
	if a.sync == nil {
		return activity.Sync{}
	}
	out := *a.sync
	out.Covered, out.Stored, out.Before = slices.Clone(out.Covered), maps.Clone(out.Stored), maps.Clone(out.Before)
	out.ResumesAt, out.FinishesAt = clone(out.ResumesAt), clone(out.FinishesAt)
	return out
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// updateGuard changes the guard alone, and returns it.
func (s *Store) updateGuard(athleteID int64, change func(*activity.Guard) (bool, error)) (activity.Guard, error) {
	for {
		a, unlock := s.of(athleteID)
		guard, seen := a.guard, a.revision.guard
		unlock()
		if changed, err := change(&guard); err != nil || !changed {
			return guard, err
		}
		a, unlock = s.of(athleteID)
		written := a.revision.guard == seen
		if written {
			a.guard = guard
			a.revision.guard++
		}
		unlock()
		if written {
			return guard, nil
		}
	}
}

// inOrder does the steps, with other processes in between.
func inOrder(ctx context.Context, steps ...func() error) error {
	for i, do := range steps {
		if i > 0 {
			if err := kittest.BetweenParts(ctx); err != nil {
				return err
			}
		}
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// UpdateGuard implements [activity.WriteStore].
func (s *Store) UpdateGuard(ctx context.Context, athleteID int64, change func(*activity.Guard) (bool, error)) error {
	var guard activity.Guard
	left := 0
	return inOrder(ctx,
		func() (err error) { guard, err = s.updateGuard(athleteID, change); return err },
		func() (err error) { left, err = s.revise(ctx, athleteID, guard.Keep); return err },
		func() error {
			a, unlock := s.of(athleteID)
			defer unlock()
			if a.sync != nil && !guard.KeepsSync(*a.sync) {
				a.sync = nil
				a.revision.sync++
			}
			return nil
		},
		func() error {
			a, unlock := s.of(athleteID)
			defer unlock()
			if left == 0 {
				a.rebuildTotals(func(*activity.MonthlyTotals) bool { return true })
			}
			return nil
		},
	)
}

// EndScan implements [activity.WriteStore].
func (s *Store) EndScan(ctx context.Context, athleteID int64, scan activity.CompletedScan, approve func([]activity.Record) bool) error {
	var outdated []int64
	return inOrder(ctx,
		func() error {
			_, err := s.updateGuard(athleteID, func(g *activity.Guard) (bool, error) { return g.Scanned(scan), nil })
			return err
		},
		func() error {
			a, unlock := s.of(athleteID)
			all, ids := a.all(), a.ids()
			unlock()
			if !approve(all) {
				return nil
			}
			for i, r := range all {
				if scan.Outdates(r) {
					outdated = append(outdated, ids[i])
				}
			}
			return nil
		},
		func() error {
			return s.rewrite(ctx, athleteID, outdated, func(_ activity.Guard, _ int64, old activity.Record) (activity.Record, error) {
				if scan.Outdates(old) {
					return activity.Record{}, nil
				}
				return old, nil
			})
		},
	)
}

// Expire implements [activity.WriteStore].
func (s *Store) Expire(ctx context.Context, athleteID int64, until time.Time) error {
	return inOrder(ctx,
		func() error {
			_, err := s.updateGuard(athleteID, func(g *activity.Guard) (bool, error) { return g.Expire(until), nil })
			return err
		},
		func() error {
			_, err := s.revise(ctx, athleteID, func(r activity.Record) activity.Record { return r.Expire(until) })
			return err
		},
		func() error {
			return s.updateSync(athleteID, func(_ activity.Guard, sync *activity.Sync) (bool, error) { return sync.Expire(until), nil })
		},
		func() error {
			a, unlock := s.of(athleteID)
			defer unlock()
			a.rebuildTotals(func(t *activity.MonthlyTotals) bool { return t.Drifted(until) })
			return nil
		},
	)
}

// rebuildTotals adds up the records again for those of the totals that need it.
func (a *athlete) rebuildTotals(needs func(*activity.MonthlyTotals) bool) {
	right := activity.TotalsByMonth(a.all())
	for month, t := range a.totals {
		if !needs(t) {
			continue
		}
		if a.totals[month] = right[month]; right[month] == nil {
			delete(a.totals, month)
		}
	}
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
