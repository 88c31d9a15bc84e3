package ddb

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/kit/dynamo"
)

// decision returns the record that replaces old, under the guard.
type decision func(g activity.Guard, id int64, old activity.Record) (activity.Record, error)

// revise replaces each of the athlete's records by what decide returns, and
// counts those that are left.
func (t *Table) revise(ctx context.Context, athleteID int64, decide func(activity.Record) activity.Record) (left int, err error) {
	for records, err := range t.records(ctx, athleteID) {
		if err != nil {
			return 0, err
		}
		changed := map[int64]activity.Record{}
		for id, r := range records {
			revised := decide(r)
			if revised != r {
				changed[id] = r
			}
			if revised != (activity.Record{}) {
				left++
			}
		}
		err = t.rewrite(ctx, athleteID, changed, func(_ activity.Guard, _ int64, old activity.Record) (activity.Record, error) {
			return decide(old), nil
		})
		if err != nil {
			return 0, err
		}
	}
	return left, nil
}

// rewrite replaces the records with the ids of likely, together with their
// months' totals. likely has for each id a record that is probably of the same
// month as the stored one, which saves a request if it is.
func (t *Table) rewrite(ctx context.Context, athleteID int64, likely map[int64]activity.Record, decide decision) error {
	// Records that are close in time share their totals.
	ids := slices.SortedFunc(maps.Keys(likely), func(a, b int64) int {
		return cmp.Or(cmp.Compare(activity.MonthOf(likely[a]), activity.MonthOf(likely[b])), cmp.Compare(a, b))
	})
	for len(ids) > 0 {
		done := 0
		err := dynamo.Usual.Retry(ctx, func() error {
			r, err := t.read(ctx, athleteID, ids, likely)
			if err != nil {
				return err
			}
			if err := t.decide(ctx, r, decide); err != nil {
				return err
			}
			done, err = t.replace(ctx, r)
			return err
		})
		if err != nil {
			return err
		}
		ids = ids[done:]
	}
	return nil
}

// replacements are records that one transaction replaces.
type replacements struct {
	*snapshot
	// ids of the records, in the order in which they are replaced.
	ids []int64
	// next has the record that replaces each one.
	next map[int64]activity.Record
	// months whose totals are read.
	months map[string]bool
}

// maxItems is how many items one request reads and one transaction writes
// (Amazon DynamoDB Developer Guide, "Quotas in Amazon DynamoDB").
const maxItems = dynamo.MaxTransaction

// read reads the first of the records, as many as one request reads with their
// likely totals.
func (t *Table) read(ctx context.Context, athleteID int64, ids []int64, likely map[int64]activity.Record) (*replacements, error) {
	r := &replacements{next: map[int64]activity.Record{}, months: map[string]bool{}}
	var sortKeys []string
	for _, id := range ids {
		more := []string{recordKey(id)}
		if month := activity.MonthOf(likely[id]); month != "" && !r.months[month] {
			more = append(more, totalsKey(month))
		}
		if len(sortKeys)+len(more) >= maxItems { // The guard is one more.
			break
		}
		sortKeys = append(sortKeys, more...)
		r.months[activity.MonthOf(likely[id])] = true
		r.ids = append(r.ids, id)
	}
	var err error
	r.snapshot, err = t.snapshot(ctx, athleteID, sortKeys...)
	return r, err
}

// decide fills in next, and reads the totals that were not likely.
func (t *Table) decide(ctx context.Context, r *replacements, decide decision) (err error) {
	var missing []string
	for _, id := range r.ids {
		old := r.records[id]
		if r.next[id], err = decide(r.guard.guard(), id, old); err != nil {
			return err
		}
		for _, record := range []activity.Record{old, r.next[id]} {
			if month := activity.MonthOf(record); month != "" && !r.months[month] {
				r.months[month] = true
				missing = append(missing, totalsKey(month))
			}
		}
	}
	return t.extend(ctx, r.snapshot, missing)
}

