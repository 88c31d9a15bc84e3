package strava

import (
	"fmt"
	"net/http"
	"slices"
)

// FaultKind is a way for a call to go wrong.
type FaultKind string

// The kinds of fault.
const (
	// FaultNone changes nothing; it is for a delay alone.
	FaultNone FaultKind = "none"
	// FaultReset resets the connection before the request has any effect.
	FaultReset FaultKind = "reset"
	// FaultDrop lets the request take effect and closes the connection in place
	// of answering: a refresh token may have been rotated and lost.
	FaultDrop FaultKind = "drop"
	// FaultHang never answers, without effect.
	FaultHang FaultKind = "hang"
	// Fault502, Fault503 and Fault597 come from Strava's edge: HTML (JSON for
	// 503), without effect, not counted against the limits, no rate headers.
	Fault502 FaultKind = "502"
	Fault503 FaultKind = "503"
	Fault597 FaultKind = "597"
	// Fault500 is the JSON of a failing application, as for a corrupt activity.
	Fault500 FaultKind = "500"
	// Fault429 refuses for the rate limit whatever the usage; Fault429Text does
	// it with "errors" as a string, as older recordings have it.
	Fault429     FaultKind = "429"
	Fault429Text FaultKind = "429-text"
	// Fault401, Fault403 and Fault404 are one-off answers that usually mean a
	// dead token, an inactive application and a missing activity.
	Fault401 FaultKind = "401"
	Fault403 FaultKind = "403"
	Fault404 FaultKind = "404"
)

var faultKinds = []FaultKind{
	FaultNone, FaultReset, FaultDrop, FaultHang, Fault502, Fault503, Fault597, Fault500,
	Fault429, Fault429Text, Fault401, Fault403, Fault404,
}

// The endpoints, as faults and counters name them. "api", "oauth", "push" and
// "any" name several at once in a Fault.
const (
	EndpointAuthorize   = "authorize"
	EndpointExchange    = "exchange" // POST /oauth/token with a code, or with an unknown grant type
	EndpointRefresh     = "refresh"  // POST /oauth/token with a refresh token
	EndpointRevoke      = "revoke"
	EndpointDeauthorize = "deauthorize"
	EndpointAthlete     = "athlete"
	EndpointActivities  = "activities"
	EndpointActivity    = "activity"
	EndpointStats       = "stats"
	EndpointOther       = "other" // any other path of the API
	EndpointPush        = "push"
)

var endpointGroups = map[string][]string{
	"oauth": {EndpointAuthorize, EndpointExchange, EndpointRefresh, EndpointRevoke, EndpointDeauthorize},
	"api":   {EndpointAthlete, EndpointActivities, EndpointActivity, EndpointStats, EndpointOther},
	"push":  {EndpointPush},
}

// Fault is something that goes wrong with matching calls.
type Fault struct {
	// Endpoint is one of the Endpoint constants, "oauth", "api", "push" or "any"; default "any".
	Endpoint string `json:"endpoint"`
	// Athlete limits the fault to one athlete's calls; 0 means everybody's.
	Athlete int64 `json:"athlete"`
	// Kind is what happens; default FaultNone.
	Kind FaultKind `json:"kind"`
	// Delay passes, in real time, before it happens.
	Delay Duration `json:"delay"`
	// Count is how many calls it happens to; default 1, negative until cleared.
	Count int `json:"count"`
}

func (f Fault) matches(c *call) bool {
	if f.Athlete != 0 && f.Athlete != c.athlete {
		return false
	}
	return f.Endpoint == "any" || f.Endpoint == c.endpoint || slices.Contains(endpointGroups[f.Endpoint], c.endpoint)
}

// Request is what a Config.Fault hook is told.
type Request struct {
	Endpoint string
	Athlete  int64 // 0 when unknown
	Method   string
	Path     string
}

// Inject arranges for f to happen to the next matching calls. Of several
// matching faults the oldest comes first. It returns ErrInvalid for an unknown
// endpoint or kind.
func (s *Server) Inject(f Fault) error {
	setDefault(&f.Endpoint, "any")
	setDefault(&f.Kind, FaultNone)
	setDefault(&f.Count, 1)
	known := f.Endpoint == "any"
	for group, names := range endpointGroups {
		known = known || f.Endpoint == group || slices.Contains(names, f.Endpoint)
	}
	if !known || !slices.Contains(faultKinds, f.Kind) || f.Delay < 0 {
		return fmt.Errorf("fault %s on %s: %w", f.Kind, f.Endpoint, ErrInvalid)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
	return nil
}

// Faults returns the faults still to happen.
func (s *Server) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Fault{}, s.faults...)
}

// ClearFaults forgets the faults still to happen.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func (s *Server) takeFault(c *call) Fault {
	if s.faultHook != nil {
		if f := s.faultHook(Request{c.endpoint, c.athlete, c.Method, c.URL.Path}); f != nil {
			return *f
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.faults, func(f Fault) bool { return f.matches(c) })
	if i < 0 {
		return Fault{}
	}
	f := s.faults[i]
	switch {
	case f.Count == 1:
		s.faults = slices.Delete(s.faults, i, i+1)
	case f.Count > 1:
		s.faults[i].Count--
	}
	return f
}

const (
	unavailablePage = "<!DOCTYPE html><html><head><title>Strava</title></head><body><h1>Strava is temporarily unavailable</h1></body></html>"
	maintenancePage = "<!DOCTYPE html><html><head><title>Strava</title></head><body><h1>Strava is down for maintenance</h1></body></html>"
)

// edgeFault is the answer of Strava's edge, before the application sees the request.
func edgeFault(k FaultKind) (answer, bool) {
	switch k {
	case Fault502:
		return htmlAnswer(http.StatusBadGateway, unavailablePage), true
	case Fault503:
		return refuse(http.StatusServiceUnavailable, "Service Unavailable"), true
	case Fault597:
		return htmlAnswer(597, maintenancePage), true
	}
	return answer{}, false
}

// appFault is the answer of the application itself, counted and with rate
// headers where the endpoint has them.
func appFault(k FaultKind) (answer, bool) {
	switch k {
	case Fault500:
		return jsonAnswer(http.StatusInternalServerError, map[string]string{"message": "error"}), true
	case Fault429:
		return rateLimited("overall rate limit"), true
	case Fault429Text:
		return jsonAnswer(http.StatusTooManyRequests, map[string]string{
			"message": "Rate Limit Exceeded", "errors": "Rate Limit Exceeded",
		}), true
	case Fault401:
		return deadToken(), true
	case Fault403:
		return appInactive(), true
	case Fault404:
		return answer{status: http.StatusNotFound}, true
	}
	return answer{}, false
}

func rateLimited(field string) answer {
	return refuse(http.StatusTooManyRequests, "Rate Limit Exceeded", faultError{"Application", field, "exceeded"})
}

func deadToken() answer { return unauthorized("Application", "", "invalid") }
