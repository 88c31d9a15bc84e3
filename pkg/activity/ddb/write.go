package ddb

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// Put implements [activity.WriteStore].
func (t *Table) Put(ctx context.Context, r activity.Reading) error {
	read := map[int64]activity.Row{}
	for _, a := range r.Activities {
		read[a.ID] = activity.Row{Generation: r.By.Generation, ReadAt: r.At, Activity: &a}
	}
	return t.learn(ctx, r.By, read)
}

// PutGone implements [activity.WriteStore].
func (t *Table) PutGone(ctx context.Context, a activity.Absence) error {
	return t.learn(ctx, a.By, map[int64]activity.Row{a.ActivityID: {Generation: a.By.Generation, ReadAt: a.At}})
}

func (t *Table) learn(ctx context.Context, by activity.Authorization, read map[int64]activity.Row) error {
	return t.rewrite(ctx, by.AthleteID, read, func(f activity.Fence, id int64, old activity.Row) (activity.Row, error) {
		return f.Learn(old, read[id]), f.Admit(by)
	})
}

// UpdateSync implements [activity.WriteStore].
func (t *Table) UpdateSync(ctx context.Context, by activity.Authorization, change func(*activity.Sync) bool) error {
	return t.again(ctx, func() error {
		s, err := t.snapshot(ctx, by.AthleteID, syncKey)
		if err != nil {
			return err
		}
		if err := s.fence.fence().Admit(by); err != nil {
			return err
		}
		sync := s.sync.sync()
		if !change(&sync) {
			return nil
		}
		return t.putSync(ctx, s, sync)
	})
}

func (t *Table) putSync(ctx context.Context, s *snapshot, sync activity.Sync) error {
	put, err := t.put(syncItemOf(s.athleteID, crand.Text(), sync), s.sync.Revision)
	if err != nil {
		return err
	}
	return t.transact(ctx, s, []types.TransactWriteItem{put})
}

// UpdateFence implements [activity.WriteStore].
func (t *Table) UpdateFence(ctx context.Context, athleteID int64, change func(*activity.Fence) bool) error {
	fence, err := t.moveFence(ctx, athleteID, change)
	if err != nil {
		return err
	}
	// From here on nothing that the fence doesn't let pass can be written, so what
	// a consistent query finds is all there is.
	left, err := t.revise(ctx, athleteID, fence.Keep)
	if err != nil {
		return err
	}
	err = t.again(ctx, func() error {
		s, err := t.snapshot(ctx, athleteID, syncKey)
		if err != nil || s.sync.Revision == "" || fence.KeepsSync(s.sync.sync()) {
			return err
		}
		return t.transact(ctx, s, []types.TransactWriteItem{t.delete(athleteID, syncKey, s.sync.Revision)})
	})
	if err != nil || left > 0 {
		return err
	}
	return t.mend(ctx, athleteID, func(*activity.Tally) bool { return true })
}

// moveFence changes the fence alone, and gives what it is afterwards.
func (t *Table) moveFence(ctx context.Context, athleteID int64, change func(*activity.Fence) bool) (fence activity.Fence, err error) {
	err = t.again(ctx, func() error {
		s, err := t.snapshot(ctx, athleteID)
		if err != nil {
			return err
		}
		fence = s.fence.fence()
		if !change(&fence) {
			return nil
		}
		put, err := t.put(fenceItemOf(athleteID, crand.Text(), fence), s.fence.Revision)
		if err != nil {
			return err
		}
		return t.send(ctx, []types.TransactWriteItem{put})
	})
	return fence, err
}

// EndScan implements [activity.WriteStore].
func (t *Table) EndScan(ctx context.Context, athleteID int64, scan activity.CompletedScan, agree func([]activity.Row) bool) error {
	if _, err := t.moveFence(ctx, athleteID, func(f *activity.Fence) bool { return f.Scanned(scan) }); err != nil {
		return err
	}
	// From here on nothing that the scan outdates can be written, so what a
	// consistent query finds is all there is.
	var all []activity.Row
	outdated := map[int64]activity.Row{}
	for rows, err := range t.rows(ctx, athleteID) {
		if err != nil {
			return err
		}
		for id, r := range rows {
			all = append(all, r)
			if scan.Outdates(r) {
				outdated[id] = r
			}
		}
	}
	if !agree(all) {
		return nil
	}
	return t.rewrite(ctx, athleteID, outdated, func(_ activity.Fence, _ int64, old activity.Row) (activity.Row, error) {
		if scan.Outdates(old) {
			return activity.Row{}, nil
		}
		return old, nil
	})
}

// Expire implements [activity.WriteStore].
func (t *Table) Expire(ctx context.Context, athleteID int64, until time.Time) error {
	_, err := t.moveFence(ctx, athleteID, func(f *activity.Fence) bool { return f.Forget(until) })
	if err != nil {
		return err
	}
	_, err = t.revise(ctx, athleteID, func(r activity.Row) activity.Row { return r.Expire(until) })
	if err != nil {
		return err
	}
	err = t.again(ctx, func() error {
		s, err := t.snapshot(ctx, athleteID, syncKey)
		if err != nil {
			return err
		}
		sync := s.sync.sync()
		if !sync.Forget(until) {
			return nil
		}
		return t.putSync(ctx, s, sync)
	})
	if err != nil {
		return err
	}
	return t.mend(ctx, athleteID, func(tally *activity.Tally) bool { return tally.Drifted(until) })
}

