package handler

import (
	"cmp"
	"context"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/consume"
)

// EventRoutes are the events that the athlete plane consumes.
func EventRoutes(s *athlete.Service) []consume.Route {
	return []consume.Route{
		consume.On(s.AthleteGathered),
		consume.On(s.AthleteAuthorized),
		consume.On(s.AuthorizationDegraded),
		consume.On(s.AuthorizationRevoked),
		consume.On(s.AccountLinked),
		consume.On(s.AccountUnlinked),
		consume.On(func(ctx context.Context, cause event.Meta, f credentialsv1.ErasureCompleted) error {
			return s.ErasureCompleted(ctx, cause, f.Receipt, cmp.Or(f.LinkedProvider, athlete.PartCredentials))
		}),
		consume.On(func(ctx context.Context, cause event.Meta, f gatheringv1.ErasureCompleted) error {
			return s.ErasureCompleted(ctx, cause, f.Receipt, athlete.PartGathering)
		}),
		consume.On(func(ctx context.Context, cause event.Meta, f activityv1.ErasureCompleted) error {
			return s.ErasureCompleted(ctx, cause, f.Receipt, athlete.PartActivity)
		}),
	}
}
