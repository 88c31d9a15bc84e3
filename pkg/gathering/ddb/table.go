package ddb

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/kit/dynamo"
)

// Table implements [gathering.Athletes], [gathering.Inboxes],
// [gathering.JobQueue], [gathering.Webhooks] and [gathering.Inventory].
type Table struct{ table dynamo.Table }

// New makes an adapter for the named table.
func New(client dynamo.API, name string) *Table {
	return &Table{dynamo.Table{API: client, Name: name}}
}

// Athlete implements [gathering.Athletes].
func (t *Table) Athlete(ctx context.Context, id int64) (gathering.Athlete, error) {
	item := athleteItem{AthleteID: id}
	_, err := t.table.Get(ctx, athleteKey(id, stateSK).item(), &item)
	return item.athlete(), err
}

// Update implements [gathering.Athletes]. It returns the athlete as a read
// would.
func (t *Table) Update(ctx context.Context, id int64, change func(*gathering.Athlete) (bool, error)) (gathering.Athlete, error) {
	item, err := dynamo.Update(ctx, t.table, dynamo.Usual, athleteKey(id, stateSK).item(), func(i *athleteItem) (bool, error) {
		i.AthleteID = id
		a := i.athlete()
		changed, err := change(&a)
		if changed {
			*i = toAthleteItem(a)
		}
		return changed, err
	})
	return item.athlete(), err
}

// UpdateInbox implements [gathering.Inboxes]. It returns the inbox as a read
// would.
func (t *Table) UpdateInbox(ctx context.Context, athleteID int64, change func(*gathering.Inbox) (bool, error)) (gathering.Inbox, error) {
	item, err := dynamo.Update(ctx, t.table, dynamo.Usual, athleteKey(athleteID, inboxSK).item(), func(i *inboxItem) (bool, error) {
		i.AthleteID = athleteID
		m := i.inbox()
		changed, err := change(&m)
		if changed {
			*i = toInboxItem(m)
		}
		return changed, err
	})
	return item.inbox(), err
}

// Webhook implements [gathering.Webhooks].
func (t *Table) Webhook(ctx context.Context) (gathering.Webhook, error) {
	var item webhookItem
	_, err := t.table.Get(ctx, webhookKey.item(), &item)
	return item.webhook(), err
}

// UpdateWebhook implements [gathering.Webhooks].
func (t *Table) UpdateWebhook(ctx context.Context, change func(*gathering.Webhook) (bool, error)) (gathering.Webhook, error) {
	item, err := dynamo.Update(ctx, t.table, dynamo.Usual, webhookKey.item(), func(i *webhookItem) (bool, error) {
		w := i.webhook()
		changed, err := change(&w)
		if changed {
			*i = toWebhookItem(w)
		}
		return changed, err
	})
	return item.webhook(), err
}

// dayKey returns the key of the count of events of a UTC day.
func dayKey(at time.Time) itemKey {
	return itemKey{webhookKey.PK, daySK + at.UTC().Format(time.DateOnly)}
}

// CountWebhookEvent implements [gathering.Webhooks].
func (t *Table) CountWebhookEvent(ctx context.Context, at time.Time) error {
	expires := dynamo.SecondsOf(gathering.EventCountExpiresAt(at))
	_, err := t.table.UpdateExpression(ctx, &dynamodb.UpdateItemInput{
		Key:                       dayKey(at).item(),
		UpdateExpression:          aws.String("ADD events :one SET expires_at = :expires"),
		ExpressionAttributeValues: dynamo.Item{":one": dynamo.Number(1), ":expires": dynamo.Number(expires)},
	})
	return err
}

// WebhookEvents implements [gathering.Webhooks].
func (t *Table) WebhookEvents(ctx context.Context, at time.Time) (int, error) {
	var item struct {
		Events int `dynamodbav:"events"`
	}
	_, err := t.table.Get(ctx, dayKey(at).item(), &item)
	return item.Events, err
}