// revise replaces each of the athlete's rows by what decide makes of it, and
// counts those that are left.
func (t *Table) revise(ctx context.Context, athleteID int64, decide func(activity.Row) activity.Row) (left int, err error) {
	for rows, err := range t.rows(ctx, athleteID) {
		if err != nil {
			return 0, err
		}
		changed := map[int64]activity.Row{}
		for id, r := range rows {
			revised := decide(r)
			if revised != r {
				changed[id] = r
			}
			if revised != (activity.Row{}) {
				left++
			}
		}
		err = t.rewrite(ctx, athleteID, changed, func(_ activity.Fence, _ int64, old activity.Row) (activity.Row, error) {
			return decide(old), nil
		})
		if err != nil {
			return 0, err
		}
	}
	return left, nil
}

// rewrite replaces rows by what decide makes of what is there, and keeps the
// tallies exact. rows has the activities' ids and, which saves a request when it
// is right, a row that is likely to be in the same month as what is there.
func (t *Table) rewrite(ctx context.Context, athleteID int64, rows map[int64]activity.Row, decide func(f activity.Fence, id int64, old activity.Row) (activity.Row, error)) error {
	// Neighbours in time have their tallies in common.
	ids := slices.SortedFunc(maps.Keys(rows), func(a, b int64) int {
		return cmp.Or(cmp.Compare(activity.MonthOf(rows[a]), activity.MonthOf(rows[b])), cmp.Compare(a, b))
	})
	for len(ids) > 0 {
		done := 0
		err := t.again(ctx, func() (err error) {
			done, err = t.rewriteSome(ctx, athleteID, ids, rows, decide)
			return err
		})
		if err != nil {
			return err
		}
		ids = ids[done:]
	}
	return nil
}

// rewriteSome does as many of the rows, from the first, as one transaction
// holds.
func (t *Table) rewriteSome(ctx context.Context, athleteID int64, ids []int64, likely map[int64]activity.Row, decide func(f activity.Fence, id int64, old activity.Row) (activity.Row, error)) (done int, err error) {
	var sortKeys []string
	months := map[string]bool{}
	for _, id := range ids {
		more := []string{rowKey(id)}
		if month := activity.MonthOf(likely[id]); month != "" && !months[month] {
			months[month] = true
			more = append(more, tallyKey(month))
		}
		if len(sortKeys)+len(more) >= maxKeys { // The fence is one more.
			break
		}
		sortKeys = append(sortKeys, more...)
		done++
	}
	s, err := t.snapshot(ctx, athleteID, sortKeys...)
	if err != nil {
		return 0, err
	}
	ids = ids[:done]
	next, missing := map[int64]activity.Row{}, []string(nil)
	for _, id := range ids {
		old := s.rows[id]
		if next[id], err = decide(s.fence.fence(), id, old); err != nil {
			return 0, err
		}
		for _, r := range []activity.Row{old, next[id]} {
			if month := activity.MonthOf(r); month != "" && !months[month] {
				months[month] = true
				missing = append(missing, tallyKey(month))
			}
		}
	}
	if err := t.extend(ctx, s, missing); err != nil {
		return 0, err
	}

	var actions []types.TransactWriteItem
	changed := map[string]bool{}
	for i, id := range ids {
		old, row := s.rows[id], next[id]
		if row == old {
			continue
		}
		touched := maps.Clone(changed)
		for _, r := range []activity.Row{old, row} {
			if month := activity.MonthOf(r); month != "" {
				touched[month] = true
			}
		}
		if len(actions)+1+len(touched) >= maxKeys {
			done = i
			break
		}
		changed = touched
		activity.Exchange(s.tallies, old, row)
		action, err := t.replaceRow(athleteID, id, old, row)
		if err != nil {
			return 0, err
		}
		actions = append(actions, action)
	}
	if len(actions) == 0 {
		return done, nil
	}
	for month := range changed {
		action, err := t.replaceTally(s, month, s.tallies[month])
		if err != nil {
			return 0, err
		}
		actions = append(actions, action)
	}
	return done, t.transact(ctx, s, actions)
}

// mend makes those of the tallies that need it what the rows add up to. It
// never is the other way round: what is not among the rows is not there.
func (t *Table) mend(ctx context.Context, athleteID int64, needs func(*activity.Tally) bool) error {
	return t.again(ctx, func() error {
		s := newSnapshot(athleteID)
		for page, err := range t.query(ctx, withPrefix(athleteID, tallyPrefix)) {
			if err == nil {
				err = s.take(page)
			}
			if err != nil {
				return err
			}
		}
		maps.DeleteFunc(s.tallies, func(_ string, tally *activity.Tally) bool { return !needs(tally) })
		if len(s.tallies) == 0 {
			return nil
		}
		// The rows are read after the tallies: a row that changes from here on
		// changes its tally's revision.
		rows, err := t.Rows(ctx, athleteID)
		if err != nil {
			return err
		}
		right := activity.Tallies(rows)
		for month := range s.tallies {
			action, err := t.replaceTally(s, month, right[month])
			if err != nil {
				return err
			}
			if err := t.send(ctx, []types.TransactWriteItem{action}); err != nil {
				return err
			}
		}
		return nil
	})
}

