package ddb

import (
	"context"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/kit/dynamo"
)

// Put implements [activity.WriteStore].
func (t *Table) Put(ctx context.Context, r activity.Reading) error {
	read := map[int64]activity.Record{}
	for _, a := range r.Activities {
		read[a.ID] = activity.Record{Generation: r.By.Generation, ReadAt: r.At, Activity: &a}
	}
	return t.merge(ctx, r.By, read)
}

// PutDeletion implements [activity.WriteStore].
func (t *Table) PutDeletion(ctx context.Context, d activity.Deletion) error {
	return t.merge(ctx, d.By, map[int64]activity.Record{d.ActivityID: {Generation: d.By.Generation, ReadAt: d.At}})
}

// merge stores those readings of activities that are the newest.
func (t *Table) merge(ctx context.Context, by activity.Authorization, read map[int64]activity.Record) error {
	return t.rewrite(ctx, by.AthleteID, read, func(g activity.Guard, id int64, old activity.Record) (activity.Record, error) {
		return g.Merge(old, read[id]), g.Admit(by)
	})
}

// UpdateSync implements [activity.WriteStore].
func (t *Table) UpdateSync(ctx context.Context, by activity.Authorization, change func(*activity.Sync) (bool, error)) error {
	return t.updateSync(ctx, by.AthleteID, func(g activity.Guard, s *activity.Sync) (bool, error) {
		if err := g.Admit(by); err != nil {
			return false, err
		}
		return change(s)
	})
}

// updateSync writes the sync on the condition that neither it nor the guard
// has changed. It returns change's error as it is.
func (t *Table) updateSync(ctx context.Context, athleteID int64, change func(activity.Guard, *activity.Sync) (bool, error)) error {
	var refused error // change's error, which may be a conflict of another kind
	err := dynamo.Usual.Retry(ctx, func() error {
		s, err := t.snapshot(ctx, athleteID, syncKey)
		if err != nil {
			return err
		}
		sync := s.sync.sync()
		changed, err := change(s.guard.guard(), &sync)
		if err != nil || !changed {
			refused = err
			return nil
		}
		put, err := put(syncItemOf(athleteID, sync), s.sync.Revision)
		if err != nil {
			return err
		}
		return t.transact(ctx, s, []types.TransactWriteItem{put})
	})
	if err == nil {
		err = refused
	}
	return err
}

// UpdateGuard implements [activity.WriteStore].
func (t *Table) UpdateGuard(ctx context.Context, athleteID int64, change func(*activity.Guard) (bool, error)) error {
	guard, err := t.updateGuard(ctx, athleteID, change)
	if err != nil {
		return err
	}
	// From here on nothing that the guard refuses can be written, so a
	// consistent query finds everything to delete.
	left, err := t.revise(ctx, athleteID, guard.Keep)
	if err != nil {
		return err
	}
	err = dynamo.Usual.Retry(ctx, func() error {
		s, err := t.snapshot(ctx, athleteID, syncKey)
		if err != nil || s.sync.Revision.Revision == "" || guard.KeepsSync(s.sync.sync()) {
			return err
		}
		return t.transact(ctx, s, []types.TransactWriteItem{remove(athleteID, syncKey, s.sync.Revision)})
	})
	if err != nil || left > 0 {
		return err
	}
	return t.rebuildTotals(ctx, athleteID, func(*activity.MonthlyTotals) bool { return true })
}

// updateGuard changes the guard alone, and returns it.
func (t *Table) updateGuard(ctx context.Context, athleteID int64, change func(*activity.Guard) (bool, error)) (guard activity.Guard, err error) {
	item, err := dynamo.Update(ctx, t.table, dynamo.Usual, key(athleteID, guardKey), func(item *guardItem) (bool, error) {
		guard := item.guard()
		changed, err := change(&guard)
		if err == nil && changed {
			*item = guardItemOf(athleteID, guard)
		}
		return changed, err
	})
	return item.guard(), err
}

// EndScan implements [activity.WriteStore].
func (t *Table) EndScan(ctx context.Context, athleteID int64, scan activity.CompletedScan, approve func([]activity.Record) bool) error {
	_, err := t.updateGuard(ctx, athleteID, func(g *activity.Guard) (bool, error) { return g.Scanned(scan), nil })
	if err != nil {
		return err
	}
	// From here on nothing that the scan outdates can be written, so a consistent
	// query finds everything to delete.
	var all []activity.Record
	outdated := map[int64]activity.Record{}
	for records, err := range t.records(ctx, athleteID) {
		if err != nil {
			return err
		}
		for id, r := range records {
			all = append(all, r)
			if scan.Outdates(r) {
				outdated[id] = r
			}
		}
	}
	if !approve(all) {
		return nil
	}
	return t.rewrite(ctx, athleteID, outdated, func(_ activity.Guard, _ int64, old activity.Record) (activity.Record, error) {
		if scan.Outdates(old) {
			return activity.Record{}, nil
		}
		return old, nil
	})
}

// Expire implements [activity.WriteStore].
func (t *Table) Expire(ctx context.Context, athleteID int64, until time.Time) error {
	_, err := t.updateGuard(ctx, athleteID, func(g *activity.Guard) (bool, error) { return g.Expire(until), nil })
	if err != nil {
		return err
	}
	_, err = t.revise(ctx, athleteID, func(r activity.Record) activity.Record { return r.Expire(until) })
	if err != nil {
		return err
	}
	err = t.updateSync(ctx, athleteID, func(_ activity.Guard, s *activity.Sync) (bool, error) { return s.Expire(until), nil })
	if err != nil {
		return err
	}
	return t.rebuildTotals(ctx, athleteID, func(totals *activity.MonthlyTotals) bool { return totals.Drifted(until) })
}

// rebuildTotals adds up the records again for those of the totals that need it.
// The records are right: totals without records are deleted.
func (t *Table) rebuildTotals(ctx context.Context, athleteID int64, needs func(*activity.MonthlyTotals) bool) error {
	return dynamo.Usual.Retry(ctx, func() error {
		s := newSnapshot(athleteID)
		for page, err := range t.table.Query(ctx, withPrefix(athleteID, totalsPrefix)) {
			if err == nil {
				err = s.add(page)
			}
			if err != nil {
				return err
			}
		}
		maps.DeleteFunc(s.totals, func(_ string, totals *activity.MonthlyTotals) bool { return !needs(totals) })
		if len(s.totals) == 0 {
			return nil
		}
		// The records are read after the totals: a record that changes from here on
		// changes the revision of its month's totals.
		records, err := t.Records(ctx, athleteID)
		if err != nil {
			return err
		}
		right := activity.TotalsByMonth(records)
		for month := range s.totals {
			action, err := s.replaceTotals(month, right[month])
			if err != nil {
				return err
			}
			if err := t.table.Transact(ctx, []types.TransactWriteItem{action}); err != nil {
				return err
			}
		}
		return nil
	})
}
