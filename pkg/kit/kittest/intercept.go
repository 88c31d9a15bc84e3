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
// to the Around, under its name. All ports must be set; those with methods that
// change what is stored must work.
func RunIntercept[P any](t *testing.T, boundary string, ports P, intercept func(P, Around) P) {
	var made []string
	refuse := "" // The operation to refuse.
	intercepted := reflect.ValueOf(intercept(ports, func(ctx context.Context, op string, call func(context.Context) error) error {
		if !strings.HasSuffix(op, Part) {
			made = append(made, op)
		}
		if op == refuse {
			return errRefused
		}
		return call(ctx)
	}))
	for _, c := range calls(intercepted, boundary) {
		t.Run(c.op, func(t *testing.T) {
			if c.port.IsZero() {
				t.Fatal("the port is not set")
			}
			check := func(err error, wantErr error, want ...string) {
				t.Helper()
				if !errors.Is(err, wantErr) || !slices.Equal(made, want) {
					t.Errorf("the calls were %v, want %v; the error is %v, want %v", made, want, err, wantErr)
				}
				made = nil
			}
			refuse = c.op
			check(c.make(t, false), errRefused, c.op)
			if c.change() >= 0 {
				refuse = c.op + Write
				check(c.make(t, false), nil, c.op)
				check(c.make(t, true), errRefused, c.op, c.op+Write)
			}
		})
	}
	none := *new(P)
	if got := intercept(none, PassThrough); !reflect.ValueOf(got).IsZero() {
		t.Errorf("ports that are not set become %+v", got)
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
