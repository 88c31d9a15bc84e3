package api

import (
	"encoding/csv"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/paceline/paceline/pkg/kit/fault"
)

// names returns the JSON names of the fields of T, in their order.
func names[T any]() (out []string) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		if field.Anonymous {
			continue // Its fields are visible themselves.
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		out = append(out, name)
	}
	return out
}

// Fields is a selection of the fields of T, a struct with JSON tags.
type Fields[T any] struct {
	// names is nil for all.
	names map[string]bool
}

// SelectFields reads the query parameter fields, a comma-separated list of
// names. Without it all fields are selected. It fails with [fault.Invalid] if T
// has no such field or a name occurs twice.
func SelectFields[T any](req Request) (Fields[T], error) {
	list, given := req.QueryStringParameters["fields"]
	if !given {
		return Fields[T]{}, nil
	}
	known := names[T]()
	f := Fields[T]{names: map[string]bool{}}
	for name := range strings.SplitSeq(list, ",") {
		if !slices.Contains(known, name) || f.names[name] {
			return Fields[T]{}, fault.New(fault.Invalid, "fields must be a comma-separated list of field names without repetition")
		}
		f.names[name] = true
	}
	return f, nil
}

// Of returns the selected fields of v, to be encoded as JSON.
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

// CSV returns a table of the selected fields (RFC 4180), in the order of T,
// with their names in the first row if header is set. A missing field is empty.
// Text that a spreadsheet would treat as a formula gets an apostrophe in front.
func (f Fields[T]) CSV(header bool, rows ...T) string {
	var columns []string
	for _, name := range names[T]() {
		if f.names == nil || f.names[name] {
			columns = append(columns, name)
		}
	}
	var out strings.Builder
	w := csv.NewWriter(&out)
	w.UseCRLF = true
	if header {
		_ = w.Write(columns) // A strings.Builder never fails.
	}
	for _, row := range rows {
		var values map[string]json.RawMessage
		if err := json.Unmarshal([]byte(encode(row)), &values); err != nil {
			panic(err) // As in encode.
		}
		record := make([]string, len(columns))
		for i, name := range columns {
			record[i] = string(values[name])
			var text string
			if json.Unmarshal(values[name], &text) == nil {
				record[i] = inert(text)
			}
		}
		_ = w.Write(record)
	}
	w.Flush()
	return out.String()
}

// inert returns text that spreadsheets show and do not compute, so that a name
// like "=HYPERLINK(…)" is harmless (OWASP, "CSV Injection").
func inert(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}
