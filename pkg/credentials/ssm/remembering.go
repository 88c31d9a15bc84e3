package ssm

import (
	"context"
	"sync"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
)

// appLife is how long a registration is kept in memory.
const appLife = time.Minute

// Remembering is a vault that keeps registrations in memory for a minute:
// anybody who connects asks for one, more often than SSM would put up with. It
// is not for those who change them, who would write back what is old.
type Remembering struct {
	credentials.Vault
	now func() time.Time

	mu   sync.Mutex
	apps map[string]readApp // by provider
}

type readApp struct {
	credentials.App
	at time.Time
}

// NewRemembering makes one of vault.
func NewRemembering(vault credentials.Vault, now func() time.Time) *Remembering {
	return &Remembering{Vault: vault, now: now, apps: map[string]readApp{}}
}

// App implements [credentials.Vault].
func (r *Remembering) App(ctx context.Context, provider string) (credentials.App, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if read, ok := r.apps[provider]; ok && r.now().Sub(read.at) < appLife {
		return read.App, nil
	}
	app, err := r.Vault.App(ctx, provider)
	if err == nil {
		r.apps[provider] = readApp{app, r.now()}
	}
	return app, err
}
