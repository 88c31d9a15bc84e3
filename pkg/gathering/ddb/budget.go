package ddb

import (
	"context"

	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/dynamo"
)

// Budgets implements [quota.Budgets]: one item of the gathering table.
type Budgets struct{ table dynamo.Table }

// NewBudgets makes an adapter for the named table.
func NewBudgets(client dynamo.API, name string) *Budgets {
	return &Budgets{dynamo.Table{API: client, Name: name}}
}

var budgetKey = itemKey{"quota", "budget"}

// budgetItem is the budget as stored.
type budgetItem struct {
	itemKey
	dynamo.Revision
	Quarter         meterItem             `dynamodbav:"quarter"`
	Day             meterItem             `dynamodbav:"day"`
	LimitsSeenAt    dynamo.Millis         `dynamodbav:"limits_seen_at"`
	Issued          int64                 `dynamodbav:"issued"`
	Outstanding     []permitItem          `dynamodbav:"outstanding,omitempty"`
	PausedUntil     dynamo.Millis         `dynamodbav:"paused_until"`
	PauseReason     string                `dynamodbav:"pause_reason,omitempty"`
	PausedID        int64                 `dynamodbav:"paused_id"`
	Failing         []failureItem         `dynamodbav:"failing,omitempty"`
	Pauses          int                   `dynamodbav:"pauses"`
	PausedSince     dynamo.Millis         `dynamodbav:"paused_since"`
	PausesToday     int                   `dynamodbav:"pauses_today"`
	Served          []serviceItem         `dynamodbav:"served,omitempty"`
	ExternalUsageAt dynamo.Millis         `dynamodbav:"external_usage_at"`
	RateLimited     int                   `dynamodbav:"rate_limited"`
	Since           dynamo.Millis         `dynamodbav:"since"`
	Demand          map[string]demandItem `dynamodbav:"demand,omitempty"`
}

// failureItem stores the outcome as its number, so outcomes must not be
// renumbered.
type failureItem struct {
	Athlete quota.AthleteHash `dynamodbav:"athlete"`
	Outcome int               `dynamodbav:"outcome"`
}

type serviceItem struct {
	Athlete quota.AthleteHash `dynamodbav:"athlete"`
	At      dynamo.Millis     `dynamodbav:"at"`
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
	ID      int64         `dynamodbav:"id"`
	Class   string        `dynamodbav:"class"`
	Expires dynamo.Millis `dynamodbav:"expires"`
}

type demandItem struct {
	Today     [24]int     `dynamodbav:"today"`
	Usual     [24]float64 `dynamodbav:"usual"`
	Days      int         `dynamodbav:"days"`
	Calls     int         `dynamodbav:"calls"`
	Yesterday int         `dynamodbav:"yesterday"`
}

func toBudgetItem(b quota.Budget) budgetItem {
	item := budgetItem{
		itemKey: budgetKey,
		Quarter: toMeterItem(b.Quarter), Day: toMeterItem(b.Day), LimitsSeenAt: dynamo.MillisOf(b.LimitsSeenAt), Issued: b.Issued,
		PausedUntil: dynamo.MillisOf(b.Pause.Until), PauseReason: b.Pause.Reason, PausedID: b.Pause.ID,
		Pauses: b.Health.Pauses, PausedSince: dynamo.MillisOf(b.Health.PausedSince), PausesToday: b.PausesToday,
		ExternalUsageAt: dynamo.MillisOf(b.ExternalUsageAt), RateLimited: b.RateLimited, Since: dynamo.MillisOf(b.Since),
	}
	for _, f := range b.Health.Failing {
		item.Failing = append(item.Failing, failureItem{f.Athlete, int(f.Outcome)})
	}
	for _, s := range b.Health.Served {
		item.Served = append(item.Served, serviceItem{s.Athlete, dynamo.MillisOf(s.At)})
	}
	for _, p := range b.Outstanding {
		item.Outstanding = append(item.Outstanding, permitItem{p.ID, string(p.Class), dynamo.MillisOf(p.Expires)})
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
		Quarter: i.Quarter.meter(), Day: i.Day.meter(), LimitsSeenAt: i.LimitsSeenAt.Time(), Issued: i.Issued,
		Pause:       quota.Pause{Until: i.PausedUntil.Time(), Reason: i.PauseReason, ID: i.PausedID},
		Health:      quota.Health{Pauses: i.Pauses, PausedSince: i.PausedSince.Time()},
		PausesToday: i.PausesToday, ExternalUsageAt: i.ExternalUsageAt.Time(), RateLimited: i.RateLimited, Since: i.Since.Time(),
	}
	for _, f := range i.Failing {
		b.Health.Failing = append(b.Health.Failing, quota.Failure{Athlete: f.Athlete, Outcome: quota.Outcome(f.Outcome)})
	}
	for n, s := range i.Served {
		b.Health.Served[n] = quota.ServedCall{Athlete: s.Athlete, At: s.At.Time()}
	}
	for _, p := range i.Outstanding {
		b.Outstanding = append(b.Outstanding, quota.Permit{ID: p.ID, Class: quota.Class(p.Class), Expires: p.Expires.Time()})
	}
	if i.Revision.Revision != "" {
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
	_, err := s.table.Get(ctx, budgetKey.item(), &item)
	return item.budget(), err
}

// UpdateBudget implements [quota.Budgets].
func (s *Budgets) UpdateBudget(ctx context.Context, change func(*quota.Budget) (bool, error)) error {
	_, err := dynamo.Update(ctx, s.table, dynamo.Crowded, budgetKey.item(), func(i *budgetItem) (bool, error) {
		b := i.budget()
		changed, err := change(&b)
		if changed {
			*i = toBudgetItem(b)
		}
		return changed, err
	})
	return err
}
