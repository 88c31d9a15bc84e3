package handler

import (
	"context"

	"github.com/paceline/paceline/pkg/athlete/metric"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// EnforceDeadlines enforces the deadlines and counts as metrics what is late and how
// erasures fare. A run that fails may not have seen everything, and reports no 0,
// which would say that all is well.
func EnforceDeadlines(d *athlete.Deadlines, m *emf.Metrics) func(context.Context, struct{}) (struct{}, error) {
	return func(ctx context.Context, _ struct{}) (struct{}, error) {
		ctx, cancel := startup.WithReserve(ctx)
		defer cancel()
		found, err := d.Enforce(ctx)
		counts := map[string]int{
			metric.KeptTooLong:       found.ProfilesLate,
			metric.ErasuresPending:   found.Erasures.Pending,
			metric.ErasuresOverdue:   found.Erasures.Overdue,
			metric.ErasuresCompleted: found.Erasures.Completed,
		}
		for days, n := range found.Profiles {
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
