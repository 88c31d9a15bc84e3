package settings

// StageLocal is the stage on a developer's machine, the only one without TLS.
const StageLocal = "local"

// GrantsByProviderIndex is the index of the grants table that lists the grants
// of one provider: partition key provider, sort key pk.
const GrantsByProviderIndex = "by-provider"

// PendingGrantsIndex is the sparse index of the grants table that lists the
// grants with pending tasks: partition key pending_of, sort key due.
const PendingGrantsIndex = "pending"

// SealContextKey is the key of the KMS encryption context that binds the data
// keys of sealed token pairs to a provider, by its name.
const SealContextKey = "provider"

// Ways to end an authorization at Strava (Strava, "Authentication").
const (
	// RevocationRevoke is POST /oauth/revoke, by either token, which Strava has
	// since June 2026.
	RevocationRevoke = "revoke"
	// RevocationDeauthorize is the older POST /oauth/deauthorize, by a valid
	// access token; Strava ends it in June 2027.
	RevocationDeauthorize = "deauthorize"
)

// Revocations are all ways to end an authorization.
var Revocations = []string{RevocationRevoke, RevocationDeauthorize}

// Tiers of the parameters (Systems Manager user guide, "Managing parameter
// tiers").
const (
	// TierStandard has room for 10,000 parameters an account and region.
	TierStandard = "standard"
	// TierAdvanced has room for 100,000, each of which costs something. A
	// parameter that is advanced cannot become standard again.
	TierAdvanced = "advanced"
)

// ParameterTiers are all tiers.
var ParameterTiers = []string{TierStandard, TierAdvanced}

// ServeOAuth configures serve-oauth.
type ServeOAuth struct {
	UseTokens
	// SiteURL is the site's public origin, without a slash at its end.
	SiteURL string `env:"SITE_URL,required"`
	// WaitlistTable holds the waitlist.
	WaitlistTable string `env:"WAITING_TABLE,required"`
}

// AuthorizeSession configures authorize-session.
type AuthorizeSession struct {
	// Stage decides the names of cookies.
	Stage       string `env:"STAGE,required"`
	GrantsTable string `env:"GRANTS_TABLE,required"`
	// CredentialsTable holds sessions and keys.
	CredentialsTable string `env:"CREDENTIALS_TABLE,required"`
}

// ServeAPI configures serve-api.
type ServeAPI struct {
	// Stage decides the names of cookies.
	Stage string `env:"STAGE,required"`
	// SiteURL is the site's public origin, without a slash at its end.
	SiteURL     string `env:"SITE_URL,required"`
	GrantsTable string `env:"GRANTS_TABLE,required"`
	// CredentialsTable holds sessions and keys.
	CredentialsTable string `env:"CREDENTIALS_TABLE,required"`
}

// UseTokens configures the functions that use tokens: serve-oauth,
// forward-request, handle-events and reconcile-grants.
type UseTokens struct {
	Stage       string `env:"STAGE,required"`
	GrantsTable string `env:"GRANTS_TABLE,required"`
	// CredentialsTable holds sessions and keys.
	CredentialsTable string `env:"CREDENTIALS_TABLE,required"`
	// AthleteCapacity is how many athletes the application may have.
	AthleteCapacity int `env:"ATHLETE_CAPACITY,required"`
	// ParameterPath is the prefix of every SecureString of this boundary, without
	// a slash at its end.
	ParameterPath string `env:"PARAMETER_PATH,required"`
	// TokenKeyID is the KMS key that encrypts the SecureStrings.
	TokenKeyID string `env:"TOKEN_KEY_ID,required"`
	// ParameterTier is one of [ParameterTiers].
	ParameterTier string `env:"PARAMETER_TIER,required"`
	EventBusName  string `env:"EVENT_BUS_NAME,required"`
	// StravaOAuthURL has /authorize, /token, /revoke and /deauthorize under it.
	StravaOAuthURL string `env:"STRAVA_OAUTH_URL,required"`
	// StravaRevocation is one of [Revocations].
	StravaRevocation string `env:"STRAVA_REVOCATION,required"`
	// StravaAPIURL is the base of the REST API.
	StravaAPIURL string `env:"STRAVA_API_URL,required"`
}

// UseLinks configures the functions that use the tokens of linked accounts of
// one provider: reconcile-links and use-accounts.
type UseLinks struct {
	Stage       string `env:"STAGE,required"`
	GrantsTable string `env:"GRANTS_TABLE,required"`
	// ParameterPath is the prefix of every SecureString of this boundary, without
	// a slash at its end.
	ParameterPath string `env:"PARAMETER_PATH,required"`
	// TokenKeyID is the KMS key that encrypts the SecureStrings.
	TokenKeyID   string `env:"TOKEN_KEY_ID,required"`
	EventBusName string `env:"EVENT_BUS_NAME,required"`
	// ParameterTier is one of [ParameterTiers].
	ParameterTier string `env:"PARAMETER_TIER,required"`
	// FitbitSiteURL is the origin of Fitbit's consent page.
	FitbitSiteURL string `env:"FITBIT_SITE_URL,required"`
	// FitbitAPIURL is the origin of Fitbit's other endpoints.
	FitbitAPIURL string `env:"FITBIT_API_URL,required"`
}

// ServeLinks configures serve-links.
type ServeLinks struct {
	UseLinks
	// SiteURL is the site's public origin, without a slash at its end.
	SiteURL string `env:"SITE_URL,required"`
}

// AdministerApp configures administer-app.
type AdministerApp struct {
	// SiteURL is the site's public origin, without a slash at its end.
	SiteURL     string `env:"SITE_URL,required"`
	GrantsTable string `env:"GRANTS_TABLE,required"`
	// CredentialsTable holds sessions and keys.
	CredentialsTable string `env:"CREDENTIALS_TABLE,required"`
	// WaitlistTable holds the waitlist.
	WaitlistTable string `env:"WAITING_TABLE,required"`
	// AthleteCapacity is how many athletes the application may have.
	AthleteCapacity int `env:"ATHLETE_CAPACITY,required"`
	// ParameterPath is the prefix of every SecureString of this boundary, without
	// a slash at its end.
	ParameterPath string `env:"PARAMETER_PATH,required"`
	// TokenKeyID is the KMS key that encrypts the SecureStrings.
	TokenKeyID string `env:"TOKEN_KEY_ID,required"`
	// ParameterTier is one of [ParameterTiers].
	ParameterTier string `env:"PARAMETER_TIER,required"`
	EventBusName  string `env:"EVENT_BUS_NAME,required"`
	// StravaPushURL is the push subscriptions resource.
	StravaPushURL string `env:"STRAVA_PUSH_URL,required"`
}

// CheckSubscription configures check-subscription.
type CheckSubscription struct {
	// SiteURL is the site's public origin, without a slash at its end.
	SiteURL string `env:"SITE_URL,required"`
	// ParameterPath is the prefix of every SecureString of this boundary, without
	// a slash at its end.
	ParameterPath string `env:"PARAMETER_PATH,required"`
	// TokenKeyID is the KMS key that encrypts the SecureStrings.
	TokenKeyID string `env:"TOKEN_KEY_ID,required"`
	// ParameterTier is one of [ParameterTiers].
	ParameterTier string `env:"PARAMETER_TIER,required"`
	// StravaPushURL is the push subscriptions resource.
	StravaPushURL string `env:"STRAVA_PUSH_URL,required"`
}

// WebhookPath is the path of the webhook's callback URL below the site's
// origin, without its last, secret segment.
const WebhookPath = "/webhooks/strava"
