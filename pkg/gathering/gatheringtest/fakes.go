package gatheringtest

import (
	"context"
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
