package gatheringtest

import (
	"context"
	"maps"
	"sync"
	"time"
)

// Waker counts wake-ups.
type Waker struct {
	mu    sync.Mutex
	count int
	// Fail, when not nil, is the error that Wake returns.
	Fail error
}

// Wake implements [gathering.Waker].
func (w *Waker) Wake(context.Context, time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.Fail != nil {
		return w.Fail
	}
	w.count++
	return nil
}

// Count is how often a gatherer was woken.
func (w *Waker) Count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

// Metrics counts in memory.
type Metrics struct {
	mu     sync.Mutex
	counts map[string]int
}

// Count implements [gathering.Metrics].
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
