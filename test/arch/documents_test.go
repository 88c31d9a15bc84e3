package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocumentsNameWhatExists checks every link, path, identifier and test that
// a document names. With -update it corrects the files of identifiers that have
// moved within their folder.
func TestDocumentsNameWhatExists(t *testing.T) {
	s := mustReadRepository(t)
	for path, text := range mustReadDocuments(t, s) {
		if moved := s.followMoves(text); *update && moved != text {
			if err := os.WriteFile(filepath.Join(root, path), []byte(moved), 0o644); err != nil {
				t.Fatal(err)
			}
			text = moved
		}
		for _, problem := range s.unknown(path, text) {
			t.Errorf("%s: %s", path, problem)
		}
	}
}

// TestGlossaryNamesWhatExists checks that the code uses each term of the
// glossary.
func TestGlossaryNamesWhatExists(t *testing.T) {
	s := mustReadRepository(t)
	text := mustReadDocument(t, "docs/glossary.md")
	terms := glossaryTerm.FindAllStringSubmatch(text, -1)
	if len(terms) < 50 {
		t.Fatalf("only %d terms found", len(terms))
	}
	seen := map[string]bool{}
	for _, m := range terms {
		term := m[1]
		if seen[term] {
			t.Errorf("%s is explained twice", term)
		}
		seen[term] = true
		if !s.uses(term) {
			t.Errorf("no source file uses the term %q", term)
		}
	}
}

var glossaryTerm = regexp.MustCompile(`(?m)^\| \*\*([^*]+)\*\*`)

