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

// Document is the OpenAPI document, to hold answers to. The document lets fields
// be added to answers; here an answer with a field that is not described is
// wrong.
type Document struct {
	// Operations are all that are described, by their route keys.
	Operations map[string]Operation

	root     map[string]any
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema
}

// Names under which schemas are compiled: as described, and without what is
// required of schemas from which the caller selects fields.
const (
	complete = "complete.json"
	selected = "selected.json"
)

// MustLoad reads the document of the repository that the test is in.
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
		complete: closed,
		selected: func(node map[string]any) {
			closed(node)
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

// mustRoot is the folder of go.mod, which the test runs in or below.
func mustRoot(tb testing.TB) string {
	tb.Helper()
	for dir := "."; len(dir) < 100; dir = filepath.Join(dir, "..") {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	tb.Fatal("no go.mod above the test")
	return ""
}

// closed lets an object have no properties but those described.
func closed(node map[string]any) {
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

// Operation is one route as described.
type Operation struct {
	// Key is API Gateway's route key.
	Key string
	// Session says that it needs a session, and ByKey that a key will do.
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

// Check tells whether an answer is as described.
func (d *Document) Check(req api.Request, res api.Response) error {
	o, known := d.Operations[req.RouteKey]
	if !known {
		return fmt.Errorf("%s is not described", req.RouteKey)
	}
	status := fmt.Sprint(res.StatusCode)
	node, known := o.responses[status]
	if !known {
		return fmt.Errorf("%s: an answer of %s is not described", o.Key, status)
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
		value, there := res.Headers[name]
		if !there {
			if header["required"] == true {
				return fmt.Errorf("no %s", name)
			}
			continue
		}
		if at == "" {
			return fmt.Errorf("%s is described in place, not among the components", name)
		}
		if err := d.validate(complete+"#"+at+"/schema", text(value, header["schema"])); err != nil {
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
		return fmt.Errorf("a body of the type %q is not described: %s", mediaType, res.Body)
	case res.Headers["X-Content-Type-Options"] != "nosniff" || !strings.HasPrefix(res.Headers["Content-Security-Policy"], "default-src 'none'"):
		return fmt.Errorf("a browser may take it for more than data: %v", res.Headers)
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

// Takes tells whether the parameter takes a value, as it is in the path or query.
func (p Parameter) Takes(value string) bool {
	return p.schema.Validate(text(value, p.described)) == nil
}

// Edges are the values about which the parameter, a whole number, begins and
// ceases to be taken. Other parameters have none.
func (p Parameter) Edges() (out []string) {
	for _, name := range []string{"minimum", "maximum"} {
		if limit, ok := p.described[name].(json.Number); ok {
			n, err := limit.Int64()
			if err != nil {
				panic(err) // The document is no OpenAPI document.
			}
			out = append(out, fmt.Sprint(n-1), fmt.Sprint(n), fmt.Sprint(n+1))
		}
	}
	return out
}

func mustCompile(schema map[string]any) *jsonschema.Schema {
	c := jsonschema.NewCompiler()
	if err := c.AddResource("parameter.json", schema); err != nil {
		panic(err) // The document is no OpenAPI document.
	}
	return c.MustCompile("parameter.json")
}

// text is a value of a path, query or header as its schema sees it.
func text(value string, schema any) any {
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
	schema, known := d.compiled[pointer]
	if !known {
		var err error
		if schema, err = d.compiler.Compile(pointer); err != nil {
			return err
		}
		d.compiled[pointer] = schema
	}
	return schema.Validate(v)
}

// resolve follows a reference, if the node is one, and tells where the node is.
func (d *Document) resolve(node any, at string) (map[string]any, string) {
	n := node.(map[string]any)
	ref, is := n["$ref"].(string)
	if !is {
		return n, at
	}
	at = strings.TrimPrefix(ref, "#")
	var v any = d.root
	for part := range strings.SplitSeq(strings.TrimPrefix(at, "/"), "/") {
		v = v.(map[string]any)[part]
	}
	return v.(map[string]any), at
}

// escape makes a name a part of a JSON pointer within a URL.
func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(name)
}
