package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/paceline/paceline"

// pkg is a package as `go list` reports it. Paths in the module are relative to
// it, e.g. "pkg/athlete".
type pkg struct {
	ImportPath string
	Dir        string
	// Imports are the direct imports, Deps also the indirect ones, both without
	// those of tests.
	Imports, Deps []string
	// GoFiles has no tests. XTestGoFiles are tests in a package of their own.
	GoFiles, TestGoFiles, XTestGoFiles []string
}

// A rule limits the imports of some packages.
type rule struct {
	name string
	// who matches the packages of the rule; $1 is the match of its first group.
	who *regexp.Regexp
	// but matches exceptions from who, unless it is nil.
	but *regexp.Regexp
	// never matches packages that they must not depend on, directly or indirectly,
	// unless it is empty.
	never string
	// only matches the packages that they may import besides the standard library,
	// unless it is empty. "$1" stands for the first group of who.
	only string
}

const (
	cdk = `^github\.com/(aws/aws-cdk-go|aws/jsii-runtime-go|aws/constructs-go|cdklabs)(/|$)`
	// sdk has the modules that adapters may import.
	sdk        = `github\.com/aws/(aws-sdk-go-v2|smithy-go|aws-lambda-go)(/.*)?`
	boundaries = `credentials|gathering|athlete|activity`
)

var rules = []rule{
	{
		name:  "nothing that is deployed or run depends on the CDK",
		who:   regexp.MustCompile(`^(pkg|functions|cmd)/`),
		never: cdk,
	},
	{
		name: "events, settings, metric names and the site's headers import the standard library only",
		who:  regexp.MustCompile(`^pkg/(event|event/\w+v\d+|\w+/settings|\w+/metric|site)$`),
		only: `^$`,
	},
	{
		name: "a domain imports the standard library, events, faults, secrets, retention and its metrics only",
		who:  regexp.MustCompile(`^pkg/(` + boundaries + `)(/quota)?$`),
		only: `^pkg/(event|event/\w+|kit/fault|kit/retention|kit/secret|$1/quota|$1/metric)$`,
	},
	{
		name: "adapters and functions import their own boundary, events, the kit and AWS only",
		who:  regexp.MustCompile(`^(?:pkg|functions)/(` + boundaries + `)/`),
		but:  regexp.MustCompile(`test$`),
		only: `^(pkg/$1(/\w+)?|pkg/event(/\w+)?|pkg/kit/\w+|pkg/api|` + sdk + `)$`,
	},
	{
		name: "a function takes its adapters from its boundary's wiring",
		who:  regexp.MustCompile(`^functions/(` + boundaries + `)/`),
		only: `^(pkg/$1(/handler|/settings|/metric|/\w*wiring|/provider|/requester)?|pkg/event(/\w+)?|pkg/kit/\w+|pkg/api|github\.com/aws/aws-lambda-go/.*)$`,
	},
	{
		name: "a boundary's test package imports no adapter",
		who:  regexp.MustCompile(`^pkg/(` + boundaries + `)/\w+test$`),
		only: `^(pkg/$1(/quota(/quotatest)?|/metric)?|pkg/event(/\w+)?|pkg/kit/\w+|github\.com/google/go-cmp/.*)$`,
	},
	{
		name:  "no boundary depends on another",
		who:   regexp.MustCompile(`^(?:pkg|functions)/(` + boundaries + `)(?:/|$)`),
		never: `^(pkg|functions)/(` + boundaries + `)(/|$)`, // except itself, see violations
	},
	{
		name: "the kit imports events and AWS, and no boundary",
		who:  regexp.MustCompile(`^pkg/kit/`),
		only: `^(pkg/event|pkg/kit/\w+|` + sdk + `)$`,
	},
	{
		name: "the HTTP API's package imports the kit, and no boundary",
		who:  regexp.MustCompile(`^pkg/api$`),
		only: `^(pkg/event(/\w+)?|pkg/kit/\w+|` + sdk + `)$`,
	},
	{
		name:  "a stand-in does not depend on the product",
		who:   regexp.MustCompile(`^standin(?:/|$)`),
		never: `^(pkg|functions|infra|cmd)(/|$)`,
	},
	{
		name: "infra imports the CDK and what functions share with it",
		who:  regexp.MustCompile(`^infra(?:/|$)`),
		only: cdk + `|^(infra/\w+|pkg/\w+/settings|pkg/\w+/metric|pkg/event|pkg/event/\w+|pkg/kit/env|pkg/site)$`,
	},
}

func TestImports(t *testing.T) {
	pkgs := list(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			matched := 0
			for _, p := range pkgs {
				if r.who.MatchString(p.ImportPath) {
					matched++
				}
			}
			if matched == 0 {
				t.Errorf("the rule matches no package: %s", r.who)
			}
			for _, v := range r.violations(pkgs) {
				t.Error(v)
			}
		})
	}
}

