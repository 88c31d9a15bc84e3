package credentialstest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// Store is the grants table in memory.
type Store struct {
	mu       sync.Mutex
	grants   map[credentials.Account]credentials.Grant
	revision map[credentials.Account]int
	states   map[string]credentials.ConnectState
}

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{
		grants: map[credentials.Account]credentials.Grant{}, revision: map[credentials.Account]int{},
		states: map[string]credentials.ConnectState{},
	}
}

func clone(g credentials.Grant) credentials.Grant {
	g.Scopes, g.Candidates, g.Obsolete = slices.Clone(g.Scopes), slices.Clone(g.Candidates), slices.Clone(g.Obsolete)
	g.Revocations, g.Completed, g.Links = slices.Clone(g.Revocations), slices.Clone(g.Completed), slices.Clone(g.Links)
	g.Tokens.Sealed = slices.Clone(g.Tokens.Sealed)
	for i := range g.Candidates {
		c := &g.Candidates[i]
		c.Sealed, c.Scopes = slices.Clone(c.Sealed), slices.Clone(c.Scopes)
	}
	for i := range g.Revocations {
		g.Revocations[i].Links = slices.Clone(g.Revocations[i].Links)
	}
	for i := range g.Completed {
		g.Completed[i].Links = slices.Clone(g.Completed[i].Links)
	}
	return g
}

// Grant implements [credentials.Grants].
func (s *Store) Grant(_ context.Context, account credentials.Account) (credentials.Grant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.grants[account]
	if !ok {
		return credentials.Grant{}, fault.New(fault.NotFound, "no such grant")
	}
	return clone(g), nil
}

// Update implements [credentials.Grants]. Like a real store it runs change
// outside any lock, and writes only if no other process has written meanwhile.
func (s *Store) Update(_ context.Context, account credentials.Account, change func(*credentials.Grant) (changed bool, err error)) (credentials.Grant, error) {
	for {
		s.mu.Lock()
		g, seen := clone(s.grants[account]), s.revision[account]
		s.mu.Unlock()
		g.Account = account
		changed, err := change(&g)
		if err != nil {
			return credentials.Grant{}, err
		}
		if !changed {
			return g, nil
		}
		s.mu.Lock()
		if s.revision[account] == seen {
			s.grants[account] = clone(g)
			s.revision[account]++
			s.mu.Unlock()
			return g, nil
		}
		s.mu.Unlock()
	}
}

// List implements [credentials.Grants].
func (s *Store) List(_ context.Context, provider, cursor string, limit int) ([]credentials.Grant, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cursor != "" && !strings.HasPrefix(cursor, provider+"/") {
		return nil, "", fault.New(fault.Invalid, "the cursor is malformed")
	}
	page := []credentials.Grant{}
	for _, account := range slices.SortedFunc(maps.Keys(s.grants), byName) {
		if account.String() <= cursor || account.Provider != provider {
			continue
		}
		if len(page) == limit {
			return page, page[limit-1].Account.String(), nil
		}
		page = append(page, clone(s.grants[account]))
	}
	return page, "", nil
}

// Pending implements [credentials.Grants].
func (s *Store) Pending(_ context.Context, provider string) ([]credentials.Grant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	grants := []credentials.Grant{}
	for _, account := range slices.SortedFunc(maps.Keys(s.grants), byName) {
		if g := s.grants[account]; account.Provider == provider && g.HasPendingTasks() {
			grants = append(grants, clone(g))
		}
	}
	slices.SortStableFunc(grants, func(a, b credentials.Grant) int { return a.Retry.Next.Compare(b.Retry.Next) })
	return grants, nil
}

func byName(a, b credentials.Account) int { return strings.Compare(a.String(), b.String()) }

// PutState implements [credentials.ConnectStates].
func (s *Store) PutState(_ context.Context, key string, state credentials.ConnectState) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	state.ExpiresAt = state.ExpiresAt.Truncate(time.Second)
	s.states[key] = state
	return nil
}

// TakeState implements [credentials.ConnectStates].
func (s *Store) TakeState(_ context.Context, key string) (credentials.ConnectState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, ok := s.states[key]
	if !ok {
		return credentials.ConnectState{}, fault.New(fault.NotFound, "no such state")
	}
	delete(s.states, key)
	return state, nil
}

// Vault is the parameter store in memory.
type Vault struct {
	mu       sync.Mutex
	apps     map[string]credentials.App // by provider
	tokens   map[parameter][]credentials.TokenPair
	received []credentials.PendingConnect
	// AppFault is returned in place of any registration, until one is saved.
	AppFault error
	// Reads counts how often tokens were read.
	Reads int
}

// parameter names the parameter of an account's generation.
type parameter struct {
	account    credentials.Account
	generation int64
}

// NewVault returns an empty vault.
func NewVault() *Vault {
	return &Vault{apps: map[string]credentials.App{}, tokens: map[parameter][]credentials.TokenPair{}}
}

// App implements [credentials.Vault].
func (v *Vault) App(_ context.Context, provider string) (credentials.App, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.AppFault != nil {
		return credentials.App{}, v.AppFault
	}
	app, ok := v.apps[provider]
	if !ok {
		return credentials.App{}, fault.New(fault.NotFound, "no app")
	}
	return app, nil
}

