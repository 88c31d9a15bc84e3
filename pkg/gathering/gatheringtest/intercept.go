package gatheringtest

import (
	"context"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// Boundary begins the names of the operations; see [kittest.Operations].
const Boundary = "gathering"

// StaleReads are the operations that may return [kittest.ErrStale] to get an old
// answer.
var StaleReads = []string{"gathering.Jobs.Due", "gathering.Jobs.Waiting"}

// InParts are the operations with the step [kittest.Part].
var InParts = []string{"gathering.Inboxes.DropInbox"}

// Intercept returns the ports with around at every call. Ports that are nil stay
// so.
func Intercept(p gathering.Ports, around kittest.Around) gathering.Ports {
	if p.Athletes != nil {
		p.Athletes = athletes{p.Athletes, around}
	}
	if p.Inboxes != nil {
		p.Inboxes = inboxes{p.Inboxes, around}
	}
	if p.Jobs != nil {
		p.Jobs = newJobs(p.Jobs, around)
	}
	if p.Webhooks != nil {
		p.Webhooks = webhooks{p.Webhooks, around}
	}
	if p.Inventory != nil {
		p.Inventory = items{p.Inventory, around}
	}
	if p.Budgets != nil {
		p.Budgets = budgets{p.Budgets, around}
	}
	if p.Strava != nil {
		p.Strava = strava{p.Strava, around, p.Events.Now}
	}
	if check := p.CheckSubscription; check != nil {
		p.CheckSubscription = func(ctx context.Context, r credentialsv1.CheckSubscriptionRequest) (credentialsv1.CheckSubscriptionResponse, error) {
			return kittest.Get(ctx, around, "gathering.CheckSubscription", func(ctx context.Context) (credentialsv1.CheckSubscriptionResponse, error) {
				return check(ctx, r)
			})
		}
	}
	if p.Waker != nil {
		p.Waker = waker{p.Waker, around}
	}
	if p.Publisher != nil {
		p.Publisher = kittest.Publisher{Port: p.Publisher, Around: around, Boundary: Boundary}
	}
	return p
}

type athletes struct {
	port   gathering.Athletes
	around kittest.Around
}

func (i athletes) Athlete(ctx context.Context, id int64) (gathering.Athlete, error) {
	return kittest.Get(ctx, i.around, "gathering.Athletes.Athlete", func(ctx context.Context) (gathering.Athlete, error) {
		return i.port.Athlete(ctx, id)
	})
}

func (i athletes) Update(ctx context.Context, id int64, change func(*gathering.Athlete) (bool, error)) (gathering.Athlete, error) {
	return kittest.Get(ctx, i.around, "gathering.Athletes.Update", func(ctx context.Context) (gathering.Athlete, error) {
		return i.port.Update(ctx, id, kittest.Writes(ctx, change))
	})
}

type inboxes struct {
	port   gathering.Inboxes
	around kittest.Around
}

func (i inboxes) UpdateInbox(ctx context.Context, athleteID int64, change func(*gathering.Inbox) (bool, error)) (gathering.Inbox, error) {
	return kittest.Get(ctx, i.around, "gathering.Inboxes.UpdateInbox", func(ctx context.Context) (gathering.Inbox, error) {
		return i.port.UpdateInbox(ctx, athleteID, kittest.Writes(ctx, change))
	})
}

func (i inboxes) Deliver(ctx context.Context, athleteID int64, digest string, h gathering.Hint) (gathering.Delivery, error) {
	return kittest.Get(ctx, i.around, "gathering.Inboxes.Deliver", func(ctx context.Context) (gathering.Delivery, error) {
		return i.port.Deliver(ctx, athleteID, digest, h)
	})
}

func (i inboxes) DropInbox(ctx context.Context, by gathering.Authorization) error {
	return i.around.Do(ctx, "gathering.Inboxes.DropInbox", func(ctx context.Context) error { return i.port.DropInbox(ctx, by) })
}

type jobs struct {
	port    gathering.JobQueue
	due     *kittest.StaleRead[jobsAfter, []gathering.JobRef]
	waiting *kittest.StaleRead[quota.Class, gathering.Waiting]
}

// jobsAfter is what two calls of Due have in common: the time is always another.
type jobsAfter struct {
	class quota.Class
	after gathering.JobRef
}

func newJobs(port gathering.JobQueue, around kittest.Around) jobs {
	return jobs{
		port,
		&kittest.StaleRead[jobsAfter, []gathering.JobRef]{Around: around, Op: "gathering.Jobs.Due", Copy: slices.Clone[[]gathering.JobRef]},
		&kittest.StaleRead[quota.Class, gathering.Waiting]{
			Around: around, Op: "gathering.Jobs.Waiting", Copy: func(w gathering.Waiting) gathering.Waiting { return w },
		},
	}
}

func (i jobs) Due(ctx context.Context, class quota.Class, at time.Time, after *gathering.JobRef, limit int) ([]gathering.JobRef, error) {
	key := jobsAfter{class: class}
	if after != nil {
		key.after = *after
	}
	refs, err := i.due.Get(ctx, key, func(ctx context.Context) ([]gathering.JobRef, error) {
		return i.port.Due(ctx, class, at, after, limit)
	})
	refs = slices.DeleteFunc(refs, func(r gathering.JobRef) bool { return r.Due.After(at) })
	return refs[:min(limit, len(refs))], err
}

func (i jobs) Waiting(ctx context.Context, class quota.Class, at time.Time) (gathering.Waiting, error) {
	return i.waiting.Get(ctx, class, func(ctx context.Context) (gathering.Waiting, error) { return i.port.Waiting(ctx, class, at) })
}

type webhooks struct {
	port   gathering.Webhooks
	around kittest.Around
}

func (i webhooks) Webhook(ctx context.Context) (gathering.Webhook, error) {
	return kittest.Get(ctx, i.around, "gathering.Webhooks.Webhook", i.port.Webhook)
}

func (i webhooks) UpdateWebhook(ctx context.Context, change func(*gathering.Webhook) (bool, error)) (gathering.Webhook, error) {
	return kittest.Get(ctx, i.around, "gathering.Webhooks.UpdateWebhook", func(ctx context.Context) (gathering.Webhook, error) {
		return i.port.UpdateWebhook(ctx, kittest.Writes(ctx, change))
	})
}

func (i webhooks) CountWebhookEvent(ctx context.Context, at time.Time) error {
	return i.around.Do(ctx, "gathering.Webhooks.CountWebhookEvent", func(ctx context.Context) error {
		return i.port.CountWebhookEvent(ctx, at)
	})
}

func (i webhooks) WebhookEvents(ctx context.Context, at time.Time) (int, error) {
	return kittest.Get(ctx, i.around, "gathering.Webhooks.WebhookEvents", func(ctx context.Context) (int, error) {
		return i.port.WebhookEvents(ctx, at)
	})
}

type items struct {
	port   gathering.Inventory
	around kittest.Around
}

func (i items) Each(ctx context.Context, athlete func(gathering.Athlete), inbox func(gathering.Inbox), event func(receivedAt time.Time)) error {
	return i.around.Do(ctx, "gathering.Inventory.Each", func(ctx context.Context) error { return i.port.Each(ctx, athlete, inbox, event) })
}

type budgets struct {
	port   quota.Budgets
	around kittest.Around
}

func (i budgets) Budget(ctx context.Context) (quota.Budget, error) {
	return kittest.Get(ctx, i.around, "gathering.Budgets.Budget", i.port.Budget)
}

func (i budgets) UpdateBudget(ctx context.Context, change func(*quota.Budget) (bool, error)) error {
	return i.around.Do(ctx, "gathering.Budgets.UpdateBudget", func(ctx context.Context) error {
		return i.port.UpdateBudget(ctx, kittest.Writes(ctx, change))
	})
}

type waker struct {
	port   gathering.Waker
	around kittest.Around
}

func (i waker) Wake(ctx context.Context, after time.Duration) error {
	return i.around.Do(ctx, "gathering.Waker.Wake", func(ctx context.Context) error { return i.port.Wake(ctx, after) })
}
