package fitbit

import "maps"

// Calls is how many calls about a user had a status at an endpoint.
type Calls struct {
	Endpoint string `json:"endpoint"`
	User     string `json:"user"`   // "" when the call has no known user
	Status   int    `json:"status"` // 0 when the client got no response
	Count    int    `json:"count"`
}

// Counters are the counts since the start or the last reset.
type Counters struct {
	Calls []Calls `json:"calls"`
	// MaxRefreshesInFlight is, by user, the most refreshes at one time.
	MaxRefreshesInFlight map[string]int `json:"max_refreshes_in_flight"`
	// DeadRefreshUses is, by user, how many refreshes were refused because their
	// refresh token was used or revoked before.
	DeadRefreshUses map[string]int `json:"dead_refresh_uses"`
	// RepeatedRefreshes is, by user, how many refreshes with a used refresh token
	// got the same response again.
	RepeatedRefreshes map[string]int `json:"repeated_refreshes"`
}

// Total returns the number of calls to an endpoint about a user. An empty string
// stands for every endpoint or every user.
func (c Counters) Total(endpoint, user string) int {
	total := 0
	for _, n := range c.Calls {
		if (endpoint == "" || n.Endpoint == endpoint) && (user == "" || n.User == user) {
			total += n.Count
		}
	}
	return total
}

// Counters returns the counts.
func (s *Server) Counters() Counters {
	c := Counters{Calls: []Calls{}, MaxRefreshesInFlight: s.calls.MaxRefreshesInFlight()}
	for _, n := range s.calls.Calls() {
		c.Calls = append(c.Calls, Calls{n.Endpoint, n.Account, n.Status, n.Count})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.DeadRefreshUses, c.RepeatedRefreshes = maps.Clone(s.refused), maps.Clone(s.repeated)
	return c
}

// ResetCounters sets every count to zero.
func (s *Server) ResetCounters() {
	s.calls.Reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.refused)
	clear(s.repeated)
}
