package credentialsv1

// CheckSubscriptionRequest is what the exported function check-subscription is
// invoked with.
type CheckSubscriptionRequest struct {
	// AskStrava asks Strava for the subscription, too. Strava does not document
	// whether such calls count towards a limit: ask sparingly.
	AskStrava bool `json:"ask_strava"`
}

// States of the push subscription at Strava.
const (
	// SubscriptionOK: it is there and points to this stage's callback URL.
	SubscriptionOK = "ok"
	// SubscriptionMissing: Strava has none for the application.
	SubscriptionMissing = "missing"
	// SubscriptionElsewhere: it points to another callback URL, such as that of
	// another stage of the same application.
	SubscriptionElsewhere = "elsewhere"
	// SubscriptionUnknown: Strava was not asked, or did not answer.
	SubscriptionUnknown = "unknown"
)

// CheckSubscriptionResponse says whether webhooks can arrive. It holds no
// secrets.
type CheckSubscriptionResponse struct {
	// Configured is false while no subscription is wanted: the admin has not
	// created one yet, or has deleted it. The other fields are empty then.
	Configured bool `json:"configured"`
	// CallbackFailure is why the public callback URL did not answer the handshake
	// as Strava needs it to; empty when it did.
	CallbackFailure string `json:"callback_failure,omitempty"`
	// Subscription is one of the constants above.
	Subscription string `json:"subscription,omitempty"`
	// SubscriptionID is the id of the subscription at Strava; 0 if there is
	// none, or if it is unknown.
	SubscriptionID int64 `json:"subscription_id,omitempty"`
}
