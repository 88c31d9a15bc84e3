package fitbit

import (
	"cmp"
	"maps"
	"slices"
)

// Calls is how often a call about a person ("": about no known person) led to a
// status at an endpoint. Status 0 stands for no answer.
type Calls struct {
	Endpoint string `json:"endpoint"`
	User     string `json:"user"`
	Status   int    `json:"status"`
	Count    int    `json:"count"`
}

// Counters is what the stand-in has counted since the start or the last reset.
type Counters struct {
	Calls []Calls `json:"calls"`
	// MaxRefreshesInFlight is, by person, the most refreshes at one time.
	MaxRefreshesInFlight map[string]int `json:"max_refreshes_in_flight"`
	// DeadRefreshUses is, by person, how often a used or revoked refresh token was
	// presented and refused.
	DeadRefreshUses map[string]int `json:"dead_refresh_uses"`
	// RepeatedRefreshes is, by person, how often a used refresh token was presented
	// and given the same answer again.
	RepeatedRefreshes map[string]int `json:"repeated_refreshes"`
}

// Total sums the calls to an endpoint, or to any endpoint when it is "", about a
// person, or about anyone when it is "".
func (c Counters) Total(endpoint, user string) int {
	total := 0
	for _, n := range c.Calls {
		if (endpoint == "" || n.Endpoint == endpoint) && (user == "" || n.User == user) {
			total += n.Count
		}
	}
	return total
}

type counters struct {
	calls                            map[Calls]int // Count is 0 in the keys
	maxFlight, deadRefresh, repeated map[string]int
}

func newCounters() counters {
	return counters{map[Calls]int{}, map[string]int{}, map[string]int{}, map[string]int{}}
}

// Counters returns a copy of the counters.
func (s *Server) Counters() Counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := Counters{
		Calls:                []Calls{},
		MaxRefreshesInFlight: maps.Clone(s.counters.maxFlight),
		DeadRefreshUses:      maps.Clone(s.counters.deadRefresh),
		RepeatedRefreshes:    maps.Clone(s.counters.repeated),
	}
	for key, n := range s.counters.calls {
		key.Count = n
		c.Calls = append(c.Calls, key)
	}
	slices.SortFunc(c.Calls, func(a, b Calls) int {
		return cmp.Or(cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.User, b.User), cmp.Compare(a.Status, b.Status))
	})
	return c
}

// ResetCounters sets every counter to nought.
func (s *Server) ResetCounters() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counters = newCounters()
}

// enter notes the beginning of a call; the function it returns notes the end.
func (s *Server) enter(c *call, e endpoint) (finished func(status int, sent bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.identify(c)
	refreshing := c.endpoint == EndpointRefresh && c.user != ""
	if refreshing {
		s.refreshFlight[c.user]++
		s.counters.maxFlight[c.user] = max(s.counters.maxFlight[c.user], s.refreshFlight[c.user])
	}
	return func(status int, sent bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if refreshing {
			s.refreshFlight[c.user]--
		}
		if !sent {
			status = 0
		}
		s.counters.calls[Calls{Endpoint: c.endpoint, User: c.user, Status: status}]++
	}
}
