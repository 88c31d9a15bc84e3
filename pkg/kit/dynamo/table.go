package dynamo

import (
	"context"
	"errors"
	"iter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// API is the part of [dynamodb.Client] that a [Table] uses.
type API interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	BatchWriteItem(context.Context, *dynamodb.BatchWriteItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error)
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
}

// Table is a DynamoDB table. Its methods set the table's name in their inputs.
type Table struct {
	API  API
	Name string
}

// Get reads the item with the key into out, strongly consistent, and reports
// whether there is one. Without one it leaves out alone.
func (t Table) Get(ctx context.Context, key Item, out any) (found bool, err error) {
	res, err := t.API.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.Name, Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return false, failed("get item", err)
	}
	if res.Item == nil {
		return false, nil
	}
	return true, Decode(res.Item, out)
}

// Put writes the item. It fails with [fault.Conflict] if the input has a
// condition that does not hold.
func (t Table) Put(ctx context.Context, in *dynamodb.PutItemInput) error {
	in.TableName = &t.Name
	_, err := t.API.PutItem(ctx, in)
	return failed("put item", err)
}

// UpdateExpression applies the input's update expression and returns the
// attributes that it asks for. It fails with [fault.Conflict] if the input has
// a condition that does not hold.
func (t Table) UpdateExpression(ctx context.Context, in *dynamodb.UpdateItemInput) (Item, error) {
	in.TableName = &t.Name
	out, err := t.API.UpdateItem(ctx, in)
	if err != nil {
		return nil, failed("update item", err)
	}
	return out.Attributes, nil
}

// Delete deletes an item and returns the attributes that the input asks for. It
// fails with [fault.Conflict] if the input has a condition that does not hold.
func (t Table) Delete(ctx context.Context, in *dynamodb.DeleteItemInput) (Item, error) {
	in.TableName = &t.Name
	out, err := t.API.DeleteItem(ctx, in)
	if err != nil {
		return nil, failed("delete item", err)
	}
	return out.Attributes, nil
}

// Transact performs all of the actions or none. It fails with [fault.Conflict]
// if a condition does not hold, another writer holds one of the items, or an
// action is throttled; [ConditionFailed] says which condition does not hold.
// All actions are on this table.
func (t Table) Transact(ctx context.Context, actions []types.TransactWriteItem) error {
	for _, action := range actions {
		switch {
		case action.ConditionCheck != nil:
			action.ConditionCheck.TableName = &t.Name
		case action.Delete != nil:
			action.Delete.TableName = &t.Name
		case action.Put != nil:
			action.Put.TableName = &t.Name
		case action.Update != nil:
			action.Update.TableName = &t.Name
		}
	}
	_, err := t.API.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: actions})
	return failed("write items", err)
}

// MaxTransaction is how many actions one transaction holds (Amazon DynamoDB
// Developer Guide, "Quotas in Amazon DynamoDB").
const MaxTransaction = 100

// ConditionFailed reports whether a write failed because the condition of its
// action with the index does not hold, and not because of a conflict. The only
// action of a write that is no transaction has the index 0.
func ConditionFailed(err error, action int) bool {
	var condition *types.ConditionalCheckFailedException
	if errors.As(err, &condition) {
		return action == 0
	}
	var cancelled *types.TransactionCanceledException
	return errors.As(err, &cancelled) && action < len(cancelled.CancellationReasons) &&
		aws.ToString(cancelled.CancellationReasons[action].Code) == "ConditionalCheckFailed"
}

// Query yields the pages of a query. After an error it yields nothing more.
func (t Table) Query(ctx context.Context, in *dynamodb.QueryInput) iter.Seq2[[]Item, error] {
	return pages(in.ExclusiveStartKey, func(start Item) ([]Item, Item, error) {
		page := *in
		page.ExclusiveStartKey = start
		return t.QueryPage(ctx, &page)
	})
}

// QueryPage returns one page of a query, and the key after which the next page
// starts: nil after the last page.
func (t Table) QueryPage(ctx context.Context, in *dynamodb.QueryInput) (items []Item, last Item, err error) {
	in.TableName = &t.Name
	out, err := t.API.Query(ctx, in)
	if err != nil {
		return nil, nil, failed("query", err)
	}
	return out.Items, out.LastEvaluatedKey, nil
}

// Count returns how many items a query finds.
func (t Table) Count(ctx context.Context, in *dynamodb.QueryInput) (int, error) {
	page := *in
	page.TableName, page.Select = &t.Name, types.SelectCount
	for n := 0; ; {
		out, err := t.API.Query(ctx, &page)
		if err != nil {
			return 0, failed("count", err)
		}
		n += int(out.Count)
		if out.LastEvaluatedKey == nil {
			return n, nil
		}
		page.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// Scan yields the pages of a scan. After an error it yields nothing more.
func (t Table) Scan(ctx context.Context, in *dynamodb.ScanInput) iter.Seq2[[]Item, error] {
	return pages(in.ExclusiveStartKey, func(start Item) ([]Item, Item, error) {
		page := *in
		page.TableName, page.ExclusiveStartKey = &t.Name, start
		out, err := t.API.Scan(ctx, &page)
		if err != nil {
			return nil, nil, failed("scan", err)
		}
		return out.Items, out.LastEvaluatedKey, nil
	})
}

// pages yields the pages that read returns, from the key start on. Read returns
// no last key after the last page and with an error.
func pages(start Item, read func(start Item) (items []Item, last Item, err error)) iter.Seq2[[]Item, error] {
	return func(yield func([]Item, error) bool) {
		for start := start; ; {
			items, last, err := read(start)
			if !yield(items, err) || last == nil {
				return
			}
			start = last
		}
	}
}

// failed returns an error of DynamoDB as a fault.
func failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	var condition *types.ConditionalCheckFailedException
	var transaction *types.TransactionConflictException
	var cancelled *types.TransactionCanceledException
	kind := fault.Transient
	switch {
	case errors.As(err, &condition), errors.As(err, &transaction):
		kind = fault.Conflict
	case errors.As(err, &cancelled):
		for _, reason := range cancelled.CancellationReasons {
			switch aws.ToString(reason.Code) {
			case "ConditionalCheckFailed", "TransactionConflict",
				"ThrottlingError", "ProvisionedThroughputExceeded": // The SDK does not try these again.
				kind = fault.Conflict
			}
		}
	}
	return fault.New(kind, doing+": %w", err)
}
