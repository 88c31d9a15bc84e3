package infra

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/paceline/paceline/infra/config"
	"github.com/paceline/paceline/infra/stack"
)

var stages = []config.Stage{config.Local, config.Dev, config.Prod}

// stackNames are the stacks of every stage.
var stackNames = []string{"Platform", "Credentials", "Gathering", "AthletePlane", "ActivityPlane", "AthleteUi"}

// functions are the folders of all functions, below dist/host, dist/lambda and
// functions.
var functions = []string{
	"credentials/serve-oauth", "credentials/authorize-session", "credentials/serve-api", "credentials/forward-request", "credentials/check-subscription",
	"credentials/serve-links", "credentials/reconcile-links", "credentials/use-accounts",
	"credentials/administer-app", "credentials/handle-events", "credentials/reconcile-grants",
	"gathering/receive-webhook", "gathering/gather-work", "gathering/handle-events", "gathering/show-status",
	"gathering/enforce-deadlines", "gathering/probe-webhook",
	"athlete/serve-api", "athlete/handle-events", "athlete/enforce-deadlines", "athlete/count-erasures",
	"activity/serve-api", "activity/handle-events", "activity/expire-activities", "activity/audit-activities",
}

// template is a CloudFormation template, decoded.
type template map[string]any

// resource is one resource of a template.
type resource struct {
	stack, id, kind string
	body            map[string]any
}

// system holds the templates of a stage.
type system struct {
	stage config.Stage
	// templates are by the short name of the stack.
	templates map[string]template
	// violations are the findings of the CDK's and cdk-nag's checks.
	violations []string
}

var (
	// workDir is the folder of the inputs and outputs of synthesis.
	workDir string
	synths  = map[config.Stage]*system{}
)

// synth returns the templates of a stage. They are made once, so a test that
// changes them must use [system.clone].
func synth(t *testing.T, stage config.Stage) *system {
	t.Helper()
	if s, ok := synths[stage]; ok {
		return s
	}
	defer func() {
		// The CDK reports by panicking.
		if r := recover(); r != nil {
			t.Fatalf("synthesis of stage %s: %v", stage, r)
		}
	}()
	s := synthesise(t, context(t, stage), func(c *config.Config, _ *stack.Assets) {
		if stage == config.Local {
			c.Architecture = "amd64" // so that the goldens do not depend on the host
		}
	})
	synths[stage] = s
	return s
}

// synthesise returns the templates of the stage in context.
func synthesise(t *testing.T, context map[string]any, change func(*config.Config, *stack.Assets)) *system {
	t.Helper()
	c := load(t, context)
	assets := stubs(t)
	change(&c, &assets)
	out, err := os.MkdirTemp(workDir, "cdk.out-")
	if err != nil {
		t.Fatal(err)
	}
	app := awscdk.NewApp(&awscdk.AppProps{Context: &context, Outdir: jsii.String(out), AnalyticsReporting: jsii.Bool(false)})
	stack.NewPaceline(app, c, assets)
	s := &system{stage: c.Stage, templates: map[string]template{}}
	func() {
		// Synthesis panics when a check finds an error, which is in the report.
		defer func() { _ = recover() }()
		app.Synth(nil)
	}()
	s.violations = violations(t, filepath.Join(out, "validation-report.json"))
	if unknown := unlistedStacks(t, out, c); len(unknown) > 0 {
		t.Fatalf("stackNames lacks stacks that exist: %v", unknown)
	}
	for _, name := range stackNames {
		b, err := os.ReadFile(filepath.Join(out, c.Name()+"-"+name+".template.json"))
		if err != nil {
			t.Fatalf("stack %s was not synthesised; %v", name, s.violations)
		}
		s.templates[name] = decode[template](t, b)
	}
	return s
}

// unlistedStacks returns the files of the synthesised templates whose stacks are
// not in [stackNames].
func unlistedStacks(t *testing.T, out string, c config.Config) (unknown []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(out, "*.template.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name, ok := strings.CutPrefix(strings.TrimSuffix(filepath.Base(file), ".template.json"), c.Name()+"-")
		if !ok || !slices.Contains(stackNames, name) {
			unknown = append(unknown, filepath.Base(file))
		}
	}
	return unknown
}

func TestAStackThatIsNotListedIsNoticed(t *testing.T) {
	synth(t, config.Dev) // which makes the stubs
	c := load(t, context(t, config.Dev))
	out, err := os.MkdirTemp(workDir, "cdk.out-")
	if err != nil {
		t.Fatal(err)
	}
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(out), AnalyticsReporting: jsii.Bool(false)})
	for _, name := range []string{c.Name() + "-Gathering", c.Name() + "-Unlisted", "Unnamed"} {
		awscdk.NewStack(app, jsii.String(name), nil)
	}
	app.Synth(nil)
	want := []string{c.Name() + "-Unlisted.template.json", "Unnamed.template.json"}
	if got := unlistedStacks(t, out, c); !slices.Equal(got, want) {
		t.Errorf("%v are noticed, want %v", got, want)
	}
}

