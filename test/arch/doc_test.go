package arch

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEveryPackageSaysWhatItIsFor: its comment is in doc.go, or in main.go if a
// program has no other file.
func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range list(t) {
		file := "doc.go"
		if slices.Equal(p.GoFiles, []string{"main.go"}) {
			file = "main.go"
		}
		if doc := packageComment(filepath.Join(p.Dir, file)); len(strings.Fields(doc)) < 5 {
			t.Errorf("%s: %s has no package comment", p.ImportPath, file)
		}
	}
}

func TestAMissingPackageCommentIsNoticed(t *testing.T) {
	if doc := packageComment("doc_test.go"); doc != "" {
		t.Errorf("this file has a package comment: %q", doc)
	}
	if doc := packageComment("nowhere.go"); doc != "" {
		t.Errorf("a missing file has a package comment: %q", doc)
	}
}

// packageComment returns the package comment of a file, or the empty string.
func packageComment(file string) string {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
	if err != nil || f.Doc == nil {
		return ""
	}
	return f.Doc.Text()
}
