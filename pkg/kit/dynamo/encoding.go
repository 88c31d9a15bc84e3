package dynamo

import (
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Item is an item, a key, or the values of an expression.
type Item = map[string]types.AttributeValue

// Text returns a string attribute.
func Text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// Number returns a number attribute.
func Number[N ~int | ~int64](n N) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(n), 10)}
}

// Encode returns a struct with dynamodbav tags as an item.
func Encode(item any) (Item, error) {
	encoded, err := attributevalue.MarshalMap(item)
	if err != nil {
		return nil, fmt.Errorf("encode item: %w", err)
	}
	return encoded, nil
}

// Decode reads an item into a struct with dynamodbav tags. It fails with
// [fault.Permanent] if the item is not of that form.
func Decode(item Item, out any) error {
	if err := attributevalue.UnmarshalMap(item, out); err != nil {
		return fault.New(fault.Permanent, "decode item: %w", err)
	}
	return nil
}

// Millis is a time in Unix milliseconds, as items hold times; 0 is the zero
// time.
type Millis int64

// MillisOf returns t without fractions of a millisecond.
func MillisOf(t time.Time) Millis {
	if t.IsZero() {
		return 0
	}
	return Millis(t.UnixMilli())
}

// Time returns the time in UTC.
func (m Millis) Time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(m)).UTC()
}

// Seconds is a time in Unix seconds, as DynamoDB requires of the TTL attribute;
// 0 is the zero time.
type Seconds int64

// SecondsOf returns t without fractions of a second.
func SecondsOf(t time.Time) Seconds {
	if t.IsZero() {
		return 0
	}
	return Seconds(t.Unix())
}

// Time returns the time in UTC.
func (s Seconds) Time() time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}
