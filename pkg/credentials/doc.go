// Package credentials is the boundary that holds everything that could act in
// an athlete's name. It connects athletes by OAuth, keeps their tokens, lends
// them to nobody, and ends authorizations.
//
// Owns: the dedicated KMS key; the SecureStrings with the application's
// secrets and one token pair per account; the grants table; sessions, and
// keys for programs; the waiting list; the requester, which adds an access token to one call
// and forwards it to Strava; the admin function; the push subscription.
//
// Emits: AthleteAuthorized, AuthorizationDegraded, AuthorizationRevoked,
// ErasureReceiptIssued, WebhookConfigured.
//
// Consumes: DeauthorizationReported and ErasureCompleted of gathering,
// ErasureRequested and ErasureCompleted of the athlete plane, ErasureCompleted
// of the activity plane.
//
// An account is a person's at a provider. Strava's are the athletes that the
// other boundaries know; see docs/adr/0008.
//
// # How tokens stay whole
//
// The grant (grants table) says which version of the account's SecureString
// holds the valid token pair. SSM numbers the versions of a parameter and
// keeps old ones, so writing a pair destroys nothing; it becomes the valid one
// only when the grant is changed to name it, by a conditional write that fails
// when the authorization has ended, has been renewed, or when another refresh
// was faster. A lease in the grant keeps refreshes of one account apart.
//
// # How duties are kept
//
// What a grant owes is in the grant: an event to publish, a claim to look into,
// a departure to see through, a lease to give back. It is tried at once, and
// [Departure.Settle] tries again until it is done; see docs/adr/0007.
package credentials
