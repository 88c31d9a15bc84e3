package lambdain

import (
	"context"
	"encoding/json"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/kit/consume"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Work does the job in a message of the work queue.
func Work(g *gathering.Gatherer) func(context.Context, string) (string, error) {
	return func(ctx context.Context, body string) (string, error) {
		var job gathering.Job
		if json.Unmarshal([]byte(body), &job) != nil {
			return "", fault.New(fault.Permanent, "message is not a job")
		}
		return "", g.Do(ctx, job)
	}
}

// EventRoutes is what the boundary does about its neighbours' events.
func EventRoutes(z *gathering.Authorizations, w gathering.Webhooks) []consume.Route {
	return []consume.Route{
		consume.On(func(ctx context.Context, cause event.Meta, f credentialsv1.AthleteAuthorized) error {
			return z.Begin(ctx, cause, f.AthleteID, f.Generation)
		}),
		consume.On(func(ctx context.Context, cause event.Meta, f credentialsv1.AuthorizationDegraded) error {
			return z.Degrade(ctx, cause, f.AthleteID, f.Generation)
		}),
		consume.On(func(ctx context.Context, cause event.Meta, f credentialsv1.AuthorizationRevoked) error {
			return z.End(ctx, cause, f.AthleteID, f.Generation, f.Receipt)
		}),
		consume.On(func(ctx context.Context, _ event.Meta, f credentialsv1.WebhookConfigured) error {
			return w.SaveWebhook(ctx, gathering.Webhook{
				CallbackKeySHA256: f.CallbackKeySHA256, VerifyTokenSHA256: f.VerifyTokenSHA256,
				SubscriptionID: f.SubscriptionID, Version: f.Version,
			})
		}),
	}
}
