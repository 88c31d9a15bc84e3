package strava

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/paceline/paceline/standin"
)

// FaultKind is a way for a call to fail.
type FaultKind string

// The kinds of fault. Strava's edge is the proxies in front of its application. A
// call that fails at the edge has no effect and does not count against the
// limits, and its response has no rate headers. A call that fails in the
// application counts, and its response has the rate headers if the endpoint sends
// any. Fault.RateHeaders changes that.
const (
	// FaultNone changes nothing. It is for a delay alone.
	FaultNone FaultKind = "none"
	// FaultReset resets the connection at the edge.
	FaultReset FaultKind = "reset"
	// FaultHang never responds: it waits until the context of the request ends.
	// The call reached the application, so it counts, but it has no effect.
	FaultHang FaultKind = "hang"
	// FaultDrop lets the call take effect and closes the connection before the
	// response: a rotated refresh token is lost.
	FaultDrop FaultKind = "drop"

	// Fault502, Fault503, Fault504 and Fault597 are HTML from the edge. Strava
	// uses 597 for maintenance.
	Fault502 FaultKind = "502"
	Fault503 FaultKind = "503"
	Fault504 FaultKind = "504"
	Fault597 FaultKind = "597"
	// Fault403HTML is HTML from the edge, as from a firewall.
	Fault403HTML FaultKind = "403-html"
	// Fault200HTML is a page from the edge in place of the JSON.
	Fault200HTML FaultKind = "200-html"

	// Fault500 is {"message":"error"}, as for a corrupt activity.
	Fault500 FaultKind = "500"
	// Fault429 refuses for the rate limit at any usage. Fault429Text has "errors"
	// as a string, like older recordings.
	Fault429     FaultKind = "429"
	Fault429Text FaultKind = "429-text"
	// Fault401 is the response for an invalid token, Fault404 for a missing
	// activity.
	Fault401 FaultKind = "401"
	Fault404 FaultKind = "404"
	// Fault403 is the response for an inactive application. Fault403Other is
	// JSON, too, with the athlete as the resource.
	Fault403      FaultKind = "403"
	Fault403Other FaultKind = "403-other"

	// Fault200Null, Fault200EmptyList, Fault200Message and Fault200Empty are a
	// 200 from the application with null, [], {"message":"error"} or no body. The
	// call has no effect: a refresh rotates nothing.
	Fault200Null      FaultKind = "200-null"
	Fault200EmptyList FaultKind = "200-empty-list"
	Fault200Message   FaultKind = "200-message"
	Fault200Empty     FaultKind = "200-empty"
	// Fault200Truncated sends the first half of the true body, with a matching
	// Content-Length. The call takes effect, as with FaultDrop.
	Fault200Truncated FaultKind = "200-truncated"

	// FaultRepeatedPage returns the page before the requested one. It applies to
	// lists of activities only, and to no first page.
	FaultRepeatedPage FaultKind = "repeated-page"
	// FaultLongPage returns per_page + 1 activities: the requested page, those
	// after it and, where the list ends, the first again. It applies to lists of
	// activities only.
	FaultLongPage FaultKind = "long-page"
)

// faultKinds describes the kinds. respond implements reset, hang, drop and
// truncated, and listActivities the two of pages.
var faultKinds = map[FaultKind]struct {
	edge     bool     // it happens at the edge
	response response // in place of the true one; status 0 if there is none
	fromPage int      // it applies to lists only, from this page on; 0 for any call
}{
	FaultNone:  {},
	FaultReset: {edge: true},
	FaultHang:  {},
	FaultDrop:  {},

	Fault502:     {edge: true, response: edgeResponse(http.StatusBadGateway, "Strava is temporarily unavailable")},
	Fault503:     {edge: true, response: edgeResponse(http.StatusServiceUnavailable, "Strava is temporarily unavailable")},
	Fault504:     {edge: true, response: edgeResponse(http.StatusGatewayTimeout, "Strava is temporarily unavailable")},
	Fault597:     {edge: true, response: edgeResponse(597, "Strava is down for maintenance")},
	Fault403HTML: {edge: true, response: edgeResponse(http.StatusForbidden, "Forbidden")},
	Fault200HTML: {edge: true, response: edgeResponse(http.StatusOK, "Strava")},

	Fault500:      {response: corruptActivity()},
	Fault429:      {response: rateLimited("overall rate limit")},
	Fault429Text:  {response: bodyResponse(http.StatusTooManyRequests, []byte(`{"message":"Rate Limit Exceeded","errors":"Rate Limit Exceeded"}`))},
	Fault401:      {response: invalidToken()},
	Fault404:      {response: response{Status: http.StatusNotFound}},
	Fault403:      {response: inactiveApplication()},
	Fault403Other: {response: refuse(http.StatusForbidden, "Forbidden", fieldError{"Athlete", "", "invalid"})},

	Fault200Null:      {response: bodyResponse(http.StatusOK, []byte(`null`))},
	Fault200EmptyList: {response: bodyResponse(http.StatusOK, []byte(`[]`))},
	Fault200Message:   {response: bodyResponse(http.StatusOK, []byte(`{"message":"error"}`))},
	Fault200Empty:     {response: bodyResponse(http.StatusOK, []byte(``))},
	Fault200Truncated: {},

	FaultRepeatedPage: {fromPage: 2},
	FaultLongPage:     {fromPage: 1},
}

