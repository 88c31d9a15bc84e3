package strava

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// FaultKind is a way for a call to go wrong.
type FaultKind string

// The kinds of fault. Two words in their descriptions need an explanation.
//
// The edge is what stands before Strava's application: a call that fails there
// has no effect, does not count against the limits and its answer carries no
// rate headers. A call that fails in the application counts, a 429 for the day
// too, and its answer carries the rate headers where the endpoint has them.
// Fault.RateHeaders changes that.
const (
	// FaultNone changes nothing; it is for a delay alone.
	FaultNone FaultKind = "none"
	// FaultReset resets the connection at the edge.
	FaultReset FaultKind = "reset"
	// FaultHang never answers: it waits until the context of the request ends.
	// The call has no effect but counts, since the application has it.
	FaultHang FaultKind = "hang"
	// FaultDrop lets the request take effect and closes the connection in place
	// of answering: a refresh token may have been rotated and lost.
	FaultDrop FaultKind = "drop"

	// Fault502, Fault503, Fault504 and Fault597 are HTML from the edge; 597 is
	// Strava's own for maintenance.
	Fault502 FaultKind = "502"
	Fault503 FaultKind = "503"
	Fault504 FaultKind = "504"
	Fault597 FaultKind = "597"
	// Fault403HTML is HTML from the edge, as a firewall answers.
	Fault403HTML FaultKind = "403-html"
	// Fault200HTML is a page in place of the answer, from the edge.
	Fault200HTML FaultKind = "200-html"

	// Fault500 is {"message":"error"}, as for a corrupt activity.
	Fault500 FaultKind = "500"
	// Fault429 refuses for the rate limit whatever the usage; Fault429Text does
	// it with "errors" as a string, as older recordings have it.
	Fault429     FaultKind = "429"
	Fault429Text FaultKind = "429-text"
	// Fault401 is what a dead token gets, Fault404 what a missing activity gets.
	Fault401 FaultKind = "401"
	Fault404 FaultKind = "404"
	// Fault403 says that the application is inactive; Fault403Other is JSON too
	// but speaks of the athlete, not of the application.
	Fault403      FaultKind = "403"
	Fault403Other FaultKind = "403-other"

	// Fault200Null, Fault200EmptyList, Fault200Message and Fault200Empty are a
	// 200 of the application with null, [], {"message":"error"} or no body. The
	// call has no effect: a refresh rotates nothing.
	Fault200Null      FaultKind = "200-null"
	Fault200EmptyList FaultKind = "200-empty-list"
	Fault200Message   FaultKind = "200-message"
	Fault200Empty     FaultKind = "200-empty"
	// Fault200Truncated sends the first half of the true body, with a matching
	// Content-Length. The call takes effect, as with FaultDrop.
	Fault200Truncated FaultKind = "200-truncated"

	// FaultRepeatedPage answers a page of a list of activities with the page
	// before it. It concerns no other call, and no first page.
	FaultRepeatedPage FaultKind = "repeated-page"
	// FaultLongPage answers a page of a list of activities with per_page + 1 of
	// them: the page, those after it and, where the list ends, the first again.
	// It concerns no other call.
	FaultLongPage FaultKind = "long-page"
)

// faultKinds says what the kinds do. Kinds that need more than an answer
// (reset, hang, drop, truncated and the two of pages) are handled where the
// call is served.
var faultKinds = map[FaultKind]struct {
	edge     bool   // it happens at the edge
	answer   answer // in place of the true answer; status 0 when there is none
	fromPage int    // it concerns lists only, from this page on; 0 for any call
}{
	FaultNone:  {},
	FaultReset: {edge: true},
	FaultHang:  {},
	FaultDrop:  {},

	Fault502:     {edge: true, answer: pageAnswer(http.StatusBadGateway, "Strava is temporarily unavailable")},
	Fault503:     {edge: true, answer: pageAnswer(http.StatusServiceUnavailable, "Strava is temporarily unavailable")},
	Fault504:     {edge: true, answer: pageAnswer(http.StatusGatewayTimeout, "Strava is temporarily unavailable")},
	Fault597:     {edge: true, answer: pageAnswer(597, "Strava is down for maintenance")},
	Fault403HTML: {edge: true, answer: pageAnswer(http.StatusForbidden, "Forbidden")},
	Fault200HTML: {edge: true, answer: pageAnswer(http.StatusOK, "Strava")},

	Fault500:      {answer: corruptActivity()},
	Fault429:      {answer: rateLimited("overall rate limit")},
	Fault429Text:  {answer: bodyAnswer(http.StatusTooManyRequests, []byte(`{"message":"Rate Limit Exceeded","errors":"Rate Limit Exceeded"}`))},
	Fault401:      {answer: deadToken()},
	Fault404:      {answer: answer{status: http.StatusNotFound}},
	Fault403:      {answer: appInactive()},
	Fault403Other: {answer: refuse(http.StatusForbidden, "Forbidden", faultError{"Athlete", "", "invalid"})},

	Fault200Null:      {answer: bodyAnswer(http.StatusOK, []byte(`null`))},
	Fault200EmptyList: {answer: bodyAnswer(http.StatusOK, []byte(`[]`))},
	Fault200Message:   {answer: bodyAnswer(http.StatusOK, []byte(`{"message":"error"}`))},
	Fault200Empty:     {answer: bodyAnswer(http.StatusOK, []byte(``))},
	Fault200Truncated: {},

	FaultRepeatedPage: {fromPage: 2},
	FaultLongPage:     {fromPage: 1},
}

