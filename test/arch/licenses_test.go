package arch

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

const licensesFile = "docs/licenses.md"

// TestLicensesAreCurrent compares docs/licenses.md with what is linked into the
// functions and the command line, and bundled into the site.
func TestLicensesAreCurrent(t *testing.T) {
	shipped := append(mustListModules(t), mustListPackages(t)...)
	for _, c := range shipped {
		if c.license == "" {
			t.Errorf("%s: unknown licence; add it to licenseOf if it may be shipped", c.name)
		}
	}
	want := licenses(shipped)
	if *update {
		if err := os.WriteFile(filepath.Join(root, licensesFile), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := gocmp.Diff(mustReadDocument(t, licensesFile), want); diff != "" {
		t.Errorf("the list differs; update it with go test ./test/arch -update (-document +shipped)\n%s", diff)
	}
}

func TestUnknownLicenseIsNoticed(t *testing.T) {
	if license := licenseOf("You may do nothing with this."); license != "" {
		t.Errorf("the text is taken for %s", license)
	}
}

// A component is a part by others that is shipped.
type component struct {
	name, version, license string
	// texts are its licence and notice, if they must be shipped with it.
	texts []string
}

// licenseOf returns the SPDX identifier of a licence's text; "" for one that is
// not known.
func licenseOf(text string) string {
	flat := strings.Join(strings.Fields(text), " ")
	switch {
	case strings.Contains(flat, "Apache License Version 2.0"):
		return "Apache-2.0"
	case strings.Contains(flat, "Permission is hereby granted, free of charge"):
		return "MIT"
	case strings.Contains(flat, "Redistribution and use in source and binary forms") && strings.Contains(flat, "Neither the name"):
		return "BSD-3-Clause"
	}
	return ""
}

var licenseName = regexp.MustCompile(`(?i)^(licence|license|notice)(\.txt|\.md)?$`)

// readComponent reads the licence and notice in a folder; ok is false if there
// are none.
func readComponent(folder, name, version string) (c component, ok bool, _ error) {
	c = component{name: name, version: version}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return c, false, err
	}
	for _, e := range entries {
		if !licenseName.MatchString(e.Name()) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return c, false, err
		}
		ok = true
		text := strings.TrimSpace(strings.ReplaceAll(string(b), "\r\n", "\n"))
		if license := licenseOf(text); license != "" {
			c.license = license
			if license == "Apache-2.0" { // The file LICENSE has the same text.
				continue
			}
		}
		c.texts = append(c.texts, text)
	}
	return c, ok, nil
}

// mustListModules lists the Go modules in the functions and the command line,
// and the packages in them that have a licence of their own.
func mustListModules(t *testing.T) (list []component) {
	t.Helper()
	_ = mustReadDocument(t, "go.sum") // go test repeats an earlier result unless a file changes that the test itself reads.
	cmd := exec.Command("go", "list", "-deps", "-f",
		"{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}} {{$.ImportPath}} {{$.Dir}}{{end}}{{end}}", "./functions/...", "./cmd/paceline")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	add := func(folder, name, version string) {
		if slices.ContainsFunc(list, func(c component) bool { return c.name == name }) {
			return
		}
		c, ok, err := readComponent(folder, name, version)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			list = append(list, c)
		}
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		add(fields[2], fields[0], fields[1])
		if fields[4] != fields[2] {
			add(fields[4], fields[3], fields[1])
		}
	}
	out, err = exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("go env: %v", err)
	}
	goroot := strings.TrimSpace(string(out))
	if _, err := os.Stat(filepath.Join(goroot, "LICENSE")); err != nil {
		t.Skipf("this Go comes without its licence: %v", err)
	}
	add(goroot, "the Go standard library and runtime", "")
	return list
}

var bareImport = regexp.MustCompile(`from '((?:@[\w-]+/)?[a-z][\w-]*)`)

// mustListPackages lists the npm packages that the site imports.
func mustListPackages(t *testing.T) (list []component) {
	t.Helper()
	var lock struct {
		Packages map[string]struct{ Version, License string }
	}
	b, err := os.ReadFile(filepath.Join(root, "package-lock.json"))
	if err == nil {
		err = json.Unmarshal(b, &lock)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range mustReadRepository(t).paths {
		if !strings.HasPrefix(path, "web/src/") || !strings.HasPrefix(filepath.Ext(path), ".ts") || strings.Contains(path, ".test.") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range bareImport.FindAllStringSubmatch(string(text), -1) {
			if slices.ContainsFunc(list, func(c component) bool { return c.name == m[1] }) {
				continue
			}
			folder := filepath.Join(root, "node_modules", m[1])
			if _, err := os.Stat(folder); err != nil {
				t.Skipf("%s is not installed: run npm ci", m[1])
			}
			c, _, err := readComponent(folder, m[1], lock.Packages["node_modules/"+m[1]].Version)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, c)
		}
	}
	return list
}

// licenses returns the document.
func licenses(shipped []component) string {
	slices.SortFunc(shipped, func(a, b component) int { return cmp.Compare(a.name, b.name) })
	var b strings.Builder
	b.WriteString(`# Licences of what is shipped

<!-- Generated from the code: go test ./test/arch -update -->

Paceline itself is licensed under the [Apache License 2.0](../LICENSE). This page lists the Go modules that are linked into its functions and its command line, and the npm packages that are bundled into its site. Tools that only build and test are not shipped.

| component | version | licence |
| --- | --- | --- |
`)
	for _, c := range shipped {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", c.name, c.version, c.license)
	}
	b.WriteString("\n## Notices and licence texts\n\nThe text of the Apache License 2.0 is in [LICENSE](../LICENSE).\n")
	var texts []string
	names := map[string][]string{}
	for _, c := range shipped {
		for _, text := range c.texts {
			if names[text] == nil {
				texts = append(texts, text)
			}
			names[text] = append(names[text], c.name)
		}
	}
	for _, text := range texts {
		fmt.Fprintf(&b, "\n### %s\n\n```text\n%s\n```\n", strings.Join(names[text], ", "), text)
	}
	return b.String()
}
