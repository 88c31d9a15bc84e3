package ddb

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/settings"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// API is the part of the DynamoDB client that the table needs.
type API interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

// Table is the activities table. It implements [activity.WriteStore] and
// [activity.ReadStore].
type Table struct {
	api  API
	name string
}

// New makes a store over the named table.
func New(api API, name string) *Table { return &Table{api: api, name: name} }

// Put implements [activity.WriteStore].
func (t *Table) Put(ctx context.Context, r activity.Reading) error {
	var puts []types.TransactWriteItem
	for _, a := range r.Activities {
		p, err := activity.PositionOf(a)
		if err != nil {
			return err
		}
		item := activityItem{reading: readingOf(r.By, r.At, a.ID), Start: startKey(p), attributes: attributes(a)}
		put, err := t.putReading(item, item.reading, "<")
		if err != nil {
			return err
		}
		puts = append(puts, put)
	}
	return t.write(ctx, t.fence(r.By), puts)
}

// PutGone implements [activity.WriteStore].
func (t *Table) PutGone(ctx context.Context, a activity.Absence, expires time.Time) error {
	item := goneItem{reading: readingOf(a.By, a.At, a.ActivityID), ExpiresAt: expires.Unix()}
	put, err := t.putReading(item, item.reading, "<=")
	if err != nil {
		return err
	}
	return t.write(ctx, t.fence(a.By), []types.TransactWriteItem{put})
}

// putReading puts the item if the reading that is there is older: if the time
// it was read at is before, as the operator sees it.
func (t *Table) putReading(item any, r reading, before string) (types.TransactWriteItem, error) {
	return t.put(item, "attribute_not_exists(sk) OR generation < :generation OR (generation = :generation AND read_at "+before+" :read_at)",
		map[string]types.AttributeValue{":generation": number(r.Generation), ":read_at": number(r.ReadAt)})
}

// syncAttempts is how often an update of the sync is tried when others update
// it at the same time: as many as chunks may well be handled at once.
const syncAttempts = 10

// UpdateSync implements [activity.WriteStore].
func (t *Table) UpdateSync(ctx context.Context, by activity.Authorization, change func(*activity.Sync) bool) error {
	for attempt := range syncAttempts {
		old, err := t.syncItem(ctx, by.AthleteID)
		if err != nil {
			return err
		}
		s := old.sync()
		if !change(&s) {
			return nil
		}
		condition, values := "attribute_not_exists(sk)", map[string]types.AttributeValue(nil)
		if old.Version > 0 {
			condition, values = "version = :version", map[string]types.AttributeValue{":version": number(old.Version)}
		}
		put, err := t.put(syncItemOf(by.AthleteID, old.Version+1, s), condition, values)
		if err != nil {
			return err
		}
		left, err := t.transact(ctx, t.fence(by), []types.TransactWriteItem{put})
		if err != nil || len(left) == 0 {
			return err
		}
		if err := pause(ctx, attempt); err != nil {
			return err
		}
	}
	return fault.New(fault.Transient, "put sync: others were faster %d times", syncAttempts)
}

// Erase implements [activity.WriteStore].
func (t *Table) Erase(ctx context.Context, by activity.Authorization, expires time.Time) error {
	tombstone := types.TransactWriteItem{Update: &types.Update{
		TableName:           aws.String(t.name),
		Key:                 key(by.AthleteID, authorizationKey),
		UpdateExpression:    aws.String("SET revoked_generation = :generation, expires_at = :expires_at"),
		ConditionExpression: aws.String("attribute_not_exists(sk) OR revoked_generation < :generation"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":generation": number(by.Generation), ":expires_at": number(expires.Unix()),
		},
	}}
	if err := t.write(ctx, nil, []types.TransactWriteItem{tombstone}); err != nil {
		return err
	}
	// From here on nothing of these generations can be written, so what a
	// consistent query finds is all there is.
	return t.deleteThrough(ctx, by.AthleteID, by.Generation)
}

// Supersede implements [activity.WriteStore].
func (t *Table) Supersede(ctx context.Context, by activity.Authorization) error {
	return t.deleteThrough(ctx, by.AthleteID, by.Generation-1)
}

