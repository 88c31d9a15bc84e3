package gathering

import (
	"log/slog"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// Ports are the adapters of this boundary. Their methods build the use cases;
// nothing else does. A function sets the ports that its use case needs.
type Ports struct {
	Athletes          Athletes
	Inboxes           Inboxes
	Jobs              JobQueue
	Webhooks          Webhooks
	Inventory         Inventory
	Budgets           quota.Budgets
	Strava            Strava
	CheckSubscription CheckSubscription
	Waker             Waker
	Publisher         Publisher
	Metrics           Metrics
	// Events is also the clock of all use cases.
	Events event.Factory
	Log    *slog.Logger
}

func (p Ports) engine() *quota.Engine { return quota.NewEngine(p.Budgets, p.Events.Now) }

// Gatherer returns a gatherer.
func (p Ports) Gatherer() *Gatherer {
	return &Gatherer{
		Athletes: p.Athletes, Inboxes: p.Inboxes, Jobs: p.Jobs, Webhooks: p.Webhooks,
		Quota: p.engine(), Strava: p.Strava, Waker: p.Waker, Publisher: p.Publisher,
		Events: p.Events, Metrics: p.Metrics, Log: p.Log,
	}
}

// Authorizations returns the use case of the events about athletes.
func (p Ports) Authorizations() *Authorizations {
	return &Authorizations{
		Athletes: p.Athletes, Inboxes: p.Inboxes, Waker: p.Waker, Publisher: p.Publisher, Events: p.Events,
	}
}

// Receiver returns a receiver of webhook events with an empty cache.
func (p Ports) Receiver() *WebhookReceiver {
	return &WebhookReceiver{
		Webhooks: p.Webhooks, Inboxes: p.Inboxes, Waker: p.Waker, Publisher: p.Publisher,
		Events: p.Events, Metrics: p.Metrics, Log: p.Log,
	}
}

// Configuration returns the use case of the event WebhookConfigured.
func (p Ports) Configuration() *Configuration {
	return &Configuration{Webhooks: p.Webhooks, Now: p.Events.Now}
}

// Probe returns a probe of the webhook.
func (p Ports) Probe() *Probe {
	return &Probe{Webhooks: p.Webhooks, Check: p.CheckSubscription, Metrics: p.Metrics, Now: p.Events.Now}
}

// Deadlines returns the use case that drops old data.
func (p Ports) Deadlines() *Deadlines {
	return &Deadlines{Athletes: p.Athletes, Inboxes: p.Inboxes, Inventory: p.Inventory, Now: p.Events.Now}
}

// Overview returns the reader of the state of gathering.
func (p Ports) Overview() *Overview {
	return &Overview{Quota: p.engine(), Jobs: p.Jobs, Webhooks: p.Webhooks, Now: p.Events.Now}
}
