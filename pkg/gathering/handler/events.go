package handler

import (
	"context"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/athletev1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/kit/consume"
)

// EventRoutes maps the events of other boundaries to use cases.
func EventRoutes(z *gathering.Authorizations, c *gathering.Configuration) []consume.Route {
	return []consume.Route{
		consume.On(func(ctx context.Context, cause event.Meta, f credentialsv1.AthleteAuthorized) error {
			return z.Begin(ctx, cause, gathering.Authorization{AthleteID: f.AthleteID, Generation: f.Generation})
		}),
		consume.On(func(ctx context.Context, cause event.Meta, f credentialsv1.AuthorizationDegraded) error {
			return z.Degrade(ctx, cause, gathering.Authorization{AthleteID: f.AthleteID, Generation: f.Generation})
		}),
		consume.On(func(ctx context.Context, cause event.Meta, f credentialsv1.AuthorizationRevoked) error {
			return z.End(ctx, cause, gathering.Authorization{AthleteID: f.AthleteID, Generation: f.Generation}, f.Receipt)
		}),
		consume.On(func(ctx context.Context, _ event.Meta, f athletev1.GatherRequested) error {
			return z.RequestGather(ctx, gathering.Authorization{AthleteID: f.AthleteID, Generation: f.Generation})
		}),
		consume.On(func(ctx context.Context, _ event.Meta, f activityv1.RemovalQuestioned) error {
			return z.Recheck(ctx, gathering.Authorization{AthleteID: f.AthleteID, Generation: f.Generation}, f.ScanID, f.Sample)
		}),
		consume.On(func(ctx context.Context, _ event.Meta, f credentialsv1.WebhookConfigured) error {
			return c.Configure(ctx, gathering.Webhook{
				CallbackKeySHA256: f.CallbackKeySHA256, VerifyTokenSHA256: f.VerifyTokenSHA256,
				SubscriptionID: f.SubscriptionID, Version: f.Version,
			})
		}),
	}
}
