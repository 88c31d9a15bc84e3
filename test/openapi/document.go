package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/paceline/paceline/pkg/api"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Document is the OpenAPI document. It checks responses more strictly than the
// document says: a response must not have fields that are not described.
type Document struct {
	// Operations are the described operations by route key.
	Operations map[string]Operation

	root     map[string]any
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema
}

// The names under which schemas are compiled: as described, and without required
// fields for schemas whose fields the caller can select.
const (
	complete = "complete.json"
	selected = "selected.json"
)

// MustLoad reads the document of the repository that contains the test.
func MustLoad(tb testing.TB) *Document {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(mustRoot(tb), "web/public/openapi.json"))
	if err != nil {
		tb.Fatal(err)
	}
	parse := func() map[string]any {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			tb.Fatal(err)
		}
		return v.(map[string]any)
	}
	d := &Document{root: parse(), compiler: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{}}
	d.compiler.AssertFormat()
	for name, alter := range map[string]func(map[string]any){
		complete: forbidOthers,
		selected: func(node map[string]any) {
			forbidOthers(node)
			if node["x-selectable"] == true {
				delete(node, "required")
			}
		},
	} {
		resource := parse()
		walk(resource, alter)
		if err := d.compiler.AddResource(name, resource); err != nil {
			tb.Fatal(err)
		}
	}
	d.Operations = d.operations()
	return d
}

// mustRoot returns the folder of go.mod, in or above the working directory.
func mustRoot(tb testing.TB) string {
	tb.Helper()
	for dir := "."; len(dir) < 100; dir = filepath.Join(dir, "..") {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	tb.Fatal("no go.mod in or above the working directory")
	return ""
}

// forbidOthers forbids all properties of an object that are not described.
func forbidOthers(node map[string]any) {
	if _, object := node["properties"].(map[string]any); object && node["type"] == "object" {
		node["additionalProperties"] = false
	}
}

func walk(v any, visit func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(v)
		for _, e := range v {
			walk(e, visit)
		}
	case []any:
		for _, e := range v {
			walk(e, visit)
		}
	}
}

// Operation is a described route.
type Operation struct {
	// Key is API Gateway's route key.
	Key string
	// Session means that the operation needs a session, ByKey that a key suffices.
	Session, ByKey bool
	Parameters     []Parameter

	responses map[string]any
	pointer   string
}

// Parameter is a parameter of an operation.
type Parameter struct {
	Name string
	// In is path, query or header.
	In string

	described map[string]any
	schema    *jsonschema.Schema
}

func (d *Document) operations() map[string]Operation {
	out := map[string]Operation{}
	for path, item := range d.root["paths"].(map[string]any) {
		for method, node := range item.(map[string]any) {
			described := node.(map[string]any)
			o := Operation{
				Key:       strings.ToUpper(method) + " " + path,
				responses: described["responses"].(map[string]any),
				pointer:   "/paths/" + escape(path) + "/" + method,
			}
			security, _ := described["security"].([]any)
			for _, one := range security {
				schemes := one.(map[string]any)
				o.Session, o.ByKey = o.Session || schemes["session"] != nil, o.ByKey || schemes["key"] != nil
			}
			parameters, _ := described["parameters"].([]any)
			for _, p := range parameters {
				p, _ := d.resolve(p, "")
				described := p["schema"].(map[string]any)
				o.Parameters = append(o.Parameters, Parameter{p["name"].(string), p["in"].(string), described, mustCompile(described)})
			}
			out[o.Key] = o
		}
	}
	return out
}

// Check returns an error if a response does not match the document.
func (d *Document) Check(req api.Request, res api.Response) error {
	o, ok := d.Operations[req.RouteKey]
	if !ok {
		return fmt.Errorf("%s is not described", req.RouteKey)
	}
	status := fmt.Sprint(res.StatusCode)
	node, ok := o.responses[status]
	if !ok {
		return fmt.Errorf("%s: status %s is not described", o.Key, status)
	}
	response, at := d.resolve(node, o.pointer+"/responses/"+status)
	if err := errors.Join(d.checkHeaders(response, res), d.checkBody(req, response, at, res)); err != nil {
		return fmt.Errorf("%s: %s: %w", o.Key, status, err)
	}
	return nil
}

