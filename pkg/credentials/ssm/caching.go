package ssm

import (
	"context"
	"sync"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
)

// appTTL is how long a registration is kept in memory.
const appTTL = time.Minute

// CachingVault is a vault that keeps registrations in memory for a minute:
// every connect reads one, more often than SSM allows. It is not for functions
// that change registrations, which would write back an old one.
type CachingVault struct {
	credentials.Vault
	now func() time.Time

	mu   sync.Mutex
	apps map[string]readApp // by provider
}

type readApp struct {
	credentials.App
	at time.Time
}

// NewCachingVault returns a caching vault over vault.
func NewCachingVault(vault credentials.Vault, now func() time.Time) *CachingVault {
	return &CachingVault{Vault: vault, now: now, apps: map[string]readApp{}}
}

// App implements [credentials.Vault].
func (r *CachingVault) App(ctx context.Context, provider string) (credentials.App, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if read, ok := r.apps[provider]; ok && r.now().Sub(read.at) < appTTL {
		return read.App, nil
	}
	app, err := r.Vault.App(ctx, provider)
	if err == nil {
		r.apps[provider] = readApp{app, r.now()}
	}
	return app, err
}
