package gatheringtest

import (
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota/quotatest"
)

// Memory holds the adapters of the gathering boundary in memory. Use
// [NewMemory].
type Memory struct {
	Store   *Store
	Budgets *quotatest.Budgets
	Waker   *Waker
	Bus     *eventtest.Bus
	Metrics *kittest.Metrics

	ids atomic.Int64
}

// NewMemory makes empty adapters.
func NewMemory() *Memory {
	return &Memory{
		Store: NewStore(), Budgets: &quotatest.Budgets{}, Waker: &Waker{}, Bus: &eventtest.Bus{}, Metrics: &kittest.Metrics{},
	}
}

// Ports returns ports over the adapters, which log nothing and never repeat an
// id. Strava and CheckSubscription are nil: the test sets their answers.
func (m *Memory) Ports(now func() time.Time) gathering.Ports {
	return gathering.Ports{
		Athletes: m.Store, Inboxes: m.Store, Jobs: m.Store, Webhooks: m.Store, Inventory: m.Store, Budgets: m.Budgets,
		Waker: m.Waker, Publisher: m.Bus, Metrics: m.Metrics, Log: slog.New(slog.DiscardHandler),
		Events: event.Factory{Now: now, NewID: func() string { return "id-" + strconv.FormatInt(m.ids.Add(1), 10) }},
	}
}
