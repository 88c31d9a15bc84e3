package strava

import "maps"

// Calls is how many calls with an athlete's token had a status at an endpoint.
type Calls struct {
	Endpoint string `json:"endpoint"`
	Athlete  int64  `json:"athlete"` // 0 when the call has no known token
	Status   int    `json:"status"`  // 0 when the client got no response
	Count    int    `json:"count"`
}

// Counters are the counts since the start or the last reset.
type Counters struct {
	Calls []Calls `json:"calls"`
	// MaxRefreshesInFlight is, by athlete, the most refreshes at one time.
	MaxRefreshesInFlight map[int64]int `json:"max_refreshes_in_flight"`
	// DeadRefreshUses is, by athlete, how many refreshes were refused because
	// their refresh token was superseded or revoked.
	DeadRefreshUses map[int64]int `json:"dead_refresh_uses"`
	// Attempts to deliver webhook events, by outcome: a status code, "timeout"
	// or "error".
	Attempts map[string]int `json:"attempts"`
	// Events by final state: "delivered", "failed" after the last attempt,
	// "dropped", or "unsubscribed" if there was no subscription.
	Events map[string]int `json:"events"`
}

// Total returns the number of calls to an endpoint with an athlete's token. An
// empty endpoint stands for all endpoints, and athlete 0 for all athletes.
func (c Counters) Total(endpoint string, athlete int64) int {
	total := 0
	for _, n := range c.Calls {
		if (endpoint == "" || n.Endpoint == endpoint) && (athlete == 0 || n.Athlete == athlete) {
			total += n.Count
		}
	}
	return total
}

// counters are the counts that the server's lock guards.
type counters struct {
	refusedRefreshes map[int64]int
	attempts, events map[string]int
}

func newCounters() counters {
	return counters{refusedRefreshes: map[int64]int{}, attempts: map[string]int{}, events: map[string]int{}}
}

// Counters returns the counts.
func (s *Server) Counters() Counters {
	c := Counters{Calls: []Calls{}, MaxRefreshesInFlight: s.calls.MaxRefreshesInFlight()}
	for _, n := range s.calls.Calls() {
		c.Calls = append(c.Calls, Calls{n.Endpoint, n.Account, n.Status, n.Count})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.DeadRefreshUses = maps.Clone(s.counters.refusedRefreshes)
	c.Attempts, c.Events = maps.Clone(s.counters.attempts), maps.Clone(s.counters.events)
	return c
}

// ResetCounters sets every count to zero.
func (s *Server) ResetCounters() {
	s.calls.Reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counters = newCounters()
}
