package sim

import (
	"context"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/gathering"
)

// Most runs of frequent schedules find nothing to do. So that a month takes less
// than a second, only about one in idleRuns of these takes place.
const idleRuns = 60

// idle reports whether a run of a scheduled function is left out, because it
// would find nothing to do.
func (w *world) idle(function string) bool {
	left := w.idleTicks[function]
	nothing := false
	switch function {
	case "gathering/gather-work":
		nothing = w.noJobDue()
	case "gathering/probe-webhook":
		nothing = w.webhookUndisturbed()
	case "credentials/reconcile-grants":
		nothing = w.noTask(credentials.ProviderStrava)
	case "credentials/reconcile-links":
		// Tasks of links may wait for some minutes.
		nothing = left%5 != 0 || w.noTask(provider.NameFitbit)
	}
	if !nothing || left == idleRuns {
		w.idleTicks[function] = 0
		return false
	}
	w.idleTicks[function]++
	return true
}

// noJobDue reports whether no instance sees a job that is due.
func (w *world) noJobDue() bool {
	due, any := w.stored.gathering.Store.NextDue()
	return !any || due.After(time.Now().Add(w.plan.Skew))
}

// noTask reports whether the provider's grants have no pending tasks.
func (w *world) noTask(name string) bool {
	grants, err := w.stored.credentials.Store.Pending(context.Background(), name)
	if err != nil || len(grants) > 0 {
		return false
	}
	connects, err := w.stored.credentials.Vault.PendingConnects(context.Background(), name)
	return err == nil && len(connects) == 0
}

// probed are the places that a probe of the webhook passes.
var probed = []string{
	"schedule gathering/probe-webhook", "lambda gathering/probe-webhook", "lambda credentials/check-subscription", "lambda gathering/receive-webhook",
	"credentials.Vault.App", "gathering.Inboxes.Deliver", "gathering.Webhooks.Webhook", "gathering.Webhooks.UpdateWebhook",
	"gathering.Webhooks.UpdateWebhook/write", "gateway webhook", "network " + host(siteURL), "network " + host(stravaURL), "strava push",
}

// webhookUndisturbed reports whether a probe would find the webhook healthy, as
// the last one did: nothing that it passes fails often now or within some minutes.
// Then it stores that, as the probe would do.
func (w *world) webhookUndisturbed() bool {
	since := time.Since(w.faults.began)
	if slices.ContainsFunc(w.faults.ofProbe, func(t *injection) bool {
		return since >= t.From-5*time.Minute && since < t.To+5*time.Minute
	}) {
		return false
	}
	healthy := false
	_, err := w.stored.gathering.Store.UpdateWebhook(context.Background(), func(s *gathering.Webhook) (bool, error) {
		if healthy = s.Version > 0 && s.Callback.FailingSince.IsZero() && time.Since(s.Callback.HealthyAt) < 4*time.Minute; healthy {
			s.Callback.HealthyAt = time.Now().UTC()
		}
		return healthy, nil
	})
	return err == nil && healthy
}
