package kittest

import (
	"context"
	"reflect"
)

var (
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
)

// Operations returns the names of all calls of a boundary's ports, as an
// [Around] gets them, including the step [Write] of read-change-write methods.
// A call is what takes a context and returns an error: a method of an interface,
// or a function that returns an answer, too.
func Operations(ports any, boundary string) (ops []string) {
	for _, p := range calls(reflect.ValueOf(ports), boundary) {
		ops = append(ops, p.op)
		if p.change() >= 0 {
			ops = append(ops, p.op+Write)
		}
	}
	return ops
}

// portCall is a method of a port, or a port that is a function.
type portCall struct {
	op   string
	kind reflect.Type // without a receiver
	// port holds the call; method is its index there, or -1 for the port itself.
	port   reflect.Value
	method int
}

// calls returns all calls in the order of the fields.
func calls(ports reflect.Value, boundary string) (all []portCall) {
	for i := range ports.NumField() {
		field, port := ports.Type().Field(i), ports.Field(i)
		name := boundary + "." + field.Name
		switch field.Type.Kind() {
		case reflect.Func:
			if isCall(field.Type) && field.Type.NumOut() > 1 {
				all = append(all, portCall{name, field.Type, port, -1})
			}
		case reflect.Interface:
			for n := range field.Type.NumMethod() {
				if m := field.Type.Method(n); isCall(m.Type) {
					all = append(all, portCall{name + "." + m.Name, m.Type, port, n})
				}
			}
		}
	}
	return all
}

func isCall(f reflect.Type) bool {
	return f.NumIn() > 0 && f.In(0) == contextType && f.NumOut() > 0 && f.Out(f.NumOut()-1) == errorType
}

// change returns which parameter changes what is stored, -1 for none.
func (c portCall) change() int {
	for i := range c.kind.NumIn() {
		p := c.kind.In(i)
		if p.Kind() == reflect.Func && p.NumIn() == 1 && p.In(0).Kind() == reflect.Pointer &&
			p.NumOut() == 2 && p.Out(0).Kind() == reflect.Bool && p.Out(1) == errorType {
			return i
		}
	}
	return -1
}
