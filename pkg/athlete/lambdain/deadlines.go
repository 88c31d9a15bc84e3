package lambdain

import (
	"context"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/settings"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/obs"
)

// EnforceDeadlines enforces the deadlines and counts as metrics what is late.
func EnforceDeadlines(d *athlete.Deadlines, m *obs.Metrics) func(context.Context, struct{}) (struct{}, error) {
	return func(ctx context.Context, _ struct{}) (struct{}, error) {
		ctx, cancel := boot.WithReserve(ctx)
		defer cancel()
		late, err := d.Enforce(ctx)
		m.Count(settings.MetricKeptTooLong, late.Profiles)
		m.Count(settings.MetricErasuresOverdue, late.Erasures)
		return struct{}{}, err
	}
}
