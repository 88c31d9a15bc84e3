package ddb

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Table implements [gathering.Athletes], [gathering.Pauses] and
// [gathering.Webhooks].
type Table struct {
	client *dynamodb.Client
	name   string
}

// New makes an adapter for the named table.
func New(client *dynamodb.Client, name string) *Table { return &Table{client, name} }

// athleteItem is an athlete as stored. Revision counts its writes and is what
// a write is conditional on.
type athleteItem struct {
	PK         string    `dynamodbav:"pk"`
	AthleteID  int64     `dynamodbav:"athlete_id"`
	Generation int64     `dynamodbav:"generation"`
	State      string    `dynamodbav:"state"`
	Scan       *scanItem `dynamodbav:"scan,omitempty"`
	RevokedAt  int64     `dynamodbav:"revoked_at,omitempty"` // Unix ms
	ExpiresAt  int64     `dynamodbav:"expires_at,omitempty"` // Unix s: TTL
	Revision   int64     `dynamodbav:"revision"`
}

type scanItem struct {
	ID         string `dynamodbav:"id"`
	Before     int64  `dynamodbav:"before"` // Unix s
	NextPage   int    `dynamodbav:"next_page"`
	Chunks     int    `dynamodbav:"chunks"`
	Sequence   int64  `dynamodbav:"sequence"`
	State      string `dynamodbav:"state"`
	WaitingFor string `dynamodbav:"waiting_for,omitempty"`
	ResumesAt  int64  `dynamodbav:"resumes_at,omitempty"` // Unix ms
}

func athleteKey(id int64) string { return "athlete#" + strconv.FormatInt(id, 10) }

func toItem(a gathering.Athlete, revision int64) athleteItem {
	item := athleteItem{
		PK: athleteKey(a.ID), AthleteID: a.ID, Generation: a.Generation, State: string(a.State), Revision: revision,
		RevokedAt: millis(a.RevokedAt),
	}
	if !a.RevokedAt.IsZero() {
		item.ExpiresAt = a.RevokedAt.Add(gathering.TombstoneLife).Unix()
	}
	if a.Scan.ID != "" {
		item.Scan = &scanItem{
			ID: a.Scan.ID, Before: a.Scan.Before.Unix(), NextPage: a.Scan.NextPage, Chunks: a.Scan.Chunks,
			Sequence: a.Scan.Sequence, State: a.Scan.State, WaitingFor: a.Scan.WaitingFor, ResumesAt: millis(a.Scan.ResumesAt),
		}
	}
	return item
}

func (i athleteItem) athlete() gathering.Athlete {
	a := gathering.Athlete{
		ID: i.AthleteID, Generation: i.Generation, State: gathering.State(i.State), RevokedAt: instant(i.RevokedAt),
	}
	if s := i.Scan; s != nil {
		a.Scan = gathering.Scan{
			ID: s.ID, Before: time.Unix(s.Before, 0).UTC(), NextPage: s.NextPage, Chunks: s.Chunks,
			Sequence: s.Sequence, State: s.State, WaitingFor: s.WaitingFor, ResumesAt: instant(s.ResumesAt),
		}
	}
	return a
}

// millis and instant turn a time into Unix milliseconds and back; the zero
// time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func (t *Table) get(ctx context.Context, pk string, out any) error {
	res, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      aws.String(t.name),
		Key:            map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: pk}},
		ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return fault.New(fault.Transient, "get item: %w", err)
	}
	if res.Item == nil {
		return fault.New(fault.NotFound, "no such item")
	}
	if err := attributevalue.UnmarshalMap(res.Item, out); err != nil {
		return fault.New(fault.Permanent, "read item: %w", err)
	}
	return nil
}

