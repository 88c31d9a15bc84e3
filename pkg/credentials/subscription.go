package credentials

import (
	"context"
	"fmt"
	"net/url"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// SubscriptionCheck checks whether Strava's webhooks can arrive.
type SubscriptionCheck struct {
	Vault Vault
	Push  Push
	// NewSecret returns at least 128 unguessable bits as URL-safe text.
	NewSecret func() string
	// CallbackURL is as in [Admin].
	CallbackURL string
}

// Check sends the handshake request to the public callback URL and, if
// askStrava is set, asks Strava for the subscription. The response holds what
// it found. An error means that the vault could not be read.
func (c *SubscriptionCheck) Check(ctx context.Context, askStrava bool) (credentialsv1.CheckSubscriptionResponse, error) {
	app, err := c.Vault.App(ctx, ProviderStrava)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return credentialsv1.CheckSubscriptionResponse{}, fmt.Errorf("read the registration: %w", err)
	}
	if err != nil || app.SubscriptionID == 0 {
		return credentialsv1.CheckSubscriptionResponse{}, nil
	}
	res := credentialsv1.CheckSubscriptionResponse{Configured: true, Subscription: credentialsv1.SubscriptionUnknown}
	callback := callbackURL(c.CallbackURL, app)
	if err := c.Push.Handshake(ctx, app, callback, c.NewSecret()); err != nil {
		res.CallbackFailure = err.Error()
	}
	if !askStrava {
		return res, nil
	}
	sub, err := c.Push.Subscription(ctx, app)
	switch {
	case fault.Is(err, fault.NotFound):
		res.Subscription = credentialsv1.SubscriptionMissing
	case err != nil: // The subscription's state stays unknown.
	case sub.CallbackURL == callback:
		res.Subscription, res.SubscriptionID = credentialsv1.SubscriptionOK, sub.ID
	default:
		res.Subscription, res.SubscriptionID = credentialsv1.SubscriptionElsewhere, sub.ID
	}
	return res, nil
}

// callbackURL returns the whole URL that Strava pushes to. Its last segment is
// secret.
func callbackURL(base string, app App) string { return base + "/" + app.CallbackKey.Reveal() }

// hostOf returns the host and port of a callback URL, which are no secret.
func hostOf(callback string) string {
	u, err := url.Parse(callback)
	if err != nil || u.Host == "" {
		return "an unreadable address"
	}
	return u.Host
}
