package ddb

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// API is the part of the DynamoDB client that the table needs.
type API interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
}

// Table is the athletes table. It implements [athlete.Accounts],
// [athlete.Erasures] and [athlete.Inventory].
type Table struct {
	api  API
	name string
}

// New makes a store over the named table.
func New(api API, name string) *Table { return &Table{api: api, name: name} }

type accountItem struct {
	PK            string             `dynamodbav:"pk"`
	Version       int64              `dynamodbav:"version"`
	Profile       *profile           `dynamodbav:"profile,omitempty"`
	Generation    int64              `dynamodbav:"generation,omitempty"`
	ReadAt        time.Time          `dynamodbav:"read_at,omitempty"`
	Authorization *authorizationItem `dynamodbav:"authorization,omitempty"`
	Links         []linkItem         `dynamodbav:"links,omitempty"`
	Asked         time.Time          `dynamodbav:"asked_at,omitempty"`
	Leave         *leaveItem         `dynamodbav:"leave,omitempty"`
	Revoked       int64              `dynamodbav:"revoked_generation,omitempty"`
	Receipt       string             `dynamodbav:"receipt,omitempty"`
	// ExpiresAt is in Unix seconds.
	ExpiresAt int64 `dynamodbav:"expires_at,omitempty"`
}

// profile has the fields of [gatheringv1.Athlete]; that one converts to the
// other makes sure that none is forgotten.
type profile struct {
	ID            int64  `dynamodbav:"id"`
	Username      string `dynamodbav:"username,omitempty"`
	Firstname     string `dynamodbav:"firstname,omitempty"`
	Lastname      string `dynamodbav:"lastname,omitempty"`
	ProfileMedium string `dynamodbav:"profile_medium,omitempty"`
	Profile       string `dynamodbav:"profile,omitempty"`
	CreatedAt     string `dynamodbav:"created_at,omitempty"`
}

type authorizationItem struct {
	Generation int64    `dynamodbav:"generation"`
	Scopes     []string `dynamodbav:"scopes,omitempty"`
	Degraded   bool     `dynamodbav:"degraded,omitempty"`
}

type linkItem struct {
	Provider          string    `dynamodbav:"provider"`
	AccountID         string    `dynamodbav:"account_id,omitempty"`
	Generation        int64     `dynamodbav:"generation"`
	AthleteGeneration int64     `dynamodbav:"athlete_generation,omitempty"`
	LinkedAt          time.Time `dynamodbav:"linked_at,omitempty"`
}

type leaveItem struct {
	Receipt     string    `dynamodbav:"receipt"`
	Generation  int64     `dynamodbav:"generation"`
	RequestedAt time.Time `dynamodbav:"requested_at"`
}

func (i accountItem) account() athlete.Account {
	a := athlete.Account{
		Profile: (*gatheringv1.Athlete)(i.Profile), Generation: i.Generation, ReadAt: i.ReadAt,
		Authorization: (*athlete.Authorization)(i.Authorization), Asked: i.Asked,
		Leave: (*athlete.Leave)(i.Leave), Revoked: i.Revoked, Receipt: i.Receipt,
	}
	for _, l := range i.Links {
		a.Links = append(a.Links, athlete.Link(l))
	}
	if i.ExpiresAt != 0 {
		a.Expires = time.Unix(i.ExpiresAt, 0).UTC()
	}
	return a
}

func accountItemOf(pk string, version int64, a athlete.Account) accountItem {
	i := accountItem{
		PK: pk, Version: version,
		Profile: (*profile)(a.Profile), Generation: a.Generation, ReadAt: a.ReadAt,
		Authorization: (*authorizationItem)(a.Authorization), Asked: a.Asked,
		Leave: (*leaveItem)(a.Leave), Revoked: a.Revoked, Receipt: a.Receipt,
	}
	for _, l := range a.Links {
		i.Links = append(i.Links, linkItem(l))
	}
	if !a.Expires.IsZero() {
		i.ExpiresAt = a.Expires.Unix()
	}
	return i
}

type erasureItem struct {
	PK          string               `dynamodbav:"pk"`
	RequestedAt time.Time            `dynamodbav:"requested_at"`
	CompletedAt time.Time            `dynamodbav:"completed_at,omitempty"`
	Erased      map[string]time.Time `dynamodbav:"erased,omitempty"`
	// ExpiresAt is in Unix seconds.
	ExpiresAt int64 `dynamodbav:"expires_at,omitempty"`
}

// Prefixes of the partition keys.
const (
	accountPrefix = "athlete#"
	erasurePrefix = "erasure#"
)

func accountKey(athleteID int64) string { return accountPrefix + strconv.FormatInt(athleteID, 10) }

func erasureKey(receipt string) string { return erasurePrefix + receipt }

func (i erasureItem) erasure() athlete.Erasure {
	return athlete.Erasure{
		Receipt: strings.TrimPrefix(i.PK, erasurePrefix), RequestedAt: i.RequestedAt, CompletedAt: i.CompletedAt, Erased: i.Erased,
	}
}

// Account implements [athlete.Accounts].
func (t *Table) Account(ctx context.Context, athleteID int64) (athlete.Account, error) {
	var item accountItem
	_, err := t.get(ctx, accountKey(athleteID), &item)
	return item.account(), err
}

