package standin

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// AnyEndpoint is the name of all endpoints at once.
const AnyEndpoint = "any"

// EndpointGroups holds the endpoints of a stand-in by the name of their group. A
// fault names one endpoint, a group, or AnyEndpoint.
type EndpointGroups map[string][]string

// Covers reports whether name is the endpoint, or a group that has it.
func (g EndpointGroups) Covers(name, endpoint string) bool {
	return name == AnyEndpoint || name == endpoint || slices.Contains(g[name], endpoint)
}

// Names returns every name that a fault may have: AnyEndpoint, the groups, and
// the endpoints of each group.
func (g EndpointGroups) Names() []string {
	groups := slices.Sorted(maps.Keys(g))
	names := append([]string{AnyEndpoint}, groups...)
	for _, group := range groups {
		names = append(names, g[group]...)
	}
	return names
}

// Faults holds the faults that are still to happen, oldest first. It is safe for
// concurrent use.
type Faults[F any] struct {
	remaining func(*F) *int
	mu        sync.Mutex
	pending   []F
}

// NewFaults returns an empty Faults. The function remaining returns the field of
// a fault that holds how many calls it still happens to; a negative number means
// that it happens until Clear.
func NewFaults[F any](remaining func(*F) *int) *Faults[F] {
	return &Faults[F]{remaining: remaining}
}

// Add adds a fault.
func (f *Faults[F]) Add(fault F) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending = append(f.pending, fault)
}

// All returns the faults that are still to happen.
func (f *Faults[F]) All() []F {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]F{}, f.pending...)
}

// Clear removes all faults.
func (f *Faults[F]) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending = nil
}

// Take returns the oldest fault that matches a call, and counts the call. It
// returns the zero fault if none matches.
func (f *Faults[F]) Take(matches func(F) bool) F {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.pending, matches)
	if i < 0 {
		var none F
		return none
	}
	taken := f.pending[i]
	switch remaining := f.remaining(&f.pending[i]); {
	case *remaining == 1:
		f.pending = slices.Delete(f.pending, i, i+1)
	case *remaining > 1:
		*remaining--
	}
	return taken
}

// Delay waits for d, in real time. It returns early when the request or the
// stand-in ends.
func Delay(request, running context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-request.Done():
	case <-running.Done():
	}
}

// Hang waits until the request or the stand-in ends.
func Hang(request, running context.Context) {
	select {
	case <-request.Done():
	case <-running.Done():
	}
}