// uses reports whether the sources use all words of a term, each alone or within
// a longer identifier.
func (s *repository) uses(term string) bool {
	for w := range strings.FieldsFuncSeq(strings.ToLower(term), func(r rune) bool { return r == ' ' || r == '-' }) {
		found := false
		for used := range s.words {
			if strings.Contains(strings.ToLower(used), w) {
				found = true
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}

func TestUnknownNamesAreNoticed(t *testing.T) {
	s := mustReadRepository(t)
	for text, want := range map[string]string{
		"[a](nowhere.md)":                      "nowhere.md does not exist",
		"[a](docs/runbook.md#no-such-heading)": "docs/runbook.md has no heading #no-such-heading",
		"`pkg/nowhere/x.go`":                   "pkg/nowhere/x.go does not exist",
		"`pkg/<boundary>/nowhere`":             "pkg/*/nowhere does not exist",
		"`nowhere.go`":                         "no file is called nowhere.go",
		"`credentials.Nothing`":                "credentials.Nothing is not declared",
		"`Requester.Nothing`":                  "Requester.Nothing is not declared",
		"`Nowhere.v1`":                         "there is no event Nowhere",
		"`TestNothing`":                        "there is no test TestNothing",
		"`ThereIsNothing`":                     "no source uses ThereIsNothing",
		"`Requester.Call` in `pkg/credentials/connect.go`":   "pkg/credentials/connect.go does not declare Requester.Call",
		"`Nothing.nothing` in `pkg/credentials/connect.go`":  "pkg/credentials/connect.go does not declare Nothing.nothing",
		"| 1 | `Requester.Call` in `pkg/credentials/x.go` |": "pkg/credentials/x.go does not exist",
	} {
		if problems := s.unknown("README.md", text); !slices.Contains(problems, want) {
			t.Errorf("%s: %q, want %q", text, problems, want)
		}
	}
	if moved := s.followMoves("`Requester.Call` in `pkg/credentials/connect.go`"); moved != "`Requester.Call` in `pkg/credentials/requester.go`" {
		t.Errorf("a moved identifier becomes %s", moved)
	}
	if s.uses("flux capacitor") {
		t.Error("the sources use the term flux capacitor")
	}
}

var (
	link       = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	inlineCode = regexp.MustCompile("`([^`\n]+)`")
	fence      = regexp.MustCompile("(?ms)^ {0,3}```.*?^ {0,3}```")
	inFile     = regexp.MustCompile("`([A-Za-z]\\w*(?:\\.\\w+)?)` in `([^`\\s]+\\.go)`")
	heading    = regexp.MustCompile(`(?m)^#+ (.+)$`)

	pathLike   = regexp.MustCompile(`^(?:\.ci|\.github|cmd|docs|functions|infra|pkg|standin|test|tools|web)(?:/[\w.<>*-]+)+/?$`)
	fileLike   = regexp.MustCompile(`^\w[\w.-]*\.(?:go|html|json|md|mod|py|sum|ts|tsx|yml)$`)
	memberLike = regexp.MustCompile(`^([A-Za-z]\w*)\.([A-Za-z]\w*)(\.\w+)?(?:\(\))?$`)
	testLike   = regexp.MustCompile(`^Test[A-Z]\w+$`)
	nameLike   = regexp.MustCompile(`^[A-Z][a-z]+(?:[A-Z][a-z]+)+$`)
	part       = regexp.MustCompile(`<[^>]*>`)
)

// foreign are names of AWS and others that no source of ours uses.
var foreign = []string{
	"AccessDenied", "BatchGetItem", "ConcurrentExecutions", "DeleteParameter", "GetParameter", "GetParameters", "GetParametersByPath",
	"PutParameter", "Throttles",
}

// unknown returns what a document names that does not exist.
func (s *repository) unknown(path, text string) (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	text = fence.ReplaceAllString(text, "")
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		if target := m[1]; !strings.Contains(target, ":") {
			if problem := s.unknownLink(path, target); problem != "" {
				add("%s", problem)
			}
		}
	}
	for _, m := range inFile.FindAllStringSubmatch(text, -1) {
		if names, ok := s.declared[m[2]]; ok && !names[m[1]] {
			add("%s does not declare %s", m[2], m[1])
		}
	}
	for _, m := range inlineCode.FindAllStringSubmatch(text, -1) {
		if strings.HasPrefix(path, "docs/adr/") && nameLike.MatchString(m[1]) {
			continue // A decision may name what it removed.
		}
		if problem := s.unknownCode(m[1]); problem != "" {
			add("%s", problem)
		}
	}
	return problems
}

// followMoves corrects the file of each identifier that another file of the same
// folder declares now.
func (s *repository) followMoves(text string) string {
	return inFile.ReplaceAllStringFunc(text, func(mention string) string {
		m := inFile.FindStringSubmatch(mention)
		identifier, file := m[1], m[2]
		if s.declared[file][identifier] {
			return mention
		}
		for other, names := range s.declared {
			if filepath.Dir(other) == filepath.Dir(file) && names[identifier] && !strings.HasSuffix(other, "_test.go") {
				return strings.Replace(mention, file, other, 1)
			}
		}
		return mention
	})
}

// unknownLink returns what is wrong with a link of a document.
func (s *repository) unknownLink(from, target string) string {
	file, anchor, _ := strings.Cut(target, "#")
	path := from
	if file != "" {
		path = filepath.ToSlash(filepath.Join(filepath.Dir(from), file))
	}
	if !s.exists(path) {
		return path + " does not exist"
	}
	if anchor == "" || filepath.Ext(path) != ".md" {
		return ""
	}
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return err.Error()
	}
	for _, m := range heading.FindAllStringSubmatch(string(text), -1) {
		if anchorOf(m[1]) == anchor {
			return ""
		}
	}
	return path + " has no heading #" + anchor
}

var dropped = regexp.MustCompile(`[^\w\- ]`)

// anchorOf returns the anchor that GitHub gives to a heading.
func anchorOf(heading string) string {
	return strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// unknownCode returns what is wrong with a piece of inline code; "" for code
// that names nothing of ours.
func (s *repository) unknownCode(code string) string {
	member := memberLike.FindStringSubmatch(code)
	switch {
	case pathLike.MatchString(code):
		if pattern := part.ReplaceAllString(strings.TrimSuffix(code, "/"), "*"); !s.exists(pattern) {
			return pattern + " does not exist"
		}
	case fileLike.MatchString(code):
		if !s.hasFile(code) {
			return "no file is called " + code
		}
	case testLike.MatchString(code):
		if !s.declares(code) {
			return "there is no test " + code
		}
	case member != nil && member[2] == "v1":
		if !s.declares(member[1]) {
			return "there is no event " + member[1]
		}
	case member != nil && s.settings[member[1]] && s.settings[member[2]]: // Such as strava.athleteCapacity.
	case code == "cdk.out": // The output of the CDK.
	case member != nil && s.packages[member[1]] != nil:
		if !s.packages[member[1]][member[2]+member[3]] && !s.declares(member[1]+"."+member[2]) { // Perhaps a type.
			return member[1] + "." + member[2] + member[3] + " is not declared"
		}
	case member != nil && s.declares(member[1]):
		if !s.declares(member[1] + "." + member[2]) {
			return member[1] + "." + member[2] + " is not declared"
		}
	case nameLike.MatchString(code):
		if !s.words[code] && !slices.Contains(foreign, code) {
			return "no source uses " + code
		}
	}
	return ""
}

// mustReadDocuments returns the documents by path. It omits the change log, which
// names things that no longer exist.
func mustReadDocuments(t *testing.T, s *repository) map[string]string {
	t.Helper()
	documents := map[string]string{}
	for _, path := range s.paths {
		if filepath.Ext(path) == ".md" && path != "CHANGELOG.md" && !strings.Contains(path, "/testdata/") {
			documents[path] = mustReadDocument(t, path)
		}
	}
	return documents
}

func mustReadDocument(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRunbookQuotesTheLogs checks that the code has each message that the runbook
// quotes.
func TestRunbookQuotesTheLogs(t *testing.T) {
	s := mustReadRepository(t)
	messages := logMessage.FindAllStringSubmatch(mustReadDocument(t, "docs/runbook.md"), -1)
	if len(messages) < 10 {
		t.Fatalf("only %d messages found", len(messages))
	}
	for _, m := range messages {
		message := strings.TrimPrefix(m[1], "n ") // A number.
		if !strings.HasPrefix(message, "paceline ") && !s.says(message) {
			t.Errorf("no source has the message %q", message)
		}
	}
	if s.says("the flux capacitor fails") {
		t.Error("a message that is nowhere is found")
	}
}

// logMessage is inline code of several words and no symbols.
var logMessage = regexp.MustCompile("`([a-z]+(?: [A-Za-z]+){2,})`")

// says reports whether a string of a Go file contains the text.
func (s *repository) says(text string) bool {
	for path, f := range s.files {
		found := false
		ast.Inspect(f, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING && strings.Contains(literal.Value, text) {
				found = true
			}
			return !found
		})
		if found && !strings.HasSuffix(path, "_test.go") {
			return true
		}
	}
	return false
}
