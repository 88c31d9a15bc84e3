package ddb

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/dynamo"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// WaitlistTable implements [credentials.WaitlistStore] by a table of its own,
// because contacts are personal data that no other part of the system reads.
//
// Keys: list, which is the same for all entries, and contact.
type WaitlistTable struct{ items dynamo.Table }

// NewWaitlist returns an adapter for the named table.
func NewWaitlist(client dynamo.API, name string) *WaitlistTable {
	return &WaitlistTable{dynamo.Table{API: client, Name: name}}
}

// theList is the one partition: the entries are few, and are read together.
const theList = "waiting"

type waitlistItem struct {
	Contact   string         `dynamodbav:"contact"`
	Since     dynamo.Millis  `dynamodbav:"since"`
	ExpiresAt dynamo.Seconds `dynamodbav:"expires_at"` // TTL
}

func waitlistKey(contact string) dynamo.Item {
	return dynamo.Item{"list": dynamo.Text(theList), "contact": dynamo.Text(contact)}
}

// Add implements [credentials.WaitlistStore].
func (t *WaitlistTable) Add(ctx context.Context, e credentials.WaitlistEntry, until time.Time) error {
	_, err := t.items.UpdateExpression(ctx, &dynamodb.UpdateItemInput{
		Key:              waitlistKey(e.Contact),
		UpdateExpression: aws.String("SET since = if_not_exists(since, :since), expires_at = :until"),
		ExpressionAttributeValues: dynamo.Item{
			":since": dynamo.Number(dynamo.MillisOf(e.Since)), ":until": dynamo.Number(dynamo.SecondsOf(until)),
		},
	})
	return err
}

// Entries implements [credentials.WaitlistStore].
func (t *WaitlistTable) Entries(ctx context.Context, now time.Time) ([]credentials.WaitlistEntry, error) {
	entries := []credentials.WaitlistEntry{}
	for page, err := range t.items.Query(ctx, &dynamodb.QueryInput{
		KeyConditionExpression: aws.String("#list = :list"),
		// TTL deletes an item some time after it expired.
		FilterExpression:          aws.String("expires_at > :now"),
		ExpressionAttributeNames:  map[string]string{"#list": "list"},
		ExpressionAttributeValues: dynamo.Item{":list": dynamo.Text(theList), ":now": dynamo.Number(dynamo.SecondsOf(now))},
		ConsistentRead:            aws.Bool(true),
	}) {
		if err != nil {
			return nil, err
		}
		for _, encoded := range page {
			var item waitlistItem
			if err := dynamo.Decode(encoded, &item); err != nil {
				return nil, err
			}
			entries = append(entries, credentials.WaitlistEntry{Contact: item.Contact, Since: item.Since.Time()})
		}
	}
	slices.SortFunc(entries, func(a, b credentials.WaitlistEntry) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Contact, b.Contact))
	})
	return entries, nil
}

// Remove implements [credentials.WaitlistStore].
func (t *WaitlistTable) Remove(ctx context.Context, contact string) error {
	removed, err := t.items.Delete(ctx, &dynamodb.DeleteItemInput{Key: waitlistKey(contact), ReturnValues: types.ReturnValueAllOld})
	if err != nil {
		return err
	}
	if len(removed) == 0 {
		return fault.New(fault.NotFound, "the contact is not on the waitlist")
	}
	return nil
}

// Clear implements [credentials.WaitlistStore].
func (t *WaitlistTable) Clear(ctx context.Context) (int, error) {
	n := 0
	for page, err := range t.items.Query(ctx, &dynamodb.QueryInput{
		KeyConditionExpression:    aws.String("#list = :list"),
		ProjectionExpression:      aws.String("#list, contact"),
		ExpressionAttributeNames:  map[string]string{"#list": "list"},
		ExpressionAttributeValues: dynamo.Item{":list": dynamo.Text(theList)},
		ConsistentRead:            aws.Bool(true),
	}) {
		if err != nil {
			return n, err
		}
		if err := t.items.BatchDelete(ctx, page); err != nil {
			return n, err
		}
		n += len(page)
	}
	return n, nil
}
