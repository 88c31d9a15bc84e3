package gathering

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/paceline/paceline/pkg/gathering/quota"
)

// tidyLimit is how many scans one call of [Gatherer.Tidy] moves at most.
const tidyLimit = 500

// Tidy moves scans into the classes where they belong by now. It makes no call
// to Strava.
func (g *Gatherer) Tidy(ctx context.Context) error {
	now := g.Minter.Now()
	webhook, err := g.Webhooks.Webhook(ctx)
	if err != nil {
		return fmt.Errorf("read the last gap: %w", err)
	}
	gap := webhook.Gap
	if gap.To.IsZero() || gap.Planned {
		_, err := g.move(ctx, now, now.Add(-promoteAfter), gap.To)
		return err
	}
	// What was read before the gap's end was due, in the class spare, at most
	// this much after it; what is found there and was read later stays.
	all, err := g.move(ctx, now, gap.To.Add(sweepAge+maxPageDelay), gap.To)
	if err != nil || !all {
		return err
	}
	g.Log.InfoContext(ctx, "all scans planned anew", "gap_from", gap.From, "gap_to", gap.To)
	_, err = g.Webhooks.UpdateWebhook(ctx, func(w *Webhook) error {
		if w.Gap != gap {
			return errUnchanged
		}
		w.Gap.Planned = true
		return nil
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return fmt.Errorf("note that the gap is dealt with: %w", err)
	}
	return nil
}

// move plans the spare scans again that are due at a time, and reports whether
// it has seen all of them.
func (g *Gatherer) move(ctx context.Context, now, due, gap time.Time) (all bool, _ error) {
	var last *JobRef
	for range tidyLimit / audience {
		places, err := g.Jobs.Due(ctx, quota.Spare, due, last, audience)
		if err != nil {
			return false, fmt.Errorf("list spare scans: %w", err)
		}
		for _, p := range places {
			_, err := g.Athletes.Update(ctx, p.AthleteID, func(a *Athlete) error {
				if a.State != Active || a.Job.Class != quota.Spare || a.Job.LeasedUntil.After(now) {
					return errUnchanged
				}
				if a.plan(now, gap); a.Job.Class == quota.Spare {
					return errUnchanged
				}
				return nil
			})
			if err != nil && !errors.Is(err, errUnchanged) {
				return false, fmt.Errorf("move a scan: %w", err)
			}
		}
		if len(places) < audience {
			return true, nil
		}
		last = &places[len(places)-1]
	}
	return false, nil
}

// Measure counts the work that waits, and what of the quota is used and kept.
func (g *Gatherer) Measure(ctx context.Context) error {
	now := g.Minter.Now()
	s, err := g.Quota.Status(ctx)
	if err != nil {
		return err
	}
	g.Metrics.Count(MetricUsedQuarter, s.Quarter.Used)
	g.Metrics.Count(MetricUsedDay, s.Day.Used)
	g.Metrics.Count(MetricLimitQuarter, s.Quarter.Limit)
	g.Metrics.Count(MetricLimitDay, s.Day.Limit)
	for _, class := range quota.Classes {
		w, err := g.Jobs.Waiting(ctx, class, now)
		if err != nil {
			return fmt.Errorf("count the work of class %s: %w", class, err)
		}
		g.Metrics.Count(MetricWaiting(class), w.Count)
		g.Metrics.Count(MetricReservedQuarter(class), int(math.Ceil(s.Quarter.Reserves[class])))
		g.Metrics.Count(MetricReservedDay(class), int(math.Ceil(s.Day.Reserves[class])))
		if class == quota.Webhook {
			age := 0
			if !w.Oldest.IsZero() {
				age = int(now.Sub(w.Oldest) / time.Second)
			}
			g.Metrics.Count(MetricOldestWebhook, age)
		}
	}
	return nil
}
