package ddb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/gathering/settings"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// Table implements [gathering.Athletes], [gathering.Inboxes],
// [gathering.JobQueue], [gathering.Webhooks] and [gathering.Inventory].
type Table struct {
	client *dynamodb.Client
	name   string
}

// New makes an adapter for the named table.
func New(client *dynamodb.Client, name string) *Table { return &Table{client, name} }

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func (k itemKey) values() map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"pk": text(k.PK), "sk": text(k.SK)}
}

// get reads an item into out, which stays as it is when there is none.
func (t *Table) get(ctx context.Context, k itemKey, out any) error {
	res, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: aws.String(t.name), Key: k.values(), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return fault.New(fault.Transient, "get item: %w", err)
	}
	if err := attributevalue.UnmarshalMap(res.Item, out); err != nil {
		return fault.New(fault.Permanent, "read item: %w", err)
	}
	return nil
}

// contention is how a write starts over because of another write in between: so
// many tries, with a random wait after each, at most as long as pause says.
type contention struct {
	tries int
	pause func(attempt int) time.Duration
}

// usual is the contention of what belongs to one athlete.
var usual = contention{tries: 20, pause: func(attempt int) time.Duration {
	return time.Duration(min(attempt+1, 10)) * 10 * time.Millisecond
}}

func (c contention) backOff(ctx context.Context, attempt int) error {
	if err := startup.Sleep(ctx, rand.N(c.pause(attempt))); err != nil {
		return fault.New(fault.Transient, "wait: %w", err)
	}
	return nil
}

// update reads an item, changes it, and writes it if no other write came in
// between; otherwise it starts over. change returns the item to write for the
// one that was read. revision returns the revision of the one that was read.
func update[Item any](ctx context.Context, t *Table, k itemKey, c contention, revision func(Item) int64, change func(Item) (Item, error)) (Item, error) {
	var none Item
	for attempt := range c.tries {
		var stored Item
		if err := t.get(ctx, k, &stored); err != nil {
			return none, err
		}
		item, err := change(stored)
		if err != nil {
			return none, err
		}
		av, err := attributevalue.MarshalMap(item)
		if err != nil {
			return none, fmt.Errorf("encode item: %w", err)
		}
		_, err = t.client.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: aws.String(t.name), Item: av,
			ConditionExpression:       aws.String("attribute_not_exists(pk) OR revision = :revision"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":revision": number(revision(stored))},
		})
		var refused *types.ConditionalCheckFailedException
		var conflict *types.TransactionConflictException
		switch {
		case err == nil:
			return item, nil
		case !errors.As(err, &refused) && !errors.As(err, &conflict):
			return none, fault.New(fault.Transient, "put item: %w", err)
		}
		if err := c.backOff(ctx, attempt); err != nil {
			return none, err
		}
	}
	return none, fault.New(fault.Transient, "put item: too many writers at once")
}

// Athlete implements [gathering.Athletes].
func (t *Table) Athlete(ctx context.Context, id int64) (gathering.Athlete, error) {
	var item athleteItem
	err := t.get(ctx, itemKey{athleteKey(id), stateSK}, &item)
	item.AthleteID = id
	return item.athlete(), err
}

// Update implements [gathering.Athletes]. It returns the athlete as a read
// would.
func (t *Table) Update(ctx context.Context, id int64, change func(*gathering.Athlete) error) (gathering.Athlete, error) {
	item, err := update(ctx, t, itemKey{athleteKey(id), stateSK}, usual, func(i athleteItem) int64 { return i.Revision },
		func(i athleteItem) (athleteItem, error) {
			i.AthleteID = id
			a := i.athlete()
			err := change(&a)
			return toAthleteItem(a, i.Revision+1), err
		})
	return item.athlete(), err
}

// UpdateInbox implements [gathering.Inboxes]. It returns the inbox as a read
// would.
func (t *Table) UpdateInbox(ctx context.Context, athleteID int64, change func(*gathering.Inbox) error) (gathering.Inbox, error) {
	item, err := update(ctx, t, itemKey{athleteKey(athleteID), inboxSK}, usual, func(i inboxItem) int64 { return i.Revision },
		func(i inboxItem) (inboxItem, error) {
			i.AthleteID = athleteID
			m := i.inbox()
			err := change(&m)
			return toInboxItem(m, i.Revision+1), err
		})
	return item.inbox(), err
}

