package strava

import (
	"cmp"
	"maps"
	"slices"
)

// Calls is how often an athlete's token (0: no known token) led to a status at
// an endpoint. Status 0 stands for no answer.
type Calls struct {
	Endpoint string `json:"endpoint"`
	Athlete  int64  `json:"athlete"`
	Status   int    `json:"status"`
	Count    int    `json:"count"`
}

// Counters is what the stand-in has counted since the start or the last reset.
type Counters struct {
	Calls []Calls `json:"calls"`
	// MaxRefreshesInFlight is, by athlete, the most refreshes at one time.
	MaxRefreshesInFlight map[int64]int `json:"max_refreshes_in_flight"`
	// DeadRefreshUses is, by athlete, how often a superseded or revoked refresh
	// token was presented.
	DeadRefreshUses map[int64]int `json:"dead_refresh_uses"`
	// Attempts to deliver webhook events, by outcome: a status code, "timeout" or "error".
	Attempts map[string]int `json:"attempts"`
	// Events by fate: "delivered", "failed" after the last attempt, "dropped",
	// "unsubscribed" when there was no subscription to send them to.
	Events map[string]int `json:"events"`
}

// Total sums the calls to an endpoint, or to any endpoint when it is "", by an
// athlete, or by anybody when it is 0.
func (c Counters) Total(endpoint string, athlete int64) int {
	total := 0
	for _, n := range c.Calls {
		if (endpoint == "" || n.Endpoint == endpoint) && (athlete == 0 || n.Athlete == athlete) {
			total += n.Count
		}
	}
	return total
}

type counters struct {
	calls                  map[Calls]int // Count is 0 in the keys
	maxFlight, deadRefresh map[int64]int
	attempts, events       map[string]int
}

func newCounters() counters {
	return counters{
		calls:       map[Calls]int{},
		maxFlight:   map[int64]int{},
		deadRefresh: map[int64]int{},
		attempts:    map[string]int{},
		events:      map[string]int{},
	}
}

// Counters returns a copy of the counters.
func (s *Server) Counters() Counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := Counters{
		Calls:                []Calls{},
		MaxRefreshesInFlight: maps.Clone(s.counters.maxFlight),
		DeadRefreshUses:      maps.Clone(s.counters.deadRefresh),
		Attempts:             maps.Clone(s.counters.attempts),
		Events:               maps.Clone(s.counters.events),
	}
	for key, n := range s.counters.calls {
		key.Count = n
		c.Calls = append(c.Calls, key)
	}
	slices.SortFunc(c.Calls, func(a, b Calls) int {
		return cmp.Or(cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Athlete, b.Athlete), cmp.Compare(a.Status, b.Status))
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
func (s *Server) enter(c *call) (finished func(status int)) {
	refreshing := c.endpoint == EndpointRefresh && c.athlete != 0
	s.mu.Lock()
	defer s.mu.Unlock()
	if refreshing {
		s.refreshFlight[c.athlete]++
		s.counters.maxFlight[c.athlete] = max(s.counters.maxFlight[c.athlete], s.refreshFlight[c.athlete])
	}
	return func(status int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if refreshing {
			s.refreshFlight[c.athlete]--
		}
		if c.fault.Kind == FaultDrop {
			status = 0
		}
		s.counters.calls[Calls{Endpoint: c.endpoint, Athlete: c.athlete, Status: status}]++
	}
}
