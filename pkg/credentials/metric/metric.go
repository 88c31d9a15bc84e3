package metric

// Namespace of every metric of this boundary in CloudWatch.
const Namespace = "Paceline/Credentials"

// Names of metrics.
const (
	// Refreshed: a token pair was renewed.
	Refreshed = "TokensRefreshed"
	// RefreshFailed: Strava issued no new pair, for a transient reason.
	RefreshFailed = "RefreshesFailed"
	// Sealed: a new pair was sealed into the grant because the vault did not
	// take it.
	Sealed = "TokensSealed"
	// Adopted: a pair was put into force that was sealed in the grant, was a
	// candidate, or had been left behind by a refresh that was cut off.
	Adopted = "TokensAdopted"
	// Unsaved: no store took a new pair, or what a store holds of one is
	// damaged. If Strava replaced the refresh token by that pair's, it is lost.
	Unsaved = "TokensUnsaved"
	// Degraded: an athlete has to connect again, because Strava refused
	// the refresh token for good or because a scope is missing.
	Degraded = "GrantsDegraded"
	// Postponed: a task of a grant failed, and is tried again.
	Postponed = "TasksPostponed"
	// CallFailed: a forwarded call failed because of this system.
	CallFailed = "CallsFailed"
	// CallAppRefused: Strava refused the application when a call was forwarded.
	CallAppRefused = "CallsAppRefused"
	// CallUnavailable: Strava gave no response to a forwarded call, an unusable
	// one, or a 5xx.
	CallUnavailable = "CallsUnavailable"
	// CallRateLimited: Strava answered 429 to a forwarded call.
	CallRateLimited = "CallsRateLimited"
	// Overdue is how many grants have had a task pending for more than a
	// day, counted at each reconciliation: look at its maximum, never at
	// its sum.
	Overdue = "TasksOverdue"
	// Authorized is how many athletes are authorized, counted again at each
	// report: look at its maximum, never at its sum.
	Authorized = "AthletesAuthorized"
)