// Webhook implements [gathering.Webhooks].
func (t *Table) Webhook(ctx context.Context) (gathering.Webhook, error) {
	var item webhookItem
	err := t.get(ctx, itemKey{webhookPK, webhookSK}, &item)
	return item.webhook(), err
}

// UpdateWebhook implements [gathering.Webhooks].
func (t *Table) UpdateWebhook(ctx context.Context, change func(*gathering.Webhook) error) (gathering.Webhook, error) {
	item, err := update(ctx, t, itemKey{webhookPK, webhookSK}, usual, func(i webhookItem) int64 { return i.Revision },
		func(i webhookItem) (webhookItem, error) {
			w := i.webhook()
			err := change(&w)
			return toWebhookItem(w, i.Revision+1), err
		})
	return item.webhook(), err
}

// dayKey returns the key of the count of events of a UTC day, and when the item
// expires.
func dayKey(at time.Time) (k itemKey, expires time.Time) {
	day := at.UTC().Truncate(24 * time.Hour)
	return itemKey{webhookPK, daySK + day.Format(time.DateOnly)}, day.Add(gathering.CountLife)
}

// CountWebhookEvent implements [gathering.Webhooks].
func (t *Table) CountWebhookEvent(ctx context.Context, at time.Time) error {
	k, expires := dayKey(at)
	_, err := t.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: aws.String(t.name), Key: k.values(),
		UpdateExpression:          aws.String("ADD events :one SET expires_at = :expires"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":one": number(1), ":expires": number(expires.Unix())},
	})
	if err != nil {
		return fault.New(fault.Transient, "update item: %w", err)
	}
	return nil
}

// WebhookEvents implements [gathering.Webhooks].
func (t *Table) WebhookEvents(ctx context.Context, at time.Time) (int, error) {
	var item struct {
		Events int `dynamodbav:"events"`
	}
	k, _ := dayKey(at)
	err := t.get(ctx, k, &item)
	return item.Events, err
}

// Deliver implements [gathering.Inboxes] by one transaction. Its conditions are
// that the inbox exists and the event's digest does not.
func (t *Table) Deliver(ctx context.Context, athleteID int64, digest string, h gathering.Hint) (gathering.Delivery, error) {
	inbox := itemKey{athleteKey(athleteID), inboxSK}
	seen, err := attributevalue.MarshalMap(seenItem{
		itemKey{athleteKey(athleteID), seenSK + digest}, h.ReceivedAt.Add(gathering.SeenLife).Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("encode event: %w", err)
	}
	overflowed := false
	for attempt := range usual.tries {
		put, err := t.putHint(inbox, h, overflowed)
		if err != nil {
			return "", err
		}
		_, err = t.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
			{Update: put},
			{Put: &types.Put{TableName: aws.String(t.name), Item: seen, ConditionExpression: aws.String("attribute_not_exists(pk)")}},
		}})
		var cancelled *types.TransactionCanceledException
		switch {
		case err == nil:
			return gathering.Delivered, nil
		case !errors.As(err, &cancelled) || len(cancelled.CancellationReasons) != 2:
			return "", fault.New(fault.Transient, "deliver: %w", err)
		case failed(cancelled.CancellationReasons[1]):
			return gathering.Duplicate, nil
		case failed(cancelled.CancellationReasons[0]):
			var stored inboxItem
			if err := t.get(ctx, inbox, &stored); err != nil {
				return "", err
			}
			if stored.PK == "" {
				return gathering.Unknown, nil
			}
			overflowed = len(stored.Hints) >= gathering.MaxHints
			continue
		}
		// Another write of the same inbox got in the way.
		if err := usual.backOff(ctx, attempt); err != nil {
			return "", err
		}
	}
	return "", fault.New(fault.Transient, "deliver: too many writers at once")
}

