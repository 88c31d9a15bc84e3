package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const root = "../.."

// The faults must outlive changes of the code: a change that moves the text
// adapts the table, too.
func TestEveryFaultCanBeApplied(t *testing.T) {
	ids := map[string]bool{}
	for _, m := range table() {
		if ids[m.id] {
			t.Errorf("two mutants are called %s", m.id)
		}
		ids[m.id] = true
		if m.breaks == "" || m.old == m.new || len(m.by) == 0 {
			t.Errorf("%s breaks nothing, or no test notices it", m.id)
		}
		_, mutated, err := m.apply(root)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), m.file, mutated, parser.SkipObjectResolution); err != nil {
			t.Errorf("%s: %v", m.id, err)
		}
		for _, by := range m.by {
			if err := exists(by); err != nil {
				t.Errorf("%s: %v", m.id, err)
			}
		}
	}
}

// exists checks that a package has tests that match the pattern.
func exists(by string) error {
	pkg, pattern, _ := strings.Cut(by, " ")
	files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	if err != nil {
		return err
	}
	pattern, _, _ = strings.Cut(pattern, "/") // What follows names subtests.
	matches, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, found := range regexp.MustCompile(`(?m)^func (Test\w+)`).FindAllSubmatch(b, -1) {
			if matches.Match(found[1]) {
				return nil
			}
		}
	}
	return fmt.Errorf("no test of %s", by)
}

func TestEveryBoundaryHasFaults(t *testing.T) {
	least := map[string]int{"credentials": 20, "gathering": 20, "quota": 8, "athlete": 8, "activity": 8, "kit": 3, "api": 3, "infra": 6}
	for _, m := range table() {
		boundary, _, _ := strings.Cut(m.id, "/")
		least[boundary]--
	}
	for boundary, missing := range least {
		if missing > 0 {
			t.Errorf("%d faults of %s are missing", missing, boundary)
		}
	}
}

// A small module, in which each fault meets another fate.
func TestARunTellsSurvivorsFromNoticedFaults(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":      "module small\n\ngo 1.26\n",
		"a/a.go":      "package a\n\nfunc Max(a, b int) int {\n\tif a > b {\n\t\treturn a\n\t}\n\treturn b\n}\n",
		"a/a_test.go": "package a\n\nimport \"testing\"\n\nfunc TestMax(t *testing.T) {\n\tif Max(2, 1) != 2 {\n\t\tt.Error(\"failed at seed 17\")\n\t}\n}\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	of := func(id, old, new string) mutant {
		return mutant{id: id, breaks: id, file: "a/a.go", old: old, new: new, by: []string{"./a"}}
	}
	mutants := []mutant{
		of("noticed", "a > b", "a < b"), of("survives", "a > b", "a >= b"), of("hangs", "return a", "select {}"), of("nonsense", "return b", "return c"),
	}
	r := runner{root: dir, limit: time.Second, temp: t.TempDir()}
	if err := r.passes(t.Context(), mutants); err != nil {
		t.Fatal(err)
	}
	outcomes, err := r.runAll(t.Context(), mutants)
	if err == nil || !strings.Contains(err.Error(), "nonsense") || !strings.Contains(err.Error(), "undefined: c") {
		t.Errorf("code that does not compile is reported as %v", err)
	}
	noticed := []string{outcomes[0].noticed, outcomes[1].noticed, outcomes[2].noticed}
	if want := []string{"./a TestMax", "", "./a TestMax"}; !slices.Equal(noticed, want) {
		t.Errorf("the faults are noticed by %q, want %q", noticed, want)
	}
	summary, left := summarize(mutants, outcomes)
	if left != 2 || !strings.HasPrefix(summary, "unnoticed survives:") || !strings.HasSuffix(summary, "1 of them by the simulation: after 17 seeds at the median") {
		t.Errorf("%d are left: %s", left, summary)
	}
	mutants[0].by = []string{"./a TestNone"}
	if o, err := r.run(t.Context(), mutants[0]); err != nil || o.noticed != "./a TestMax" {
		t.Errorf("a fault that another test of the package notices is noticed by %q: %v", o.noticed, err)
	}
}

func TestEachPackageIsTriedOnceWithoutAFault(t *testing.T) {
	of := func(by ...string) mutant { return mutant{by: by} }
	got := union([]mutant{of("./b ^TestB$"), of("./a", "./b ^TestA$/sub"), of("./a ^TestA$"), of("./b ^TestB$")})
	if want := []string{"./a", "./b ^TestA$|^TestB$"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTestsThatFailWithoutAFaultStopTheRun(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module small\n\ngo 1.26\n",
		"a_test.go": "package a\n\nimport \"testing\"\n\nfunc TestAlways(t *testing.T) { t.Fail() }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := runner{root: dir, limit: time.Minute, temp: t.TempDir()}
	err := r.passes(t.Context(), []mutant{{by: []string{"."}}})
	if err == nil || !strings.Contains(err.Error(), "TestAlways fails without a fault") {
		t.Errorf("got %v", err)
	}
}
