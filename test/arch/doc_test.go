package arch

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEveryPackageSaysWhatItIsFor: in doc.go, or in main.go when a program has
// no other file.
func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range list(t) {
		file := "doc.go"
		if slices.Equal(p.GoFiles, []string{"main.go"}) {
			file = "main.go"
		}
		if doc := packageComment(filepath.Join(p.Dir, file)); len(strings.Fields(doc)) < 5 {
			t.Errorf("%s: %s does not say what the package is for", p.ImportPath, file)
		}
	}
}

func TestPackageCommentIsMissed(t *testing.T) {
	if doc := packageComment("doc_test.go"); doc != "" {
		t.Errorf("this file has a package comment: %q", doc)
	}
	if doc := packageComment("nowhere.go"); doc != "" {
		t.Errorf("a file that is not there has a package comment: %q", doc)
	}
}

// packageComment is empty when there is no file, or none in it.
func packageComment(file string) string {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
	if err != nil || f.Doc == nil {
		return ""
	}
	return f.Doc.Text()
}
