package ddb

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/kit/dynamo"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Each implements [gathering.Inventory] by a scan of the whole table. It may
// miss a change that is a moment old.
func (t *Table) Each(
	ctx context.Context, athlete func(gathering.Athlete), inbox func(gathering.Inbox), event func(receivedAt time.Time),
) error {
	var unreadable []error
	for items, err := range t.table.Scan(ctx, &dynamodb.ScanInput{
		FilterExpression:          aws.String("begins_with(pk, :athlete)"),
		ExpressionAttributeValues: dynamo.Item{":athlete": dynamo.Text(athletePK)},
	}) {
		if err != nil {
			return err
		}
		for _, item := range items {
			// An item that cannot be decoded does not stop the others from being
			// visited.
			if err := visit(item, athlete, inbox, event); err != nil {
				unreadable = append(unreadable, err)
			}
		}
	}
	if err := errors.Join(unreadable...); err != nil {
		return fault.New(fault.Permanent, "read items: %w", err)
	}
	return nil
}

// visit calls the function for the item's kind.
func visit(
	encoded dynamo.Item, athlete func(gathering.Athlete), inbox func(gathering.Inbox), event func(receivedAt time.Time),
) error {
	var k itemKey
	if err := dynamo.Decode(encoded, &k); err != nil {
		return err
	}
	switch {
	case k.SK == stateSK:
		var item athleteItem
		if err := dynamo.Decode(encoded, &item); err != nil {
			return err
		}
		athlete(item.athlete())
	case k.SK == inboxSK:
		var item inboxItem
		if err := dynamo.Decode(encoded, &item); err != nil {
			return err
		}
		inbox(item.inbox())
	case strings.HasPrefix(k.SK, seenSK):
		var item seenItem
		if err := dynamo.Decode(encoded, &item); err != nil {
			return err
		}
		event(item.ExpiresAt.Time().Add(-gathering.DigestTTL))
	default:
		return fault.New(fault.Permanent, "unknown kind of item: %s %s", k.PK, k.SK)
	}
	return nil
}
