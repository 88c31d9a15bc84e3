package gathering

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// Measure reports as metrics the jobs that wait, the quota used and reserved,
// and how long calls have been paused.
func (g *Gatherer) Measure(ctx context.Context) error {
	now := g.Events.Now()
	s, err := g.Quota.Status(ctx)
	if err != nil {
		return err
	}
	g.Metrics.Count(metric.UsedQuarter, s.Quarter.Used)
	g.Metrics.Count(metric.UsedDay, s.Day.Used)
	g.Metrics.Count(metric.LimitQuarter, s.Quarter.Limit)
	g.Metrics.Count(metric.LimitDay, s.Day.Limit)
	paused := 0
	if !s.PausedSince.IsZero() {
		paused = int(now.Sub(s.PausedSince) / time.Second)
	}
	g.Metrics.Count(metric.Paused, paused)
	for _, class := range quota.Classes {
		w, err := g.Jobs.Waiting(ctx, class, now)
		if err != nil {
			return fmt.Errorf("count the jobs of class %s: %w", class, err)
		}
		g.Metrics.Count(metric.Waiting(string(class)), w.Count)
		g.Metrics.Count(metric.ReservedQuarter(string(class)), int(math.Ceil(s.Quarter.Reserves[class])))
		g.Metrics.Count(metric.ReservedDay(string(class)), int(math.Ceil(s.Day.Reserves[class])))
		if class == quota.Webhook {
			age := 0
			if !w.Oldest.IsZero() {
				age = int(now.Sub(w.Oldest) / time.Second)
			}
			g.Metrics.Count(metric.OldestWebhook, age)
		}
	}
	return nil
}
