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
}

// Outcomes of a forwarded call.
const (
	// OutcomeAnswered: Strava answered; see Status. A 401 here means a scope
	// is missing; a dead token never leaves the credentials boundary.
	OutcomeAnswered = "answered"
	// OutcomeRevoked: the authorization is over. Never ask again.
	OutcomeRevoked = "revoked"
	// OutcomeDegraded: the athlete must connect again first.
	OutcomeDegraded = "degraded"
	// OutcomeUnavailable: Strava gave no answer. Ask again later.
	OutcomeUnavailable = "unavailable"
	// OutcomeApplication: Strava refuses the application itself. Ask nothing
	// for anybody until the admin has settled it.
	OutcomeApplication = "application"
)

// ForwardResponse is the requester's answer.
type ForwardResponse struct {
	Outcome string `json:"outcome"`
	// Status is Strava's HTTP status when the outcome is answered.
	Status int `json:"status,omitempty"`
	// Header holds Strava's rate limit header fields by their canonical Go
	// names.
	Header map[string]string `json:"header,omitempty"`
	// Body is Strava's body as it came.
	Body string `json:"body,omitempty"`
}
