package credentials

import "github.com/paceline/paceline/pkg/kit/secret"

// App is the registration of this deployment with a provider, and the secrets
// by which the webhook recognizes Strava.
type App struct {
	ClientID     string
	ClientSecret secret.String
	// VerifyToken is Strava's hub.verify_token, which Strava sends back in the
	// handshake of a new push subscription.
	VerifyToken secret.String
	// CallbackKey is the unguessable last path segment of the callback URL.
	CallbackKey secret.String
	// SubscriptionID of the push subscription; 0 while there is none.
	SubscriptionID int64
}
