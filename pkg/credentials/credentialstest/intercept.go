package credentialstest

import (
	"context"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// Boundary begins the names of the operations; see [kittest.Operations].
const Boundary = "credentials"

// StaleReads are the operations that may return [kittest.ErrStale] to get an old
// answer. Those of the vault return one only for a pair that was deleted less
// than 30 s ago; without such a pair they make the call.
var StaleReads = []string{
	"credentials.Counter.CountAuthorized", "credentials.Grants.List", "credentials.Grants.Pending",
	"credentials.Vault.Latest", "credentials.Vault.Tokens",
}

// InParts are the operations with the step [kittest.Part].
var InParts = []string{"credentials.CredentialStore.Delete", "credentials.Parameters.Clear", "credentials.WaitlistStore.Clear"}

// Intercept returns the ports with around at every call. Ports that are nil stay
// so.
func Intercept(p credentials.Ports, around kittest.Around) credentials.Ports {
	if p.Publisher != nil {
		p.Publisher = kittest.Publisher{Port: p.Publisher, Around: around, Boundary: Boundary}
	}
	if p.Grants != nil {
		p.Grants = newGrants(p.Grants, around)
	}
	if p.States != nil {
		p.States = states{p.States, around}
	}
	if p.CredentialStore != nil {
		p.CredentialStore = credentialStore{p.CredentialStore, around}
	}
	if p.WaitlistStore != nil {
		p.WaitlistStore = waitlistStore{p.WaitlistStore, around}
	}
	if p.Vault != nil {
		p.Vault = newVault(p.Vault, around)
	}
	if p.Parameters != nil {
		p.Parameters = parameters{p.Parameters, around}
	}
	if p.Sealer != nil {
		p.Sealer = sealer{p.Sealer, around}
	}
	if p.Counter != nil {
		p.Counter = newCounter(p.Counter, around)
	}
	return interceptProvider(p, around)
}

func interceptProvider(p credentials.Ports, around kittest.Around) credentials.Ports {
	if p.OAuth != nil {
		p.OAuth = oauth{p.OAuth, around}
	}
	if p.API != nil {
		p.API = api{p.API, around}
	}
	if p.Push != nil {
		p.Push = push{p.Push, around}
	}
	if today := p.ReadToday; today != nil {
		p.ReadToday = func(ctx context.Context, now time.Time, get func(path string) (credentialsv1.ForwardResponse, error)) (credentials.Today, error) {
			return kittest.Get(ctx, around, "credentials.ReadToday", func(ctx context.Context) (credentials.Today, error) {
				return today(ctx, now, get)
			})
		}
	}
	return p
}

type states struct {
	port   credentials.ConnectStates
	around kittest.Around
}

func (i states) PutState(ctx context.Context, state string, s credentials.ConnectState) error {
	return i.around.Do(ctx, "credentials.States.PutState", func(ctx context.Context) error { return i.port.PutState(ctx, state, s) })
}

func (i states) TakeState(ctx context.Context, state string) (credentials.ConnectState, error) {
	return kittest.Get(ctx, i.around, "credentials.States.TakeState", func(ctx context.Context) (credentials.ConnectState, error) {
		return i.port.TakeState(ctx, state)
	})
}

type credentialStore struct {
	port   credentials.CredentialStore
	around kittest.Around
}

func (i credentialStore) Put(ctx context.Context, c credentials.Credential) error {
	return i.around.Do(ctx, "credentials.CredentialStore.Put", func(ctx context.Context) error { return i.port.Put(ctx, c) })
}

func (i credentialStore) Credential(ctx context.Context, athleteID int64, hash string) (credentials.Credential, credentials.Grant, error) {
	return kittest.Get2(ctx, i.around, "credentials.CredentialStore.Credential", func(ctx context.Context) (credentials.Credential, credentials.Grant, error) {
		return i.port.Credential(ctx, athleteID, hash)
	})
}

func (i credentialStore) Credentials(ctx context.Context, athleteID int64) ([]credentials.Credential, error) {
	return kittest.Get(ctx, i.around, "credentials.CredentialStore.Credentials", func(ctx context.Context) ([]credentials.Credential, error) {
		return i.port.Credentials(ctx, athleteID)
	})
}

func (i credentialStore) Update(ctx context.Context, c credentials.Credential) error {
	return i.around.Do(ctx, "credentials.CredentialStore.Update", func(ctx context.Context) error { return i.port.Update(ctx, c) })
}

func (i credentialStore) End(ctx context.Context, tombstone credentials.Credential) error {
	return i.around.Do(ctx, "credentials.CredentialStore.End", func(ctx context.Context) error { return i.port.End(ctx, tombstone) })
}

func (i credentialStore) Delete(ctx context.Context, all []credentials.Credential) error {
	return i.around.Do(ctx, "credentials.CredentialStore.Delete", func(ctx context.Context) error { return i.port.Delete(ctx, all) })
}

func (i credentialStore) Sessions(ctx context.Context, cursor string, limit int) ([]credentials.Credential, string, error) {
	return kittest.Get2(ctx, i.around, "credentials.CredentialStore.Sessions", func(ctx context.Context) ([]credentials.Credential, string, error) {
		return i.port.Sessions(ctx, cursor, limit)
	})
}

type waitlistStore struct {
	port   credentials.WaitlistStore
	around kittest.Around
}

func (i waitlistStore) Add(ctx context.Context, e credentials.WaitlistEntry, until time.Time) error {
	return i.around.Do(ctx, "credentials.WaitlistStore.Add", func(ctx context.Context) error { return i.port.Add(ctx, e, until) })
}

func (i waitlistStore) Entries(ctx context.Context, now time.Time) ([]credentials.WaitlistEntry, error) {
	return kittest.Get(ctx, i.around, "credentials.WaitlistStore.Entries", func(ctx context.Context) ([]credentials.WaitlistEntry, error) {
		return i.port.Entries(ctx, now)
	})
}

func (i waitlistStore) Remove(ctx context.Context, contact string) error {
	return i.around.Do(ctx, "credentials.WaitlistStore.Remove", func(ctx context.Context) error { return i.port.Remove(ctx, contact) })
}

func (i waitlistStore) Clear(ctx context.Context) (int, error) {
	return kittest.Get(ctx, i.around, "credentials.WaitlistStore.Clear", i.port.Clear)
}

type parameters struct {
	port   credentials.Parameters
	around kittest.Around
}

func (i parameters) Clear(ctx context.Context) (int, error) {
	return kittest.Get(ctx, i.around, "credentials.Parameters.Clear", i.port.Clear)
}

type sealer struct {
	port   credentials.Sealer
	around kittest.Around
}

func (i sealer) NewSeal(ctx context.Context, provider string) (credentials.Seal, error) {
	return kittest.Get(ctx, i.around, "credentials.Sealer.NewSeal", func(ctx context.Context) (credentials.Seal, error) {
		return i.port.NewSeal(ctx, provider)
	})
}

func (i sealer) Open(ctx context.Context, account credentials.Account, sealed []byte) (credentials.TokenPair, error) {
	return kittest.Get(ctx, i.around, "credentials.Sealer.Open", func(ctx context.Context) (credentials.TokenPair, error) {
		return i.port.Open(ctx, account, sealed)
	})
}
