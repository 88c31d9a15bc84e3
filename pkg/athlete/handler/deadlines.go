package handler

import (
	"context"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/metric"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// EnforceDeadlines serves enforce-deadlines. It reports as metrics the profiles
// by their age, those that are kept too long, and the erasures. A run that
// fails does not report 0, since it may not have seen all data.
func EnforceDeadlines(d *athlete.Deadlines, m *emf.Metrics) func(context.Context, struct{}) (struct{}, error) {
	return func(ctx context.Context, _ struct{}) (struct{}, error) {
		ctx, cancel := startup.WithMargin(ctx)
		defer cancel()
		report, err := d.Enforce(ctx)
		counts := map[string]int{
			metric.KeptTooLong:       report.TooOld,
			metric.ErasuresPending:   report.Erasures.Pending,
			metric.ErasuresOverdue:   report.Erasures.Overdue,
			metric.ErasuresCompleted: report.Erasures.Completed,
		}
		for days, n := range report.ByAge {
			counts[metric.ProfilesByAge(days)] = n
		}
		for metric, n := range counts {
			if err == nil || n > 0 {
				m.Count(metric, n)
			}
		}
		return struct{}{}, err
	}
}
