package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// template is a CloudFormation template.
type template struct {
	Description string
	Resources   map[string]*templateResource
	Outputs     map[string]templateOutput
}

// templateResource is a resource of a template, with all that any may have.
type templateResource struct {
	Type       string
	Properties json.RawMessage

	Condition, DeletionPolicy, DependsOn, Metadata, UpdateReplacePolicy any
}

// templateOutput is an output of a template, which other stacks import by the
// name of its export.
type templateOutput struct {
	Description any
	Export      struct{ Name string }
	Value       reference
}

// reference is a property that refers to another resource.
type reference = json.RawMessage

// resourceID identifies a resource.
type resourceID struct{ stack, id string }

func (r resourceID) String() string { return r.stack + "/" + r.id }

// templates are the templates of one stage by the short name of the stack.
type templates struct {
	byStack map[string]template
	exports map[string]export
}

// export is what a stack exports.
type export struct {
	stack string
	value reference
}

// newTemplates decodes the templates of the stacks.
func newTemplates(files map[string][]byte) (templates, error) {
	t := templates{map[string]template{}, map[string]export{}}
	for stack, content := range files {
		var decoded template
		if err := decodeStrictly(content, &decoded); err != nil {
			return t, fmt.Errorf("stack %s: %w", stack, err)
		}
		t.byStack[stack] = decoded
		for _, o := range decoded.Outputs {
			if o.Export.Name != "" {
				t.exports[o.Export.Name] = export{stack, o.Value}
			}
		}
	}
	return t, nil
}

// all returns the ids of all resources, sorted.
func (t templates) all() (ids []resourceID) {
	for _, stack := range slices.Sorted(maps.Keys(t.byStack)) {
		for _, id := range slices.Sorted(maps.Keys(t.byStack[stack].Resources)) {
			ids = append(ids, resourceID{stack, id})
		}
	}
	return ids
}

// resource returns a resource that exists.
func (t templates) resource(id resourceID) *templateResource {
	return t.byStack[id.stack].Resources[id.id]
}

// resolve returns the one resource that a reference in a stack means: by itself,
// by one of its attributes, by an export of another stack, or as a part of a
// text.
func (t templates) resolve(stack string, r reference) (resourceID, error) {
	var call map[string]json.RawMessage
	if err := json.Unmarshal(r, &call); err != nil || len(call) != 1 {
		return resourceID{}, fmt.Errorf("%s is no reference", r)
	}
	var id, name string
	switch {
	case json.Unmarshal(call["Ref"], &id) == nil:
	case json.Unmarshal(call["Fn::GetAtt"], &[]any{&id, &name}) == nil:
	case json.Unmarshal(call["Fn::ImportValue"], &name) == nil:
		e, ok := t.exports[name]
		if !ok {
			return resourceID{}, fmt.Errorf("no stack exports %s", name)
		}
		return t.resolve(e.stack, e.value)
	case call["Fn::Join"] != nil:
		return t.resolveText(stack, call["Fn::Join"])
	}
	found := resourceID{stack, id}
	if t.resource(found) == nil {
		return found, fmt.Errorf("%s refers to no resource of %s", r, stack)
	}
	return found, nil
}

// resolveText returns the one resource to which a text refers that Fn::Join
// makes. References to the account's own names, such as AWS::Region, do not
// count.
func (t templates) resolveText(stack string, join json.RawMessage) (found resourceID, err error) {
	var parts []json.RawMessage
	if err := json.Unmarshal(join, &[]any{new(string), &parts}); err != nil {
		return found, fmt.Errorf("%s is no text", join)
	}
	for _, part := range parts {
		var fixed string
		var account struct{ Ref string }
		if json.Unmarshal(part, &fixed) == nil ||
			json.Unmarshal(part, &account) == nil && strings.HasPrefix(account.Ref, "AWS::") {
			continue
		}
		if found != (resourceID{}) {
			return found, fmt.Errorf("%s refers to several resources", join)
		}
		if found, err = t.resolve(stack, part); err != nil {
			return found, err
		}
	}
	if found == (resourceID{}) {
		return found, fmt.Errorf("%s refers to no resource", join)
	}
	return found, nil
}

// decodeStrictly decodes JSON whose every field must be known.
func decodeStrictly(content []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
