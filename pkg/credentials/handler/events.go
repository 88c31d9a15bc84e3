package handler

import (
	"context"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/athletev1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/consume"
)

// EventRoutes returns the handlers of other boundaries' events.
func EventRoutes(r *credentials.Reconciler) []consume.Route {
	return []consume.Route{
		consume.On(func(ctx context.Context, cause event.Meta, f gatheringv1.DeauthorizationReported) error {
			return r.HandleDeauthorization(ctx, cause, credentials.Athlete(f.AthleteID))
		}),
		consume.On(func(ctx context.Context, cause event.Meta, f athletev1.ErasureRequested) error {
			return r.HandleErasureRequest(ctx, cause, credentials.Athlete(f.AthleteID), f.Generation, f.Receipt, f.RequestedAt)
		}),
	}
}
