package settings

// MetricNamespace of every metric of this boundary.
const MetricNamespace = "Paceline/Credentials"

// GrantsByProviderIndex is the index of the grants table that lists the grants
// of one provider: partition key provider, sort key pk.
const GrantsByProviderIndex = "by-provider"

// SealContextKey is the key of the KMS encryption context that binds a sealed
// token pair to its athlete.
const SealContextKey = "athlete"

// ServeOAuth configures serve-oauth.
type ServeOAuth struct {
	Stage string `env:"STAGE,required"`
	// SiteURL is the site's public origin, without a slash at its end.
	SiteURL     string `env:"SITE_URL,required"`
	GrantsTable string `env:"GRANTS_TABLE,required"`
	// ParameterPath is the prefix of every SecureString of this boundary, without
	// a slash at its end.
	ParameterPath string `env:"PARAMETER_PATH,required"`
	// TokenKeyID is the KMS key that encrypts the SecureStrings.
	TokenKeyID string `env:"TOKEN_KEY_ID,required"`
	// SessionKeyID is the asymmetric KMS key that signs sessions.
	SessionKeyID string `env:"SESSION_KEY_ID,required"`
	EventBusName string `env:"EVENT_BUS_NAME,required"`
	// StravaOAuthURL has /authorize, /token, /revoke and /deauthorize under it.
	StravaOAuthURL string `env:"STRAVA_OAUTH_URL,required"`
}

// AuthorizeSession configures authorize-session.
type AuthorizeSession struct {
	// SessionKeyID is the asymmetric KMS key that signs sessions.
	SessionKeyID string `env:"SESSION_KEY_ID,required"`
}

// ForwardRequest configures forward-request.
type ForwardRequest struct {
	Stage       string `env:"STAGE,required"`
	GrantsTable string `env:"GRANTS_TABLE,required"`
	// ParameterPath is the prefix of every SecureString of this boundary, without
	// a slash at its end.
	ParameterPath string `env:"PARAMETER_PATH,required"`
	// TokenKeyID is the KMS key that encrypts the SecureStrings.
	TokenKeyID   string `env:"TOKEN_KEY_ID,required"`
	EventBusName string `env:"EVENT_BUS_NAME,required"`
	// StravaOAuthURL has /authorize, /token, /revoke and /deauthorize under it.
	StravaOAuthURL string `env:"STRAVA_OAUTH_URL,required"`
	// StravaAPIURL is the base of the REST API.
	StravaAPIURL string `env:"STRAVA_API_URL,required"`
}

// AdministerApp configures administer-app.
type AdministerApp struct {
	// SiteURL is the site's public origin, without a slash at its end.
	SiteURL     string `env:"SITE_URL,required"`
	GrantsTable string `env:"GRANTS_TABLE,required"`
	// ParameterPath is the prefix of every SecureString of this boundary, without
	// a slash at its end.
	ParameterPath string `env:"PARAMETER_PATH,required"`
	// TokenKeyID is the KMS key that encrypts the SecureStrings.
	TokenKeyID   string `env:"TOKEN_KEY_ID,required"`
	EventBusName string `env:"EVENT_BUS_NAME,required"`
	// StravaPushURL is the push subscriptions resource.
	StravaPushURL string `env:"STRAVA_PUSH_URL,required"`
}

// HandleEvents configures handle-events.
type HandleEvents struct {
	Stage       string `env:"STAGE,required"`
	GrantsTable string `env:"GRANTS_TABLE,required"`
	// ParameterPath is the prefix of every SecureString of this boundary, without
	// a slash at its end.
	ParameterPath string `env:"PARAMETER_PATH,required"`
	// TokenKeyID is the KMS key that encrypts the SecureStrings.
	TokenKeyID   string `env:"TOKEN_KEY_ID,required"`
	EventBusName string `env:"EVENT_BUS_NAME,required"`
	// StravaOAuthURL has /authorize, /token, /revoke and /deauthorize under it.
	StravaOAuthURL string `env:"STRAVA_OAUTH_URL,required"`
	// StravaAPIURL is the base of the REST API.
	StravaAPIURL string `env:"STRAVA_API_URL,required"`
}
