package ddb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// erasureItem is an erasure. It is kept as the audit log of erasures and
// holds nothing that leads to the athlete. When each boundary confirmed, in Unix
// ms, is in an attribute of its own, whose name begins with confirmedPrefix: an
// update cannot put a part into a map that may not be there.
type erasureItem struct {
	PK          string   `dynamodbav:"pk"`
	RequestedAt int64    `dynamodbav:"requested_at"` // Unix ms
	Pending     []string `dynamodbav:"pending,stringset,omitempty"`
	CompletedAt int64    `dynamodbav:"completed_at,omitempty"` // Unix ms
	Issued      bool     `dynamodbav:"issued,omitempty"`
}

const (
	erasurePrefix   = "erasure#"
	confirmedPrefix = "confirmed_"
)

func erasureKey(receipt string) string { return erasurePrefix + receipt }

func toErasure(av map[string]types.AttributeValue) (credentials.Erasure, error) {
	var i erasureItem
	if err := attributevalue.UnmarshalMap(av, &i); err != nil {
		return credentials.Erasure{}, fault.New(fault.Permanent, "read erasure: %w", err)
	}
	e := credentials.Erasure{
		Receipt:     i.PK[len(erasurePrefix):],
		RequestedAt: time.UnixMilli(i.RequestedAt).UTC(),
		Pending:     slices.Sorted(slices.Values(i.Pending)),
		Issued:      i.Issued,
	}
	for name, value := range av {
		part, is := strings.CutPrefix(name, confirmedPrefix)
		if !is {
			continue
		}
		var at int64
		if err := attributevalue.Unmarshal(value, &at); err != nil {
			return credentials.Erasure{}, fault.New(fault.Permanent, "read erasure: %w", err)
		}
		if e.Confirmed == nil {
			e.Confirmed = map[string]time.Time{}
		}
		e.Confirmed[part] = time.UnixMilli(at).UTC()
	}
	if i.CompletedAt != 0 {
		e.CompletedAt = time.UnixMilli(i.CompletedAt).UTC()
	}
	return e, nil
}

// Open implements [credentials.Erasures].
func (t *GrantsTable) Open(ctx context.Context, e credentials.Erasure) error {
	item, err := attributevalue.MarshalMap(erasureItem{
		PK: erasureKey(e.Receipt), RequestedAt: e.RequestedAt.UnixMilli(), Pending: e.Pending,
	})
	if err != nil {
		return fmt.Errorf("encode erasure: %w", err)
	}
	_, err = t.items.API.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: aws.String(t.items.Name), Item: item, ConditionExpression: aws.String("attribute_not_exists(pk)"),
	})
	if err != nil && !refused(err) {
		return fault.New(fault.Transient, "put erasure: %w", err)
	}
	return nil
}

// Confirm implements [credentials.Erasures].
func (t *GrantsTable) Confirm(ctx context.Context, receipt, part string, at time.Time) (credentials.Erasure, error) {
	return t.updateErasure(ctx, receipt, "DELETE pending :parts SET #at = if_not_exists(#at, :at)",
		map[string]string{"#at": confirmedPrefix + part}, map[string]types.AttributeValue{
			":parts": &types.AttributeValueMemberSS{Value: []string{part}},
			":at":    &types.AttributeValueMemberN{Value: strconv.FormatInt(at.UnixMilli(), 10)},
		})
}

// Complete implements [credentials.Erasures].
func (t *GrantsTable) Complete(ctx context.Context, receipt string, at time.Time) (time.Time, error) {
	e, err := t.updateErasure(ctx, receipt, "SET completed_at = if_not_exists(completed_at, :at)", nil, map[string]types.AttributeValue{
		":at": &types.AttributeValueMemberN{Value: strconv.FormatInt(at.UnixMilli(), 10)},
	})
	return e.CompletedAt, err
}

// Issued implements [credentials.Erasures].
func (t *GrantsTable) Issued(ctx context.Context, receipt string) error {
	_, err := t.updateErasure(ctx, receipt, "SET issued = :issued", nil, map[string]types.AttributeValue{
		":issued": &types.AttributeValueMemberBOOL{Value: true},
	})
	return err
}

// EachErasure implements [credentials.ErasureLog] by a scan, which an admin asks for
// now and then: all grants there may be fit into a few pages.
func (t *GrantsTable) EachErasure(ctx context.Context, visit func(credentials.Erasure)) error {
	pages := dynamodb.NewScanPaginator(t.items.API, &dynamodb.ScanInput{
		TableName:                 aws.String(t.items.Name),
		FilterExpression:          aws.String("begins_with(pk, :prefix)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":prefix": &types.AttributeValueMemberS{Value: erasurePrefix}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fault.New(fault.Transient, "scan erasures: %w", err)
		}
		for _, av := range page.Items {
			e, err := toErasure(av)
			if err != nil {
				return err
			}
			visit(e)
		}
	}
	return nil
}

func (t *GrantsTable) updateErasure(ctx context.Context, receipt, update string, names map[string]string, values map[string]types.AttributeValue) (credentials.Erasure, error) {
	out, err := t.items.API.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 aws.String(t.items.Name),
		Key:                       key(erasureKey(receipt)),
		UpdateExpression:          aws.String(update),
		ConditionExpression:       aws.String("attribute_exists(pk)"),
		ExpressionAttributeNames:  names,
		ExpressionAttributeValues: values,
		ReturnValues:              types.ReturnValueAllNew,
	})
	if refused(err) {
		return credentials.Erasure{}, fault.New(fault.NotFound, "no such erasure")
	}
	if err != nil {
		return credentials.Erasure{}, fault.New(fault.Transient, "update erasure: %w", err)
	}
	return toErasure(out.Attributes)
}

func refused(err error) bool {
	var c *types.ConditionalCheckFailedException
	return errors.As(err, &c)
}
