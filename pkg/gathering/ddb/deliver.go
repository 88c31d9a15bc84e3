package ddb

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/dynamo"
)

// Indexes of the actions in the transaction of [Table.Deliver].
const (
	addHint = iota
	addDigest
)

// Deliver implements [gathering.Inboxes] by one transaction. Its conditions are
// that the inbox exists and the event's digest does not.
func (t *Table) Deliver(ctx context.Context, athleteID int64, digest string, h gathering.Hint) (delivery gathering.Delivery, err error) {
	inbox := athleteKey(athleteID, inboxSK)
	seen, err := dynamo.Encode(seenItem{
		athleteKey(athleteID, seenSK+digest), dynamo.SecondsOf(h.DigestExpiresAt()),
	})
	if err != nil {
		return "", err
	}
	overflowed := false
	err = dynamo.Usual.Retry(ctx, func() error {
		update, err := t.updateForHint(inbox, h, overflowed)
		if err != nil {
			return err
		}
		err = t.table.Transact(ctx, []types.TransactWriteItem{
			addHint:   {Update: update},
			addDigest: {Put: &types.Put{TableName: &t.table.Name, Item: seen, ConditionExpression: aws.String("attribute_not_exists(pk)")}},
		})
		switch {
		case err == nil:
			delivery = gathering.Delivered
			return nil
		case dynamo.ConditionFailed(err, addDigest):
			delivery = gathering.Duplicate
			return nil
		case dynamo.ConditionFailed(err, addHint):
			var stored inboxItem
			found, failed := t.table.Get(ctx, inbox.item(), &stored)
			if failed != nil {
				return failed
			}
			if !found {
				delivery = gathering.UnknownAthlete
				return nil
			}
			overflowed = len(stored.Hints) >= gathering.MaxHints
		}
		return err
	})
	return delivery, err
}

// updateForHint adds the hint to the inbox, or marks the inbox as overflowed,
// and makes its job due.
func (t *Table) updateForHint(inbox itemKey, h gathering.Hint, overflowed bool) (*types.Update, error) {
	queue, due, sets := "if_not_exists(#queue, :queue)", "if_not_exists(retry_at, :now)", ""
	values := dynamo.Item{
		":queue": dynamo.Text(string(quota.Webhook)), ":now": dynamo.Number(dynamo.MillisOf(h.ReceivedAt)),
		":revision": dynamo.Text(dynamo.NewRevision().Revision),
	}
	condition := "attribute_exists(pk)"
	if h.Aspect == gathering.AspectDeauthorize {
		queue, due, values[":queue"] = ":queue", ":now", dynamo.Text(string(quota.Leave))
	}
	if overflowed {
		sets, values[":true"] = "overflowed = :true", &types.AttributeValueMemberBOOL{Value: true}
	} else {
		hints, err := attributevalue.Marshal([]hintItem{toHintItem(h)})
		if err != nil {
			return nil, fmt.Errorf("encode hint: %w", err)
		}
		condition += " AND (attribute_not_exists(hints) OR size(hints) < :most)"
		sets = "hints = list_append(if_not_exists(hints, :none), :hints)"
		values[":hints"], values[":none"], values[":most"] = hints, &types.AttributeValueMemberL{Value: []types.AttributeValue{}}, dynamo.Number(gathering.MaxHints)
	}
	return &types.Update{
		TableName: &t.table.Name, Key: inbox.item(),
		UpdateExpression:          aws.String("SET #queue = " + queue + ", #due = " + due + ", job_due = " + due + ", revision = :revision, " + sets),
		ConditionExpression:       aws.String(condition),
		ExpressionAttributeNames:  map[string]string{"#queue": "queue", "#due": "due"},
		ExpressionAttributeValues: values,
	}, nil
}

// DropInbox implements [gathering.Inboxes].
func (t *Table) DropInbox(ctx context.Context, by gathering.Authorization) error {
	later := false
	err := dynamo.Usual.Retry(ctx, func() error {
		_, err := t.table.Delete(ctx, &dynamodb.DeleteItemInput{
			Key:                       athleteKey(by.AthleteID, inboxSK).item(),
			ConditionExpression:       aws.String("attribute_not_exists(pk) OR generation <= :generation"),
			ExpressionAttributeValues: dynamo.Item{":generation": dynamo.Number(by.Generation)},
		})
		if later = dynamo.ConditionFailed(err, 0); later {
			return nil
		}
		return err
	})
	if err != nil || later {
		return err
	}
	// Without an inbox no event is delivered, so no digest is added from here on.
	query := &dynamodb.QueryInput{
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("pk = :pk AND begins_with(sk, :sk)"),
		ProjectionExpression:      aws.String("pk, sk"),
		ExpressionAttributeValues: dynamo.Item{":pk": dynamo.Text(athleteKey(by.AthleteID, "").PK), ":sk": dynamo.Text(seenSK)},
	}
	for keys, err := range t.table.Query(ctx, query) {
		if err != nil {
			return err
		}
		if err := t.table.BatchDelete(ctx, keys); err != nil {
			return err
		}
	}
	return nil
}
