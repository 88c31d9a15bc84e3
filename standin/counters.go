package standin

import (
	"cmp"
	"maps"
	"slices"
	"sync"
)

// CallCount is how many calls of an account had a status at an endpoint.
type CallCount[ID cmp.Ordered] struct {
	Endpoint string
	Account  ID // the zero ID when the stand-in does not know the account
	Status   int
	Count    int
}

// CallCounter counts the calls to a stand-in, and the refreshes that are in
// flight at one time. It is safe for concurrent use.
type CallCounter[ID cmp.Ordered] struct {
	mu        sync.Mutex
	calls     map[CallCount[ID]]int // Count is 0 in the keys
	inFlight  map[ID]int            // refreshes
	maxFlight map[ID]int
}

// NewCallCounter returns a counter of nothing yet.
func NewCallCounter[ID cmp.Ordered]() *CallCounter[ID] {
	c := &CallCounter[ID]{inFlight: map[ID]int{}}
	c.Reset()
	return c
}

// Reset sets the counts to zero. Refreshes in flight stay in flight.
func (c *CallCounter[ID]) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls, c.maxFlight = map[CallCount[ID]]int{}, map[ID]int{}
}

// Count counts one call. Status 0 means that the client got no response.
func (c *CallCounter[ID]) Count(endpoint string, account ID, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[CallCount[ID]{Endpoint: endpoint, Account: account, Status: status}]++
}

// StartRefresh counts a refresh of the account as in flight until end is called.
func (c *CallCounter[ID]) StartRefresh(account ID) (end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight[account]++
	c.maxFlight[account] = max(c.maxFlight[account], c.inFlight[account])
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.inFlight[account]--
	}
}

// Calls returns the counts by endpoint, account and status.
func (c *CallCounter[ID]) Calls() []CallCount[ID] {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := []CallCount[ID]{}
	for key, n := range c.calls {
		key.Count = n
		list = append(list, key)
	}
	slices.SortFunc(list, func(a, b CallCount[ID]) int {
		return cmp.Or(cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Status, b.Status))
	})
	return list
}

// MaxRefreshesInFlight returns, by account, the most refreshes at one time.
func (c *CallCounter[ID]) MaxRefreshesInFlight() map[ID]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.maxFlight)
}
