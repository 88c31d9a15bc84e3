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

// pkg is what `go list` says of a package. Paths of the module are relative
// to it, e.g. "pkg/athlete".
type pkg struct {
	ImportPath string
	Dir        string
	// Imports are those of the package itself, Deps also those of its
	// imports; tests are not in either.
	Imports, Deps []string
	GoFiles       []string
}

// A rule says what some packages may import.
type rule struct {
	name string
	// who matches the packages that the rule is about; $1 is what its first
	// group matched.
	who *regexp.Regexp
	// but, when it isn't nil, matches packages that it is not about.
	but *regexp.Regexp
	// never, when it isn't empty, matches what they must not depend on, be it
	// by way of other packages. "$1" stands for the first group of who.
	never string
	// only, when it isn't empty, matches all they may import besides the
	// standard library.
	only string
}

const (
	cdk = `^github\.com/(aws/aws-cdk-go|aws/jsii-runtime-go|aws/constructs-go|cdklabs)(/|$)`
	// sdk is what adapters may know of the world.
	sdk        = `github\.com/aws/(aws-sdk-go-v2|smithy-go|aws-lambda-go)(/.*)?`
	boundaries = `credentials|gathering|athlete|activity`
)

var rules = []rule{
	{
		name:  "what is deployed or run does not carry the CDK along",
		who:   regexp.MustCompile(`^(pkg|functions|cmd)/`),
		never: cdk,
	},
	{
		name: "events, settings, metric names and the site's headers know the standard library only",
		who:  regexp.MustCompile(`^pkg/(event|event/\w+v\d+|\w+/settings|\w+/metric|site)$`),
		only: `^$`,
	},
	{
		name: "a domain knows the standard library, events, faults, secrets, retention and its metrics",
		who:  regexp.MustCompile(`^pkg/(` + boundaries + `)(/quota)?$`),
		only: `^pkg/(event|event/\w+|kit/fault|kit/retention|kit/secret|$1/quota|$1/metric)$`,
	},
	{
		name: "adapters and functions know their own boundary, events, the kit and AWS",
		who:  regexp.MustCompile(`^(?:pkg|functions)/(` + boundaries + `)/`),
		but:  regexp.MustCompile(`test$`),
		only: `^(pkg/$1(/\w+)?|pkg/event(/\w+)?|pkg/kit/\w+|pkg/api|` + sdk + `)$`,
	},
	{
		name: "what a boundary is tested with knows no adapter",
		who:  regexp.MustCompile(`^pkg/(` + boundaries + `)/\w+test$`),
		only: `^(pkg/$1(/quota(/quotatest)?|/metric)?|pkg/event(/\w+)?|pkg/kit/\w+|github\.com/google/go-cmp/.*)$`,
	},
	{
		name:  "no boundary knows another",
		who:   regexp.MustCompile(`^(?:pkg|functions)/(` + boundaries + `)(?:/|$)`),
		never: `^(pkg|functions)/(` + boundaries + `)(/|$)`, // but the own: see violations
	},
	{
		name: "the kit knows events and AWS, and no boundary",
		who:  regexp.MustCompile(`^pkg/kit/`),
		only: `^(pkg/event|pkg/kit/\w+|` + sdk + `)$`,
	},
	{
		name: "the HTTP API's package knows the kit and no boundary",
		who:  regexp.MustCompile(`^pkg/api$`),
		only: `^(pkg/event(/\w+)?|pkg/kit/\w+|` + sdk + `)$`,
	},
	{
		name:  "a stand-in knows nothing of the product",
		who:   regexp.MustCompile(`^standin(?:/|$)`),
		never: `^(pkg|functions|infra|cmd)(/|$)`,
	},
	{
		name: "infra knows the CDK and what functions share with it",
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
				t.Errorf("the rule is about no package: %s", r.who)
			}
			for _, v := range r.violations(pkgs) {
				t.Error(v)
			}
		})
	}
}

