package event_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/athletev1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A contract is what other boundaries may rely on in an event: beside the
// struct, a schema testdata/<Name>.schema.json, a sample testdata/<Name>.json
// in which no field is left out or zero, and perhaps more samples
// <Name>.<what>.json. Once released, samples stay as they are: they show that
// old events still decode.
type contract struct {
	event.Fact
	decode func(detail []byte) (event.Event, error)
}

func of[T event.Fact]() contract {
	var zero T
	return contract{zero, func(detail []byte) (event.Event, error) {
		meta, fact, err := event.Decode[T](detail)
		return event.Event{Meta: meta, Fact: fact}, err
	}}
}

var contracts = []contract{
	of[credentialsv1.AthleteAuthorized](),
	of[credentialsv1.AuthorizationDegraded](),
	of[credentialsv1.AuthorizationRevoked](),
	of[credentialsv1.ErasureCompleted](),
	of[credentialsv1.WebhookConfigured](),
	of[credentialsv1.AccountLinked](),
	of[credentialsv1.AccountUnlinked](),
	of[gatheringv1.AthleteGathered](),
	of[gatheringv1.ActivitiesGathered](),
	of[gatheringv1.ActivityGone](),
	of[gatheringv1.ScanProgressed](),
	of[gatheringv1.DeauthorizationReported](),
	of[gatheringv1.ErasureCompleted](),
	of[athletev1.GatherRequested](),
	of[athletev1.ErasureRequested](),
	of[activityv1.ErasureCompleted](),
	of[activityv1.RemovalQuestioned](),
}

// dir is the folder of the contract's files, by the struct's package.
func (c contract) dir() string {
	return filepath.Join(filepath.Base(reflect.TypeOf(c.Fact).PkgPath()), "testdata")
}

func (c contract) name() string { return reflect.TypeOf(c.Fact).Name() }

func (c contract) schemaFile() string { return filepath.Join(c.dir(), c.name()+".schema.json") }

// samples are the contract's sample files, the complete one first.
func (c contract) samples(t *testing.T) []string {
	t.Helper()
	complete := filepath.Join(c.dir(), c.name()+".json")
	files, err := filepath.Glob(filepath.Join(c.dir(), c.name()+".*.json"))
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(f string) bool { return f == c.schemaFile() })
	return append([]string{complete}, files...)
}

// published is an event as it is on the bus.
type published struct {
	Source     string          `json:"source"`
	DetailType string          `json:"detail-type"`
	Detail     json.RawMessage `json:"detail"`
}

func TestEveryFactHasAContract(t *testing.T) {
	var want []string
	files, err := filepath.Glob("*v*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	method := regexp.MustCompile(`func \((\w+)\) DetailType\(\)`)
	for _, file := range files {
		for _, m := range method.FindAllStringSubmatch(mustRead(t, file), -1) {
			want = append(want, filepath.Join(filepath.Dir(file), m[1]))
		}
	}
	var got, expected []string
	for _, c := range contracts {
		got = append(got, filepath.Join(filepath.Dir(c.dir()), c.name()))
		expected = append(append(expected, c.samples(t)...), c.schemaFile())
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("facts without a contract, or the other way round (-fact +contract)\n%s", d)
	}
	there, err := filepath.Glob("*v*/testdata/*")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(expected)
	if d := cmp.Diff(expected, there); d != "" {
		t.Errorf("(-expected +files)\n%s", d)
	}
}

func TestSamplesFitSchemaAndStruct(t *testing.T) {
	for _, c := range contracts {
		t.Run(c.Source()+"/"+c.name(), func(t *testing.T) {
			schema := mustCompile(t, c.schemaFile())
			for i, file := range c.samples(t) {
				sample := mustParse(t, mustRead(t, file)).(map[string]any)
				if err := schema.Validate(sample); err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				var p published
				mustUnmarshal(t, mustRead(t, file), &p)
				if p.Source != c.Source() || p.DetailType != c.DetailType() || p.DetailType != c.name()+".v1" {
					t.Errorf("%s is a %s of %s, the struct a %s of %s", file, p.DetailType, p.Source, c.DetailType(), c.Source())
				}
				decoded, err := c.decode(p.Detail)
				if err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				encoded, err := decoded.Detail()
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(sample["detail"], mustParse(t, string(encoded)), numbers); d != "" {
					t.Errorf("%s differs after decoding and encoding (-sample +encoded)\n%s", file, d)
				}
				if i == 0 {
					for _, path := range zeros(reflect.ValueOf(decoded), "") {
						t.Errorf("%s leaves out or has zero%s", file, path)
					}
				}

				// Fields of later minor versions change nothing.
				later, err := c.decode([]byte(mustMarshal(t, withUnknown(sample["detail"]))))
				if err != nil {
					t.Fatalf("%s with unknown fields: %v", file, err)
				}
				if d := cmp.Diff(decoded, later); d != "" {
					t.Errorf("%s with unknown fields decodes to something else\n%s", file, d)
				}
				if err := schema.Validate(mustParse(t, mustMarshal(t, withUnknown(sample)))); err != nil {
					t.Errorf("%s with unknown fields: %v", file, err)
				}
			}
		})
	}
}

// The schema describes each field of the struct and no other, and requires
// those that are always there.
func TestSchemaMirrorsStruct(t *testing.T) {
	for _, c := range contracts {
		t.Run(c.Source()+"/"+c.name(), func(t *testing.T) {
			schema := mustParse(t, mustRead(t, c.schemaFile())).(map[string]any)
			node := schema["properties"].(map[string]any)["detail"].(map[string]any)["properties"].(map[string]any)
			mirror(t, "data", reflect.TypeOf(c.Fact), node["data"].(map[string]any))
			ref := node["meta"].(map[string]any)["$ref"].(string)
			meta := mustParse(t, mustRead(t, filepath.Join(c.dir(), ref))).(map[string]any)
			mirror(t, "meta", reflect.TypeFor[event.Meta](), meta)
		})
	}
}

func mirror(t *testing.T, path string, typ reflect.Type, node map[string]any) {
	t.Helper()
	want := map[reflect.Kind]string{
		reflect.String: "string", reflect.Bool: "boolean", reflect.Int: "integer", reflect.Int64: "integer",
		reflect.Float64: "number", reflect.Struct: "object", reflect.Slice: "array",
	}[typ.Kind()]
	if typ == reflect.TypeFor[time.Time]() {
		want = "string"
		if node["format"] != "date-time" {
			t.Errorf("%s has no format date-time", path)
		}
	}
	if node["type"] != want {
		t.Errorf("%s is %v in the schema, %s in the struct", path, node["type"], typ)
		return
	}
	switch want {
	case "array":
		mirror(t, path+"[]", typ.Elem(), node["items"].(map[string]any))
	case "object":
		properties := node["properties"].(map[string]any)
		var names, required []string
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
			names = append(names, name)
			if option == "" {
				required = append(required, name)
			}
			elem := f.Type
			if elem.Kind() == reflect.Pointer {
				elem = elem.Elem()
			}
			if p, ok := properties[name].(map[string]any); ok {
				mirror(t, path+"."+name, elem, p)
			}
		}
		slices.Sort(names)
		if d := cmp.Diff(names, slices.Sorted(maps.Keys(properties))); d != "" {
			t.Errorf("properties of %s (-struct +schema)\n%s", path, d)
		}
		var requires []string
		for _, r := range node["required"].([]any) {
			requires = append(requires, r.(string))
		}
		slices.Sort(required)
		slices.Sort(requires)
		if d := cmp.Diff(required, requires); d != "" {
			t.Errorf("%s requires (-struct +schema)\n%s", path, d)
		}
	}
}