// FaultKinds returns every kind, in alphabetical order.
func FaultKinds() []FaultKind { return slices.Sorted(maps.Keys(faultKinds)) }

// RateHeaders selects whether the response of a failed call has the rate headers.
type RateHeaders string

// The choices for Fault.RateHeaders.
const (
	RateHeadersUsual RateHeaders = "usual" // as for the kind and the endpoint
	// RateHeadersOn adds them to a response from the edge, and the call counts,
	// because a response with rate headers was counted. The OAuth endpoints never
	// send them.
	RateHeadersOn RateHeaders = "on"
	// RateHeadersOff omits them. It does not change whether the call counts.
	RateHeadersOff RateHeaders = "off"
)

var rateHeaderChoices = []RateHeaders{RateHeadersUsual, RateHeadersOn, RateHeadersOff}

// The endpoints, as faults and counters name them. A Fault may also name several
// endpoints by "api", "oauth" or "any".
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

var endpointGroups = standin.EndpointGroups{
	"oauth": {EndpointAuthorize, EndpointExchange, EndpointRefresh, EndpointRevoke, EndpointDeauthorize},
	"api":   {EndpointAthlete, EndpointActivities, EndpointActivity, EndpointStats, EndpointOther},
}

// endpointNames returns every name that a Fault may have.
func endpointNames() []string { return append(endpointGroups.Names(), EndpointPush) }

// Fault is a failure of the calls that match it.
type Fault struct {
	// Endpoint is one of the Endpoint constants, "oauth", "api", "push" or
	// "any"; default "any".
	Endpoint string `json:"endpoint"`
	// Athlete limits the fault to the calls of one athlete, by the access token,
	// the refresh token or the code. 0 means the calls of all athletes.
	Athlete int64 `json:"athlete"`
	// Page limits the fault to lists of activities with this page number, which
	// is 1 by default. 0 means any call.
	Page int `json:"page"`
	// Activity limits the fault to reads of this single activity. 0 means any
	// call. CorruptActivity makes an activity fail in lists, too.
	Activity int64 `json:"activity"`
	// RateHeaders of the response; default RateHeadersUsual.
	RateHeaders RateHeaders `json:"rate_headers"`
	// Kind of failure; default FaultNone.
	Kind FaultKind `json:"kind"`
	// Delay passes, in real time, before the failure.
	Delay Duration `json:"delay"`
	// Count is how many calls fail; default 1. A negative Count lasts until the
	// faults are cleared.
	Count int `json:"count"`
}

func (f Fault) matches(c *call) bool {
	return endpointGroups.Covers(f.Endpoint, c.endpoint) &&
		(f.Athlete == 0 || f.Athlete == c.athlete) &&
		(f.Page == 0 || f.Page == c.page()) &&
		(f.Activity == 0 || f.Activity == c.activity()) &&
		faultKinds[f.Kind].fromPage <= c.page()
}

// validate returns ErrInvalid for an unknown name and for a fault that no call
// can match.
func (f Fault) validate() error {
	kind, known := faultKinds[f.Kind]
	ofLists := f.Page != 0 || kind.fromPage != 0
	switch {
	case !known, !slices.Contains(endpointNames(), f.Endpoint), f.Delay < 0, f.Page < 0, f.Activity < 0,
		!slices.Contains(rateHeaderChoices, f.RateHeaders),
		ofLists && (!endpointGroups.Covers(f.Endpoint, EndpointActivities) || f.Activity != 0 || (f.Page != 0 && f.Page < kind.fromPage)),
		f.Activity != 0 && !endpointGroups.Covers(f.Endpoint, EndpointActivity):
		return fmt.Errorf("fault %+v: %w", f, ErrInvalid)
	}
	return nil
}

// Request is the argument of Config.Fault.
type Request struct {
	Endpoint string
	Athlete  int64 // 0 when unknown
	Method   string
	Path     string
}

// Inject makes the next calls that match f fail. Of several faults that match a
// call, the oldest applies. Inject returns [ErrInvalid] for an unknown name and
// for a fault that no call can match, such as a page of a refresh.
func (s *Server) Inject(f Fault) error {
	setDefault(&f.Endpoint, standin.AnyEndpoint)
	setDefault(&f.Kind, FaultNone)
	setDefault(&f.Count, 1)
	setDefault(&f.RateHeaders, RateHeadersUsual)
	if err := f.validate(); err != nil {
		return err
	}
	s.faults.Add(f)
	return nil
}

// Faults returns the faults that are still to happen.
func (s *Server) Faults() []Fault { return s.faults.All() }

// ClearFaults removes the faults that are still to happen.
func (s *Server) ClearFaults() { s.faults.Clear() }

func (s *Server) takeFault(c *call) Fault {
	if s.faultHook != nil {
		if f := s.faultHook(Request{c.endpoint, c.athlete, c.Method, c.URL.Path}); f != nil {
			return *f
		}
	}
	return s.faults.Take(func(f Fault) bool { return f.matches(c) })
}
