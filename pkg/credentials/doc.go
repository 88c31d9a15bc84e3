// Package credentials is the boundary that holds everything that could act in
// an athlete's name. It connects athletes by OAuth, keeps their tokens, hands
// none of them out, and ends authorizations.
//
// Owns: the dedicated KMS key; the SecureStrings with the applications' secrets
// and the accounts' token pairs; the grants table; sessions, and keys for
// programs; the waitlist; the requester, which adds an access token to one
// call and forwards it to the provider; links to accounts of other providers,
// and their use by workers of other systems; the admin function; the push
// subscription.
//
// Publishes: AthleteAuthorized, AuthorizationDegraded, AuthorizationRevoked,
// ErasureCompleted, WebhookConfigured, AccountLinked, AccountUnlinked.
//
// Consumes: DeauthorizationReported of gathering, ErasureRequested of the
// athlete plane.
//
// An account is a person's account at a provider. Strava's accounts are the
// athletes that the other boundaries know; see docs/adr/0008. Accounts of other
// providers are linked to an athlete; see docs/adr/0018.
//
// # How token pairs are kept
//
// A [Grant] refers to the valid pair: a version of a SecureString, or the pair
// itself, sealed. SSM numbers the versions of a parameter and keeps the last
// hundred, so writing a pair destroys nothing. The pair becomes the valid one
// when the grant is changed to refer to it. That is a conditional write, which
// fails if the authorization has ended or another process has changed the
// tokens meanwhile; the pair is then kept as a [Candidate]. A [Lease] in the
// grant keeps refreshes and revocations of one account apart. See
// docs/token-safety.md.
//
// # How tasks are completed
//
// A task that must not be forgotten is written into the grant before it is
// tried: an event to publish, a connect or a revocation to complete, a claim to
// verify, a parameter to delete. [Reconciler.Reconcile] tries again until it is
// done; see docs/adr/0007.
//
// # Files
//
// Each use case has a file: connect, tokens (find a pair that works), refresh,
// requester, revocation, claim (verify a reported deauthorization), reconcile
// (pending tasks), sessions, keys, authenticate, links (accounts of other
// providers), accounts (for workers of other systems), admin, clear (a stage),
// subscription, capacity and waitlist. They share a [Ledger] (ledger.go), which
// changes grants, and a [TokenStore] (tokenstore.go), which keeps pairs. Below
// them, without ports, are the grant (grant, granttokens, grantend,
// grantretry), lease, tokenpair, account, authorization, app and credential.
// [Ports] (composition.go) puts the use cases together.
package credentials
