package kittest

import (
	"maps"
	"sync"
)

// Metrics counts in memory, as the Metrics port of every boundary.
type Metrics struct {
	mu     sync.Mutex
	counts map[string]int
}

// Count adds n to a metric.
func (m *Metrics) Count(metric string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counts == nil {
		m.counts = map[string]int{}
	}
	m.counts[metric] += n
}

// Of returns the count of a metric.
func (m *Metrics) Of(metric string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts[metric]
}

// All returns the counts of all metrics.
func (m *Metrics) All() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.counts)
}