// SaveApp implements [credentials.Vault].
func (v *Vault) SaveApp(_ context.Context, provider string, app credentials.App) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.apps[provider], v.AppFault = app, nil
	return nil
}

// Tokens implements [credentials.Vault].
func (v *Vault) Tokens(_ context.Context, account credentials.Account, generation, version int64) (credentials.TokenPair, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.Reads++
	versions := v.tokens[parameter{account, generation}]
	if version < 1 || version > int64(len(versions)) {
		return credentials.TokenPair{}, fault.New(fault.NotFound, "no such version")
	}
	return versions[version-1], nil
}

// Latest implements [credentials.Vault].
func (v *Vault) Latest(_ context.Context, account credentials.Account, generation int64) (credentials.TokenPair, int64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.Reads++
	versions := v.tokens[parameter{account, generation}]
	if len(versions) == 0 {
		return credentials.TokenPair{}, 0, fault.New(fault.NotFound, "no tokens")
	}
	return versions[len(versions)-1], int64(len(versions)), nil
}

// SaveTokens implements [credentials.Vault].
func (v *Vault) SaveTokens(_ context.Context, account credentials.Account, generation int64, pair credentials.TokenPair) (int64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := parameter{account, generation}
	v.tokens[p] = append(v.tokens[p], pair)
	return int64(len(v.tokens[p])), nil
}

// DeleteTokens implements [credentials.Vault].
func (v *Vault) DeleteTokens(_ context.Context, account credentials.Account, generation int64) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.tokens, parameter{account, generation})
	return nil
}

// SavePendingConnect implements [credentials.Vault].
func (v *Vault) SavePendingConnect(_ context.Context, r credentials.PendingConnect) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.received = append(slices.DeleteFunc(v.received, same(r)), r)
	return nil
}

// PendingConnects implements [credentials.Vault].
func (v *Vault) PendingConnects(_ context.Context, provider string) ([]credentials.PendingConnect, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(v.received), func(r credentials.PendingConnect) bool { return r.Account.Provider != provider }), nil
}

// DeletePendingConnect implements [credentials.Vault].
func (v *Vault) DeletePendingConnect(_ context.Context, r credentials.PendingConnect) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.received = slices.DeleteFunc(v.received, same(r))
	return nil
}

func same(r credentials.PendingConnect) func(credentials.PendingConnect) bool {
	return func(other credentials.PendingConnect) bool {
		return other.Account == r.Account && other.ID == r.ID
	}
}

// Clear implements [credentials.Parameters].
func (v *Vault) Clear(ctx context.Context) (deleted int, _ error) {
	for {
		n := v.clearSome()
		if deleted += n; n == 0 {
			return deleted, nil
		}
		if err := kittest.BetweenParts(ctx); err != nil {
			return deleted, err
		}
	}
}

// clearSome deletes as many parameters as SSM deletes in one call.
func (v *Vault) clearSome() (deleted int) {
	const most = 10
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, provider := range slices.Sorted(maps.Keys(v.apps)) {
		if deleted < most {
			delete(v.apps, provider)
			deleted++
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(v.tokens), byParameter) {
		if deleted < most {
			delete(v.tokens, p)
			deleted++
		}
	}
	received := min(most-deleted, len(v.received))
	v.received = v.received[received:]
	return deleted + received
}

func byParameter(a, b parameter) int {
	return cmp.Or(byName(a.account, b.account), cmp.Compare(a.generation, b.generation))
}

// Holds reports whether the vault holds any tokens of the account.
func (v *Vault) Holds(account credentials.Account) bool { return len(v.Generations(account)) > 0 }

// Generations returns the generations in whose parameters the vault holds
// tokens of the account, in ascending order. 0 stands for each pending connect.
func (v *Vault) Generations(account credentials.Account) []int64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	var held []int64
	for p := range v.tokens {
		if p.account == account {
			held = append(held, p.generation)
		}
	}
	for _, r := range v.received {
		if r.Account == account {
			held = append(held, 0)
		}
	}
	slices.Sort(held)
	return held
}

// Sealer keeps pairs in memory; a sealed pair is the key of one.
type Sealer struct {
	mu     sync.Mutex
	sealed map[string]credentials.TokenPair
}

// NewSeal implements [credentials.Sealer].
func (s *Sealer) NewSeal(_ context.Context, provider string) (credentials.Seal, error) {
	return func(account credentials.Account, pair credentials.TokenPair) ([]byte, error) {
		if account.Provider != provider {
			return nil, fault.New(fault.Permanent, "the seal is for another provider")
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.sealed == nil {
			s.sealed = map[string]credentials.TokenPair{}
		}
		key := fmt.Sprintf("%s/%d", account, len(s.sealed))
		s.sealed[key] = pair
		return []byte(key), nil
	}, nil
}

// Open implements [credentials.Sealer].
func (s *Sealer) Open(_ context.Context, account credentials.Account, sealed []byte) (credentials.TokenPair, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pair, ok := s.sealed[string(sealed)]
	if !ok || !strings.HasPrefix(string(sealed), account.String()+"/") {
		return credentials.TokenPair{}, fault.New(fault.Permanent, "not sealed for this account")
	}
	return pair, nil
}