// TestRulesNotice applies each rule to packages that violate it.
func TestRulesNotice(t *testing.T) {
	broken := map[string][]pkg{
		"nothing that is deployed or run depends on the CDK": {
			{ImportPath: "functions/athlete/serve-api", Imports: []string{"pkg/kit/x"}, Deps: []string{"pkg/kit/x", "github.com/aws/jsii-runtime-go/runtime"}},
			{ImportPath: "cmd/paceline", Deps: []string{"github.com/aws/aws-cdk-go/awscdk/v2"}},
		},
		"events, settings, metric names and the site's headers import the standard library only": {
			{ImportPath: "pkg/event/athletev1", Imports: []string{"github.com/aws/aws-sdk-go-v2/aws"}},
			{ImportPath: "pkg/athlete/settings", Imports: []string{"pkg/kit/env"}},
			{ImportPath: "pkg/site", Imports: []string{"pkg/kit/env"}},
		},
		"a domain imports the standard library, events, faults, secrets, retention and its metrics only": {
			{ImportPath: "pkg/athlete", Imports: []string{"github.com/aws/aws-sdk-go-v2/service/dynamodb"}},
			{ImportPath: "pkg/athlete", Imports: []string{"pkg/athlete/ddb"}},
			{ImportPath: "pkg/athlete", Imports: []string{"pkg/kit/eventbus"}},
		},
		"adapters and functions import their own boundary, events, the kit and AWS only": {
			{ImportPath: "pkg/athlete/ddb", Imports: []string{"github.com/jackc/pgx/v5"}},
			{ImportPath: "functions/athlete/serve-api", Imports: []string{"pkg/activity/ddb"}},
			{ImportPath: "functions/athlete/serve-api", Imports: []string{"infra/config"}},
		},
		"a function takes its adapters from its boundary's wiring": {
			{ImportPath: "functions/activity/serve-api", Imports: []string{"pkg/activity/ddb"}},
			{ImportPath: "functions/activity/serve-api", Imports: []string{"github.com/aws/aws-sdk-go-v2/service/dynamodb"}},
		},
		"a boundary's test package imports no adapter": {
			{ImportPath: "pkg/athlete/athletetest", Imports: []string{"pkg/athlete/ddb"}},
		},
		"no boundary depends on another": {
			{ImportPath: "pkg/athlete", Deps: []string{"pkg/activity"}},
			{ImportPath: "pkg/athlete/ddb", Deps: []string{"pkg/activity/settings"}},
			{ImportPath: "functions/activity/serve-api", Deps: []string{"pkg/kit/x", "pkg/gathering/sqs"}},
		},
		"the kit imports events and AWS, and no boundary": {
			{ImportPath: "pkg/kit/eventbus", Imports: []string{"pkg/credentials"}},
		},
		"the HTTP API's package imports the kit, and no boundary": {
			{ImportPath: "pkg/api", Imports: []string{"pkg/athlete"}},
		},
		"a stand-in does not depend on the product": {
			{ImportPath: "standin/strava", Deps: []string{"pkg/gathering"}},
		},
		"infra imports the CDK and what functions share with it": {
			{ImportPath: "infra/stack", Imports: []string{"pkg/credentials"}},
			{ImportPath: "infra", Imports: []string{"github.com/aws/aws-sdk-go-v2/service/sts"}},
		},
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			if len(broken[r.name]) == 0 {
				t.Error("no example shows that the rule notices a violation")
			}
			for _, p := range broken[r.name] {
				if len(r.violations([]pkg{p})) == 0 {
					t.Errorf("the rule does not notice %+v", p)
				}
			}
		})
	}
}

func (r rule) violations(pkgs []pkg) (bad []string) {
	for _, p := range pkgs {
		m := r.who.FindStringSubmatch(p.ImportPath)
		if m == nil || r.but != nil && r.but.MatchString(p.ImportPath) {
			continue
		}
		own := ""
		if len(m) > 1 {
			own = m[1]
		}
		if r.only != "" {
			only := regexp.MustCompile(strings.ReplaceAll(r.only, "$1", own))
			for _, i := range p.Imports {
				if !standard(i) && !only.MatchString(i) {
					bad = append(bad, fmt.Sprintf("%s imports %s", p.ImportPath, i))
				}
			}
		}
		if r.never != "" {
			never := regexp.MustCompile(r.never)
			for _, d := range p.Deps {
				if n := never.FindStringSubmatch(d); n != nil && (len(n) < 3 || n[2] != own) {
					bad = append(bad, fmt.Sprintf("%s depends on %s", p.ImportPath, d))
				}
			}
		}
	}
	return bad
}

// standard reports whether a package is in the standard library: its path begins
// with neither a domain name nor a folder of this module.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && !slices.Contains([]string{"pkg", "functions", "cmd", "infra", "standin", "test"}, first)
}

// list returns all packages of the module.
func list(t *testing.T) []pkg {
	t.Helper()
	readSources(t)
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Imports,Deps,GoFiles,TestGoFiles,XTestGoFiles", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module+"/")
		for _, paths := range [][]string{p.Imports, p.Deps} {
			for i := range paths {
				paths[i] = strings.TrimPrefix(paths[i], module+"/")
			}
		}
		pkgs = append(pkgs, p)
	}
}

// readSources opens every folder and Go file of the module. `go list` does so as
// well, but in another process: `go test` reuses a cached result unless a file has
// changed that the test itself has opened.
func readSources(t *testing.T) {
	t.Helper()
	for _, folder := range []string{"cmd", "functions", "infra", "pkg", "standin", "test"} {
		err := filepath.WalkDir(filepath.Join("../..", folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
				return err
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			return f.Close()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
