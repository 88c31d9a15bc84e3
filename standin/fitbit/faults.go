package fitbit

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/paceline/paceline/standin"
)

// FaultKind is a way for a call to fail.
type FaultKind string

// The kinds of fault.
const (
	// FaultNone changes nothing. It is for a delay alone.
	FaultNone FaultKind = "none"
	// FaultAnswer responds with the fault's status, header and body. The call has
	// no effect and does not count against the rate limit.
	FaultAnswer FaultKind = "answer"
	// FaultReset closes the connection. The call has no effect.
	FaultReset FaultKind = "reset"
	// FaultHang never responds: it waits until the context of the request ends.
	// The call has no effect.
	FaultHang FaultKind = "hang"
	// FaultDrop lets the call take effect and closes the connection before the
	// response: the tokens of a refresh are lost.
	FaultDrop FaultKind = "drop"
)

var faultKinds = []FaultKind{FaultNone, FaultAnswer, FaultReset, FaultHang, FaultDrop}

// The endpoints, as faults and counters name them. A Fault may also name several
// endpoints by "oauth", "api" or "any".
const (
	EndpointAuthorize  = "authorize"
	EndpointExchange   = "exchange" // POST /oauth2/token with a code, or with an unknown grant type
	EndpointRefresh    = "refresh"  // POST /oauth2/token with a refresh token
	EndpointRevoke     = "revoke"
	EndpointProfile    = "profile"
	EndpointActivities = "activities" // a day's activity summary
	EndpointOther      = "other"      // any other path of the API
)

var endpointGroups = standin.EndpointGroups{
	"oauth": {EndpointAuthorize, EndpointExchange, EndpointRefresh, EndpointRevoke},
	"api":   {EndpointProfile, EndpointActivities, EndpointOther},
}

// Fault is a failure of the calls that match it.
type Fault struct {
	// Endpoint is one of the Endpoint constants, "oauth", "api" or "any";
	// default "any".
	Endpoint string `json:"endpoint"`
	// User limits the fault to the calls about one user, by the token or the code
	// of the call. "" means the calls about all users.
	User string `json:"user"`
	// Kind of failure; default FaultAnswer with a status, FaultNone without.
	Kind FaultKind `json:"kind"`
	// Status, Header and Body are the response of FaultAnswer.
	Status int               `json:"status"`
	Header map[string]string `json:"header"`
	Body   string            `json:"body"`
	// DelayMilliseconds pass, in real time, before the failure. It happens even
	// if the client has disconnected by then.
	DelayMilliseconds int `json:"delay_milliseconds"`
	// Count is how many calls fail; default 1. A negative Count lasts until the
	// faults are cleared.
	Count int `json:"count"`
}

func (f Fault) matches(c *call) bool {
	return endpointGroups.Covers(f.Endpoint, c.endpoint) && (f.User == "" || f.User == c.user)
}

func (f Fault) response() response {
	header := http.Header{}
	for name, value := range f.Header {
		header.Set(name, value)
	}
	return response{Status: f.Status, Header: header, Body: []byte(f.Body)}
}

// Inject makes the next calls that match f fail. Of several faults that match a
// call, the oldest applies. Inject returns [ErrInvalid] for an unknown name,
// for a FaultAnswer without a status, and for a response with another kind.
func (s *Server) Inject(f Fault) error {
	if f.Endpoint == "" {
		f.Endpoint = standin.AnyEndpoint
	}
	if f.Kind == "" {
		f.Kind = FaultNone
		if f.Status != 0 {
			f.Kind = FaultAnswer
		}
	}
	if f.Count == 0 {
		f.Count = 1
	}
	switch {
	case !slices.Contains(endpointGroups.Names(), f.Endpoint), !slices.Contains(faultKinds, f.Kind), f.DelayMilliseconds < 0,
		(f.Kind == FaultAnswer) != (f.Status >= 200 && f.Status <= 599), f.Kind != FaultAnswer && (f.Body != "" || f.Header != nil):
		return fmt.Errorf("fault %+v: %w", f, ErrInvalid)
	}
	s.faults.Add(f)
	return nil
}

// Faults returns the faults that are still to happen.
func (s *Server) Faults() []Fault { return s.faults.All() }

// ClearFaults removes the faults that are still to happen.
func (s *Server) ClearFaults() { s.faults.Clear() }