func (d *Document) checkHeaders(response map[string]any, res api.Response) error {
	headers, _ := response["headers"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		header, at := d.resolve(headers[name], "")
		value, ok := res.Headers[name]
		if !ok {
			if header["required"] == true {
				return fmt.Errorf("no %s", name)
			}
			continue
		}
		if at == "" {
			return fmt.Errorf("%s is described inline, not in the components", name)
		}
		if err := d.validate(complete+"#"+at+"/schema", typed(value, header["schema"])); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, name := range []string{"ETag", "Location", "Retry-After", "Link"} {
		if _, described := headers[name]; res.Headers[name] != "" && !described {
			return fmt.Errorf("%s is not described", name)
		}
	}
	return nil
}

func (d *Document) checkBody(req api.Request, response map[string]any, at string, res api.Response) error {
	content, _ := response["content"].(map[string]any)
	mediaType, _, _ := strings.Cut(res.Headers["Content-Type"], ";")
	switch {
	case len(content) == 0 && res.Body == "" && mediaType == "":
		return nil
	case content[mediaType] == nil:
		return fmt.Errorf("media type %q is not described: %s", mediaType, res.Body)
	case res.Headers["X-Content-Type-Options"] != "nosniff" || !strings.HasPrefix(res.Headers["Content-Security-Policy"], "default-src 'none'"):
		return fmt.Errorf("the headers let a browser interpret the body: %v", res.Headers)
	case !strings.HasSuffix(mediaType, "json"):
		return nil
	}
	body, err := jsonschema.UnmarshalJSON(strings.NewReader(res.Body))
	if err != nil {
		return err
	}
	resource := complete
	if req.QueryStringParameters["fields"] != "" {
		resource = selected
	}
	return d.validate(resource+"#"+at+"/content/"+escape(mediaType)+"/schema", body)
}

// Accepts reports whether the schema accepts a value from the path or query.
func (p Parameter) Accepts(value string) bool {
	return p.schema.Validate(typed(value, p.described)) == nil
}

// Edges returns the values around the minimum and maximum of an integer parameter.
// Other parameters have none.
func (p Parameter) Edges() (out []string) {
	for _, name := range []string{"minimum", "maximum"} {
		if limit, ok := p.described[name].(json.Number); ok {
			n, err := limit.Int64()
			if err != nil {
				panic(err) // The document is invalid.
			}
			out = append(out, fmt.Sprint(n-1), fmt.Sprint(n), fmt.Sprint(n+1))
		}
	}
	return out
}

func mustCompile(schema map[string]any) *jsonschema.Schema {
	c := jsonschema.NewCompiler()
	if err := c.AddResource("parameter.json", schema); err != nil {
		panic(err) // The document is invalid.
	}
	return c.MustCompile("parameter.json")
}

// typed returns a value from a path, query or header with the type in its schema.
func typed(value string, schema any) any {
	s, _ := schema.(map[string]any)
	switch s["type"] {
	case "integer":
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && value == strconv.FormatInt(n, 10) {
			return n
		}
	case "array": // style form, not exploded
		list := []any{}
		for one := range strings.SplitSeq(value, ",") {
			list = append(list, one)
		}
		return list
	}
	return value
}

func (d *Document) validate(pointer string, v any) error {
	schema, ok := d.compiled[pointer]
	if !ok {
		var err error
		if schema, err = d.compiler.Compile(pointer); err != nil {
			return err
		}
		d.compiled[pointer] = schema
	}
	return schema.Validate(v)
}

// resolve follows the reference if the node is one, and returns the node with its
// JSON pointer.
func (d *Document) resolve(node any, at string) (map[string]any, string) {
	n := node.(map[string]any)
	ref, ok := n["$ref"].(string)
	if !ok {
		return n, at
	}
	at = strings.TrimPrefix(ref, "#")
	var v any = d.root
	for part := range strings.SplitSeq(strings.TrimPrefix(at, "/"), "/") {
		v = v.(map[string]any)[part]
	}
	return v.(map[string]any), at
}

// escape escapes a name for a JSON pointer in a URL.
func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(name)
}
