package kittest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var errRefused = errors.New("refused")

// RunIntercept checks that a boundary's Intercept hands every call of its ports
// to the Around, under its name, that only staleReads can be stale, and that
// other processes can write where [Write] says. All ports must be set; those with
// methods that change what is stored must work.
func RunIntercept[P any](t *testing.T, boundary string, staleReads []string, ports P, intercept func(P, Around) P) {
	w := &watcher{}
	intercepted := reflect.ValueOf(intercept(ports, w.around))
	for _, c := range calls(intercepted, boundary) {
		t.Run(c.op, func(t *testing.T) {
			if c.port.IsZero() {
				t.Fatal("the port is not set")
			}
			w.at = map[string]func() error{c.op: func() error { return errRefused }}
			w.check(t, c.make(t, false), errRefused, c.op)
			w.at = map[string]func() error{c.op: func() error { return ErrStale }}
			if got, want := refusesStale(func() { _ = c.make(t, false) }), !slices.Contains(staleReads, c.op); got != want {
				t.Errorf("a stale answer is refused: %v, want %v", got, want)
			}
			w.made = nil
			if c.change() < 0 {
				return
			}
			w.at = nil
			w.check(t, c.make(t, false), nil, c.op)
			w.at = map[string]func() error{c.op + Write: func() error { return errRefused }}
			w.check(t, c.make(t, true), errRefused, c.op, c.op+Write)
			w.at = map[string]func() error{c.op + Write: func() error {
				w.at = nil
				return c.make(t, true) // Another process writes first, so change runs again.
			}}
			w.check(t, c.make(t, true), nil, c.op, c.op+Write, c.op, c.op+Write, c.op+Write)
		})
	}
	none := *new(P)
	if got := intercept(none, PassThrough); !reflect.ValueOf(got).IsZero() {
		t.Errorf("ports that are not set become %+v", got)
	}
}

// watcher notes the calls that are made.
type watcher struct {
	made []string
	// at has what is done before each operation.
	at map[string]func() error
}

func (w *watcher) around(ctx context.Context, op string, call func(context.Context) error) error {
	if !strings.HasSuffix(op, Part) {
		w.made = append(w.made, op)
	}
	if do := w.at[op]; do != nil {
		if err := do(); err != nil {
			return err
		}
	}
	return call(ctx)
}

// check checks which calls were made since the last check.
func (w *watcher) check(t *testing.T, err, wantErr error, want ...string) {
	t.Helper()
	if !errors.Is(err, wantErr) || !slices.Equal(w.made, want) {
		t.Errorf("the calls were %v, want %v; the error is %v, want %v", w.made, want, err, wantErr)
	}
	w.made = nil
}

// refusesStale reports whether the call panics.
func refusesStale(call func()) (refused bool) {
	defer func() { refused = recover() != nil }()
	call()
	return false
}

// RunParts checks that an operation writes in so many parts, stops between any
// two of them, and completes them when it is repeated. start sets up an operation
// under an Around, and returns it and how much it has left to do.
func RunParts(t *testing.T, op string, parts int, start func(Around) (do func() error, left func() int)) {
	t.Helper()
	for stop := range parts {
		part := 0
		do, left := start(stopAfter(op, stop, &part))
		err := do()
		if stop == 0 {
			if err != nil || part != parts-1 || left() != 0 {
				t.Errorf("%s: %v after %d parts, want %d; %d left", op, err, part+1, parts, left())
			}
			continue
		}
		if !errors.Is(err, errRefused) || part != stop || stop == 1 && left() == 0 {
			t.Errorf("%s is to stop after part %d: %v after %d parts, %d left", op, stop, err, part, left())
		}
		if err := do(); err != nil || left() != 0 {
			t.Errorf("%s is repeated after part %d: %v, %d left", op, stop, err, left())
		}
	}
}

// stopAfter counts the parts that an operation has done, and refuses the one
// after stop.
func stopAfter(op string, stop int, done *int) Around {
	return func(ctx context.Context, name string, call func(context.Context) error) error {
		if name == op+Part {
			if *done++; *done == stop {
				return errRefused
			}
		}
		return call(ctx)
	}
}

// make makes the call and returns its error. A function among its arguments that
// changes what is stored reports changed.
func (c portCall) make(t *testing.T, changed bool) error {
	call := c.port
	if c.method >= 0 {
		call = c.port.Method(c.method)
	}
	args := []reflect.Value{reflect.ValueOf(t.Context())}
	for i := 1; i < c.kind.NumIn(); i++ {
		switch p := c.kind.In(i); {
		case i == c.change():
			args = append(args, reflect.MakeFunc(p, func([]reflect.Value) []reflect.Value {
				return []reflect.Value{reflect.ValueOf(changed), reflect.Zero(errorType)}
			}))
		case c.kind.IsVariadic() && i == c.kind.NumIn()-1:
		default:
			args = append(args, sample(p))
		}
	}
	out := call.Call(args)
	err, _ := out[len(out)-1].Interface().(error)
	return err
}

// sample returns a value whose integers are 1.
func sample(kind reflect.Type) reflect.Value {
	v := reflect.New(kind).Elem()
	switch kind.Kind() {
	case reflect.Int64:
		v.SetInt(1)
	case reflect.Struct:
		for i := range kind.NumField() {
			if v.Field(i).CanSet() {
				v.Field(i).Set(sample(kind.Field(i).Type))
			}
		}
	}
	return v
}
