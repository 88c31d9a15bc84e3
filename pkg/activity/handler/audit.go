package handler

import (
	"context"
	"log/slog"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/metric"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// Audit returns the Lambda handler that counts everything stored by its age, as
// metrics.
func Audit(a *activity.Auditor, m *emf.Metrics, log *slog.Logger) func(context.Context, struct{}) (struct{}, error) {
	return func(ctx context.Context, _ struct{}) (struct{}, error) {
		ctx, cancel := startup.WithMargin(ctx)
		defer cancel()
		report, err := a.Audit(ctx)
		if err != nil {
			return struct{}{}, err
		}
		for days, n := range report.Activities {
			m.Count(metric.ActivitiesByAge(days), n)
		}
		m.Count(metric.KeptTooLong, 0) // The alarm needs a value from every run.
		for kind, n := range report.TooOld {
			m.Count(metric.KeptTooLong, n)
			log.ErrorContext(ctx, "kept too long", "kind", kind, "count", n)
		}
		return struct{}{}, nil
	}
}
