package lambdain

import (
	"context"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/settings"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/obs"
)

// EnforceDeadlines enforces the deadlines and counts as metrics what is late and how
// erasures fare.
func EnforceDeadlines(d *athlete.Deadlines, m *obs.Metrics) func(context.Context, struct{}) (struct{}, error) {
	return func(ctx context.Context, _ struct{}) (struct{}, error) {
		ctx, cancel := boot.WithReserve(ctx)
		defer cancel()
		found, err := d.Enforce(ctx)
		m.Count(settings.MetricKeptTooLong, found.ProfilesLate)
		m.Count(settings.MetricErasuresPending, found.ErasuresPending)
		m.Count(settings.MetricErasuresOverdue, found.ErasuresOverdue)
		m.Count(settings.MetricErasuresCompleted, found.ErasuresCompleted)
		return struct{}{}, err
	}
}