// putHint adds the hint to the inbox, or marks the inbox as overflowed, and
// makes its job due.
func (t *Table) putHint(inbox itemKey, h gathering.Hint, overflowed bool) (*types.Update, error) {
	queue, due, sets := "if_not_exists(#queue, :queue)", "if_not_exists(retry_at, :now)", ""
	values := map[string]types.AttributeValue{
		":queue": text(string(quota.Webhook)), ":now": number(millis(h.ReceivedAt)), ":one": number(1),
	}
	condition := "attribute_exists(pk)"
	if h.Aspect == gathering.AspectDeauthorize {
		queue, due, values[":queue"] = ":queue", ":now", text(string(quota.Leave))
	}
	if overflowed {
		sets, values[":true"] = "overflowed = :true", &types.AttributeValueMemberBOOL{Value: true}
	} else {
		hints, err := attributevalue.Marshal([]hintItem{toHintItem(h)})
		if err != nil {
			return nil, fmt.Errorf("encode hint: %w", err)
		}
		condition += " AND (attribute_not_exists(hints) OR size(hints) < :most)"
		sets = "hints = list_append(if_not_exists(hints, :none), :hints)"
		values[":hints"], values[":none"], values[":most"] = hints, &types.AttributeValueMemberL{Value: []types.AttributeValue{}}, number(gathering.MaxHints)
	}
	return &types.Update{
		TableName: aws.String(t.name), Key: inbox.values(),
		UpdateExpression:          aws.String("SET #queue = " + queue + ", #due = " + due + ", job_due = " + due + ", revision = revision + :one, " + sets),
		ConditionExpression:       aws.String(condition),
		ExpressionAttributeNames:  map[string]string{"#queue": "queue", "#due": "due"},
		ExpressionAttributeValues: values,
	}, nil
}

func failed(r types.CancellationReason) bool {
	return aws.ToString(r.Code) == "ConditionalCheckFailed"
}

// DropInbox implements [gathering.Inboxes].
func (t *Table) DropInbox(ctx context.Context, athleteID, generation int64) error {
	_, err := t.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: aws.String(t.name), Key: itemKey{athleteKey(athleteID), inboxSK}.values(),
		ConditionExpression:       aws.String("attribute_not_exists(pk) OR generation <= :generation"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":generation": number(generation)},
	})
	var refused *types.ConditionalCheckFailedException
	switch {
	case errors.As(err, &refused):
		return nil
	case err != nil:
		return fault.New(fault.Transient, "delete item: %w", err)
	}
	// Without an inbox no event is delivered, so no digest is added from here on.
	pages := dynamodb.NewQueryPaginator(t.client, &dynamodb.QueryInput{
		TableName: aws.String(t.name), ConsistentRead: aws.Bool(true),
		KeyConditionExpression:    aws.String("pk = :pk AND begins_with(sk, :sk)"),
		ProjectionExpression:      aws.String("pk, sk"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":pk": text(athleteKey(athleteID)), ":sk": text(seenSK)},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fault.New(fault.Transient, "query: %w", err)
		}
		for _, k := range page.Items {
			if _, err := t.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: aws.String(t.name), Key: k}); err != nil {
				return fault.New(fault.Transient, "delete item: %w", err)
			}
		}
	}
	return nil
}

// work queries the index for jobs that are due.
func (t *Table) work(class quota.Class, at time.Time) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		TableName: aws.String(t.name), IndexName: aws.String(settings.WorkIndex),
		KeyConditionExpression:    aws.String("#queue = :queue AND #due <= :at"),
		ExpressionAttributeNames:  map[string]string{"#queue": "queue", "#due": "due"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":queue": text(string(class)), ":at": number(millis(at))},
	}
}

