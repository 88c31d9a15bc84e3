package arch

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the generated documents")

const (
	catalogueBegin = "<!-- Generated from the code: go test ./test/arch -update -->\n"
	catalogueEnd   = "<!-- End of the generated part -->\n"
)

// TestCatalogueIsCurrent compares the event catalogue in docs/architecture.md
// with the code.
func TestCatalogueIsCurrent(t *testing.T) {
	const file = "docs/architecture.md"
	want, problems := mustReadRepository(t).catalogue()
	for _, problem := range problems {
		t.Error(problem)
	}
	text := mustReadDocument(t, file)
	before, rest, found := strings.Cut(text, catalogueBegin)
	got, after, ended := strings.Cut(rest, catalogueEnd)
	if !found || !ended {
		t.Fatalf("%s lacks the lines that begin and end the catalogue", file)
	}
	if got == want {
		return
	}
	if *update {
		text = before + catalogueBegin + want + catalogueEnd + after
		if err := os.WriteFile(filepath.Join(root, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("the catalogue differs; update it with go test ./test/arch -update (-document +code)\n%s", gocmp.Diff(got, want))
}

// TestCatalogueFindsNoEventWithoutUse shows that an event without a publisher or
// a consumer is noticed.
func TestCatalogueFindsNoEventWithoutUse(t *testing.T) {
	f := mustReadRepository(t).files["pkg/event/athletev1/athletev1.go"]
	alone := &repository{files: map[string]*ast.File{"pkg/event/athletev1/athletev1.go": f}}
	if _, problems := alone.catalogue(); len(problems) < 2 {
		t.Errorf("problems of events that nothing uses: %q", problems)
	}
}

// anEvent is an event as the code declares and uses it.
type anEvent struct {
	name, pkg string
	// summary is the first sentence of its comment.
	summary string
	// publishers and consumers are uses, each as "`Function` in `file`".
	publishers, consumers []string
}

// catalogue returns the Markdown table of all events, and the events that have no
// publisher or no consumer.
func (s *repository) catalogue() (table string, problems []string) {
	events := map[string]*anEvent{} // by package and name, e.g. "athletev1.GatherRequested"
	for path, f := range s.files {
		if strings.HasPrefix(path, "pkg/event/") && !strings.HasSuffix(path, "_test.go") {
			for _, e := range factsOf(f) {
				events[e.pkg+"."+e.name] = e
			}
		}
	}
	for path, f := range s.files {
		if boundary, ok := boundaryOf(path); ok {
			s.addUses(events, boundary, path, f)
		}
	}
	var b strings.Builder
	b.WriteString("\n| event | source | published by | consumed by | schema |\n| --- | --- | --- | --- | --- |\n")
	for _, key := range slices.SortedFunc(maps.Keys(events), func(x, y string) int {
		return cmp.Or(slices.Index(catalogueOrder, events[x].pkg)-slices.Index(catalogueOrder, events[y].pkg), cmp.Compare(x, y))
	}) {
		e := events[key]
		if len(e.publishers) == 0 {
			problems = append(problems, "nothing publishes "+key)
		}
		if len(e.consumers) == 0 {
			problems = append(problems, "nothing consumes "+key)
		}
		schema := "../pkg/event/" + e.pkg + "/testdata/" + e.name + ".schema.json"
		fmt.Fprintf(&b, "| `%s.v1` %s | %s | %s | %s | [schema](%s), [sample](%s) |\n", e.name, e.summary, strings.TrimSuffix(e.pkg, "v1"),
			listed(e.publishers), listed(e.consumers), schema, strings.Replace(schema, ".schema", "", 1))
	}
	b.WriteString("\n")
	return b.String(), problems
}

// catalogueOrder is the order of the catalogue.
var catalogueOrder = []string{"credentialsv1", "gatheringv1", "athletev1", "activityv1"}

// listed joins uses for a cell of a table.
func listed(uses []string) string {
	slices.Sort(uses)
	return strings.Join(slices.Compact(uses), "<br>")
}

// factsOf returns the events that a file declares: the types with a method
// DetailType.
func factsOf(f *ast.File) (events []*anEvent) {
	facts := map[string]bool{}
	for _, decl := range f.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == "DetailType" && f.Recv != nil {
			name, _, _ := strings.Cut(functionName(f), ".")
			facts[name] = true
		}
	}
	for _, decl := range f.Decls {
		types, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range types.Specs {
			if typ, ok := spec.(*ast.TypeSpec); ok && facts[typ.Name.Name] {
				e := &anEvent{name: typ.Name.Name, pkg: f.Name.Name}
				e.summary = strings.TrimPrefix(firstSentence(types.Doc.Text()), e.name+" ")
				events = append(events, e)
			}
		}
	}
	return events
}

// firstSentence returns the first sentence of a comment, without the brackets
// of its links.
func firstSentence(comment string) string {
	text := strings.Join(strings.Fields(comment), " ")
	if end := strings.Index(text, ". "); end >= 0 {
		text = text[:end+1]
	}
	return strings.NewReplacer("[", "", "]", "").Replace(text)
}

// boundaryOf returns the boundary of a file of the product.
func boundaryOf(path string) (string, bool) {
	parts := strings.Split(path, "/")
	if len(parts) < 3 || parts[0] != "pkg" || strings.HasSuffix(path, "_test.go") ||
		!slices.Contains(strings.Split(boundaries, "|"), parts[1]) || len(parts) > 3 && strings.HasSuffix(parts[2], "test") {
		return "", false
	}
	return parts[1], true
}

// addUses adds to events what a file does with them. A boundary publishes an
// event where it builds its value, and consumes the event of another boundary
// where a function takes the event's cause and the event.
func (s *repository) addUses(events map[string]*anEvent, boundary, path string, f *ast.File) {
	imported := map[string]string{} // package of events by its name in the file
	for _, i := range f.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		if strings.HasPrefix(p, module+"/pkg/event/") {
			imported[filepath.Base(p)] = filepath.Base(p)
		}
	}
	factOf := func(e ast.Expr) *anEvent {
		selector, ok := e.(*ast.SelectorExpr)
		if !ok {
			return nil
		}
		pkg, ok := selector.X.(*ast.Ident)
		if !ok {
			return nil
		}
		return events[imported[pkg.Name]+"."+selector.Sel.Name]
	}
	for _, decl := range f.Decls {
		function, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		use := fmt.Sprintf("`%s` in `%s`", functionName(function), path)
		ast.Inspect(function, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				if e := factOf(n.Type); e != nil && e.pkg == boundary+"v1" {
					e.publishers = append(e.publishers, use)
				}
			case *ast.FuncLit:
				if e := consumed(n.Type, factOf); e != nil {
					e.consumers = append(e.consumers, cmp.Or(s.useCase(boundary, n.Body), use))
				}
			}
			return true
		})
		if e := consumed(function.Type, factOf); e != nil {
			e.consumers = append(e.consumers, use)
		}
	}
}

