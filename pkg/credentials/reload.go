package credentials

import (
	"context"
	"errors"

	"github.com/paceline/paceline/pkg/kit/secret"
)

// ReloadingOAuth is an OAuth for callers whose copy of the registration may be
// outdated. When the provider refuses the application, it reads the stored
// registration and, if that differs, repeats the call: so a connect that began
// before the client secret was changed succeeds. A provider that refuses the
// application has not consumed the code or token.
type ReloadingOAuth struct {
	OAuth
	// Vault keeps no registration in memory.
	Vault Vault
}

// Exchange implements [OAuth].
func (o ReloadingOAuth) Exchange(ctx context.Context, app App, redirectURI string, code, verifier secret.String) (auth TokenResponse, err error) {
	err = o.call(ctx, app, func(app App) error {
		auth, err = o.OAuth.Exchange(ctx, app, redirectURI, code, verifier)
		return err
	})
	return auth, err
}

// Revoke implements [OAuth].
func (o ReloadingOAuth) Revoke(ctx context.Context, app App, pair TokenPair) error {
	return o.call(ctx, app, func(app App) error { return o.OAuth.Revoke(ctx, app, pair) })
}

func (o ReloadingOAuth) call(ctx context.Context, app App, as func(App) error) error {
	err := as(app)
	if !errors.Is(err, ErrAppRefused) {
		return err
	}
	stored, readErr := o.Vault.App(ctx, o.Rules().Provider)
	if readErr != nil || (stored.ClientID == app.ClientID && stored.ClientSecret.Equal(app.ClientSecret)) {
		return err
	}
	return as(stored)
}
