package gathering

import (
	"context"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// permitted makes a job's calls to Strava, each with a permit.
type permitted struct {
	g   *Gatherer
	ref JobRef
	// settlement is the quota's result of the last call; answered says whether
	// Strava answered that call.
	settlement quota.Settlement
	answered   bool
}

// call gets a permit, makes the call, and settles the permit. A permit that
// cannot be settled expires and counts as spent.
func call[T any](ctx context.Context, p *permitted, do func() (T, Reading, error)) (T, Reading, error) {
	g := p.g
	permit, err := g.Quota.Acquire(ctx, p.ref.Class, p.ref.Due)
	if err != nil {
		var none T
		return none, Reading{}, err
	}
	g.Metrics.Count(metric.Calls(string(p.ref.Class)), 1)
	out, reading, err := do()
	reading.Scarce = permit.Scarce
	reading.Answer.AthleteID = p.ref.AthleteID
	p.answered = reading.Answer.Outcome == quota.Answered
	if reading.Answer.Outcome == quota.RateLimited {
		g.Metrics.Count(metric.RateLimited, 1)
	}
	var failed error
	if p.settlement, failed = g.Quota.Settle(ctx, permit, reading.Answer); failed != nil {
		g.Log.WarnContext(ctx, "permit not settled", "error", failed.Error())
	}
	return out, reading, err
}

// Athlete implements [Strava].
func (p *permitted) Athlete(ctx context.Context, by Authorization) (gatheringv1.Athlete, Reading, error) {
	return call(ctx, p, func() (gatheringv1.Athlete, Reading, error) { return p.g.Strava.Athlete(ctx, by) })
}

// Activities implements [Strava].
func (p *permitted) Activities(ctx context.Context, by Authorization, r PageRequest) (Page, Reading, error) {
	return call(ctx, p, func() (Page, Reading, error) { return p.g.Strava.Activities(ctx, by, r) })
}

// Activity implements [Strava].
func (p *permitted) Activity(ctx context.Context, by Authorization, activityID int64) (gatheringv1.Activity, Reading, error) {
	return call(ctx, p, func() (gatheringv1.Activity, Reading, error) {
		return p.g.Strava.Activity(ctx, by, activityID)
	})
}
