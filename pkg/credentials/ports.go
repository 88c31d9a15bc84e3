package credentials

import (
	"context"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// Grants stores grants.
type Grants interface {
	// Grant returns the account's grant, strongly consistent. A missing one
	// is a not-found fault.
	Grant(ctx context.Context, account Account) (Grant, error)
	// Update calls change with the account's grant, or with a Grant that has
	// only the Account if there is none, stores the result and returns it. If
	// another process writes in between, Update calls change again with the
	// grant that is stored then, so change must make no calls. Nothing is
	// written if change returns an error, which Update returns as it is, or
	// reports that it changed nothing.
	Update(ctx context.Context, account Account, change func(*Grant) (changed bool, err error)) (Grant, error)
	// List pages through a provider's grants. cursor is empty for the first
	// page, next is empty after the last.
	List(ctx context.Context, provider, cursor string, limit int) (page []Grant, next string, err error)
	// Pending returns the provider's grants with pending tasks, ordered by when
	// their next attempt is due. It may miss the latest writes.
	Pending(ctx context.Context, provider string) ([]Grant, error)
}

// ConnectStates stores started connects until their callbacks. Keys are
// digests: the values themselves stay in the athlete's browser.
type ConnectStates interface {
	// PutState stores a started connect by the digest of its state.
	PutState(ctx context.Context, state string, s ConnectState) error
	// TakeState returns and deletes the connect of a state. A state that is
	// unknown or was taken before is a not-found fault.
	TakeState(ctx context.Context, state string) (ConnectState, error)
}

// ConnectState is a connect that has begun.
type ConnectState struct {
	// Nonce is the digest of the browser's nonce; for a form, its [FormReason].
	Nonce     string
	ExpiresAt time.Time
	// Provider to which the person was sent.
	Provider string
	// Owner is the athlete who links an account; zero for an athlete's own.
	Owner Authorization
}

// Vault keeps secrets encrypted under the dedicated key.
type Vault interface {
	// App returns the registration with a provider; a not-found fault if it was
	// not set, and a permanent one if it can never be read again, because it is
	// malformed or encrypted under a key that is not the stage's.
	App(ctx context.Context, provider string) (App, error)
	// SaveApp replaces the registration with a provider.
	SaveApp(ctx context.Context, provider string, app App) error
	// Tokens returns one version of the pair in a generation's parameter; a
	// not-found fault when that version does not exist.
	Tokens(ctx context.Context, account Account, generation, version int64) (TokenPair, error)
	// Latest returns the newest version of the pair in a generation's parameter,
	// which need not be the valid one; a not-found fault when there is none.
	Latest(ctx context.Context, account Account, generation int64) (pair TokenPair, version int64, err error)
	// SaveTokens stores a pair as a new version in a generation's parameter and
	// returns its number. The versions before stay readable.
	SaveTokens(ctx context.Context, account Account, generation int64, pair TokenPair) (version int64, err error)
	// DeleteTokens deletes all versions in a generation's parameter. Deleting what
	// is not there is no error.
	DeleteTokens(ctx context.Context, account Account, generation int64) error
	// SavePendingConnect stores the pair of a connect that could not be written
	// to the grant. Storing it again changes nothing.
	SavePendingConnect(ctx context.Context, r PendingConnect) error
	// PendingConnects returns the stored pairs of a provider's connects; with an
	// error, those that it could read.
	PendingConnects(ctx context.Context, provider string) ([]PendingConnect, error)
	// DeletePendingConnect deletes one of them. Deleting what is not there is
	// no error.
	DeletePendingConnect(ctx context.Context, r PendingConnect) error
}

// Parameters is everything that the vault holds, readable or not.
type Parameters interface {
	// Clear deletes some of it and returns how much, 0 when nothing is left.
	Clear(ctx context.Context) (deleted int, err error)
}

// Seal seals an account's token pair. It calls no other system, so it cannot
// fail because of one.
type Seal func(Account, TokenPair) ([]byte, error)

// Sealer encrypts token pairs under the dedicated key, for storage outside the
// vault. A pair that is sealed for one account cannot be opened as another's.
type Sealer interface {
	// NewSeal prepares to seal one pair of any account of the provider.
	NewSeal(ctx context.Context, provider string) (Seal, error)
	// Open returns the sealed pair. A permanent fault means that sealed is not
	// a sealed pair, or is another account's.
	Open(ctx context.Context, account Account, sealed []byte) (TokenPair, error)
}

// Metrics counts by the names in package metric.
type Metrics interface {
	Count(metric string, n int)
}

// TokenResponse is what a provider returns for an authorization code.
type TokenResponse struct {
	Account Account
	Tokens  TokenPair
	// Scopes are those in the response; empty if it names none.
	Scopes []string
	// AnsweredAt is the second of the response by the provider's clock; zero if it
	// does not say.
	AnsweredAt time.Time
}

// Rules are the properties of a provider that the use cases need.
type Rules struct {
	// Provider's name: part of each of its accounts' names.
	Provider string
	// Sufficient are the scopes of which an account must have at least one.
	Sufficient []string
	// RefreshMargin is how long before its end an access token is renewed.
	RefreshMargin time.Duration
	// Endpoint returns the kind of endpoint at a path of the API that may be
	// called, and "" for any other path.
	Endpoint func(path string) string
	// CheckPath is a path of the API that every valid access token may call.
	CheckPath string
	// EssentialPath is a path of the API that every account needs: if a call of
	// it is refused for a missing scope, the grant degrades. Empty for none.
	EssentialPath string
}

// enough reports whether the scopes are sufficient.
func (r Rules) enough(scopes []string) bool {
	return slices.ContainsFunc(r.Sufficient, func(s string) bool { return slices.Contains(scopes, s) })
}

// OAuth is a provider's authorization server. A use case with an OAuth serves
// the accounts of its provider only.
type OAuth interface {
	Rules() Rules
	// AuthorizeURL returns the URL of the consent screen. The verifier binds
	// the code to this connect where the provider supports that (RFC 7636); the
	// URL does not reveal it.
	AuthorizeURL(clientID, redirectURI, state string, verifier secret.String) string
	// Exchange exchanges a code for tokens. Errors: ErrCodeRefused, ErrAppFull,
	// ErrAppRefused, or a transient fault if there was no usable response.
	Exchange(ctx context.Context, app App, redirectURI string, code, verifier secret.String) (TokenResponse, error)
	// Refresh renews a pair. Errors: ErrTokenRefused, ErrAppRefused, or a
	// transient fault if there was no usable response, which is ErrAnswerLost
	// if the pair may have been renewed.
	Refresh(ctx context.Context, app App, refresh secret.String) (TokenPair, error)
	// Revoke ends the authorization that the pair belongs to. If neither token
	// is valid any more it returns nil. Errors: ErrAppRefused;
	// ErrAccessTokenInvalid if the provider needs an access token and the
	// pair's is invalid; or a transient fault.
	Revoke(ctx context.Context, app App, pair TokenPair) error
}

// APIResponse is the provider's response to a call. Without a response only
// Sent may be set.
type APIResponse struct {
	// Sent says that the call may have reached the provider, and so counts against
	// its rate limits. It may be set beside an error.
	Sent   bool
	Status int
	// Refused is why the call was refused: ErrAppRefused, ErrAccessTokenInvalid or
	// ErrInsufficientScope; nil if it was not refused, or for another reason.
	Refused error
	// Header holds the header fields that the caller may see, by their
	// canonical names.
	Header map[string]string
	Body   []byte
}

// API is the provider's REST API.
type API interface {
	// Get calls path with the access token. A transient fault means that there was
	// no response.
	Get(ctx context.Context, access secret.String, path string, query map[string]string) (APIResponse, error)
}

// Subscription is the application's push subscription at Strava.
type Subscription struct {
	ID          int64
	CallbackURL string
}

// Push is Strava's push subscriptions resource. Calls to Strava fail with
// ErrAppRefused if Strava refuses the application, and with a transient fault
// if there is no usable response.
type Push interface {
	// Subscription returns the application's one push subscription; a
	// not-found fault when there is none.
	Subscription(ctx context.Context, app App) (Subscription, error)
	// Subscribe creates it. Strava calls back during the call. The error is an
	// invalid fault if Strava could not verify the callback URL, or has a
	// subscription already.
	Subscribe(ctx context.Context, app App, callbackURL string) (Subscription, error)
	// Unsubscribe deletes it. Deleting a missing one is no error.
	Unsubscribe(ctx context.Context, app App, id int64) error
	// Handshake calls the callback as Strava does in Subscribe, and returns a
	// transient fault unless the callback returns the challenge within Strava's
	// time limit.
	Handshake(ctx context.Context, app App, callbackURL, challenge string) error
}

// Publisher puts events on the bus. An error is a transient fault after which
// all of them are to be published again.
type Publisher interface {
	Publish(ctx context.Context, events ...event.Event) error
}
