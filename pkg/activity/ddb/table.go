package ddb

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/settings"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// API is the part of the DynamoDB client that the table needs.
type API interface {
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

// Table is the activities table. It implements [activity.WriteStore],
// [activity.ReadStore] and [activity.AuditStore].
type Table struct {
	api  API
	name string
}

// New makes a store over the named table.
func New(api API, name string) *Table { return &Table{api: api, name: name} }

// Get implements [activity.ReadStore].
func (t *Table) Get(ctx context.Context, by activity.Authorization, activityID int64) (activity.Row, error) {
	s, err := t.snapshot(ctx, by.AthleteID, rowKey(activityID))
	if err != nil {
		return activity.Row{}, err
	}
	return s.rows[activityID], s.fence.fence().Admit(by)
}

// Sync implements [activity.ReadStore].
func (t *Table) Sync(ctx context.Context, by activity.Authorization) (activity.Sync, error) {
	s, err := t.snapshot(ctx, by.AthleteID, syncKey)
	if err != nil {
		return activity.Sync{}, err
	}
	return s.sync.sync(), s.fence.fence().Admit(by)
}

// Tallies implements [activity.ReadStore].
func (t *Table) Tallies(ctx context.Context, by activity.Authorization) (map[string]*activity.Tally, error) {
	s := newSnapshot(by.AthleteID)
	for page, err := range t.query(ctx, &dynamodb.QueryInput{
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("athlete_id = :athlete_id AND sk >= :from"),
		ExpressionAttributeValues: attributeValues{":athlete_id": number(by.AthleteID), ":from": text(fenceKey)},
	}) {
		if err == nil {
			err = s.take(page)
		}
		if err != nil {
			return nil, err
		}
	}
	return s.tallies, s.fence.fence().Admit(by)
}

// Rows implements [activity.ReadStore].
func (t *Table) Rows(ctx context.Context, athleteID int64) ([]activity.Row, error) {
	var out []activity.Row
	for rows, err := range t.rows(ctx, athleteID) {
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			out = append(out, r)
		}
	}
	return out, nil
}

// rows gives all rows by their activities' ids, a page at a time.
func (t *Table) rows(ctx context.Context, athleteID int64) iter.Seq2[map[int64]activity.Row, error] {
	return func(yield func(map[int64]activity.Row, error) bool) {
		for page, err := range t.query(ctx, withPrefix(athleteID, rowPrefix)) {
			s := newSnapshot(athleteID)
			if err == nil {
				err = s.take(page)
			}
			if !yield(s.rows, err) || err != nil {
				return
			}
		}
	}
}

// filteredPage is how many items a query looks at in one go once some are left
// out.
const filteredPage = 500

// List implements [activity.ReadStore].
func (t *Table) List(ctx context.Context, by activity.Authorization, sel activity.Selection) (activity.Page, error) {
	page, newest, err := t.list(ctx, by.AthleteID, sel)
	if err != nil || len(page.Rows) > 0 && newest <= by.Generation {
		// Rows of no later authorization are there, so this one is not over, or
		// its erasure is under way.
		return page, err
	}
	s, err := t.snapshot(ctx, by.AthleteID)
	if err != nil {
		return activity.Page{}, err
	}
	return page, s.fence.fence().Admit(by)
}

