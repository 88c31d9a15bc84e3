package ddb

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// Budgets implements [quota.Budgets]: one item of the gathering table.
type Budgets struct{ table *Table }

// NewBudgets makes an adapter for the named table.
func NewBudgets(client *dynamodb.Client, name string) *Budgets { return &Budgets{New(client, name)} }

var budgetKey = itemKey{"quota", "budget"}

// budgetItem is the budget as stored. Revision counts its writes, and each
// write is conditional on it. Times are Unix ms, 0 for the zero time.
type budgetItem struct {
	itemKey
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
		itemKey: budgetKey, Revision: revision,
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
	var item budgetItem
	err := s.table.get(ctx, budgetKey, &item)
	return item.budget(), err
}

// crowded is the contention of the budget, which all callers of Strava share:
// the pauses double, so that callers that collided spread out.
var crowded = contention{tries: 60, pause: func(attempt int) time.Duration {
	return min(4*time.Millisecond<<min(attempt, 6), 250*time.Millisecond)
}}

// UpdateBudget implements [quota.Budgets].
func (s *Budgets) UpdateBudget(ctx context.Context, change func(*quota.Budget) error) error {
	_, err := update(ctx, s.table, budgetKey, crowded, func(i budgetItem) int64 { return i.Revision },
		func(i budgetItem) (budgetItem, error) {
			b := i.budget()
			err := change(&b)
			return toBudgetItem(b, i.Revision+1), err
		})
	return err
}
