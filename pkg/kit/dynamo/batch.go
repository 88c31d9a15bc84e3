package dynamo

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// How many items a batch holds (Amazon DynamoDB API Reference, BatchGetItem and
// BatchWriteItem).
const (
	maxGet   = 100
	maxWrite = 25
)

// BatchGet returns the items with these keys, strongly consistent and in no
// order. An item that does not exist is left out.
func (t Table) BatchGet(ctx context.Context, keys []Item) ([]Item, error) {
	var items []Item
	for batch := range slices.Chunk(keys, maxGet) {
		err := sendAll(ctx, batch, func(keys []Item) ([]Item, error) {
			out, err := t.API.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
				RequestItems: map[string]types.KeysAndAttributes{t.Name: {Keys: keys, ConsistentRead: aws.Bool(true)}},
			})
			if err != nil {
				return nil, failed("get items", err)
			}
			items = append(items, out.Responses[t.Name]...)
			return out.UnprocessedKeys[t.Name].Keys, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return items, nil
}

// BatchDelete deletes the items with these keys. After an error some may be
// left.
func (t Table) BatchDelete(ctx context.Context, keys []Item) error {
	for batch := range slices.Chunk(keys, maxWrite) {
		var requests []types.WriteRequest
		for _, key := range batch {
			requests = append(requests, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: key}})
		}
		err := sendAll(ctx, requests, func(requests []types.WriteRequest) ([]types.WriteRequest, error) {
			out, err := t.API.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
				RequestItems: map[string][]types.WriteRequest{t.Name: requests},
			})
			if err != nil {
				return nil, failed("delete items", err)
			}
			return out.UnprocessedItems[t.Name], nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sendAll sends a batch, and sends again what DynamoDB left unprocessed of it:
// at once if it processed some, as an answer has a limited size, and after a
// delay if it processed nothing.
func sendAll[T any](ctx context.Context, batch []T, send func([]T) (left []T, err error)) error {
	for len(batch) > 0 {
		before := len(batch)
		err := Usual.until(ctx, func() (done bool, err error) {
			batch, err = send(batch)
			if err == nil && len(batch) == before {
				return false, fmt.Errorf("%d items are unprocessed", len(batch))
			}
			return true, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