// replace writes as many of the records, from the first, as one transaction
// holds, with their totals. It returns how many.
func (t *Table) replace(ctx context.Context, r *replacements) (done int, err error) {
	var actions []types.TransactWriteItem
	changed := map[string]bool{}
	for _, id := range r.ids {
		old, next := r.records[id], r.next[id]
		if next != old {
			touched := maps.Clone(changed)
			touched[activity.MonthOf(old)], touched[activity.MonthOf(next)] = true, true
			delete(touched, "") // That of deletions.
			if len(actions)+1+len(touched) >= maxItems {
				break
			}
			changed = touched
			activity.Replace(r.totals, old, next)
			action, err := replaceRecord(r.athleteID, id, old, next)
			if err != nil {
				return 0, err
			}
			actions = append(actions, action)
		}
		done++
	}
	if len(actions) == 0 {
		return done, nil
	}
	for month := range changed {
		action, err := r.replaceTotals(month, r.totals[month])
		if err != nil {
			return 0, err
		}
		actions = append(actions, action)
	}
	return done, t.transact(ctx, r.snapshot, actions)
}

// replaceRecord replaces old by next, or deletes it if next is zero.
func replaceRecord(athleteID, activityID int64, old, next activity.Record) (types.TransactWriteItem, error) {
	condition, values := "attribute_not_exists(sk)", dynamo.Item(nil)
	if old != (activity.Record{}) {
		condition = "generation = :generation AND read_at = :read_at AND attribute_exists(sport_type)"
		if old.Activity == nil {
			condition = "generation = :generation AND read_at = :read_at AND attribute_not_exists(sport_type)"
		}
		values = dynamo.Item{":generation": dynamo.Number(old.Generation), ":read_at": dynamo.Number(dynamo.MillisOf(old.ReadAt))}
	}
	if next == (activity.Record{}) {
		return types.TransactWriteItem{Delete: &types.Delete{
			Key: key(athleteID, recordKey(activityID)), ConditionExpression: aws.String(condition), ExpressionAttributeValues: values,
		}}, nil
	}
	item, err := encodeRecord(athleteID, activityID, next)
	return types.TransactWriteItem{Put: &types.Put{
		Item: item, ConditionExpression: aws.String(condition), ExpressionAttributeValues: values,
	}}, err
}

// replaceTotals replaces the totals of the month in the snapshot, or deletes
// them if totals are empty.
func (s *snapshot) replaceTotals(month string, totals *activity.MonthlyTotals) (types.TransactWriteItem, error) {
	if totals == nil || totals.Empty() {
		return remove(s.athleteID, totalsKey(month), s.revisions[month]), nil
	}
	return put(totalsItemOf(s.athleteID, month, totals), s.revisions[month])
}

// put writes an item in place of the one with the revision.
func put(item any, old dynamo.Revision) (types.TransactWriteItem, error) {
	encoded, err := dynamo.Encode(item)
	condition, values := old.Unchanged()
	return types.TransactWriteItem{Put: &types.Put{
		Item: encoded, ConditionExpression: condition, ExpressionAttributeValues: values,
	}}, err
}

// remove deletes the item with the revision.
func remove(athleteID int64, sk string, old dynamo.Revision) types.TransactWriteItem {
	condition, values := old.Unchanged()
	return types.TransactWriteItem{Delete: &types.Delete{
		Key: key(athleteID, sk), ConditionExpression: condition, ExpressionAttributeValues: values,
	}}
}

// transact performs all of the actions if the guard is still the snapshot's,
// or none.
func (t *Table) transact(ctx context.Context, s *snapshot, actions []types.TransactWriteItem) error {
	condition, values := s.guard.Unchanged()
	return t.table.Transact(ctx, append(actions, types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
		Key: key(s.athleteID, guardKey), ConditionExpression: condition, ExpressionAttributeValues: values,
	}}))
}
