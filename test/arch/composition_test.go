package arch

import (
	"go/ast"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestUseCasesAreBuiltByPorts: the methods of a boundary's Ports build its use
// cases, so that functions, tests, benchmarks and simulations have the same ones.
func TestUseCasesAreBuiltByPorts(t *testing.T) {
	pkgs := list(t)
	all := sources(t, pkgs, func(path string) bool { return path != "infra" }, true)
	built := useCases(all)
	for _, boundary := range strings.Split(boundaries, "|") {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(built)), func(name string) bool { return strings.HasPrefix(name, "pkg/"+boundary+".") }) {
			t.Errorf("pkg/%s has no Ports that build use cases", boundary)
		}
	}
	for _, s := range all {
		for _, literal := range literals(s, built) {
			t.Errorf("%s/%s makes a %s: build it by its Ports", s.pkg, s.name, literal)
		}
	}
}

func TestAUseCaseBuiltByHandIsNoticed(t *testing.T) {
	ports := mustSource(t, "pkg/athlete", `
		type Ports struct{}; type Service struct{}; type Deadlines struct{}; type Account struct{}
		func (p Ports) Service() *Service { return &Service{} }
		func (p Ports) Deadlines(n int) (*Deadlines, error) { return &Deadlines{}, nil }
		func (p Ports) limit() *Account { return nil }
		func (s Service) Account() *Account { return &Account{} }`)
	built := useCases([]source{ports})
	for body, want := range map[string][]string{
		`var s = &athlete.Service{}`:        {"athlete.Service"},
		`var s = athlete.Deadlines{A: 1}`:   {"athlete.Deadlines"},
		`var s = athlete.Ports{}.Service()`: nil,
		`var s = athlete.Account{}`:         nil,
	} {
		s := mustSource(t, "test/scale", `import "github.com/paceline/paceline/pkg/athlete"; `+body)
		if got := literals(s, built); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	if got := literals(ports, built); got != nil {
		t.Errorf("the Ports themselves: %q", got)
	}
}

var domain = regexp.MustCompile(`^pkg/(` + boundaries + `)$`)

// useCases has the types that exported methods of Ports return, such as
// pkg/athlete.Service.
func useCases(all []source) map[string]bool {
	out := map[string]bool{}
	for _, s := range all {
		if !domain.MatchString(s.pkg) {
			continue
		}
		for _, d := range s.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || !f.Name.IsExported() || f.Type.Results == nil {
				continue
			}
			if receiver, ok := f.Recv.List[0].Type.(*ast.Ident); !ok || receiver.Name != "Ports" {
				continue
			}
			for _, result := range f.Type.Results.List {
				if pointer, ok := result.Type.(*ast.StarExpr); ok {
					if name, ok := pointer.X.(*ast.Ident); ok {
						out[s.pkg+"."+name.Name] = true
					}
				}
			}
		}
	}
	return out
}

// literals names the use cases that a file of another package makes by a
// composite literal.
func literals(s source, built map[string]bool) (found []string) {
	imports := s.imports()
	ast.Inspect(s.File, func(n ast.Node) bool {
		if c, ok := n.(*ast.CompositeLit); ok {
			if path, name := member(imports, c.Type); built[path+"."+name] {
				found = append(found, path[strings.LastIndex(path, "/")+1:]+"."+name)
			}
		}
		return true
	})
	return found
}
