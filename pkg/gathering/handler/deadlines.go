package handler

import (
	"context"
	"log/slog"

	"github.com/paceline/paceline/pkg/gathering/metric"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// EnforceDeadlines enforces the deadlines. It reports as metrics the stored
// data by its age, and the data that is kept too long. A run that fails reports
// no 0, which would mean that all is well.
func EnforceDeadlines(d *gathering.Deadlines, m gathering.Metrics, log *slog.Logger) func(context.Context, struct{}) (struct{}, error) {
	return func(ctx context.Context, _ struct{}) (struct{}, error) {
		ctx, cancel := startup.WithReserve(ctx)
		defer cancel()
		census, err := d.Enforce(ctx)
		for what, n := range census.TooLong {
			m.Count(metric.KeptTooLong, n)
			log.ErrorContext(ctx, "kept too long", "what", what, "count", n)
		}
		if err != nil {
			return struct{}{}, err
		}
		m.Count(metric.KeptTooLong, 0) // So that there is a figure in any case.
		for days, n := range census.ByAge {
			m.Count(metric.FactsByAge(days), n)
		}
		return struct{}{}, nil
	}
}
