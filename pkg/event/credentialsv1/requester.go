package credentialsv1

// ForwardRequest is what the requester, the exported function forward-request,
// is invoked with: one GET on Strava's API in the name of one athlete.
type ForwardRequest struct {
	AthleteID int64 `json:"athlete_id"`
	// Generation of the authorization on whose behalf the call is made. One
	// that is over is answered with OutcomeRevoked.
	Generation int64 `json:"generation"`
	// Path below Strava's API base: "/athlete", "/athlete/activities" or
	// "/activities/{id}". Others are refused as an error of the invocation.
	Path  string            `json:"path"`
	Query map[string]string `json:"query,omitempty"`
	// CorrelationID, of at most 64 letters, digits and hyphens, stands in the
	// requester's log line of the call. It may be empty.
	CorrelationID string `json:"correlation_id,omitempty"`
}

// Outcomes of a forwarded call.
const (
	// OutcomeAnswered: the provider answered; see Status. A 401 means that a
	// scope is missing; an invalid token leads to another outcome.
	OutcomeAnswered = "answered"
	// OutcomeRevoked: the authorization is over. Do not repeat the call.
	OutcomeRevoked = "revoked"
	// OutcomeDegraded: the athlete must connect again first.
	OutcomeDegraded = "degraded"
	// OutcomeUnavailable: the provider's API or token endpoint gave no answer,
	// or an unusable one. Repeat the call later.
	OutcomeUnavailable = "unavailable"
	// OutcomeFailed: the credentials boundary could not make or finish the call
	// for a reason of its own, such as its storage or too little time. It says
	// nothing about the provider. Repeat the call later.
	OutcomeFailed = "failed"
	// OutcomeApplication: the provider refuses the application itself. Make no
	// calls for any account until the operator has fixed that.
	OutcomeApplication = "application"
)

// ForwardResponse is the requester's answer.
type ForwardResponse struct {
	Outcome string `json:"outcome"`
	// Status is the provider's HTTP status when the outcome is answered.
	Status int `json:"status,omitempty"`
	// Header holds the provider's rate limit header fields and Date by their
	// canonical Go names, of the last API call that it answered, whatever the
	// outcome.
	Header map[string]string `json:"header,omitempty"`
	// Body is the unchanged body of the provider's response when the outcome is
	// answered.
	Body string `json:"body,omitempty"`
	// Calls is how many API calls were sent to Strava and count against its rate
	// limits, whatever the outcome: 0, 1, or 2 when a refused access token was
	// renewed and the call repeated. The token endpoint's calls do not count
	// (Strava's answers there have no rate limit headers).
	Calls int `json:"calls"`
}
