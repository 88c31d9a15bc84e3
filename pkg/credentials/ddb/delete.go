package ddb

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/kit/fault"
)

const (
	// deleteBatch is how many items one BatchWriteItem takes at most (DynamoDB API
	// reference).
	deleteBatch = 25
	// deleteTries bounds how often a batch is sent of which DynamoDB left
	// something out.
	deleteTries = 5
)

// deleteItems deletes items by their keys; those that are gone are no error. An
// error is a transient fault after which some of them may be left.
func deleteItems(ctx context.Context, client *dynamodb.Client, table string, keys []map[string]types.AttributeValue) error {
	for batch := range slices.Chunk(keys, deleteBatch) {
		var requests []types.WriteRequest
		for _, key := range batch {
			requests = append(requests, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: key}})
		}
		left := map[string][]types.WriteRequest{table: requests}
		for tries := 0; len(left) > 0; tries++ {
			if tries == deleteTries {
				return fault.New(fault.Transient, "DynamoDB left items out %d times", tries)
			}
			out, err := client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: left})
			if err != nil {
				return fault.New(fault.Transient, "delete items: %w", err)
			}
			left = out.UnprocessedItems
		}
	}
	return nil
}