// updateAttempts is how often an update is tried when others update the same
// account at the same time.
const updateAttempts = 10

// Update implements [athlete.Accounts].
func (t *Table) Update(ctx context.Context, athleteID int64, change func(*athlete.Account) (bool, error)) (athlete.Account, error) {
	pk := accountKey(athleteID)
	for attempt := range updateAttempts {
		var old accountItem
		if _, err := t.get(ctx, pk, &old); err != nil {
			return athlete.Account{}, err
		}
		a := old.account()
		changed, err := change(&a)
		if err != nil || !changed {
			return a, err
		}
		condition, values := "attribute_not_exists(pk)", map[string]types.AttributeValue(nil)
		if old.Version > 0 {
			condition = "version = :version"
			values = map[string]types.AttributeValue{":version": &types.AttributeValueMemberN{Value: strconv.FormatInt(old.Version, 10)}}
		}
		done, err := t.put(ctx, accountItemOf(pk, old.Version+1, a), condition, values)
		if err != nil || done {
			return a, err
		}
		if err := startup.Sleep(ctx, rand.N(time.Duration(attempt+1)*20*time.Millisecond)); err != nil {
			return athlete.Account{}, fault.New(fault.Transient, "wait: %w", err)
		}
	}
	return athlete.Account{}, fault.New(fault.Transient, "put account: others were faster %d times", updateAttempts)
}

// Open implements [athlete.Erasures].
func (t *Table) Open(ctx context.Context, e athlete.Erasure) error {
	item := erasureItem{PK: erasureKey(e.Receipt), RequestedAt: e.RequestedAt}
	_, err := t.put(ctx, item, "attribute_not_exists(pk)", nil)
	return err
}

// Complete implements [athlete.Erasures].
func (t *Table) Complete(ctx context.Context, e athlete.Erasure) error {
	_, err := t.put(ctx, erasureItem{
		PK: erasureKey(e.Receipt), RequestedAt: e.RequestedAt, CompletedAt: e.CompletedAt, Erased: e.Erased, ExpiresAt: e.Expires().Unix(),
	}, "", nil)
	return err
}

// Erasure implements [athlete.Erasures].
func (t *Table) Erasure(ctx context.Context, receipt string) (athlete.Erasure, error) {
	var item erasureItem
	found, err := t.get(ctx, erasureKey(receipt), &item)
	if err == nil && !found {
		err = athlete.ErrNoErasure
	}
	return item.erasure(), err
}

// Each implements [athlete.Inventory] by a scan: with some ten thousand athletes
// at most, all there is fits into a few pages.
func (t *Table) Each(ctx context.Context, profile func(int64, time.Time) error,
	leave func(int64, athlete.Leave) error, erasure func(athlete.Erasure) error,
) error {
	pages := dynamodb.NewScanPaginator(t.api, &dynamodb.ScanInput{TableName: aws.String(t.name)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fault.New(fault.Transient, "scan: %w", err)
		}
		for _, attrs := range page.Items {
			if err := each(attrs, profile, leave, erasure); err != nil {
				return err
			}
		}
	}
	return nil
}

func each(attrs map[string]types.AttributeValue, profile func(int64, time.Time) error,
	leave func(int64, athlete.Leave) error, erasure func(athlete.Erasure) error,
) error {
	var account accountItem
	if err := attributevalue.UnmarshalMap(attrs, &account); err != nil {
		return err
	}
	if id, is := strings.CutPrefix(account.PK, accountPrefix); is {
		athleteID, err := strconv.ParseInt(id, 10, 64)
		if err == nil && account.Profile != nil {
			err = profile(athleteID, account.ReadAt)
		}
		if err == nil && account.Leave != nil {
			err = leave(athleteID, athlete.Leave(*account.Leave))
		}
		return err
	}
	var item erasureItem
	if err := attributevalue.UnmarshalMap(attrs, &item); err != nil {
		return err
	}
	return erasure(item.erasure())
}

// get reads an item into dst and tells whether there is one.
func (t *Table) get(ctx context.Context, pk string, dst any) (bool, error) {
	out, err := t.api.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: aws.String(t.name), ConsistentRead: aws.Bool(true),
		Key: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: pk}},
	})
	if err != nil {
		return false, fault.New(fault.Transient, "get item: %w", err)
	}
	return out.Item != nil, attributevalue.UnmarshalMap(out.Item, dst)
}

// put tells whether the condition, if any, held and the item was put.
func (t *Table) put(ctx context.Context, item any, condition string, values map[string]types.AttributeValue) (bool, error) {
	attrs, err := attributevalue.MarshalMapWithOptions(item, func(o *attributevalue.EncoderOptions) { o.OmitEmptyTime = true })
	if err != nil {
		return false, err
	}
	in := &dynamodb.PutItemInput{TableName: aws.String(t.name), Item: attrs, ExpressionAttributeValues: values}
	if condition != "" {
		in.ConditionExpression = aws.String(condition)
	}
	_, err = t.api.PutItem(ctx, in)
	var failed *types.ConditionalCheckFailedException
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &failed):
		return false, nil
	}
	return false, fault.New(fault.Transient, "put item: %w", err)
}
