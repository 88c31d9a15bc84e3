package eventtest

import (
	"context"
	"slices"
	"sync"

	"github.com/paceline/paceline/pkg/event"
)

// Bus records published events. The zero Bus is ready to use.
type Bus struct {
	mu     sync.Mutex
	events []event.Event
	fail   error
}

// Publish implements every boundary's Publisher.
func (b *Bus) Publish(_ context.Context, events ...event.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return b.fail
	}
	b.events = append(b.events, events...)
	return nil
}

// Fail makes Publish return err from now on; nil makes it work again.
func (b *Bus) Fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = err
}

// Events returns everything published so far.
func (b *Bus) Events() []event.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.events)
}

// Facts returns the facts of type T published so far.
func Facts[T event.Fact](b *Bus) (facts []T) {
	for _, e := range b.Events() {
		if f, ok := e.Fact.(T); ok {
			facts = append(facts, f)
		}
	}
	return facts
}
