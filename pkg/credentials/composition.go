package credentials

import (
	"context"
	"log/slog"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
)

// Ports are the adapters and settings of a process. Its methods put the use
// cases together; each needs only the fields that it uses. Grants, OAuth and
// API are those of one provider.
//
// Use cases that take a [Tokens] share it, and with it the token pairs in
// memory.
type Ports struct {
	Events event.Factory
	Log    *slog.Logger
	// NewSecret returns 256 unguessable bits as URL-safe text.
	NewSecret func() string
	// Sleep waits, or returns early with the context's error.
	Sleep     func(context.Context, time.Duration) error
	Publisher Publisher
	Metrics   Metrics

	Grants          Grants
	States          ConnectStates
	CredentialStore CredentialStore
	WaitlistStore   WaitlistStore
	Vault           Vault
	Parameters      Parameters
	Sealer          Sealer

	OAuth OAuth
	API   API
	Push  Push
	// ReadToday reads the page's data on a linked account.
	ReadToday func(ctx context.Context, now time.Time, get func(path string) (credentialsv1.ForwardResponse, error)) (Today, error)

	// Counter counts grants against AthleteCapacity; nil where the provider
	// sets no limit.
	Counter         GrantCounter
	AthleteCapacity int
	// Providers are the names of all providers.
	Providers []string
	// RedirectURI is the public URL to which the provider sends people back.
	RedirectURI string
	// CallbackURL is as in [Admin].
	CallbackURL string
}

func (p Ports) ledger() Ledger {
	return Ledger{Grants: p.Grants, Publisher: p.Publisher, Events: p.Events}
}

func (p Ports) tokenStore() TokenStore {
	return TokenStore{Ledger: p.ledger(), Vault: p.Vault, Sealer: p.Sealer, Metrics: p.Metrics, Sleep: p.Sleep}
}

// Tokens returns the token pairs of the provider's accounts, with none in
// memory.
func (p Ports) Tokens() *Tokens { return &Tokens{TokenStore: p.tokenStore(), OAuth: p.OAuth} }

// Requester returns the requester of the provider's API.
func (p Ports) Requester(tokens *Tokens) *Requester {
	return &Requester{Tokens: tokens, API: p.API, Log: p.Log}
}

// Connect returns the use case that leads people through OAuth.
func (p Ports) Connect() *Connect {
	return &Connect{
		TokenStore: p.tokenStore(), States: p.States, OAuth: p.OAuth, Capacity: p.Capacity(), NewSecret: p.NewSecret, RedirectURI: p.RedirectURI,
	}
}

// Capacity returns the application's athlete capacity; nil without a Counter.
func (p Ports) Capacity() *Capacity {
	if p.Counter == nil {
		return nil
	}
	return &Capacity{Counter: p.Counter, Athletes: p.AthleteCapacity, Now: p.Events.Now}
}

// Reconciler returns the reconciler of the provider's grants.
func (p Ports) Reconciler(tokens *Tokens) *Reconciler {
	return &Reconciler{
		TokenStore: p.tokenStore(),
		Connect:    p.Connect(),
		Revocation: &Revocation{
			TokenStore: p.tokenStore(),
			Tokens:     tokens,
			OAuth:      p.OAuth,
			API:        p.API,
			Sessions:   p.Sessions(),
			NewSecret:  p.NewSecret,
		},
		Log: p.Log,
	}
}

// Links returns the athletes' use of the accounts that they link.
func (p Ports) Links(tokens *Tokens) *Links {
	return &Links{Reconciler: p.Reconciler(tokens), Requester: p.Requester(tokens), ReadToday: p.ReadToday, NewSecret: p.NewSecret}
}

// Accounts returns the use of accounts by workers of other systems.
func (p Ports) Accounts(tokens *Tokens) *Accounts {
	return &Accounts{Grants: p.Grants, Requester: p.Requester(tokens), Providers: p.Providers}
}

// Sessions returns the use case that opens and ends sessions.
func (p Ports) Sessions() *Sessions {
	return &Sessions{Store: p.CredentialStore, NewSecret: p.NewSecret, Now: p.Events.Now}
}

// Keys returns the use case that makes and revokes keys.
func (p Ports) Keys() *Keys {
	return &Keys{Store: p.CredentialStore, NewSecret: p.NewSecret, Now: p.Events.Now}
}

// Authenticator returns an authenticator with no callers in memory.
func (p Ports) Authenticator() *Authenticator {
	return &Authenticator{Store: p.CredentialStore, Now: p.Events.Now, Log: p.Log}
}

// Waitlist returns the waitlist of an application with the capacity.
func (p Ports) Waitlist(capacity *Capacity) *Waitlist {
	return &Waitlist{Store: p.WaitlistStore, Forms: p.States, Capacity: capacity, NewSecret: p.NewSecret, Now: p.Events.Now}
}

// Admin returns the operator's actions.
func (p Ports) Admin() *Admin {
	return &Admin{
		Ledger: p.ledger(), Vault: p.Vault, Parameters: p.Parameters, Waitlist: p.Waitlist(p.Capacity()),
		Sessions: p.Sessions(), Push: p.Push, Providers: p.Providers, NewSecret: p.NewSecret, Capacity: p.AthleteCapacity,
		CallbackURL: p.CallbackURL, Sleep: p.Sleep,
	}
}

// SubscriptionCheck returns the check of the push subscription.
func (p Ports) SubscriptionCheck() *SubscriptionCheck {
	return &SubscriptionCheck{Vault: p.Vault, Push: p.Push, NewSecret: p.NewSecret, CallbackURL: p.CallbackURL}
}
