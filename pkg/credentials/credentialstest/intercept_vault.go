package credentialstest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// shownAfterDelete is how long a deleted parameter may still be read: SSM asks
// for as long before it is created again.
const shownAfterDelete = 30 * time.Second

type vault struct {
	port   credentials.Vault
	around kittest.Around

	mu sync.Mutex
	// known has the pairs that were read or saved, by version.
	known map[parameter]map[int64]credentials.TokenPair
	// deleted has those that were deleted since.
	deleted map[parameter]deletedPairs
}

type deletedPairs struct {
	at       time.Time
	versions map[int64]credentials.TokenPair
}

func newVault(port credentials.Vault, around kittest.Around) *vault {
	return &vault{
		port: port, around: around,
		known: map[parameter]map[int64]credentials.TokenPair{}, deleted: map[parameter]deletedPairs{},
	}
}

func (i *vault) remember(p parameter, version int64, pair credentials.TokenPair) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.known[p] == nil {
		i.known[p] = map[int64]credentials.TokenPair{}
	}
	i.known[p][version] = pair
}

func (i *vault) forget(p parameter) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if versions := i.known[p]; versions != nil {
		i.deleted[p] = deletedPairs{time.Now(), versions}
		delete(i.known, p)
	}
}

// shown returns the versions that a stale read may still show.
func (i *vault) shown(p parameter) map[int64]credentials.TokenPair {
	i.mu.Lock()
	defer i.mu.Unlock()
	maps.DeleteFunc(i.deleted, func(_ parameter, d deletedPairs) bool { return time.Since(d.at) >= shownAfterDelete })
	return i.deleted[p].versions
}

func (i *vault) App(ctx context.Context, provider string) (credentials.App, error) {
	return kittest.Get(ctx, i.around, "credentials.Vault.App", func(ctx context.Context) (credentials.App, error) {
		return i.port.App(ctx, provider)
	})
}

func (i *vault) SaveApp(ctx context.Context, provider string, app credentials.App) error {
	return i.around.Do(ctx, "credentials.Vault.SaveApp", func(ctx context.Context) error { return i.port.SaveApp(ctx, provider, app) })
}

func (i *vault) Tokens(ctx context.Context, account credentials.Account, generation, version int64) (credentials.TokenPair, error) {
	p := parameter{account, generation}
	read := func(ctx context.Context) (credentials.TokenPair, error) {
		pair, err := i.port.Tokens(ctx, account, generation, version)
		if err == nil {
			i.remember(p, version, pair)
		}
		return pair, err
	}
	pair, err := kittest.GetOrStale(ctx, i.around, "credentials.Vault.Tokens", read)
	if !errors.Is(err, kittest.ErrStale) {
		return pair, err
	}
	if pair, ok := i.shown(p)[version]; ok {
		return pair, nil
	}
	return read(ctx)
}

// versioned is a pair with its version.
type versioned struct {
	pair    credentials.TokenPair
	version int64
}

func (i *vault) Latest(ctx context.Context, account credentials.Account, generation int64) (credentials.TokenPair, int64, error) {
	p := parameter{account, generation}
	read := func(ctx context.Context) (versioned, error) {
		pair, version, err := i.port.Latest(ctx, account, generation)
		if err == nil {
			i.remember(p, version, pair)
		}
		return versioned{pair, version}, err
	}
	latest, err := kittest.GetOrStale(ctx, i.around, "credentials.Vault.Latest", read)
	if errors.Is(err, kittest.ErrStale) {
		if shown := i.shown(p); len(shown) > 0 {
			version := slices.Max(slices.Collect(maps.Keys(shown)))
			return shown[version], version, nil
		}
		latest, err = read(ctx)
	}
	return latest.pair, latest.version, err
}

func (i *vault) SaveTokens(ctx context.Context, account credentials.Account, generation int64, pair credentials.TokenPair) (int64, error) {
	return kittest.Get(ctx, i.around, "credentials.Vault.SaveTokens", func(ctx context.Context) (int64, error) {
		version, err := i.port.SaveTokens(ctx, account, generation, pair)
		if err == nil {
			i.remember(parameter{account, generation}, version, pair)
		}
		return version, err
	})
}

func (i *vault) DeleteTokens(ctx context.Context, account credentials.Account, generation int64) error {
	return i.around.Do(ctx, "credentials.Vault.DeleteTokens", func(ctx context.Context) error {
		err := i.port.DeleteTokens(ctx, account, generation)
		if err == nil {
			i.forget(parameter{account, generation})
		}
		return err
	})
}

func (i *vault) SavePendingConnect(ctx context.Context, r credentials.PendingConnect) error {
	return i.around.Do(ctx, "credentials.Vault.SavePendingConnect", func(ctx context.Context) error { return i.port.SavePendingConnect(ctx, r) })
}

func (i *vault) PendingConnects(ctx context.Context, provider string) ([]credentials.PendingConnect, error) {
	return kittest.Get(ctx, i.around, "credentials.Vault.PendingConnects", func(ctx context.Context) ([]credentials.PendingConnect, error) {
		return i.port.PendingConnects(ctx, provider)
	})
}

func (i *vault) DeletePendingConnect(ctx context.Context, r credentials.PendingConnect) error {
	return i.around.Do(ctx, "credentials.Vault.DeletePendingConnect", func(ctx context.Context) error {
		return i.port.DeletePendingConnect(ctx, r)
	})
}
