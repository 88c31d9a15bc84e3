package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const root = "../.."

// repository is the repository as the documents describe it.
type repository struct {
	// paths has every file and folder, relative to the repository.
	paths []string
	// files has the parsed Go files by path.
	files map[string]*ast.File
	// declared has the top-level identifiers of each Go file, methods as
	// Type.Method, and members of types as Type.Member.
	declared map[string]map[string]bool
	// packages has the identifiers of all packages of one name.
	packages map[string]map[string]bool
	// words has every word of the sources, and settings those of a stage's
	// configuration.
	words, settings map[string]bool
}

var word = regexp.MustCompile(`\w+`)

// mustReadRepository reads the repository once for all tests of this package.
func mustReadRepository(t *testing.T) *repository {
	t.Helper()
	s, err := readRepository()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var readRepository = sync.OnceValues(func() (*repository, error) {
	s := &repository{
		files: map[string]*ast.File{}, declared: map[string]map[string]bool{},
		packages: map[string]map[string]bool{}, words: map[string]bool{}, settings: map[string]bool{},
	}
	skip := []string{".git", ".local", "cdk.out", "dist", "node_modules"}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains(skip, d.Name()) {
			return filepath.SkipDir
		}
		path = strings.TrimPrefix(filepath.ToSlash(path), root+"/")
		s.paths = append(s.paths, path)
		switch {
		case d.IsDir() || strings.Contains(path, "/testdata/"):
			return nil
		case slices.Contains([]string{".go", ".ts", ".tsx", ".json", ".py"}, filepath.Ext(path)), path == "Makefile":
			return s.add(path)
		}
		return nil
	})
	return s, err
})

// add reads a file of source text.
func (s *repository) add(path string) error {
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return err
	}
	if !strings.HasPrefix(path, "test/arch/") { // Its tests hold words that nothing else uses.
		for _, w := range word.FindAllString(string(text), -1) {
			s.words[w] = true
			if path == "cdk.json" || path == "infra/config/config.go" {
				s.settings[w] = true
			}
		}
	}
	if filepath.Ext(path) != ".go" {
		return nil
	}
	f, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	s.files[path] = f
	s.declared[path] = declared(f)
	name := strings.TrimSuffix(f.Name.Name, "_test")
	if s.packages[name] == nil {
		s.packages[name] = map[string]bool{}
	}
	for identifier := range s.declared[path] {
		s.packages[name][identifier] = true
	}
	return nil
}

// declared returns the identifiers that a file declares, methods and fields
// with their type.
func declared(f *ast.File) map[string]bool {
	names := map[string]bool{}
	for _, decl := range f.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			names[functionName(decl)] = true
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						names[name.Name] = true
					}
				case *ast.TypeSpec:
					names[spec.Name.Name] = true
					for _, member := range members(spec.Type) {
						names[spec.Name.Name+"."+member] = true
					}
				}
			}
		}
	}
	return names
}

// members returns the fields of a struct or the methods of an interface.
func members(typ ast.Expr) (names []string) {
	var fields *ast.FieldList
	switch typ := typ.(type) {
	case *ast.StructType:
		fields = typ.Fields
	case *ast.InterfaceType:
		fields = typ.Methods
	default:
		return nil
	}
	for _, field := range fields.List {
		for _, name := range field.Names {
			names = append(names, name.Name)
		}
	}
	return names
}

// functionName returns the name of a function, and Type.Method for a method.
func functionName(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	typ := f.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if generic, ok := typ.(*ast.IndexExpr); ok {
		typ = generic.X
	}
	if name, ok := typ.(*ast.Ident); ok {
		return name.Name + "." + f.Name.Name
	}
	return f.Name.Name
}

// declares reports whether some Go file declares the identifier.
func (s *repository) declares(identifier string) bool {
	for _, names := range s.declared {
		if names[identifier] {
			return true
		}
	}
	return false
}

// exists reports whether there is a path of this form; * stands for any name.
func (s *repository) exists(pattern string) bool {
	return slices.ContainsFunc(s.paths, func(path string) bool {
		ok, err := filepath.Match(pattern, path)
		return err == nil && ok
	})
}

// hasFile reports whether a file of this name is anywhere.
func (s *repository) hasFile(name string) bool {
	return slices.ContainsFunc(s.paths, func(path string) bool { return path == name || strings.HasSuffix(path, "/"+name) })
}
