package handler

import (
	"context"
	"log/slog"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// EnforceDeadlines serves enforce-deadlines. It reports as metrics the stored
// data by its age, and the data that is kept too long. A run that fails does
// not report 0 as kept too long, since it has not seen all data.
func EnforceDeadlines(d *gathering.Deadlines, m gathering.Metrics, log *slog.Logger) func(context.Context, struct{}) (struct{}, error) {
	return func(ctx context.Context, _ struct{}) (struct{}, error) {
		ctx, cancel := startup.WithMargin(ctx)
		defer cancel()
		report, err := d.Enforce(ctx)
		for kind, n := range report.TooOld {
			m.Count(metric.KeptTooLong, n)
			log.ErrorContext(ctx, "kept too long", "kind", kind, "count", n)
		}
		if err != nil {
			return struct{}{}, err
		}
		m.Count(metric.KeptTooLong, 0) // The alarm needs a value even if nothing is too old.
		for days, n := range report.ByAge {
			m.Count(metric.FactsByAge(days), n)
		}
		return struct{}{}, nil
	}
}
