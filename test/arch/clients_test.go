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

const sdkV2 = "github.com/aws/aws-sdk-go-v2/"

// TestEveryAWSClientHasLimits: only pkg/kit/startup loads an AWS configuration,
// because it sets the limits of every call, and every client is made from it.
func TestEveryAWSClientHasLimits(t *testing.T) {
	clients := 0
	for _, p := range list(t) {
		top, _, _ := strings.Cut(p.ImportPath, "/")
		if top != "pkg" && top != "functions" && top != "cmd" || p.ImportPath == "pkg/kit/startup" {
			continue
		}
		for _, name := range p.GoFiles {
			file := filepath.Join(p.Dir, name)
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			made, without := awsClients(f)
			clients += made
			for _, name := range without {
				t.Errorf("%s/%s uses %s: make clients with NewFromConfig and a configuration from pkg/kit/startup", p.ImportPath, filepath.Base(file), name)
			}
		}
	}
	if clients == 0 {
		t.Error("no client was found")
	}
}

func TestAWSClientWithoutLimitsIsNoticed(t *testing.T) {
	for source, want := range map[string]string{
		`import "github.com/aws/aws-sdk-go-v2/config"; var c, _ = config.LoadDefaultConfig(nil)`:                                               "config.LoadDefaultConfig",
		`import c "github.com/aws/aws-sdk-go-v2/config"; var load = c.LoadDefaultConfig`:                                                       "config.LoadDefaultConfig",
		`import "github.com/aws/aws-sdk-go-v2/service/ssm"; var c = ssm.New(ssm.Options{})`:                                                    "service/ssm.New",
		`import awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"; var c = awsssm.New(awsssm.Options{})`:                                       "service/ssm.New",
		`import ("github.com/aws/aws-sdk-go-v2/aws"; "github.com/aws/aws-sdk-go-v2/service/ssm"); var c = ssm.NewFromConfig(aws.Config{A: 1})`: "aws.Config{…}",
		`import "github.com/aws/aws-sdk-go-v2/aws"; var c = aws.NewConfig()`:                                                                   "aws.NewConfig",
		`import "github.com/aws/aws-sdk-go-v2/service/ssm"; var c = ssm.NewFromConfig(cfg, func(o *ssm.Options) { o.HTTPClient = nil })`:       "service/ssm.NewFromConfig with options",
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "", "package p; "+source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, without := awsClients(f); len(without) != 1 || without[0] != want {
			t.Errorf("%s: %v", source, without)
		}
	}
}

// awsClients counts the AWS clients that a file makes by NewFromConfig, and
// names all ways in which it gets one, or a configuration, without limits.
func awsClients(f *ast.File) (made int, without []string) {
	imported := map[string]string{} // path below the SDK, by name in the file
	for _, i := range f.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		below, ok := strings.CutPrefix(path, sdkV2)
		if !ok {
			continue
		}
		name := below[strings.LastIndex(below, "/")+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		imported[name] = below
	}
	// member returns what an expression such as ssm.New is, e.g.
	// "service/ssm.New".
	member := func(e ast.Node) string {
		s, ok := e.(*ast.SelectorExpr)
		if !ok {
			return ""
		}
		x, ok := s.X.(*ast.Ident)
		if !ok || imported[x.Name] == "" {
			return ""
		}
		return imported[x.Name] + "." + s.Sel.Name
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			m := member(n)
			if m == "config.LoadDefaultConfig" || m == "aws.NewConfig" || strings.HasPrefix(m, "service/") && strings.HasSuffix(m, ".New") {
				without = append(without, m)
			}
		case *ast.CompositeLit:
			if member(n.Type) == "aws.Config" && len(n.Elts) > 0 {
				without = append(without, "aws.Config{…}")
			}
		case *ast.CallExpr:
			m := member(n.Fun)
			if !strings.HasPrefix(m, "service/") || !strings.HasSuffix(m, ".NewFromConfig") {
				return true
			}
			made++
			if len(n.Args) > 1 {
				without = append(without, m+" with options")
			}
		}
		return true
	})
	return made, without
}
