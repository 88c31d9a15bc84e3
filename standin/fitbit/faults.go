package fitbit

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
	// FaultAnswer answers with the fault's status, header and body. The call has
	// no effect and does not count against the rate limit.
	FaultAnswer FaultKind = "answer"
	// FaultReset closes the connection; the call has no effect.
	FaultReset FaultKind = "reset"
	// FaultHang never answers: it waits until the context of the request ends.
	// The call has no effect.
	FaultHang FaultKind = "hang"
	// FaultDrop lets the call take effect and closes the connection in place of
	// answering: the answer to a refresh is lost.
	FaultDrop FaultKind = "drop"
)

var faultKinds = []FaultKind{FaultNone, FaultAnswer, FaultReset, FaultHang, FaultDrop}

// The endpoints, as faults and counters name them. "oauth", "api" and "any" name
// several at once in a Fault.
const (
	EndpointAuthorize  = "authorize"
	EndpointExchange   = "exchange" // POST /oauth2/token with a code, or with an unknown grant type
	EndpointRefresh    = "refresh"  // POST /oauth2/token with a refresh token
	EndpointRevoke     = "revoke"
	EndpointProfile    = "profile"
	EndpointActivities = "activities" // a day's activity summary
	EndpointOther      = "other"      // any other path of the API
)

// endpointGroups are the endpoints by the names that a Fault may have.
var endpointGroups = map[string][]string{
	"any":              nil, // every endpoint
	"oauth":            {EndpointAuthorize, EndpointExchange, EndpointRefresh, EndpointRevoke},
	"api":              {EndpointProfile, EndpointActivities, EndpointOther},
	EndpointAuthorize:  {EndpointAuthorize},
	EndpointExchange:   {EndpointExchange},
	EndpointRefresh:    {EndpointRefresh},
	EndpointRevoke:     {EndpointRevoke},
	EndpointProfile:    {EndpointProfile},
	EndpointActivities: {EndpointActivities},
	EndpointOther:      {EndpointOther},
}

// Fault is something that goes wrong with matching calls.
type Fault struct {
	// Endpoint is one of the Endpoint constants, "oauth", "api" or "any"; default "any".
	Endpoint string `json:"endpoint"`
	// User limits the fault to the calls about one person: by the token or the
	// code that the call carries; "" means the calls about anyone.
	User string `json:"user"`
	// Kind is what happens; default FaultAnswer with a status, FaultNone without.
	Kind FaultKind `json:"kind"`
	// Status, Header and Body are the answer of FaultAnswer.
	Status int               `json:"status"`
	Header map[string]string `json:"header"`
	Body   string            `json:"body"`
	// DelayMilliseconds pass, in real time, before it happens; it happens even to
	// a caller who has left meanwhile.
	DelayMilliseconds int `json:"delay_milliseconds"`
	// Count is how many calls it happens to; default 1, negative until cleared.
	Count int `json:"count"`
}

func (f Fault) matches(c *call) bool {
	return (f.Endpoint == "any" || slices.Contains(endpointGroups[f.Endpoint], c.endpoint)) && (f.User == "" || f.User == c.user)
}

func (f Fault) answer() answer {
	header := http.Header{}
	for name, value := range f.Header {
		header.Set(name, value)
	}
	return answer{status: f.Status, header: header, body: []byte(f.Body)}
}

// Inject arranges for f to happen to the next matching calls. Of several
// matching faults the oldest comes first. It returns ErrInvalid for an unknown
// name and for an answer without a status, or a status without an answer.
func (s *Server) Inject(f Fault) error {
	if f.Endpoint == "" {
		f.Endpoint = "any"
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
	_, known := endpointGroups[f.Endpoint]
	switch {
	case !known, !slices.Contains(faultKinds, f.Kind), f.DelayMilliseconds < 0,
		(f.Kind == FaultAnswer) != (f.Status >= 200 && f.Status <= 599), f.Kind != FaultAnswer && (f.Body != "" || f.Header != nil):
		return fmt.Errorf("fault %+v: %w", f, ErrInvalid)
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
