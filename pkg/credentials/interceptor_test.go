package credentials_test

import (
	"context"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// interceptor is called right before and right after every call that a process
// makes to another system, in order. It may kill the process there.
type interceptor func(point string)

// watch has at called around all of the process's calls.
func (at interceptor) watch(t *credentials.Tokens) *credentials.Tokens {
	t.Grants = interceptedGrants{t.Grants, at}
	t.Vault = interceptedVault{t.Vault, at}
	t.Sealer = interceptedSealer{t.Sealer, at}
	t.OAuth = interceptedOAuth{t.OAuth, at}
	t.Publisher = interceptedPublisher{t.Publisher, at}
	return t
}

// watchReconciler has at called around the calls of a reconciler and its parts.
func (at interceptor) watchReconciler(r *credentials.Reconciler) *credentials.Reconciler {
	watched := rewire(r, func(s *credentials.TokenStore) {
		s.Grants = interceptedGrants{s.Grants, at}
		s.Vault = interceptedVault{s.Vault, at}
		s.Sealer = interceptedSealer{s.Sealer, at}
		s.Publisher = interceptedPublisher{s.Publisher, at}
	})
	watched.setOAuth(interceptedOAuth{r.Revocation.OAuth, at})
	return watched.Reconciler
}

// watchConnect has at called around the calls that a connect makes after the
// callback.
func (at interceptor) watchConnect(c credentials.Connect) *credentials.Connect {
	c.Grants = interceptedGrants{c.Grants, at}
	c.Vault = interceptedVault{c.Vault, at}
	c.Sealer = interceptedSealer{c.Sealer, at}
	c.OAuth = interceptedOAuth{c.OAuth, at}
	c.Publisher = interceptedPublisher{c.Publisher, at}
	return &c
}

// around calls at before and after do.
func (at interceptor) around(what string, do func()) {
	at("before " + what)
	do()
	at("after " + what)
}

type interceptedGrants struct {
	credentials.Grants
	at interceptor
}

func (p interceptedGrants) Grant(ctx context.Context, account credentials.Account) (g credentials.Grant, err error) {
	p.at.around("reading the grant", func() { g, err = p.Grants.Grant(ctx, account) })
	return g, err
}

func (p interceptedGrants) Update(ctx context.Context, account credentials.Account, change func(*credentials.Grant) (changed bool, err error)) (g credentials.Grant, err error) {
	p.at.around("writing the grant", func() { g, err = p.Grants.Update(ctx, account, change) })
	return g, err
}

type interceptedVault struct {
	credentials.Vault
	at interceptor
}

func (p interceptedVault) App(ctx context.Context, provider string) (app credentials.App, err error) {
	p.at.around("reading the app", func() { app, err = p.Vault.App(ctx, provider) })
	return app, err
}

func (p interceptedVault) Tokens(ctx context.Context, account credentials.Account, generation, version int64) (pair credentials.TokenPair, err error) {
	p.at.around("reading tokens", func() { pair, err = p.Vault.Tokens(ctx, account, generation, version) })
	return pair, err
}

func (p interceptedVault) Latest(ctx context.Context, account credentials.Account, generation int64) (pair credentials.TokenPair, version int64, err error) {
	p.at.around("reading the latest tokens", func() { pair, version, err = p.Vault.Latest(ctx, account, generation) })
	return pair, version, err
}

func (p interceptedVault) SaveTokens(ctx context.Context, account credentials.Account, generation int64, pair credentials.TokenPair) (version int64, err error) {
	p.at.around("saving tokens", func() { version, err = p.Vault.SaveTokens(ctx, account, generation, pair) })
	return version, err
}

func (p interceptedVault) DeleteTokens(ctx context.Context, account credentials.Account, generation int64) (err error) {
	p.at.around("dropping tokens", func() { err = p.Vault.DeleteTokens(ctx, account, generation) })
	return err
}

func (p interceptedVault) SavePendingConnect(ctx context.Context, r credentials.PendingConnect) (err error) {
	p.at.around("saving the tokens of a connect", func() { err = p.Vault.SavePendingConnect(ctx, r) })
	return err
}

func (p interceptedVault) PendingConnects(ctx context.Context, provider string) (r []credentials.PendingConnect, err error) {
	p.at.around("reading the tokens of connects", func() { r, err = p.Vault.PendingConnects(ctx, provider) })
	return r, err
}

func (p interceptedVault) DeletePendingConnect(ctx context.Context, r credentials.PendingConnect) (err error) {
	p.at.around("dropping the tokens of a connect", func() { err = p.Vault.DeletePendingConnect(ctx, r) })
	return err
}

type interceptedSealer struct {
	credentials.Sealer
	at interceptor
}

func (p interceptedSealer) NewSeal(ctx context.Context, provider string) (seal credentials.Seal, err error) {
	p.at.around("preparing a seal", func() { seal, err = p.Sealer.NewSeal(ctx, provider) })
	return seal, err
}

func (p interceptedSealer) Open(ctx context.Context, account credentials.Account, sealed []byte) (pair credentials.TokenPair, err error) {
	p.at.around("opening a sealed pair", func() { pair, err = p.Sealer.Open(ctx, account, sealed) })
	return pair, err
}

type interceptedOAuth struct {
	credentials.OAuth
	at interceptor
}

func (p interceptedOAuth) Exchange(ctx context.Context, app credentials.App, redirectURI string, code, verifier secret.String) (a credentials.TokenResponse, err error) {
	p.at.around("exchanging the code", func() { a, err = p.OAuth.Exchange(ctx, app, redirectURI, code, verifier) })
	return a, err
}

func (p interceptedOAuth) Refresh(ctx context.Context, app credentials.App, token secret.String) (pair credentials.TokenPair, err error) {
	p.at.around("asking Strava", func() { pair, err = p.OAuth.Refresh(ctx, app, token) })
	return pair, err
}

func (p interceptedOAuth) Revoke(ctx context.Context, app credentials.App, pair credentials.TokenPair) (err error) {
	p.at.around("revoking", func() { err = p.OAuth.Revoke(ctx, app, pair) })
	return err
}

type interceptedPublisher struct {
	credentials.Publisher
	at interceptor
}

func (p interceptedPublisher) Publish(ctx context.Context, events ...event.Event) (err error) {
	p.at.around("publishing", func() { err = p.Publisher.Publish(ctx, events...) })
	return err
}