// replaceRow puts row, or nothing if it is zero, in the place of old.
func (t *Table) replaceRow(athleteID, activityID int64, old, row activity.Row) (types.TransactWriteItem, error) {
	condition, values := "attribute_not_exists(sk)", attributeValues(nil)
	if old != (activity.Row{}) {
		condition = "generation = :generation AND read_at = :read_at AND attribute_exists(sport_type)"
		if old.Activity == nil {
			condition = "generation = :generation AND read_at = :read_at AND attribute_not_exists(sport_type)"
		}
		values = attributeValues{":generation": number(old.Generation), ":read_at": number(old.ReadAt.UnixNano())}
	}
	if row == (activity.Row{}) {
		return types.TransactWriteItem{Delete: &types.Delete{
			TableName: aws.String(t.name), Key: key(athleteID, rowKey(activityID)),
			ConditionExpression: aws.String(condition), ExpressionAttributeValues: values,
		}}, nil
	}
	item, err := marshalRow(athleteID, activityID, row)
	return types.TransactWriteItem{Put: &types.Put{
		TableName: aws.String(t.name), Item: item,
		ConditionExpression: aws.String(condition), ExpressionAttributeValues: values,
	}}, err
}

// replaceTally puts the tally, or nothing if it is empty, in the place of the
// month's in the snapshot.
func (t *Table) replaceTally(s *snapshot, month string, tally *activity.Tally) (types.TransactWriteItem, error) {
	if tally == nil || tally.Empty() {
		return t.delete(s.athleteID, tallyKey(month), s.revisions[month]), nil
	}
	return t.put(tallyItemOf(s.athleteID, month, crand.Text(), tally), s.revisions[month])
}

// put puts an item in the place of the one with the revision.
func (t *Table) put(item any, revision string) (types.TransactWriteItem, error) {
	attrs, err := attributevalue.MarshalMap(item)
	condition, values := still(revision)
	return types.TransactWriteItem{Put: &types.Put{
		TableName: aws.String(t.name), Item: attrs, ConditionExpression: condition, ExpressionAttributeValues: values,
	}}, err
}

func (t *Table) delete(athleteID int64, sk, revision string) types.TransactWriteItem {
	condition, values := still(revision)
	return types.TransactWriteItem{Delete: &types.Delete{
		TableName: aws.String(t.name), Key: key(athleteID, sk), ConditionExpression: condition, ExpressionAttributeValues: values,
	}}
}

// still is the condition that an item is of this revision; that there is none if
// that is empty.
func still(revision string) (*string, attributeValues) {
	if revision == "" {
		return aws.String("attribute_not_exists(sk)"), nil
	}
	return aws.String("revision = :revision"), attributeValues{":revision": text(revision)}
}

// errConflict means that nothing was written because what it built on is no
// longer so, or may not be.
var errConflict = fault.New(fault.Conflict, "others wrote at the same time")

// transact does all of the actions if the fence is still the snapshot's, or
// none.
func (t *Table) transact(ctx context.Context, s *snapshot, actions []types.TransactWriteItem) error {
	condition, values := still(s.fence.Revision)
	return t.send(ctx, append(actions, types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
		TableName: aws.String(t.name), Key: key(s.athleteID, fenceKey), ConditionExpression: condition, ExpressionAttributeValues: values,
	}}))
}

// send does all of the actions or none.
func (t *Table) send(ctx context.Context, actions []types.TransactWriteItem) error {
	_, err := t.api.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: actions})
	if err == nil {
		return nil
	}
	var cancelled *types.TransactionCanceledException
	if errors.As(err, &cancelled) {
		for _, reason := range cancelled.CancellationReasons {
			switch aws.ToString(reason.Code) {
			case "ConditionalCheckFailed", "TransactionConflict":
				return errConflict
			}
		}
	}
	return fault.New(fault.Transient, "write: %w", err)
}

// attempts is how often something is tried that others get in the way of. As
// many chunks of one scan as an athlete has may well be handled at once.
const attempts = 12

// again does something until nobody gets in its way.
func (t *Table) again(ctx context.Context, do func() error) error {
	for attempt := range attempts {
		err := do()
		if !errors.Is(err, errConflict) {
			return err
		}
		// A random while, longer after each attempt.
		if err := startup.Sleep(ctx, rand.N(time.Duration(attempt+1)*20*time.Millisecond)); err != nil {
			return fault.New(fault.Transient, "wait: %w", err)
		}
	}
	return fault.New(fault.Transient, "write: others were faster %d times", attempts)
}
