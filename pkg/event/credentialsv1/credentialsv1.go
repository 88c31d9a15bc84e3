package credentialsv1

import "time"

// Source of every event of this boundary.
const Source = "paceline.credentials"

// Detail types.
const (
	AthleteAuthorizedType     = "AthleteAuthorized.v1"
	AuthorizationDegradedType = "AuthorizationDegraded.v1"
	AuthorizationRevokedType  = "AuthorizationRevoked.v1"
	ErasureCompletedType      = "ErasureCompleted.v1"
	WebhookConfiguredType     = "WebhookConfigured.v1"
	AccountLinkedType         = "AccountLinked.v1"
	AccountUnlinkedType       = "AccountUnlinked.v1"
)

// AthleteAuthorized says that an athlete granted access and that the token
// pair is safe.
type AthleteAuthorized struct {
	AthleteID  int64 `json:"athlete_id"`
	Generation int64 `json:"generation"`
	// Scopes are the ones the athlete accepted, in Strava's spelling.
	Scopes []string `json:"scopes"`
}

// Source implements event.Fact.
func (AthleteAuthorized) Source() string { return Source }

// DetailType implements event.Fact.
func (AthleteAuthorized) DetailType() string { return AthleteAuthorizedType }

// Reasons why an authorization is degraded.
const (
	// DegradedTokenRefused: Strava refuses the stored refresh token for good.
	DegradedTokenRefused = "token_refused"
	// DegradedScopeMissing: Strava refuses the athlete's activities because the
	// authorization does not cover them.
	DegradedScopeMissing = "scope_missing"
)

// AuthorizationDegraded says that calls for the athlete cannot succeed until
// the athlete connects again. It is no end: nothing is erased but, when the
// reason is [DegradedScopeMissing], the activities.
type AuthorizationDegraded struct {
	AthleteID  int64  `json:"athlete_id"`
	Generation int64  `json:"generation"`
	Reason     string `json:"reason"`
}

// Source implements event.Fact.
func (AuthorizationDegraded) Source() string { return Source }

// DetailType implements event.Fact.
func (AuthorizationDegraded) DetailType() string { return AuthorizationDegradedType }

// Reasons why an authorization ended.
const (
	// RevokedLeft: the athlete asked to leave.
	RevokedLeft = "left"
	// RevokedDeauthorized: the athlete withdrew access at Strava, and Strava
	// confirmed it.
	RevokedDeauthorized = "deauthorized"
	// RevokedByAdmin: an operator of Paceline ended it, to free a place.
	RevokedByAdmin = "admin"
)

// AuthorizationRevoked says that the authorization is over: no call is made for
// it any more, and its tokens are being revoked and deleted. A boundary that
// holds data of the athlete erases it, keeps a tombstone for this generation,
// and answers with ErasureCompleted for the receipt. Credentials publishes an
// ErasureCompleted, too, and one for each linked account.
type AuthorizationRevoked struct {
	AthleteID  int64 `json:"athlete_id"`
	Generation int64 `json:"generation"`
	// Receipt names the erasure; it is unguessable and says nothing about the
	// athlete.
	Receipt string `json:"receipt"`
	Reason  string `json:"reason"`
	// RequestedAt is when the athlete or an admin asked for the end, or Strava
	// confirmed it.
	RequestedAt time.Time `json:"requested_at"`
	// LinkedProviders are the providers of the linked accounts that end with
	// it, in alphabetical order.
	LinkedProviders []string `json:"linked_providers,omitempty"`
}

// Source implements event.Fact.
func (AuthorizationRevoked) Source() string { return Source }

// DetailType implements event.Fact.
func (AuthorizationRevoked) DetailType() string { return AuthorizationRevokedType }

// ErasureCompleted says that this boundary holds nothing more of one account
// that the receipt stands for: its tokens are revoked and deleted, unless the
// account was moved to another athlete.
type ErasureCompleted struct {
	Receipt string `json:"receipt"`
	// LinkedProvider is the provider, such as fitbit, if the account was linked by
	// the athlete; empty for the athlete's own.
	LinkedProvider string `json:"linked_provider,omitempty"`
}

// Source implements event.Fact.
func (ErasureCompleted) Source() string { return Source }

// DetailType implements event.Fact.
func (ErasureCompleted) DetailType() string { return ErasureCompletedType }

// AccountLinked says that an athlete linked an account at another provider, and
// that its token pair is safe. It comes again, with a larger generation, after
// each consent.
type AccountLinked struct {
	AthleteID int64 `json:"athlete_id"`
	// AthleteGeneration is that of the athlete's authorization under which the
	// account was linked.
	AthleteGeneration int64 `json:"athlete_generation"`
	// Provider of the account, such as fitbit.
	Provider string `json:"provider"`
	// AccountID as the provider spells it.
	AccountID string `json:"account_id"`
	// Generation of the account's authorization.
	Generation int64 `json:"generation"`
	// LinkedAt is when the account was linked. A later consent does not change
	// it.
	LinkedAt time.Time `json:"linked_at"`
}

// Source implements event.Fact.
func (AccountLinked) Source() string { return Source }

// DetailType implements event.Fact.
func (AccountLinked) DetailType() string { return AccountLinkedType }

// Reasons why an account is not linked any more, beside [RevokedDeauthorized].
const (
	// UnlinkedByAthlete: the athlete unlinked the account.
	UnlinkedByAthlete = "unlinked"
	// UnlinkedMoved: the account's owner linked it to another athlete.
	UnlinkedMoved = "moved"
)

// AccountUnlinked says that an account is not the athlete's linked account any
// more. Unless it was moved to another athlete, its tokens are being revoked
// and deleted. A consumer that keeps the link erases it up to this generation.
// When an athlete leaves, AuthorizationRevoked stands for the links, too.
type AccountUnlinked struct {
	AthleteID int64  `json:"athlete_id"`
	Provider  string `json:"provider"`
	AccountID string `json:"account_id"`
	// Generation is the last one that ended.
	Generation int64 `json:"generation"`
	// Receipt names the erasure, in which the provider and the athlete plane take
	// part; it is unguessable and says nothing about the athlete.
	Receipt string `json:"receipt"`
	Reason  string `json:"reason"`
	// RequestedAt is when the end of the link was asked for or found out.
	RequestedAt time.Time `json:"requested_at"`
}

// Source implements event.Fact.
func (AccountUnlinked) Source() string { return Source }

// DetailType implements event.Fact.
func (AccountUnlinked) DetailType() string { return AccountUnlinkedType }

// WebhookConfigured has the values by which the webhook's receiver recognizes
// Strava. It has the SHA-256 of the secrets instead of the secrets: a digest
// suffices to recognize one, and does not reveal it, because the secrets are
// long and hard to guess.
type WebhookConfigured struct {
	// CallbackKeySHA256 is the hex digest of the callback URL's secret last
	// path segment.
	CallbackKeySHA256 string `json:"callback_key_sha256"`
	// VerifyTokenSHA256 is the hex digest of hub.verify_token.
	VerifyTokenSHA256 string `json:"verify_token_sha256"`
	// SubscriptionID is Strava's id of the push subscription; 0 while there
	// is none.
	SubscriptionID int64 `json:"subscription_id"`
	// Version grows with every change; a consumer keeps the largest.
	Version int64 `json:"version"`
}

// Source implements event.Fact.
func (WebhookConfigured) Source() string { return Source }

// DetailType implements event.Fact.
func (WebhookConfigured) DetailType() string { return WebhookConfiguredType }
