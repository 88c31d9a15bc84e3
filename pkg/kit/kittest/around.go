package kittest

import (
	"context"
	"errors"
	"sync"

	"github.com/paceline/paceline/pkg/event"
)

// Around makes a call of a port by calling call, and returns its error. op
// names the call by boundary, field of Ports and method, such as
// "gathering.Jobs.Due"; see [Operations]. In place of that, an Around may wait,
// return an error without making the call, or make the call and return another
// error, so that the answer is lost. It may panic: the process is killed.
//
// Beside the call as a whole, an Around is called with [Write] after op each
// time that a read-change-write method is about to write, and with [Part] after
// op between the parts of a method that writes in parts. Other processes may run
// then, and an error ends the method.
type Around func(ctx context.Context, op string, call func(context.Context) error) error

// What follows an operation's name for a step within it.
const (
	Write = "/write"
	Part  = "/part"
)

// ErrStale is what an [Around] returns for a read that may be stale, so that
// the read has no error, but an old answer.
var ErrStale = errors.New("a stale answer")

// PassThrough is an [Around] that makes every call.
func PassThrough(ctx context.Context, _ string, call func(context.Context) error) error {
	return call(ctx)
}

type stepKey struct{}

// step calls the Around of the call in progress for a step within it. Without an
// Around it does nothing.
func step(ctx context.Context, name string) error {
	if do, ok := ctx.Value(stepKey{}).(func(context.Context, string) error); ok {
		return do(ctx, name)
	}
	return nil
}

// BetweenParts is called by a store in memory, with no lock held, before each
// part but the first of what the real one writes in parts. After an error, which
// it returns as it is, the store writes no more.
func BetweenParts(ctx context.Context) error { return step(ctx, Part) }

// Writes returns change with the step [Write] after every run that reports a
// change. ctx is that of the call.
func Writes[T any](ctx context.Context, change func(*T) (bool, error)) func(*T) (bool, error) {
	return func(v *T) (bool, error) {
		changed, err := change(v)
		if err == nil && changed {
			err = step(ctx, Write)
		}
		return changed, err
	}
}

// Do makes a call that has no answer.
func (a Around) Do(ctx context.Context, op string, call func(context.Context) error) error {
	_, err := Get(ctx, a, op, func(ctx context.Context) (struct{}, error) { return struct{}{}, call(ctx) })
	return err
}

// Get makes a call that has an answer. If the call's own error is returned, so
// is the answer beside it; with an error of the Around, the answer is zero.
func Get[T any](ctx context.Context, a Around, op string, call func(context.Context) (T, error)) (T, error) {
	answer, err := GetOrStale(ctx, a, op, call)
	if errors.Is(err, ErrStale) {
		panic(op + " has no stale answers")
	}
	return answer, err
}

// Get2 is [Get] for two answers.
func Get2[A, B any](ctx context.Context, a Around, op string, call func(context.Context) (A, B, error)) (A, B, error) {
	type answers struct {
		a A
		b B
	}
	out, err := Get(ctx, a, op, func(ctx context.Context) (out answers, err error) {
		out.a, out.b, err = call(ctx)
		return out, err
	})
	return out.a, out.b, err
}

// GetOrStale is [Get] for a read that may be stale: it may fail with [ErrStale].
func GetOrStale[T any](ctx context.Context, a Around, op string, call func(context.Context) (T, error)) (T, error) {
	var (
		answer T
		own    error
	)
	err := a(ctx, op, func(ctx context.Context) error {
		steps := func(ctx context.Context, name string) error {
			return a(ctx, op+name, func(context.Context) error { return nil })
		}
		answer, own = call(context.WithValue(ctx, stepKey{}, steps))
		return own
	})
	if err != nil && (own == nil || !errors.Is(err, own)) {
		return *new(T), err
	}
	return answer, err
}

// StaleRead is a read that may miss the latest writes: on [ErrStale] it returns
// what the same call, by its key, returned last; the zero value before the first.
type StaleRead[K comparable, T any] struct {
	Around Around
	Op     string
	// Copy returns an answer that shares nothing that callers may change.
	Copy func(T) T

	mu   sync.Mutex
	last map[K]T
}

// Get makes the call.
func (r *StaleRead[K, T]) Get(ctx context.Context, key K, call func(context.Context) (T, error)) (T, error) {
	answer, err := GetOrStale(ctx, r.Around, r.Op, call)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case errors.Is(err, ErrStale):
		return r.Copy(r.last[key]), nil
	case err == nil:
		if r.last == nil {
			r.last = map[K]T{}
		}
		r.last[key] = r.Copy(answer)
	}
	return answer, err
}

// Publisher is the port of this name of a boundary, with an Around at its call.
type Publisher struct {
	Port interface {
		Publish(ctx context.Context, events ...event.Event) error
	}
	Around   Around
	Boundary string
}

// Publish makes the call.
func (p Publisher) Publish(ctx context.Context, events ...event.Event) error {
	return p.Around.Do(ctx, p.Boundary+".Publisher.Publish", func(ctx context.Context) error { return p.Port.Publish(ctx, events...) })
}
