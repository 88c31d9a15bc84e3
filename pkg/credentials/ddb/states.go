package ddb

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// stateItem is a started connect. TTL deletes it some time after it expired;
// until then its own time tells.
type stateItem struct {
	PK        string `dynamodbav:"pk"`
	Nonce     string `dynamodbav:"nonce"`
	ExpiresAt int64  `dynamodbav:"expires_at"` // Unix s: TTL
}

// PutState implements [credentials.States].
func (t *Table) PutState(ctx context.Context, state, nonce string, expiresAt time.Time) error {
	item, err := attributevalue.MarshalMap(stateItem{"state#" + state, nonce, expiresAt.Unix()})
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	if _, err := t.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(t.name), Item: item}); err != nil {
		return fault.New(fault.Transient, "put state: %w", err)
	}
	return nil
}

// TakeState implements [credentials.States].
func (t *Table) TakeState(ctx context.Context, state string) (string, time.Time, error) {
	out, err := t.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: aws.String(t.name), Key: key("state#" + state), ReturnValues: types.ReturnValueAllOld,
	})
	if err != nil {
		return "", time.Time{}, fault.New(fault.Transient, "delete state: %w", err)
	}
	if len(out.Attributes) == 0 {
		return "", time.Time{}, fault.New(fault.NotFound, "no such state")
	}
	var item stateItem
	if err := attributevalue.UnmarshalMap(out.Attributes, &item); err != nil {
		return "", time.Time{}, fault.New(fault.Permanent, "read state: %w", err)
	}
	return item.Nonce, time.Unix(item.ExpiresAt, 0), nil
}
