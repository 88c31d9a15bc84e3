package ddb

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// stateItem is a started connect. TTL deletes it some time after it expired;
// until then its own time tells.
type stateItem struct {
	PK        string `dynamodbav:"pk"`
	Nonce     string `dynamodbav:"nonce"`
	ExpiresAt int64  `dynamodbav:"expires_at"` // Unix s: TTL
	Provider  string `dynamodbav:"provider_of"`
	ownerItem
}

// PutState implements [credentials.States].
func (t *Table) PutState(ctx context.Context, state string, s credentials.ConnectState) error {
	item, err := attributevalue.MarshalMap(stateItem{"state#" + state, s.Nonce, s.ExpiresAt.Unix(), s.Provider, ownerItem(s.Owner)})
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	if _, err := t.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(t.name), Item: item}); err != nil {
		return fault.New(fault.Transient, "put state: %w", err)
	}
	return nil
}

// TakeState implements [credentials.States].
func (t *Table) TakeState(ctx context.Context, state string) (credentials.ConnectState, error) {
	out, err := t.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: aws.String(t.name), Key: key("state#" + state), ReturnValues: types.ReturnValueAllOld,
	})
	if err != nil {
		return credentials.ConnectState{}, fault.New(fault.Transient, "delete state: %w", err)
	}
	if len(out.Attributes) == 0 {
		return credentials.ConnectState{}, fault.New(fault.NotFound, "no such state")
	}
	var item stateItem
	if err := attributevalue.UnmarshalMap(out.Attributes, &item); err != nil {
		return credentials.ConnectState{}, fault.New(fault.Permanent, "read state: %w", err)
	}
	return credentials.ConnectState{
		Nonce: item.Nonce, ExpiresAt: time.Unix(item.ExpiresAt, 0).UTC(), Provider: item.Provider, Owner: credentials.Owner(item.ownerItem),
	}, nil
}