// consumed returns the event that a function takes after the event's cause; nil
// for any other function.
func consumed(f *ast.FuncType, factOf func(ast.Expr) *anEvent) *anEvent {
	for i, field := range f.Params.List {
		if i > 0 && isMeta(f.Params.List[i-1].Type) {
			return factOf(field.Type)
		}
	}
	return nil
}

// useCase returns the method of the boundary's domain that a route returns the
// result of; "" if there is none, or several have that name.
func (s *repository) useCase(boundary string, route *ast.BlockStmt) (use string) {
	method := ""
	ast.Inspect(route, func(n ast.Node) bool {
		if result, ok := n.(*ast.ReturnStmt); ok && len(result.Results) == 1 {
			if call, ok := result.Results[0].(*ast.CallExpr); ok {
				if selector, ok := call.Fun.(*ast.SelectorExpr); ok {
					method = selector.Sel.Name
				}
			}
		}
		return true
	})
	for path, names := range s.declared {
		if filepath.Dir(path) != "pkg/"+boundary || strings.HasSuffix(path, "_test.go") {
			continue
		}
		f := s.files[path]
		for _, decl := range f.Decls {
			if function, ok := decl.(*ast.FuncDecl); ok && function.Recv != nil && function.Name.Name == method && names[functionName(function)] {
				if use != "" {
					return ""
				}
				use = fmt.Sprintf("`%s` in `%s`", functionName(function), path)
			}
		}
	}
	return use
}

// isMeta reports whether a type is event.Meta.
func isMeta(e ast.Expr) bool {
	selector, ok := e.(*ast.SelectorExpr)
	return ok && selector.Sel.Name == "Meta"
}