// load returns the configuration of the stage in context.
func load(t *testing.T, context map[string]any) config.Config {
	t.Helper()
	c, err := config.Load(config.Stage(context["stage"].(string)), func(key string) any { return context[key] })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// context returns the context that the CDK CLI passes for a stage: that of
// cdk.json, the stage, and on AWS the address of a site.
func context(t *testing.T, stage config.Stage) map[string]any {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "cdk.json"))
	if err != nil {
		t.Fatal(err)
	}
	c := decode[struct{ Context map[string]any }](t, b).Context
	c["stage"] = string(stage)
	if stage != config.Local {
		c["siteUrl"] = "https://" + string(stage) + ".paceline.test"
	}
	return c
}

// stubs returns placeholders of the built functions and the built site.
func stubs(t *testing.T) stack.Assets {
	t.Helper()
	a := stack.Assets{Functions: filepath.Join(workDir, "dist"), Site: filepath.Join(workDir, "site")}
	if workDir != "" {
		return a
	}
	dir, err := os.MkdirTemp("", "paceline-infra-")
	if err != nil {
		t.Fatal(err)
	}
	workDir = dir
	a = stack.Assets{Functions: filepath.Join(workDir, "dist"), Site: filepath.Join(workDir, "site")}
	files := []string{filepath.Join(a.Site, "index.html"), filepath.Join(a.Site, "assets", "index.js")}
	for _, f := range functions {
		files = append(files, filepath.Join(a.Functions, f, "bootstrap"))
	}
	for _, f := range files {
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte("stub"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// violations returns the findings in the report that synthesis writes if there are
// any.
func violations(t *testing.T, report string) []string {
	t.Helper()
	b, err := os.ReadFile(report)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, p := range decode[struct {
		PluginReports []struct {
			Violations []struct {
				RuleName, Description string
				ViolatingConstructs   []struct{ ConstructPath string }
			}
		}
	}](t, b).PluginReports {
		for _, v := range p.Violations {
			for _, c := range v.ViolatingConstructs {
				found = append(found, fmt.Sprintf("%s: %s: %s", c.ConstructPath, v.RuleName, v.Description))
			}
		}
	}
	return found
}

func decode[T any](t *testing.T, b []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// clone returns a deep copy.
func (s *system) clone(t *testing.T) *system {
	t.Helper()
	b, err := json.Marshal(s.templates)
	if err != nil {
		t.Fatal(err)
	}
	return &system{stage: s.stage, templates: decode[map[string]template](t, b)}
}

// resources returns the resources of the kinds in all stacks, in a fixed order.
// Without kinds it returns all resources.
func (s *system) resources(kinds ...string) []resource {
	var out []resource
	for _, name := range stackNames {
		rs, _ := s.templates[name]["Resources"].(map[string]any)
		for _, id := range slices.Sorted(maps.Keys(rs)) {
			body := rs[id].(map[string]any)
			kind, _ := body["Type"].(string)
			if len(kinds) == 0 || slices.Contains(kinds, kind) {
				out = append(out, resource{name, id, kind, body})
			}
		}
	}
	return out
}

// find returns the only resource of the kind in the stack whose logical id begins
// with prefix.
func (s *system) find(t *testing.T, stack, kind, prefix string) resource {
	t.Helper()
	var found []resource
	for _, r := range s.resources(kind) {
		if r.stack == stack && strings.HasPrefix(r.id, prefix) {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("stage %s: %d resources of type %s begin with %s in %s, not 1", s.stage, len(found), kind, prefix, stack)
	}
	return found[0]
}

// props returns the resource's properties.
func (r resource) props() map[string]any {
	p, _ := r.body["Properties"].(map[string]any)
	return p
}

// at returns the property at a path of keys, or nil.
func (r resource) at(path ...string) any { return at(r.props(), path...) }

func at(v any, path ...string) any {
	for _, key := range path {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

func (r resource) String() string { return r.stack + "." + r.id }

// text returns a value of a template as a string. It replaces CloudFormation's
// functions: a reference to a resource, also of another stack, becomes
// "{Stack.LogicalId}" or "{Stack.LogicalId.Attribute}", and a pseudo parameter
// "{AWS::Region}".
func (s *system) text(stack string, v any) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		if ref, ok := v["Ref"].(string); ok {
			if strings.HasPrefix(ref, "AWS::") {
				return "{" + ref + "}"
			}
			return "{" + stack + "." + ref + "}"
		}
		if get, ok := v["Fn::GetAtt"].([]any); ok {
			return fmt.Sprintf("{%s.%s.%s}", stack, get[0], get[1])
		}
		if join, ok := v["Fn::Join"].([]any); ok {
			var b strings.Builder
			for i, part := range join[1].([]any) {
				if i > 0 {
					b.WriteString(join[0].(string))
				}
				b.WriteString(s.text(stack, part))
			}
			return b.String()
		}
		if name, ok := v["Fn::ImportValue"].(string); ok {
			for exporter, tmpl := range s.templates {
				outputs, _ := tmpl["Outputs"].(map[string]any)
				for _, o := range outputs {
					if at(o, "Export", "Name") == name {
						return s.text(exporter, at(o, "Value"))
					}
				}
			}
		}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// owner returns the resource that text refers to as "Stack.LogicalId", or "" if
// text is not a reference.
func owner(text string) string {
	inner, ok := strings.CutPrefix(text, "{")
	if !ok || !strings.HasSuffix(inner, "}") || strings.Contains(inner[:len(inner)-1], "{") {
		return ""
	}
	parts := strings.Split(strings.TrimSuffix(inner, "}"), ".")
	if len(parts) < 2 {
		return ""
	}
	return parts[0] + "." + parts[1]
}

// list returns the elements of v as texts. A single value is a list of one.
func (s *system) list(stack string, v any) []string {
	if v == nil {
		return nil
	}
	items, ok := v.([]any)
	if !ok {
		items = []any{v}
	}
	var out []string
	for _, item := range items {
		out = append(out, s.text(stack, item))
	}
	return out
}

// statement is a statement of a policy. NotAction, NotResource and NotPrincipal
// count as "*", the most that they could allow.
type statement struct {
	// of is the resource that has the policy.
	of resource
	// roles are the roles that a role's policy belongs to, "Stack.LogicalId".
	roles              []string
	effect             string
	actions, resources []string
	// principals are the principals of a resource's policy, or the users and groups
	// of an identity's policy.
	principals []string
	conditions map[string]any
}

// statements returns the statements of all policies in the templates except trust
// policies.
func (s *system) statements() []statement {
	var out []statement
	for _, r := range s.resources() {
		var roles, others []string
		switch r.kind {
		case "AWS::IAM::Role":
			roles = []string{r.String()}
		case "AWS::IAM::User", "AWS::IAM::Group":
			others = []string{r.String()}
		default:
			for _, property := range []string{"Roles", "RoleName"} {
				for _, role := range s.list(r.stack, r.at(property)) {
					roles = append(roles, owner(role))
				}
			}
			for _, property := range []string{"Users", "UserName", "Groups", "GroupName"} {
				others = append(others, s.list(r.stack, r.at(property))...)
			}
		}
		for _, item := range policyStatements(r.props()) {
			st := statement{of: r, roles: roles, principals: slices.Clone(others)}
			st.effect, _ = at(item, "Effect").(string)
			st.actions = s.atMost(r.stack, item, "Action")
			st.resources = s.atMost(r.stack, item, "Resource")
			if p, ok := at(item, "Principal").(map[string]any); ok {
				for _, who := range p {
					st.principals = append(st.principals, s.list(r.stack, who)...)
				}
			} else {
				st.principals = append(st.principals, s.atMost(r.stack, item, "Principal")...)
			}
			st.conditions, _ = at(item, "Condition").(map[string]any)
			out = append(out, st)
		}
	}
	return out
}

// policyStatements returns the statements of all policies within v except trust
// policies.
func policyStatements(v any) (items []any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			items = append(items, policyStatements(item)...)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			switch statements := v[key]; key {
			case "AssumeRolePolicyDocument":
			case "Statement":
				list, ok := statements.([]any)
				if !ok {
					list = []any{statements}
				}
				items = append(items, list...)
			default:
				items = append(items, policyStatements(statements)...)
			}
		}
	}
	return items
}

// atMost returns an element of a statement, or "*" if the statement has the
// negated element, such as NotAction.
func (s *system) atMost(stack string, statement any, element string) []string {
	if at(statement, "Not"+element) != nil {
		return []string{"*"}
	}
	return s.list(stack, at(statement, element))
}

// roleOf returns the role of a function as "Stack.LogicalId".
func (s *system) roleOf(t *testing.T, stack, function string) string {
	t.Helper()
	f := s.find(t, stack, "AWS::Lambda::Function", strings.ReplaceAll(function, "-", ""))
	return owner(s.text(stack, f.at("Role")))
}
