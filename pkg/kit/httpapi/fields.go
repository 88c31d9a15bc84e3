package httpapi

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/paceline/paceline/pkg/kit/fault"
)

// Fields is a selection of the fields of T, a struct with JSON tags.
type Fields[T any] struct {
	// names is nil for all.
	names map[string]bool
}

// SelectFields reads the query's fields: names with commas between them. Without
// it, or when it is empty, all fields are selected. The fault is invalid when T
// has no such field.
func SelectFields[T any](req Request) (Fields[T], error) {
	list := req.QueryStringParameters["fields"]
	if list == "" {
		return Fields[T]{}, nil
	}
	known := map[string]bool{}
	for field := range reflect.TypeFor[T]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		known[name] = true
	}
	f := Fields[T]{names: map[string]bool{}}
	for name := range strings.SplitSeq(list, ",") {
		if !known[name] {
			return Fields[T]{}, fault.New(fault.Invalid, "fields must be names of fields with commas between them")
		}
		f.names[name] = true
	}
	return f, nil
}

// Of is v with nothing but the selected fields, to be encoded as JSON.
func (f Fields[T]) Of(v T) any {
	if f.names == nil {
		return v
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(encode(v)), &all); err != nil {
		panic(err) // As in encode.
	}
	for name := range all {
		if !f.names[name] {
			delete(all, name)
		}
	}
	return all
}
