package dynamotest

import (
	"context"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/kit/dynamo"
)

// LastWrite is an empty table that keeps the attributes which were written last.
type LastWrite struct {
	dynamo.API
	item dynamo.Item
}

// ExpiresAt returns the TTL attribute of the last write; zero without one.
func (l *LastWrite) ExpiresAt() time.Time {
	n, ok := l.item["expires_at"].(*types.AttributeValueMemberN)
	if !ok {
		return time.Time{}
	}
	seconds, err := strconv.ParseInt(n.Value, 10, 64)
	if err != nil {
		panic(err)
	}
	return time.Unix(seconds, 0)
}

// GetItem implements [dynamo.API].
func (l *LastWrite) GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return &dynamodb.GetItemOutput{}, nil
}

// BatchGetItem implements [dynamo.API].
func (l *LastWrite) BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	return &dynamodb.BatchGetItemOutput{}, nil
}

// Query implements [dynamo.API].
func (l *LastWrite) Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	return &dynamodb.QueryOutput{}, nil
}

// PutItem implements [dynamo.API].
func (l *LastWrite) PutItem(_ context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	l.item = in.Item
	return &dynamodb.PutItemOutput{}, nil
}

var setExpiry = regexp.MustCompile(`expires_at = (:\w+)`)

// UpdateItem implements [dynamo.API].
func (l *LastWrite) UpdateItem(_ context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	l.item = dynamo.Item{}
	if set := setExpiry.FindStringSubmatch(*in.UpdateExpression); set != nil {
		l.item["expires_at"] = in.ExpressionAttributeValues[set[1]]
	}
	return &dynamodb.UpdateItemOutput{}, nil
}

// TransactWriteItems implements [dynamo.API]. It keeps the put item that
// expires.
func (l *LastWrite) TransactWriteItems(_ context.Context, in *dynamodb.TransactWriteItemsInput, _ ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	l.item = nil
	for _, action := range in.TransactItems {
		if action.Put != nil && action.Put.Item["expires_at"] != nil {
			l.item = action.Put.Item
		}
	}
	return &dynamodb.TransactWriteItemsOutput{}, nil
}

// Expires checks that a store in memory, which has the item of the last write
// alone, drops it as DynamoDB would: from the time of its TTL attribute on, or
// never. dropExpired calls drop for each item that has expired at a time.
func (l *LastWrite) Expires(t *testing.T, dropExpired func(at time.Time, drop func() bool)) {
	t.Helper()
	expired := func(at time.Time) (n int) {
		dropExpired(at, func() bool { n++; return false })
		return n
	}
	expires := l.ExpiresAt()
	if expires.IsZero() {
		if expired(time.Now().AddDate(1000, 0, 0)) != 0 {
			t.Error("an item without a TTL expires")
		}
		return
	}
	if expired(expires.Add(-1)) != 0 || expired(expires) != 1 {
		t.Errorf("an item with the TTL %s expires at another time", expires)
	}
	dropExpired(expires, func() bool { return true })
	if expired(expires) != 0 {
		t.Error("an item that was dropped is there")
	}
}