// deleteThrough deletes what was written under the generation and earlier
// ones. Each delete checks the generation again: a later authorization may have
// taken the item over.
func (t *Table) deleteThrough(ctx context.Context, athleteID, through int64) error {
	generation := map[string]types.AttributeValue{":generation": number(through)}
	for page, err := range t.pages(ctx, &dynamodb.QueryInput{
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("athlete_id = :athlete_id"),
		FilterExpression:          aws.String("generation <= :generation"),
		ProjectionExpression:      aws.String("athlete_id, sk"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":athlete_id": number(athleteID), ":generation": number(through)},
	}) {
		if err != nil {
			return err
		}
		var deletes []types.TransactWriteItem
		for _, k := range page {
			deletes = append(deletes, types.TransactWriteItem{Delete: &types.Delete{
				TableName:                 aws.String(t.name),
				Key:                       k,
				ConditionExpression:       aws.String("generation <= :generation"),
				ExpressionAttributeValues: generation,
			}})
		}
		if err := t.write(ctx, nil, deletes); err != nil {
			return err
		}
	}
	return nil
}

// Revoked implements [activity.ReadStore].
func (t *Table) Revoked(ctx context.Context, athleteID int64) (int64, error) {
	var item struct {
		Generation int64 `dynamodbav:"revoked_generation"`
	}
	err := t.get(ctx, athleteID, authorizationKey, &item)
	return item.Generation, err
}

// Get implements [activity.ReadStore].
func (t *Table) Get(ctx context.Context, athleteID, activityID int64) (gatheringv1.Activity, error) {
	var item activityItem
	if err := t.get(ctx, athleteID, activityKey(activityID), &item); err != nil {
		return gatheringv1.Activity{}, err
	}
	if item.Start == "" {
		return gatheringv1.Activity{}, activity.ErrNotFound
	}
	return gatheringv1.Activity(item.attributes), nil
}

// filteredPage is how many items a query by sport type looks at in one go.
const filteredPage = 500

// List implements [activity.ReadStore].
func (t *Table) List(ctx context.Context, athleteID int64, in activity.Range, sportType string, limit int) ([]gatheringv1.Activity, error) {
	// BETWEEN includes both ends. No activity has the id 0, so that this is the
	// last key below To, or one that nothing has.
	last := in.To
	if last.ID > 0 {
		last.ID--
	}
	from, to := startKey(in.From), startKey(last)
	if from > to {
		return nil, nil
	}
	query := t.byStart(athleteID, sportType)
	query.KeyConditionExpression = aws.String("athlete_id = :athlete_id AND #start BETWEEN :from AND :to")
	query.ExpressionAttributeNames = map[string]string{"#start": "start"}
	query.ExpressionAttributeValues[":from"], query.ExpressionAttributeValues[":to"] = text(from), text(to)
	query.ScanIndexForward = aws.Bool(false)
	query.Limit = aws.Int32(int32(limit))
	if sportType != "" {
		query.Limit = aws.Int32(filteredPage)
	}
	var found []gatheringv1.Activity
	for page, err := range t.pages(ctx, query) {
		if err != nil {
			return nil, err
		}
		var items []attributes
		if err := attributevalue.UnmarshalListOfMaps(page, &items); err != nil {
			return nil, err
		}
		for _, item := range items {
			if found = append(found, gatheringv1.Activity(item)); len(found) == limit {
				return found, nil
			}
		}
	}
	return found, nil
}

// Efforts implements [activity.ReadStore].
func (t *Table) Efforts(ctx context.Context, athleteID int64, sportType string) ([]activity.Effort, error) {
	query := t.byStart(athleteID, sportType)
	query.KeyConditionExpression = aws.String("athlete_id = :athlete_id")
	query.ProjectionExpression = aws.String(effortProjection)
	var found []activity.Effort
	for page, err := range t.pages(ctx, query) {
		if err != nil {
			return nil, err
		}
		var items []effortItem
		if err := attributevalue.UnmarshalListOfMaps(page, &items); err != nil {
			return nil, err
		}
		for _, item := range items {
			found = append(found, activity.Effort(item))
		}
	}
	return found, nil
}

// Sync implements [activity.ReadStore].
func (t *Table) Sync(ctx context.Context, athleteID int64) (activity.Sync, error) {
	item, err := t.syncItem(ctx, athleteID)
	return item.sync(), err
}

func (t *Table) syncItem(ctx context.Context, athleteID int64) (syncItem, error) {
	var item syncItem
	err := t.get(ctx, athleteID, syncKey, &item)
	return item, err
}