// list also gives the newest generation that it saw.
func (t *Table) list(ctx context.Context, athleteID int64, sel activity.Selection) (out activity.Page, newest int64, err error) {
	// BETWEEN includes both ends. No activity has the id 0, so that this is the
	// last key below To, or one that nothing has.
	last := sel.In.To
	if last.ID > 0 {
		last.ID--
	}
	from, to := startKey(sel.In.From), startKey(last)
	if from > to {
		return activity.Page{}, 0, nil
	}
	query := &dynamodb.QueryInput{
		IndexName:                aws.String(settings.ActivitiesByStartIndex),
		KeyConditionExpression:   aws.String("athlete_id = :athlete_id AND #start BETWEEN :from AND :to"),
		ExpressionAttributeNames: map[string]string{"#start": "start"},
		ExpressionAttributeValues: attributeValues{
			":athlete_id": number(athleteID), ":from": text(from), ":to": text(to),
		},
		ScanIndexForward: aws.Bool(false),
		Limit:            aws.Int32(int32(sel.Limit + 1)), // One more tells whether there is another page.
	}
	if sel.SportType != "" || sel.Name != "" {
		query.Limit = aws.Int32(filteredPage)
	}
	looked := 0
	for page, err := range t.query(ctx, query) {
		if err != nil {
			return activity.Page{}, 0, err
		}
		var last activity.Row
		for _, item := range page {
			_, r, err := unmarshalRow(item)
			if err != nil {
				return activity.Page{}, 0, err
			}
			newest = max(newest, r.Generation)
			last = r
			if !sel.Takes(r) {
				continue
			}
			if len(out.Rows) == sel.Limit {
				out.Next, err = after(out.Rows[sel.Limit-1])
				return out, newest, err
			}
			out.Rows = append(out.Rows, r)
		}
		query.Limit = aws.Int32(filteredPage) // What was looked at did not do.
		if looked += len(page); looked >= activity.SearchDepth {
			out.Next, err = after(last)
			return out, newest, err
		}
	}
	return out, newest, nil
}

// after is where the page goes on that ends with the row.
func after(r activity.Row) (*activity.Position, error) {
	p, err := activity.PositionOf(*r.Activity)
	return &p, err
}

// Aged implements [activity.WriteStore].
func (t *Table) Aged(ctx context.Context, until time.Time, limit int) ([]int64, error) {
	oldest := map[int64]int64{}
	for _, kind := range []string{activity.KindTally, activity.KindGone, activity.KindSync} {
		seen := map[int64]bool{}
		for page, err := range t.query(ctx, &dynamodb.QueryInput{
			IndexName:                 aws.String(settings.ActivitiesByAgeIndex),
			KeyConditionExpression:    aws.String("kind = :kind AND oldest <= :until"),
			ExpressionAttributeValues: attributeValues{":kind": text(kind), ":until": number(until.Unix())},
		}) {
			if err != nil {
				return nil, err
			}
			var items []struct {
				itemKey
				aging
			}
			if err := attributevalue.UnmarshalListOfMaps(page, &items); err != nil {
				return nil, err
			}
			for _, item := range items {
				seen[item.AthleteID] = true
				if at, known := oldest[item.AthleteID]; !known || item.Oldest < at {
					oldest[item.AthleteID] = item.Oldest
				}
			}
			if len(seen) >= limit {
				break
			}
		}
	}
	found := slices.SortedFunc(maps.Keys(oldest), func(a, b int64) int { return cmp.Compare(oldest[a], oldest[b]) })
	return found[:min(limit, len(found))], nil
}

// auditSegments is how many parts of the table are read at the same time.
const auditSegments = 8

// Ages implements [activity.AuditStore].
func (t *Table) Ages(ctx context.Context, count func(kind string, readAt time.Time)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var segments sync.WaitGroup
	for n := range auditSegments {
		segments.Go(func() {
			err := t.ages(ctx, n, func(kind string, readAt time.Time) {
				mu.Lock()
				defer mu.Unlock()
				count(kind, readAt)
			})
			if err != nil {
				cancel(err)
			}
		})
	}
	segments.Wait()
	return context.Cause(ctx)
}

