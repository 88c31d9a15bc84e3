package credentialstest

import (
	"log/slog"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// Memory is what the ports of [NewPorts] store things in.
type Memory struct {
	Store       *Store
	Credentials *CredentialStore
	Waitlist    *WaitlistStore
	Vault       *Vault
	Sealer      *Sealer
	Metrics     *kittest.Metrics
	Bus         *eventtest.Bus
}

// NewPorts returns the boundary's ports in memory, with a capacity of 10
// athletes, a logger that discards, and without a provider: set OAuth, API and
// Push.
func NewPorts(now func() time.Time) (credentials.Ports, *Memory) {
	store := NewStore()
	m := &Memory{
		Store: store, Credentials: NewCredentialStore(store), Waitlist: &WaitlistStore{}, Vault: NewVault(), Sealer: &Sealer{},
		Metrics: &kittest.Metrics{}, Bus: &eventtest.Bus{},
	}
	return credentials.Ports{
		Events: event.Factory{Now: now, NewID: startup.NewSecret}, Log: slog.New(slog.DiscardHandler), NewSecret: startup.NewSecret, Sleep: startup.Sleep,
		Publisher: m.Bus, Metrics: m.Metrics,
		Grants: store, States: store, CredentialStore: m.Credentials, WaitlistStore: m.Waitlist,
		Vault: m.Vault, Parameters: m.Vault, Sealer: m.Sealer,
		Counter: store, AthleteCapacity: 10, Providers: []string{credentials.ProviderStrava, "fitbit"},
	}, m
}