// A schema that lets everything pass would be no contract.
func TestSchemaRefusesWhatLacksSomething(t *testing.T) {
	optional := map[string]bool{"causationId": true}
	for _, c := range contracts {
		t.Run(c.Source()+"/"+c.name(), func(t *testing.T) {
			schema := mustCompile(t, c.schemaFile())
			complete := mustRead(t, c.samples(t)[0])
			for _, part := range []string{"", "detail", "meta", "data"} {
				for key := range object(mustParse(t, complete), part) {
					if optional[key] || part == "data" && optionalField(c, key) {
						continue
					}
					sample := mustParse(t, complete)
					delete(object(sample, part), key)
					if schema.Validate(sample) == nil {
						t.Errorf("without %s the sample passes", key)
					}
					object(sample, part)[key] = []any{}
					if schema.Validate(sample) == nil && key != "scopes" && key != "activities" {
						t.Errorf("with [] for %s the sample passes", key)
					}
				}
			}
		})
	}
}

// object is the part of a published event by the name.
func object(sample any, part string) map[string]any {
	o := sample.(map[string]any)
	if part != "" {
		o = o["detail"].(map[string]any)
	}
	if part == "meta" || part == "data" {
		o = o[part].(map[string]any)
	}
	return o
}

func optionalField(c contract, name string) bool {
	typ := reflect.TypeOf(c.Fact)
	for i := range typ.NumField() {
		if typ.Field(i).Tag.Get("json") == name+",omitempty" {
			return true
		}
	}
	return false
}

// zeros are the paths of all fields that are zero.
func zeros(v reflect.Value, path string) (out []string) {
	if v.IsZero() {
		return []string{path}
	}
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		return zeros(v.Elem(), path)
	case reflect.Slice:
		for i := range v.Len() {
			out = append(out, zeros(v.Index(i), path+"[]")...)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return nil
		}
		for i := range v.NumField() {
			out = append(out, zeros(v.Field(i), path+"."+v.Type().Field(i).Name)...)
		}
	}
	return out
}

// withUnknown adds a field to every object.
func withUnknown(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{"field_of_tomorrow": map[string]any{"x": true}}
		for k, e := range v {
			out[k] = withUnknown(e)
		}
		return out
	case []any:
		var out []any
		for _, e := range v {
			out = append(out, withUnknown(e))
		}
		return out
	}
	return v
}

// numbers makes 178.0 and 178 the same.
var numbers = cmp.Comparer(func(a, b json.Number) bool {
	x, errX := a.Float64()
	y, errY := b.Float64()
	return errX == nil && errY == nil && x == y
})

func mustCompile(t *testing.T, file string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile(file)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func mustRead(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func mustParse(t *testing.T, text string) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustUnmarshal(t *testing.T, text string, dst any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), dst); err != nil {
		t.Fatal(err)
	}
}

func mustMarshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