// FaultKinds returns every kind, in alphabetical order.
func FaultKinds() []FaultKind { return slices.Sorted(maps.Keys(faultKinds)) }

// RateHeaders says whether a faulted answer carries the four rate headers.
type RateHeaders string

// The choices for Fault.RateHeaders.
const (
	RateHeadersUsual RateHeaders = "usual" // as the kind and the endpoint have it
	// RateHeadersOn has an answer from the edge carry them, and the call counts:
	// what has rate headers has been counted. The OAuth endpoints never send any.
	RateHeadersOn RateHeaders = "on"
	// RateHeadersOff leaves them out; whether the call counts stays the same.
	RateHeadersOff RateHeaders = "off"
)

var rateHeaderChoices = []RateHeaders{RateHeadersUsual, RateHeadersOn, RateHeadersOff}

// The endpoints, as faults and counters name them. "api", "oauth" and "any"
// name several at once in a Fault.
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

// endpointGroups are the names of several endpoints at once.
var endpointGroups = map[string][]string{
	"oauth": {EndpointAuthorize, EndpointExchange, EndpointRefresh, EndpointRevoke, EndpointDeauthorize},
	"api":   {EndpointAthlete, EndpointActivities, EndpointActivity, EndpointStats, EndpointOther},
}

// endpointNames returns every name that a Fault may have: any first, then the
// groups, then the endpoints.
func endpointNames() []string {
	groups := slices.Sorted(maps.Keys(endpointGroups))
	names := append([]string{"any"}, groups...)
	for _, group := range groups {
		names = append(names, endpointGroups[group]...)
	}
	return append(names, EndpointPush)
}

// Fault is something that goes wrong with matching calls.
type Fault struct {
	// Endpoint is one of the Endpoint constants, "oauth", "api", "push" or "any"; default "any".
	Endpoint string `json:"endpoint"`
	// Athlete limits the fault to the calls of one athlete: by the access token,
	// and at the token endpoint by the refresh token or the code; 0 means the
	// calls of all athletes.
	Athlete int64 `json:"athlete"`
	// Page limits the fault to lists of activities with this page number, the
	// first when a call names none; 0 means any call.
	Page int `json:"page"`
	// Activity limits the fault to reads of this single activity; 0 means any
	// call. See CorruptActivity for one that spoils lists as well.
	Activity int64 `json:"activity"`
	// RateHeaders of the answer; default RateHeadersUsual.
	RateHeaders RateHeaders `json:"rate_headers"`
	// Kind is what happens; default FaultNone.
	Kind FaultKind `json:"kind"`
	// Delay passes, in real time, before it happens.
	Delay Duration `json:"delay"`
	// Count is how many calls it happens to; default 1, negative until cleared.
	Count int `json:"count"`
}

func (f Fault) matches(c *call) bool {
	return f.covers(c.endpoint) &&
		(f.Athlete == 0 || f.Athlete == c.athlete) &&
		(f.Page == 0 || f.Page == c.page()) &&
		(f.Activity == 0 || f.Activity == c.activity()) &&
		faultKinds[f.Kind].fromPage <= c.page()
}

// covers tells whether the endpoint is among those that f names.
func (f Fault) covers(endpoint string) bool {
	return f.Endpoint == "any" || f.Endpoint == endpoint || slices.Contains(endpointGroups[f.Endpoint], endpoint)
}

// validate returns ErrInvalid for an unknown name and for what no call can match.
func (f Fault) validate() error {
	kind, known := faultKinds[f.Kind]
	ofLists := f.Page != 0 || kind.fromPage != 0
	switch {
	case !known, !slices.Contains(endpointNames(), f.Endpoint), f.Delay < 0, f.Page < 0, f.Activity < 0,
		!slices.Contains(rateHeaderChoices, f.RateHeaders),
		ofLists && (!f.covers(EndpointActivities) || f.Activity != 0 || (f.Page != 0 && f.Page < kind.fromPage)),
		f.Activity != 0 && !f.covers(EndpointActivity):
		return fmt.Errorf("fault %+v: %w", f, ErrInvalid)
	}
	return nil
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
// name and for a fault that no call can match, such as a page of a refresh.
func (s *Server) Inject(f Fault) error {
	setDefault(&f.Endpoint, "any")
	setDefault(&f.Kind, FaultNone)
	setDefault(&f.Count, 1)
	setDefault(&f.RateHeaders, RateHeadersUsual)
	if err := f.validate(); err != nil {
		return err
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

// pageAnswer is HTML, as Strava's edge sends it.
func pageAnswer(status int, headline string) answer {
	return htmlAnswer(status, "<!DOCTYPE html><html><head><title>Strava</title></head><body><h1>"+headline+"</h1></body></html>")
}

// corruptActivity is the answer for an activity that Strava cannot read.
func corruptActivity() answer {
	return bodyAnswer(http.StatusInternalServerError, []byte(`{"message":"error"}`))
}

func rateLimited(field string) answer {
	return refuse(http.StatusTooManyRequests, "Rate Limit Exceeded", faultError{"Application", field, "exceeded"})
}

func deadToken() answer { return unauthorized("Application", "", "invalid") }
