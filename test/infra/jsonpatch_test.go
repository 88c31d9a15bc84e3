package infra

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// operation is one of a JSON patch (RFC 6902).
type operation struct {
	Op   string `json:"op"`
	Path string `json:"path"`
	// Value is of add and replace.
	Value any `json:"value"`
}

// The kinds of operations that [makePatch] uses.
const (
	opAdd     = "add"
	opRemove  = "remove"
	opReplace = "replace"
)

// makePatch returns the patch that turns from into to, both decoded JSON. It
// goes into lists of the same length, and replaces others as a whole.
func makePatch(from, to any) []operation { return appendPatch(nil, "", from, to) }

func appendPatch(patch []operation, path string, from, to any) []operation {
	if reflect.DeepEqual(from, to) {
		return patch
	}
	switch from := from.(type) {
	case map[string]any:
		to, ok := to.(map[string]any)
		if !ok {
			break
		}
		keys := slices.Sorted(maps.Keys(from))
		for _, key := range keys {
			if value, ok := to[key]; ok {
				patch = appendPatch(patch, path+"/"+escapePointer(key), from[key], value)
			} else {
				patch = append(patch, operation{Op: opRemove, Path: path + "/" + escapePointer(key)})
			}
		}
		for _, key := range slices.Sorted(maps.Keys(to)) {
			if _, ok := from[key]; !ok {
				patch = append(patch, operation{Op: opAdd, Path: path + "/" + escapePointer(key), Value: to[key]})
			}
		}
		return patch
	case []any:
		to, ok := to.([]any)
		if !ok || len(to) != len(from) {
			break
		}
		for i := range from {
			patch = appendPatch(patch, path+"/"+strconv.Itoa(i), from[i], to[i])
		}
		return patch
	}
	return append(patch, operation{Op: opReplace, Path: path, Value: to})
}

// applyPatch changes v, decoded JSON, by the operations of a patch, and returns
// it. It knows those that [makePatch] makes: it adds and removes members of
// objects, and replaces members of objects and elements of lists.
func applyPatch(v any, patch []operation) (any, error) {
	root := map[string]any{"": v}
	for _, o := range patch {
		if err := apply(root, o); err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.Op, o.Path, err)
		}
	}
	return root[""], nil
}

func apply(root map[string]any, o operation) error {
	path := strings.Split(o.Path, "/")
	key := unescapePointer(path[len(path)-1])
	var parent any = root
	for _, step := range path[:len(path)-1] {
		switch in := parent.(type) {
		case map[string]any:
			parent = in[unescapePointer(step)]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(in) {
				return fmt.Errorf("there is no element %q", step)
			}
			parent = in[i]
		}
	}
	switch in := parent.(type) {
	case map[string]any:
		if _, exists := in[key]; exists == (o.Op == opAdd) {
			return fmt.Errorf("there is such a member: %t", exists)
		}
		if in[key] = o.Value; o.Op == opRemove {
			delete(in, key)
		}
		return nil
	case []any:
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 || i >= len(in) || o.Op != opReplace {
			return fmt.Errorf("there is no element %q to replace", key)
		}
		in[i] = o.Value
		return nil
	}
	return fmt.Errorf("%T has no members", parent)
}

var (
	pointerEscaper   = strings.NewReplacer("~", "~0", "/", "~1")
	pointerUnescaper = strings.NewReplacer("~1", "/", "~0", "~")
)

// escapePointer returns a key as a JSON pointer has it (RFC 6901).
func escapePointer(key string) string { return pointerEscaper.Replace(key) }

func unescapePointer(step string) string { return pointerUnescaper.Replace(step) }

func TestAPatchTurnsOneValueIntoTheOther(t *testing.T) {
	for _, c := range []struct{ from, to, patch string }{
		{`{"a": 1}`, `{"a": 1}`, ``},
		{`{"a": 1}`, `{"a": 2}`, `replace /a 2`},
		{`{"a": 1}`, `{}`, `remove /a`},
		{`{}`, `{"a": null}`, `add /a <nil>`},
		{`{"a": 1, "b": 2}`, `{"a": {"c": 3}}`, `replace /a map[c:3]; remove /b`},
		{`{"a": [1, {"b": 2}]}`, `{"a": [1, {"b": 3}]}`, `replace /a/1/b 3`},
		{`{"a": [1]}`, `{"a": [1, 2]}`, `replace /a [1 2]`},
		{`{"a": [1]}`, `{"a": {"0": 1}}`, `replace /a map[0:1]`},
		{`{"a/b": {"~": 1}}`, `{"a/b": {"~": 2}}`, `replace /a~1b/~0 2`},
		{`[1]`, `{}`, `replace  map[]`},
	} {
		from, to := decode[any](t, []byte(c.from)), decode[any](t, []byte(c.to))
		patch := makePatch(from, to)
		var shown []string
		for _, o := range patch {
			text := o.Op + " " + o.Path
			if o.Op != opRemove {
				text += fmt.Sprint(" ", o.Value)
			}
			shown = append(shown, text)
		}
		if got := strings.Join(shown, "; "); got != c.patch {
			t.Errorf("from %s to %s: %q, want %q", c.from, c.to, got, c.patch)
		}
		stored := decode[[]operation](t, formatPatch(t, patch))
		got, err := applyPatch(from, stored)
		if err != nil {
			t.Errorf("from %s to %s: %v", c.from, c.to, err)
		}
		if diff := cmp.Diff(to, got); diff != "" {
			t.Errorf("from %s to %s (-want +got):\n%s", c.from, c.to, diff)
		}
	}
}

func TestAPatchOfSomethingElseIsRefused(t *testing.T) {
	for _, o := range []operation{
		{opAdd, "/a", 1}, {opRemove, "/b", nil}, {opReplace, "/b", 1}, {opReplace, "/a/b/c", 1},
		{opReplace, "/list/1", 1}, {opRemove, "/list/0", nil}, {opReplace, "/list/x/y", 1},
	} {
		v := decode[any](t, []byte(`{"a": {}, "list": [1]}`))
		if got, err := applyPatch(v, []operation{o}); err == nil {
			t.Errorf("%v is taken for a patch: %v", o, got)
		}
	}
}
