package credentialstest

import (
	"context"
	"errors"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/kittest"
	"github.com/paceline/paceline/pkg/kit/secret"
)

type oauth struct {
	credentials.OAuth
	around kittest.Around
}

// ask calls the provider. If the answer is lost, the error is
// [credentials.ErrAnswerLost], as the ports ask for.
func ask[T any](ctx context.Context, around kittest.Around, op string, call func(context.Context) (T, error)) (T, error) {
	asked, own := false, error(nil)
	answer, err := kittest.Get(ctx, around, op, func(ctx context.Context) (answer T, err error) {
		asked = true
		answer, own = call(ctx)
		return answer, own
	})
	if asked && lost(err, own) && !errors.Is(err, credentials.ErrAnswerLost) {
		err = fault.New(fault.Transient, "%w: %w", credentials.ErrAnswerLost, err)
	}
	return answer, err
}

// lost reports whether err is not the call's own error, but hides its answer.
func lost(err, own error) bool { return err != nil && (own == nil || !errors.Is(err, own)) }

func (i oauth) Exchange(ctx context.Context, app credentials.App, redirectURI string, code, verifier secret.String) (credentials.TokenResponse, error) {
	return ask(ctx, i.around, "credentials.OAuth.Exchange", func(ctx context.Context) (credentials.TokenResponse, error) {
		return i.OAuth.Exchange(ctx, app, redirectURI, code, verifier)
	})
}

func (i oauth) Refresh(ctx context.Context, app credentials.App, refresh secret.String) (credentials.TokenPair, error) {
	return ask(ctx, i.around, "credentials.OAuth.Refresh", func(ctx context.Context) (credentials.TokenPair, error) {
		return i.OAuth.Refresh(ctx, app, refresh)
	})
}

func (i oauth) Revoke(ctx context.Context, app credentials.App, pair credentials.TokenPair) error {
	_, err := ask(ctx, i.around, "credentials.OAuth.Revoke", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, i.OAuth.Revoke(ctx, app, pair)
	})
	return err
}

type api struct {
	port   credentials.API
	around kittest.Around
}

func (i api) Get(ctx context.Context, access secret.String, path string, query map[string]string) (credentials.APIResponse, error) {
	sent, own := false, error(nil)
	answer, err := kittest.Get(ctx, i.around, "credentials.API.Get", func(ctx context.Context) (answer credentials.APIResponse, err error) {
		sent = true
		answer, own = i.port.Get(ctx, access, path, query)
		return answer, own
	})
	if lost(err, own) {
		answer.Sent = sent
	}
	return answer, err
}

type push struct {
	port   credentials.Push
	around kittest.Around
}

func (i push) Subscription(ctx context.Context, app credentials.App) (credentials.Subscription, error) {
	return kittest.Get(ctx, i.around, "credentials.Push.Subscription", func(ctx context.Context) (credentials.Subscription, error) {
		return i.port.Subscription(ctx, app)
	})
}

func (i push) Subscribe(ctx context.Context, app credentials.App, callbackURL string) (credentials.Subscription, error) {
	return kittest.Get(ctx, i.around, "credentials.Push.Subscribe", func(ctx context.Context) (credentials.Subscription, error) {
		return i.port.Subscribe(ctx, app, callbackURL)
	})
}

func (i push) Unsubscribe(ctx context.Context, app credentials.App, id int64) error {
	return i.around.Do(ctx, "credentials.Push.Unsubscribe", func(ctx context.Context) error { return i.port.Unsubscribe(ctx, app, id) })
}

func (i push) Handshake(ctx context.Context, app credentials.App, callbackURL, challenge string) error {
	return i.around.Do(ctx, "credentials.Push.Handshake", func(ctx context.Context) error {
		return i.port.Handshake(ctx, app, callbackURL, challenge)
	})
}