// get reads an item into dst, which stays as it is when there is none.
func (t *Table) get(ctx context.Context, athleteID int64, sk string, dst any) error {
	out, err := t.api.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: aws.String(t.name), Key: key(athleteID, sk), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return fault.New(fault.Transient, "get item: %w", err)
	}
	return attributevalue.UnmarshalMap(out.Item, dst)
}

// byStart queries the index.
func (t *Table) byStart(athleteID int64, sportType string) *dynamodb.QueryInput {
	in := &dynamodb.QueryInput{
		IndexName:                 aws.String(settings.ActivitiesByStartIndex),
		ExpressionAttributeValues: map[string]types.AttributeValue{":athlete_id": number(athleteID)},
	}
	if sportType != "" {
		in.FilterExpression = aws.String("sport_type = :sport_type")
		in.ExpressionAttributeValues[":sport_type"] = text(sportType)
	}
	return in
}

// pages runs a query to its end.
func (t *Table) pages(ctx context.Context, in *dynamodb.QueryInput) iter.Seq2[[]map[string]types.AttributeValue, error] {
	return func(yield func([]map[string]types.AttributeValue, error) bool) {
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

func (t *Table) put(item any, condition string, values map[string]types.AttributeValue) (types.TransactWriteItem, error) {
	attrs, err := attributevalue.MarshalMap(item)
	return types.TransactWriteItem{Put: &types.Put{
		TableName: aws.String(t.name), Item: attrs,
		ConditionExpression: aws.String(condition), ExpressionAttributeValues: values,
	}}, err
}

// fence fails when the authorization is revoked.
func (t *Table) fence(by activity.Authorization) *types.TransactWriteItem {
	return &types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
		TableName:                 aws.String(t.name),
		Key:                       key(by.AthleteID, authorizationKey),
		ConditionExpression:       aws.String("attribute_not_exists(sk) OR revoked_generation < :generation"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":generation": number(by.Generation)},
	}}
}

// maxActions is how many actions one transaction holds beside the fence
// (DynamoDB: 100 in all).
const maxActions = 99

// write does those of the actions whose conditions hold, in transactions that
// the fence, if any, is part of.
func (t *Table) write(ctx context.Context, fence *types.TransactWriteItem, actions []types.TransactWriteItem) error {
	for some := range slices.Chunk(actions, maxActions) {
		for len(some) > 0 {
			failed, err := t.transact(ctx, fence, some)
			if err != nil {
				return err
			}
			if len(failed) == 0 {
				break
			}
			// One failed condition undoes the whole transaction: again, without.
			rest := make([]types.TransactWriteItem, 0, len(some)-len(failed))
			for i, action := range some {
				if !slices.Contains(failed, i) {
					rest = append(rest, action)
				}
			}
			some = rest
		}
	}
	return nil
}

// conflictAttempts is how often a transaction is tried that others get in the
// way of.
const conflictAttempts = 8

// transact does all of the actions or none; if none, it gives the indices of
// those whose condition failed. It is [activity.ErrRevoked] if the fence's did.
func (t *Table) transact(ctx context.Context, fence *types.TransactWriteItem, actions []types.TransactWriteItem) (failed []int, err error) {
	items := actions
	if fence != nil {
		items = append([]types.TransactWriteItem{*fence}, actions...)
	}
	for attempt := range conflictAttempts {
		_, err = t.api.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
		var cancelled *types.TransactionCanceledException
		if err == nil {
			return nil, nil
		}
		if !errors.As(err, &cancelled) {
			return nil, fault.New(fault.Transient, "write: %w", err)
		}
		for i, reason := range cancelled.CancellationReasons {
			switch {
			case aws.ToString(reason.Code) != "ConditionalCheckFailed":
			case fence == nil:
				failed = append(failed, i)
			case i == 0:
				return nil, activity.ErrRevoked
			default:
				failed = append(failed, i-1)
			}
		}
		if len(failed) > 0 {
			return failed, nil
		}
		if err := pause(ctx, attempt); err != nil {
			return nil, err
		}
	}
	return nil, fault.New(fault.Transient, "write: others got in the way %d times: %w", conflictAttempts, err)
}

// pause waits a random while, longer after each attempt.
func pause(ctx context.Context, attempt int) error {
	if err := boot.Sleep(ctx, rand.N(time.Duration(attempt+1)*20*time.Millisecond)); err != nil {
		return fault.New(fault.Transient, "wait: %w", err)
	}
	return nil
}
