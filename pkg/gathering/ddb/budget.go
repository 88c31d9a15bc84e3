package ddb

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Budgets implements [quota.Budgets]: one item of the gathering table.
type Budgets struct {
	client *dynamodb.Client
	name   string
}

// NewBudgets makes an adapter for the named table.
func NewBudgets(client *dynamodb.Client, name string) *Budgets { return &Budgets{client, name} }

// The budget's key.
const budgetPK, budgetSK = "quota", "budget"

// budgetItem is the budget as stored. Revision counts its writes, and each
// write is conditional on it. Times are Unix ms, 0 for the zero time.
type budgetItem struct {
	PK          string                `dynamodbav:"pk"`
	SK          string                `dynamodbav:"sk"`
	Revision    int64                 `dynamodbav:"revision"`
	Quarter     meterItem             `dynamodbav:"quarter"`
	Day         meterItem             `dynamodbav:"day"`
	Told        int64                 `dynamodbav:"told"`
	Issued      int64                 `dynamodbav:"issued"`
	Outstanding []permitItem          `dynamodbav:"outstanding,omitempty"`
	PausedUntil int64                 `dynamodbav:"paused_until"`
	PausedFor   string                `dynamodbav:"paused_for,omitempty"`
	PausedID    int64                 `dynamodbav:"paused_id"`
	Failing     []failureItem         `dynamodbav:"failing,omitempty"`
	Pauses      int                   `dynamodbav:"pauses"`
	PausedSince int64                 `dynamodbav:"paused_since"`
	PausesToday int                   `dynamodbav:"pauses_today"`
	Served      []serviceItem         `dynamodbav:"served,omitempty"`
	Others      int64                 `dynamodbav:"others"`
	RateLimited int                   `dynamodbav:"rate_limited"`
	Since       int64                 `dynamodbav:"since"`
	Demand      map[string]demandItem `dynamodbav:"demand,omitempty"`
}

// failureItem stores the outcome as its number, so outcomes must not be
// renumbered.
type failureItem struct {
	Athlete quota.Mark `dynamodbav:"athlete"`
	Outcome int        `dynamodbav:"outcome"`
}

type serviceItem struct {
	Athlete quota.Mark `dynamodbav:"athlete"`
	At      int64      `dynamodbav:"at"`
}

type meterItem struct {
	LimitOverall int        `dynamodbav:"limit_overall"`
	LimitRead    int        `dynamodbav:"limit_read"`
	Now          windowItem `dynamodbav:"now"`
	Before       windowItem `dynamodbav:"before"`
}

type windowItem struct {
	Index       int64 `dynamodbav:"index"`
	SeenOverall int   `dynamodbav:"seen_overall"`
	SeenRead    int   `dynamodbav:"seen_read"`
	Unseen      int   `dynamodbav:"unseen"`
	UnseenID    int64 `dynamodbav:"unseen_id"`
	Own         int   `dynamodbav:"own"`
	Confirmed   bool  `dynamodbav:"confirmed"`
}

type permitItem struct {
	ID      int64  `dynamodbav:"id"`
	Class   string `dynamodbav:"class"`
	Expires int64  `dynamodbav:"expires"`
}

type demandItem struct {
	Today     [24]int     `dynamodbav:"today"`
	Usual     [24]float64 `dynamodbav:"usual"`
	Days      int         `dynamodbav:"days"`
	Calls     int         `dynamodbav:"calls"`
	Yesterday int         `dynamodbav:"yesterday"`
}

func toBudgetItem(b quota.Budget, revision int64) budgetItem {
	item := budgetItem{
		PK: budgetPK, SK: budgetSK, Revision: revision,
		Quarter: toMeterItem(b.Quarter), Day: toMeterItem(b.Day), Told: millis(b.Told), Issued: b.Issued,
		PausedUntil: millis(b.Pause.Until), PausedFor: b.Pause.For, PausedID: b.Pause.ID,
		Pauses: b.Health.Pauses, PausedSince: millis(b.Health.PausedSince), PausesToday: b.PausesToday,
		Others: millis(b.Others), RateLimited: b.RateLimited, Since: millis(b.Since),
	}
	for _, f := range b.Health.Failing {
		item.Failing = append(item.Failing, failureItem{f.Athlete, int(f.Outcome)})
	}
	for _, s := range b.Health.Served {
		item.Served = append(item.Served, serviceItem{s.Athlete, millis(s.At)})
	}
	for _, p := range b.Outstanding {
		item.Outstanding = append(item.Outstanding, permitItem{p.ID, string(p.Class), millis(p.Expires)})
	}
	if b.Demand != nil {
		item.Demand = map[string]demandItem{}
	}
	for class, d := range b.Demand {
		item.Demand[string(class)] = demandItem(d)
	}
	return item
}

