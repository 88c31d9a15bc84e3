package ddb

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// WaitingTable implements [credentials.WaitlistStore] by a table of its own: the
// contacts in it are personal data that nothing else has to do with.
//
// Keys: list, which is the same for all, and contact.
type WaitingTable struct {
	client *dynamodb.Client
	name   string
}

// NewWaitlist makes an adapter for the named table.
func NewWaitlist(client *dynamodb.Client, name string) *WaitingTable {
	return &WaitingTable{client, name}
}

// theList is the one partition: few wait, and they are read together.
const theList = "waiting"

type waitingItem struct {
	Contact   string `dynamodbav:"contact"`
	Since     int64  `dynamodbav:"since"`      // Unix ms
	ExpiresAt int64  `dynamodbav:"expires_at"` // Unix s: TTL
}

func waitingKey(contact string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"list":    &types.AttributeValueMemberS{Value: theList},
		"contact": &types.AttributeValueMemberS{Value: contact},
	}
}

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// Add implements [credentials.WaitlistStore].
func (t *WaitingTable) Add(ctx context.Context, w credentials.Waiting, until time.Time) error {
	_, err := t.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:        aws.String(t.name),
		Key:              waitingKey(w.Contact),
		UpdateExpression: aws.String("SET since = if_not_exists(since, :since), expires_at = :until"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":since": number(w.Since.UnixMilli()), ":until": number(until.Unix()),
		},
	})
	if err != nil {
		return fault.New(fault.Transient, "put on the waiting list: %w", err)
	}
	return nil
}

// Waiting implements [credentials.WaitlistStore].
func (t *WaitingTable) Waiting(ctx context.Context, now time.Time) ([]credentials.Waiting, error) {
	waiting := []credentials.Waiting{}
	pages := dynamodb.NewQueryPaginator(t.client, &dynamodb.QueryInput{
		TableName:              aws.String(t.name),
		KeyConditionExpression: aws.String("#list = :list"),
		// TTL deletes an item some time after it has expired.
		FilterExpression:         aws.String("expires_at > :now"),
		ExpressionAttributeNames: map[string]string{"#list": "list"},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":list": &types.AttributeValueMemberS{Value: theList}, ":now": number(now.Unix()),
		},
		ConsistentRead: aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fault.New(fault.Transient, "query the waiting list: %w", err)
		}
		for _, av := range page.Items {
			var item waitingItem
			if err := attributevalue.UnmarshalMap(av, &item); err != nil {
				return nil, fault.New(fault.Permanent, "read the waiting list: %w", err)
			}
			waiting = append(waiting, credentials.Waiting{Contact: item.Contact, Since: time.UnixMilli(item.Since).UTC()})
		}
	}
	slices.SortFunc(waiting, func(a, b credentials.Waiting) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Contact, b.Contact))
	})
	return waiting, nil
}

// Remove implements [credentials.WaitlistStore].
func (t *WaitingTable) Remove(ctx context.Context, contact string) error {
	out, err := t.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: aws.String(t.name), Key: waitingKey(contact), ReturnValues: types.ReturnValueAllOld,
	})
	if err != nil {
		return fault.New(fault.Transient, "take off the waiting list: %w", err)
	}
	if len(out.Attributes) == 0 {
		return fault.New(fault.NotFound, "nobody of that address is on the waiting list")
	}
	return nil
}

// Clear implements [credentials.WaitlistStore].
func (t *WaitingTable) Clear(ctx context.Context) (int, error) {
	n := 0
	pages := dynamodb.NewQueryPaginator(t.client, &dynamodb.QueryInput{
		TableName:                 aws.String(t.name),
		KeyConditionExpression:    aws.String("#list = :list"),
		ProjectionExpression:      aws.String("contact"),
		ExpressionAttributeNames:  map[string]string{"#list": "list"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":list": &types.AttributeValueMemberS{Value: theList}},
		ConsistentRead:            aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return n, fault.New(fault.Transient, "query the waiting list: %w", err)
		}
		var items []waitingItem
		if err := attributevalue.UnmarshalListOfMaps(page.Items, &items); err != nil {
			return n, fault.New(fault.Permanent, "read the waiting list: %w", err)
		}
		var keys []map[string]types.AttributeValue
		for _, item := range items {
			keys = append(keys, waitingKey(item.Contact))
		}
		if err := deleteItems(ctx, t.client, t.name, keys); err != nil {
			return n, fmt.Errorf("clear the waiting list: %w", err)
		}
		n += len(keys)
	}
	return n, nil
}