// putIf writes an item if the condition holds; value is its :v. It reports
// whether it did.
func (t *Table) putIf(ctx context.Context, item any, condition string, value int64) (bool, error) {
	av, err := attributevalue.MarshalMap(item)
	if err != nil {
		return false, fmt.Errorf("encode item: %w", err)
	}
	_, err = t.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:           aws.String(t.name),
		Item:                av,
		ConditionExpression: aws.String(condition),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":v": &types.AttributeValueMemberN{Value: strconv.FormatInt(value, 10)},
		},
	})
	var refused *types.ConditionalCheckFailedException
	switch {
	case errors.As(err, &refused):
		return false, nil
	case err != nil:
		return false, fault.New(fault.Transient, "put item: %w", err)
	}
	return true, nil
}

// Athlete implements [gathering.Athletes].
func (t *Table) Athlete(ctx context.Context, id int64) (gathering.Athlete, error) {
	item, err := t.athlete(ctx, id)
	return item.athlete(), err
}

func (t *Table) athlete(ctx context.Context, id int64) (athleteItem, error) {
	item := athleteItem{AthleteID: id}
	err := t.get(ctx, athleteKey(id), &item)
	if fault.Is(err, fault.NotFound) {
		err = nil
	}
	return item, err
}

// updateTries bounds how often an update starts over because somebody else
// wrote in between.
const updateTries = 20

// Update implements [gathering.Athletes].
func (t *Table) Update(ctx context.Context, id int64, change func(*gathering.Athlete) error) (gathering.Athlete, error) {
	for range updateTries {
		stored, err := t.athlete(ctx, id)
		if err != nil {
			return gathering.Athlete{}, err
		}
		a := stored.athlete()
		if err := change(&a); err != nil {
			return gathering.Athlete{}, err
		}
		ok, err := t.putIf(ctx, toItem(a, stored.Revision+1), "attribute_not_exists(pk) OR revision = :v", stored.Revision)
		if err != nil {
			return gathering.Athlete{}, err
		}
		if ok {
			return a, nil
		}
	}
	return gathering.Athlete{}, fault.New(fault.Transient, "put athlete: too many writers at once")
}

type pauseItem struct {
	PK    string `dynamodbav:"pk"`
	Until int64  `dynamodbav:"paused_until"` // Unix ms
	For   string `dynamodbav:"waiting_for"`
}

// Pause implements [gathering.Pauses].
func (t *Table) Pause(ctx context.Context) (gathering.Pause, error) {
	var item pauseItem
	err := t.get(ctx, "pause", &item)
	if fault.Is(err, fault.NotFound) {
		return gathering.Pause{}, nil
	}
	return gathering.Pause{Until: instant(item.Until), For: item.For}, err
}

// SavePause implements [gathering.Pauses].
func (t *Table) SavePause(ctx context.Context, p gathering.Pause) error {
	_, err := t.putIf(ctx, pauseItem{"pause", p.Until.UnixMilli(), p.For},
		"attribute_not_exists(pk) OR paused_until < :v", p.Until.UnixMilli())
	return err
}

type webhookItem struct {
	PK                string `dynamodbav:"pk"`
	CallbackKeySHA256 string `dynamodbav:"callback_key_sha256"`
	VerifyTokenSHA256 string `dynamodbav:"verify_token_sha256"`
	SubscriptionID    int64  `dynamodbav:"subscription_id"`
	Version           int64  `dynamodbav:"version"`
}

// Webhook implements [gathering.Webhooks].
func (t *Table) Webhook(ctx context.Context) (gathering.Webhook, error) {
	var item webhookItem
	if err := t.get(ctx, "webhook", &item); err != nil {
		return gathering.Webhook{}, err
	}
	return gathering.Webhook{
		CallbackKeySHA256: item.CallbackKeySHA256, VerifyTokenSHA256: item.VerifyTokenSHA256,
		SubscriptionID: item.SubscriptionID, Version: item.Version,
	}, nil
}

// SaveWebhook implements [gathering.Webhooks].
func (t *Table) SaveWebhook(ctx context.Context, w gathering.Webhook) error {
	_, err := t.putIf(ctx, webhookItem{"webhook", w.CallbackKeySHA256, w.VerifyTokenSHA256, w.SubscriptionID, w.Version},
		"attribute_not_exists(pk) OR version < :v", w.Version)
	return err
}