// TestRulesNotice has each rule look at a package that breaks it.
func TestRulesNotice(t *testing.T) {
	broken := map[string][]pkg{
		"what is deployed or run does not carry the CDK along": {
			{ImportPath: "functions/athlete/serve-api", Imports: []string{"pkg/kit/x"}, Deps: []string{"pkg/kit/x", "github.com/aws/jsii-runtime-go/runtime"}},
			{ImportPath: "cmd/paceline", Deps: []string{"github.com/aws/aws-cdk-go/awscdk/v2"}},
		},
		"events, settings, metric names and the site's headers know the standard library only": {
			{ImportPath: "pkg/event/athletev1", Imports: []string{"github.com/aws/aws-sdk-go-v2/aws"}},
			{ImportPath: "pkg/athlete/settings", Imports: []string{"pkg/kit/env"}},
			{ImportPath: "pkg/site", Imports: []string{"pkg/kit/env"}},
		},
		"a domain knows the standard library, events, faults, secrets, retention and its metrics": {
			{ImportPath: "pkg/athlete", Imports: []string{"github.com/aws/aws-sdk-go-v2/service/dynamodb"}},
			{ImportPath: "pkg/athlete", Imports: []string{"pkg/athlete/ddb"}},
			{ImportPath: "pkg/athlete", Imports: []string{"pkg/kit/eventbus"}},
		},
		"adapters and functions know their own boundary, events, the kit and AWS": {
			{ImportPath: "pkg/athlete/ddb", Imports: []string{"github.com/jackc/pgx/v5"}},
			{ImportPath: "functions/athlete/serve-api", Imports: []string{"pkg/activity/ddb"}},
			{ImportPath: "functions/athlete/serve-api", Imports: []string{"infra/config"}},
		},
		"what a boundary is tested with knows no adapter": {
			{ImportPath: "pkg/athlete/athletetest", Imports: []string{"pkg/athlete/ddb"}},
		},
		"no boundary knows another": {
			{ImportPath: "pkg/athlete", Deps: []string{"pkg/activity"}},
			{ImportPath: "pkg/athlete/ddb", Deps: []string{"pkg/activity/settings"}},
			{ImportPath: "functions/activity/serve-api", Deps: []string{"pkg/kit/x", "pkg/gathering/sqs"}},
		},
		"the kit knows events and AWS, and no boundary": {
			{ImportPath: "pkg/kit/eventbus", Imports: []string{"pkg/credentials"}},
		},
		"the HTTP API's package knows the kit and no boundary": {
			{ImportPath: "pkg/api", Imports: []string{"pkg/athlete"}},
		},
		"a stand-in knows nothing of the product": {
			{ImportPath: "standin/strava", Deps: []string{"pkg/gathering"}},
		},
		"infra knows the CDK and what functions share with it": {
			{ImportPath: "infra/stack", Imports: []string{"pkg/credentials"}},
			{ImportPath: "infra", Imports: []string{"github.com/aws/aws-sdk-go-v2/service/sts"}},
		},
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			if len(broken[r.name]) == 0 {
				t.Error("nothing shows that the rule notices anything")
			}
			for _, p := range broken[r.name] {
				if len(r.violations([]pkg{p})) == 0 {
					t.Errorf("it does not notice %+v", p)
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

// standard tells packages of the standard library: no domain in their path,
// and none of this module's folders.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && !slices.Contains([]string{"pkg", "functions", "cmd", "infra", "test"}, first)
}

// list gives all packages of the module.
func list(t *testing.T) []pkg {
	t.Helper()
	readSources(t)
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Imports,Deps,GoFiles", module+"/...")
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

// readSources opens every folder and Go file of the module, as `go list` does
// in a process of its own: `go test` repeats an earlier result unless something
// changed that the test itself has opened.
func readSources(t *testing.T) {
	t.Helper()
	for _, folder := range []string{"cmd", "functions", "infra", "pkg", "test"} {
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