func (i budgetItem) budget() quota.Budget {
	b := quota.Budget{
		Quarter: i.Quarter.meter(), Day: i.Day.meter(), Told: instant(i.Told), Issued: i.Issued,
		Pause:       quota.Pause{Until: instant(i.PausedUntil), For: i.PausedFor, ID: i.PausedID},
		Health:      quota.Health{Pauses: i.Pauses, PausedSince: instant(i.PausedSince)},
		PausesToday: i.PausesToday, Others: instant(i.Others), RateLimited: i.RateLimited, Since: instant(i.Since),
	}
	for _, f := range i.Failing {
		b.Health.Failing = append(b.Health.Failing, quota.Failure{Athlete: f.Athlete, Outcome: quota.Outcome(f.Outcome)})
	}
	for n, s := range i.Served {
		b.Health.Served[n] = quota.Service{Athlete: s.Athlete, At: instant(s.At)}
	}
	for _, p := range i.Outstanding {
		b.Outstanding = append(b.Outstanding, quota.Permit{ID: p.ID, Class: quota.Class(p.Class), Expires: instant(p.Expires)})
	}
	if i.Revision > 0 {
		b.Demand = map[quota.Class]quota.Demand{}
	}
	for class, d := range i.Demand {
		b.Demand[quota.Class(class)] = quota.Demand(d)
	}
	return b
}

func toMeterItem(m quota.Meter) meterItem {
	return meterItem{m.Limit.Overall, m.Limit.Read, toWindowItem(m.Now), toWindowItem(m.Before)}
}

func (i meterItem) meter() quota.Meter {
	return quota.Meter{
		Limit: quota.Buckets{Overall: i.LimitOverall, Read: i.LimitRead}, Now: i.Now.window(), Before: i.Before.window(),
	}
}

func toWindowItem(w quota.Window) windowItem {
	return windowItem{w.Index, w.Seen.Overall, w.Seen.Read, w.Unseen, w.UnseenID, w.Own, w.Confirmed}
}

func (i windowItem) window() quota.Window {
	return quota.Window{
		Index: i.Index, Seen: quota.Buckets{Overall: i.SeenOverall, Read: i.SeenRead},
		Unseen: i.Unseen, UnseenID: i.UnseenID, Own: i.Own, Confirmed: i.Confirmed,
	}
}

// Budget implements [quota.Budgets].
func (s *Budgets) Budget(ctx context.Context) (quota.Budget, error) {
	item, err := s.get(ctx)
	return item.budget(), err
}

func (s *Budgets) get(ctx context.Context) (budgetItem, error) {
	res, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: aws.String(s.name),
		Key: map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: budgetPK},
			"sk": &types.AttributeValueMemberS{Value: budgetSK},
		},
		ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return budgetItem{}, fault.New(fault.Transient, "get the budget: %w", err)
	}
	var item budgetItem
	if err := attributevalue.UnmarshalMap(res.Item, &item); err != nil {
		return budgetItem{}, fault.New(fault.Permanent, "read the budget: %w", err)
	}
	return item, nil
}

const (
	// budgetTries bounds how often a change of the budget, which all callers of
	// Strava share, starts over because of another write in between.
	budgetTries = 60
	// A caller that has to start over waits for up to this long, twice as long
	// each time, so that callers that collided spread out.
	shortestBackoff, longestBackoff = 4 * time.Millisecond, 250 * time.Millisecond
)

// UpdateBudget implements [quota.Budgets].
func (s *Budgets) UpdateBudget(ctx context.Context, change func(*quota.Budget) error) error {
	backoff := shortestBackoff
	for range budgetTries {
		stored, err := s.get(ctx)
		if err != nil {
			return err
		}
		b := stored.budget()
		if err := change(&b); err != nil {
			return err
		}
		written, err := s.put(ctx, toBudgetItem(b, stored.Revision+1))
		if err != nil || written {
			return err
		}
		select {
		case <-ctx.Done():
			return fault.New(fault.Transient, "put the budget: %w", ctx.Err())
		case <-time.After(rand.N(backoff)):
		}
		backoff = min(2*backoff, longestBackoff)
	}
	return fault.New(fault.Transient, "put the budget: too many writers at once")
}

// put writes the item unless another revision than the one before it is stored.
func (s *Budgets) put(ctx context.Context, item budgetItem) (written bool, _ error) {
	av, err := attributevalue.MarshalMap(item)
	if err != nil {
		return false, fault.New(fault.Permanent, "encode the budget: %w", err)
	}
	_, err = s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:           aws.String(s.name),
		Item:                av,
		ConditionExpression: aws.String("attribute_not_exists(pk) OR revision = :seen"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":seen": &types.AttributeValueMemberN{Value: strconv.FormatInt(item.Revision-1, 10)},
		},
	})
	var refused *types.ConditionalCheckFailedException
	switch {
	case errors.As(err, &refused):
		return false, nil
	case err != nil:
		return false, fault.New(fault.Transient, "put the budget: %w", err)
	}
	return true, nil
}