func (t *Table) ages(ctx context.Context, segment int, count func(kind string, readAt time.Time)) error {
	in := &dynamodb.ScanInput{
		TableName: aws.String(t.name), Segment: aws.Int32(int32(segment)), TotalSegments: aws.Int32(auditSegments),
		ProjectionExpression:     aws.String("sk, #start, read_at, oldest"),
		ExpressionAttributeNames: map[string]string{"#start": "start"},
	}
	for {
		out, err := t.api.Scan(ctx, in)
		if err != nil {
			return fault.New(fault.Transient, "scan: %w", err)
		}
		var items []struct {
			SK     string `dynamodbav:"sk"`
			Start  string `dynamodbav:"start"`
			ReadAt int64  `dynamodbav:"read_at"`
			Oldest int64  `dynamodbav:"oldest"`
		}
		if err := attributevalue.UnmarshalListOfMaps(out.Items, &items); err != nil {
			return err
		}
		for _, i := range items {
			switch {
			case i.Start != "":
				count(activity.KindActivity, time.Unix(0, i.ReadAt))
			case strings.HasPrefix(i.SK, rowPrefix):
				count(activity.KindGone, time.Unix(0, i.ReadAt))
			case strings.HasPrefix(i.SK, tallyPrefix):
				count(activity.KindTally, time.Unix(i.Oldest, 0).Add(time.Hour))
			case i.SK == syncKey && i.Oldest != 0:
				count(activity.KindSync, time.Unix(i.Oldest, 0))
			}
		}
		if out.LastEvaluatedKey == nil {
			return nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// withPrefix asks for an athlete's items by the beginning of their sort key.
func withPrefix(athleteID int64, prefix string) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("athlete_id = :athlete_id AND begins_with(sk, :prefix)"),
		ExpressionAttributeValues: attributeValues{":athlete_id": number(athleteID), ":prefix": text(prefix)},
	}
}

// query runs a query to its end, a page at a time.
func (t *Table) query(ctx context.Context, in *dynamodb.QueryInput) iter.Seq2[[]attributeValues, error] {
	return func(yield func([]attributeValues, error) bool) {
		in.TableName = aws.String(t.name)
		for {
			out, err := t.api.Query(ctx, in)
			if err != nil {
				yield(nil, fault.New(fault.Transient, "query: %w", err))
				return
			}
			if !yield(out.Items, nil) || out.LastEvaluatedKey == nil {
				return
			}
			in.ExclusiveStartKey = out.LastEvaluatedKey
		}
	}
}

// snapshot is what was read of an athlete, for reading or for building on it.
type snapshot struct {
	athleteID int64
	fence     fenceItem
	sync      syncItem
	rows      map[int64]activity.Row
	tallies   map[string]*activity.Tally
	// revisions of the tallies.
	revisions map[string]string
}

func newSnapshot(athleteID int64) *snapshot {
	return &snapshot{
		athleteID: athleteID,
		rows:      map[int64]activity.Row{}, tallies: map[string]*activity.Tally{}, revisions: map[string]string{},
	}
}

// take takes in items.
func (s *snapshot) take(items []attributeValues) error {
	for _, item := range items {
		var sk string
		err := attributevalue.Unmarshal(item["sk"], &sk)
		switch {
		case err != nil:
		case sk == fenceKey:
			err = attributevalue.UnmarshalMap(item, &s.fence)
		case sk == syncKey:
			err = attributevalue.UnmarshalMap(item, &s.sync)
		case strings.HasPrefix(sk, rowPrefix):
			var id int64
			var row activity.Row
			id, row, err = unmarshalRow(item)
			s.rows[id] = row
		case strings.HasPrefix(sk, tallyPrefix):
			var i tallyItem
			if err := attributevalue.UnmarshalMap(item, &i); err != nil {
				return err
			}
			s.tallies[i.month()], err = i.tally()
			s.revisions[i.month()] = i.Revision
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// maxKeys is how many items one request can get by their keys, and how many
// one transaction can write (DynamoDB, "Service, account, and table quotas").
const maxKeys = 100

// snapshot reads the fence and the items with these sort keys.
func (t *Table) snapshot(ctx context.Context, athleteID int64, sortKeys ...string) (*snapshot, error) {
	s := newSnapshot(athleteID)
	return s, t.extend(ctx, s, append(sortKeys, fenceKey))
}

// extend reads more into the snapshot.
func (t *Table) extend(ctx context.Context, s *snapshot, sortKeys []string) error {
	var keys []attributeValues
	for _, sk := range sortKeys {
		keys = append(keys, key(s.athleteID, sk))
	}
	for len(keys) > 0 {
		some := keys[:min(maxKeys, len(keys))]
		keys = keys[len(some):]
		out, err := t.api.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			t.name: {Keys: some, ConsistentRead: aws.Bool(true)},
		}})
		if err != nil {
			return fault.New(fault.Transient, "get items: %w", err)
		}
		if err := s.take(out.Responses[t.name]); err != nil {
			return err
		}
		keys = append(keys, out.UnprocessedKeys[t.name].Keys...)
	}
	return nil
}
