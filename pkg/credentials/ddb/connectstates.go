package ddb

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/dynamo"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// stateItem is a started connect. TTL deletes it some time after it expired, so
// readers compare ExpiresAt themselves.
type stateItem struct {
	PK        string         `dynamodbav:"pk"`
	Nonce     string         `dynamodbav:"nonce"`
	ExpiresAt dynamo.Seconds `dynamodbav:"expires_at"` // TTL
	Provider  string         `dynamodbav:"provider_of"`
	ownerItem
}

func stateKey(state string) string { return "state#" + state }

// PutState implements [credentials.ConnectStates].
func (t *GrantsTable) PutState(ctx context.Context, state string, s credentials.ConnectState) error {
	item, err := dynamo.Encode(stateItem{stateKey(state), s.Nonce, dynamo.SecondsOf(s.ExpiresAt), s.Provider, ownerItem(s.Owner)})
	if err != nil {
		return err
	}
	return t.items.Put(ctx, &dynamodb.PutItemInput{Item: item})
}

// TakeState implements [credentials.ConnectStates].
func (t *GrantsTable) TakeState(ctx context.Context, state string) (credentials.ConnectState, error) {
	taken, err := t.items.Delete(ctx, &dynamodb.DeleteItemInput{Key: key(stateKey(state)), ReturnValues: types.ReturnValueAllOld})
	if err != nil {
		return credentials.ConnectState{}, err
	}
	if len(taken) == 0 {
		return credentials.ConnectState{}, fault.New(fault.NotFound, "no such state")
	}
	var item stateItem
	if err := dynamo.Decode(taken, &item); err != nil {
		return credentials.ConnectState{}, err
	}
	return credentials.ConnectState{
		Nonce: item.Nonce, ExpiresAt: item.ExpiresAt.Time(), Provider: item.Provider, Owner: credentials.Authorization(item.ownerItem),
	}, nil
}