// Due implements [gathering.JobQueue].
func (t *Table) Due(ctx context.Context, class quota.Class, at time.Time, after *gathering.JobRef, limit int) ([]gathering.JobRef, error) {
	query := t.work(class, at)
	query.Limit = aws.Int32(int32(limit))
	if after != nil {
		k := itemKey{athleteKey(after.AthleteID), stateSK}
		if after.Kind == gathering.JobInbox {
			k.SK = inboxSK
		}
		query.ExclusiveStartKey = k.values()
		query.ExclusiveStartKey["queue"], query.ExclusiveStartKey["due"] = text(string(after.Class)), number(millis(after.Due))
	}
	res, err := t.client.Query(ctx, query)
	if err != nil {
		return nil, fault.New(fault.Transient, "query: %w", err)
	}
	var refs []gathering.JobRef
	for _, av := range res.Items {
		p, err := toJobRef(av)
		if err != nil {
			return nil, err
		}
		refs = append(refs, p)
	}
	return refs, nil
}

// toJobRef reads an item of the index.
func toJobRef(av map[string]types.AttributeValue) (gathering.JobRef, error) {
	var item struct {
		itemKey
		jobItem
	}
	if err := attributevalue.UnmarshalMap(av, &item); err != nil {
		return gathering.JobRef{}, fault.New(fault.Permanent, "read item: %w", err)
	}
	id, err := strconv.ParseInt(strings.TrimPrefix(item.PK, athletePK), 10, 64)
	if err != nil {
		return gathering.JobRef{}, fault.New(fault.Permanent, "an item of the index belongs to no athlete")
	}
	kind := gathering.JobScan
	if item.SK == inboxSK {
		kind = gathering.JobInbox
	}
	return gathering.JobRef{AthleteID: id, Kind: kind, Class: quota.Class(item.Queue), Due: instant(item.Due)}, nil
}

// Waiting implements [gathering.JobQueue].
func (t *Table) Waiting(ctx context.Context, class quota.Class, at time.Time) (gathering.Waiting, error) {
	first, err := t.Due(ctx, class, at, nil, 1)
	if err != nil || len(first) == 0 {
		return gathering.Waiting{}, err
	}
	query := t.work(class, at)
	query.Select = types.SelectCount
	waiting := gathering.Waiting{Oldest: first[0].Due}
	pages := dynamodb.NewQueryPaginator(t.client, query)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return gathering.Waiting{}, fault.New(fault.Transient, "query: %w", err)
		}
		waiting.Count += int(page.Count)
	}
	return waiting, nil
}

// Each implements [gathering.Inventory] by reading the whole table. It may miss
// a change that is a moment old.
func (t *Table) Each(
	ctx context.Context, athlete func(gathering.Athlete), inbox func(gathering.Inbox), event func(time.Time),
) error {
	pages := dynamodb.NewScanPaginator(t.client, &dynamodb.ScanInput{
		TableName: aws.String(t.name), FilterExpression: aws.String("begins_with(pk, :athlete)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":athlete": text(athletePK)},
	})
	var unreadable []error
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fault.New(fault.Transient, "scan: %w", err)
		}
		for _, av := range page.Items {
			// An item that cannot be read does not stop the others from being visited.
			if err := visit(av, athlete, inbox, event); err != nil {
				unreadable = append(unreadable, err)
			}
		}
	}
	if err := errors.Join(unreadable...); err != nil {
		return fault.New(fault.Permanent, "read items: %w", err)
	}
	return nil
}

// visit calls the function for the item's kind.
func visit(
	av map[string]types.AttributeValue, athlete func(gathering.Athlete), inbox func(gathering.Inbox), event func(time.Time),
) error {
	var k itemKey
	if err := attributevalue.UnmarshalMap(av, &k); err != nil {
		return err
	}
	switch {
	case k.SK == stateSK:
		var item athleteItem
		if err := attributevalue.UnmarshalMap(av, &item); err != nil {
			return err
		}
		athlete(item.athlete())
	case k.SK == inboxSK:
		var item inboxItem
		if err := attributevalue.UnmarshalMap(av, &item); err != nil {
			return err
		}
		inbox(item.inbox())
	case strings.HasPrefix(k.SK, seenSK):
		var item seenItem
		if err := attributevalue.UnmarshalMap(av, &item); err != nil {
			return err
		}
		event(time.Unix(item.ExpiresAt, 0).UTC().Add(-gathering.SeenLife))
	default:
		return fmt.Errorf("unknown kind of item: %s %s", k.PK, k.SK)
	}
	return nil
}
