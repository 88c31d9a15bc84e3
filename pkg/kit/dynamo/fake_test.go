package dynamo_test

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/kit/dynamo"
)

// fakeAPI holds the items of a table whose key is the string attribute id. It
// knows the conditions of [dynamo.Revision]. A hook runs before each call and
// can fail it.
type fakeAPI struct {
	dynamo.API
	items map[string]dynamo.Item
	hook  func(call string) error
	// processed is how many entries of a batch one call processes; 0 means all.
	processed int
	// batches has the number of entries of each call.
	batches []int
	puts    int
	tables  []string
}

func (f *fakeAPI) before(call string) error {
	if f.hook == nil {
		return nil
	}
	return f.hook(call)
}

func id(item dynamo.Item) string { return item["id"].(*types.AttributeValueMemberS).Value }

func (f *fakeAPI) GetItem(_ context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	if !aws.ToBool(in.ConsistentRead) {
		return nil, errors.New("the read is not consistent")
	}
	if err := f.before("get"); err != nil {
		return nil, err
	}
	return &dynamodb.GetItemOutput{Item: f.items[id(in.Key)]}, nil
}

func (f *fakeAPI) PutItem(_ context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	if err := f.before("put"); err != nil {
		return nil, err
	}
	f.puts++
	stored, exists := f.items[id(in.Item)]["revision"].(*types.AttributeValueMemberS)
	switch aws.ToString(in.ConditionExpression) {
	case "":
	case "attribute_not_exists(revision)":
		if exists {
			return nil, &types.ConditionalCheckFailedException{}
		}
	case "revision = :revision":
		if !exists || stored.Value != in.ExpressionAttributeValues[":revision"].(*types.AttributeValueMemberS).Value {
			return nil, &types.ConditionalCheckFailedException{}
		}
	default:
		return nil, errors.New("unknown condition")
	}
	f.items[id(in.Item)] = in.Item
	return &dynamodb.PutItemOutput{}, nil
}

func (f *fakeAPI) BatchGetItem(_ context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	if err := f.before("batch get"); err != nil {
		return nil, err
	}
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]dynamo.Item{}}
	for table, request := range in.RequestItems {
		if !aws.ToBool(request.ConsistentRead) {
			return nil, errors.New("the read is not consistent")
		}
		f.batches = append(f.batches, len(request.Keys))
		n := f.processes(len(request.Keys))
		for _, key := range request.Keys[:n] {
			if item, exists := f.items[id(key)]; exists {
				out.Responses[table] = append(out.Responses[table], item)
			}
		}
		if n < len(request.Keys) {
			out.UnprocessedKeys = map[string]types.KeysAndAttributes{table: {Keys: request.Keys[n:]}}
		}
	}
	return out, nil
}

func (f *fakeAPI) BatchWriteItem(_ context.Context, in *dynamodb.BatchWriteItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error) {
	if err := f.before("batch write"); err != nil {
		return nil, err
	}
	out := &dynamodb.BatchWriteItemOutput{}
	for table, requests := range in.RequestItems {
		f.batches = append(f.batches, len(requests))
		n := f.processes(len(requests))
		for _, r := range requests[:n] {
			delete(f.items, id(r.DeleteRequest.Key))
		}
		if n < len(requests) {
			out.UnprocessedItems = map[string][]types.WriteRequest{table: requests[n:]}
		}
	}
	return out, nil
}

func (f *fakeAPI) processes(n int) int {
	if f.processed < 0 {
		return 0
	}
	if f.processed == 0 {
		return n
	}
	return min(n, f.processed)
}

func (f *fakeAPI) TransactWriteItems(_ context.Context, in *dynamodb.TransactWriteItemsInput, _ ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	for _, action := range in.TransactItems {
		switch {
		case action.Put != nil:
			f.tables = append(f.tables, aws.ToString(action.Put.TableName))
		case action.Delete != nil:
			f.tables = append(f.tables, aws.ToString(action.Delete.TableName))
		case action.Update != nil:
			f.tables = append(f.tables, aws.ToString(action.Update.TableName))
		case action.ConditionCheck != nil:
			f.tables = append(f.tables, aws.ToString(action.ConditionCheck.TableName))
		}
	}
	return nil, f.before("transact")
}

// Query returns one item a page.
func (f *fakeAPI) Query(_ context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	if err := f.before("query"); err != nil {
		return nil, err
	}
	items, last := f.page(in.ExclusiveStartKey)
	out := &dynamodb.QueryOutput{Count: int32(len(items)), LastEvaluatedKey: last}
	if in.Select != types.SelectCount {
		out.Items = items
	}
	return out, nil
}

// Scan returns one item a page.
func (f *fakeAPI) Scan(_ context.Context, in *dynamodb.ScanInput, _ ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	if err := f.before("scan"); err != nil {
		return nil, err
	}
	items, last := f.page(in.ExclusiveStartKey)
	return &dynamodb.ScanOutput{Items: items, LastEvaluatedKey: last}, nil
}

func (f *fakeAPI) page(after dynamo.Item) (items []dynamo.Item, last dynamo.Item) {
	var ids []string
	for id := range f.items {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	next := 0
	if after != nil {
		next = slices.Index(ids, id(after)) + 1
	}
	if next >= len(ids) {
		return nil, nil
	}
	// DynamoDB may also return a key after the last item, and then an empty page.
	return []dynamo.Item{f.items[ids[next]]}, key(ids[next])
}

func key(id string) dynamo.Item { return dynamo.Item{"id": dynamo.Text(id)} }

func keys(n int) (keys []dynamo.Item) {
	for i := range n {
		keys = append(keys, key(strconv.Itoa(i)))
	}
	return keys
}

// tableOf returns a table with items that are their keys, and what it is made
// of.
func tableOf(keys ...dynamo.Item) (dynamo.Table, *fakeAPI) {
	api := &fakeAPI{items: map[string]dynamo.Item{}}
	for _, key := range keys {
		api.items[id(key)] = key
	}
	return dynamo.Table{API: api, Name: "table"}, api
}
