package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// source is a parsed file of a package.
type source struct {
	pkg  string // relative to the module
	name string
	*ast.File
}

// sources parses the files of all packages whose path match accepts, with their
// tests if tests is set.
func sources(t *testing.T, pkgs []pkg, match func(importPath string) bool, tests bool) (out []source) {
	t.Helper()
	for _, p := range pkgs {
		if !match(p.ImportPath) {
			continue
		}
		files := p.GoFiles
		if tests {
			files = append(append(files[:len(files):len(files)], p.TestGoFiles...), p.XTestGoFiles...)
		}
		for _, name := range files {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, source{p.ImportPath, name, f})
		}
	}
	if len(out) == 0 {
		t.Fatal("there are no sources")
	}
	return out
}

// mustSource parses the body of a file, for tests of tests.
func mustSource(t *testing.T, path, body string) source {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "", "package p; "+body, 0)
	if err != nil {
		t.Fatal(err)
	}
	return source{path, "x.go", f}
}

// imports has the paths of the file's imports by their names in the file. Paths
// in the module are relative to it.
func (s source) imports() map[string]string {
	out := map[string]string{}
	for _, i := range s.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		path = strings.TrimPrefix(path, module+"/")
		name := path[strings.LastIndex(path, "/")+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		out[name] = path
	}
	return out
}

// member splits an expression such as ssm.New into the path of the import and
// the name; both are empty for any other expression.
func member(imports map[string]string, e ast.Node) (path, name string) {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	x, ok := s.X.(*ast.Ident)
	if !ok || imports[x.Name] == "" {
		return "", ""
	}
	return imports[x.Name], s.Sel.Name
}

// deployed reports whether a package is part of what is deployed or run.
func deployed(importPath string) bool {
	top, _, _ := strings.Cut(importPath, "/")
	return top == "pkg" || top == "functions" || top == "cmd"
}
