package infra

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/infra/config"
)

var update = flag.Bool("update", false, "write the golden templates")

// TestTemplatesMatchTheGoldens compares every stack of every stage. The golden
// of stage prod is its whole template, testdata/prod/<stack>.json. That of any
// other stage is prod's, with prod's name replaced by the stage's, and then
// changed by the JSON patch testdata/<stage>/<stack>.patch.json. So a patch
// shows in what the stage differs from prod.
func TestTemplatesMatchTheGoldens(t *testing.T) {
	for _, stage := range stages {
		for _, name := range stackNames {
			t.Run(string(stage)+"/"+name, func(t *testing.T) {
				now := normalize(t, synth(t, stage).templates[name])
				if *update {
					prod := normalize(t, synth(t, config.Prod).templates[name])
					mustWriteGolden(t, stage, name, prod, now)
					return
				}
				if diff := cmp.Diff(lines(t, mustReadGolden(t, stage, name)), lines(t, now)); diff != "" {
					t.Errorf("the template differs from %s (-golden +now); if it should, run `go test ./test/infra -update`:\n%s",
						goldenFile(stage, name), diff)
				}
			})
		}
	}
}

func TestGoldensNoticeAChangeOfOneStageAndOfAll(t *testing.T) {
	const stack = "Gathering"
	differs := func(t *testing.T, s *system) bool {
		return !cmp.Equal(mustReadGolden(t, s.stage, stack), normalize(t, s.templates[stack]))
	}
	for name, c := range map[string]struct {
		change func(function resource)
		stages []config.Stage
	}{
		"a timeout in dev alone": {
			func(f resource) { f.props()["Timeout"] = 61.0 }, []config.Stage{config.Dev},
		},
		"a timeout in local alone": {
			func(f resource) { f.props()["Timeout"] = 61.0 }, []config.Stage{config.Local},
		},
		"a timeout in prod alone": {
			func(f resource) { f.props()["Timeout"] = 61.0 }, []config.Stage{config.Prod},
		},
		"a timeout in every stage": {
			func(f resource) { f.props()["Timeout"] = 61.0 }, stages,
		},
		"a property less in dev": {
			func(f resource) { delete(f.props(), "Timeout") }, []config.Stage{config.Dev},
		},
		"a property more in local": {
			func(f resource) { f.props()["ReservedConcurrentExecutions"] = 1.0 }, []config.Stage{config.Local},
		},
		"prod's name in dev": {
			func(f resource) { f.at("Environment", "Variables").(map[string]any)["STAGE"] = "prod" }, []config.Stage{config.Dev},
		},
		"another build of a function in every stage": {
			func(f resource) { f.at("Code").(map[string]any)["S3Key"] = strings.Repeat("f", 64) + ".zip" }, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			changed := map[config.Stage]bool{}
			for _, stage := range c.stages {
				changed[stage] = true
			}
			for _, stage := range stages {
				s := synth(t, stage).clone(t)
				if changed[stage] || c.stages == nil {
					c.change(s.find(t, stack, "AWS::Lambda::Function", "gatherwork"))
				}
				if differs(t, s) != changed[stage] {
					t.Errorf("stage %s: differs from its golden: %t, want %t", stage, !changed[stage], changed[stage])
				}
			}
		})
	}
}

func goldenFile(stage config.Stage, stack string) string {
	if stage == config.Prod {
		return filepath.Join("testdata", string(stage), stack+".json")
	}
	return filepath.Join("testdata", string(stage), stack+".patch.json")
}

func mustReadGolden(t *testing.T, stage config.Stage, stack string) any {
	t.Helper()
	read := func(stage config.Stage) []byte {
		b, err := os.ReadFile(goldenFile(stage, stack))
		if err != nil {
			t.Fatalf("%v: run `go test ./test/infra -update`", err)
		}
		return b
	}
	prod := decode[any](t, read(config.Prod))
	if stage == config.Prod {
		return prod
	}
	golden, err := applyPatch(renameStage(prod, stage), decode[[]operation](t, read(stage)))
	if err != nil {
		t.Fatalf("%s: %v: run `go test ./test/infra -update`", goldenFile(stage, stack), err)
	}
	return golden
}

func mustWriteGolden(t *testing.T, stage config.Stage, stack string, prod, now any) {
	t.Helper()
	content := format(t, now)
	if stage != config.Prod {
		content = formatPatch(t, makePatch(renameStage(prod, stage), now))
	}
	file := goldenFile(stage, stack)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// stageName matches prod's name where the CDK puts a stage's: as a word of its
// own, and in names that it makes of a path of constructs.
var stageName = regexp.MustCompile(`\b(Paceline)?prod(\b|[A-Z])`)

// renameStage returns a copy of prod's template in which every text and key has
// the stage's name in place of prod's.
func renameStage(v any, stage config.Stage) any {
	switch v := v.(type) {
	case string:
		return stageName.ReplaceAllString(v, "${1}"+string(stage)+"${2}")
	case []any:
		renamed := make([]any, len(v))
		for i, item := range v {
			renamed[i] = renameStage(item, stage)
		}
		return renamed
	case map[string]any:
		renamed := make(map[string]any, len(v))
		for key, item := range v {
			renamed[renameStage(key, stage).(string)] = renameStage(item, stage)
		}
		return renamed
	}
	return v
}

// normalize returns a template without what changes by itself: the places of
// assets, and the CDK's check of the bootstrap version.
func normalize(t *testing.T, tmpl template) any {
	t.Helper()
	b, err := json.Marshal(tmpl)
	if err != nil {
		t.Fatal(err)
	}
	c := decode[map[string]any](t, b)
	delete(c["Parameters"].(map[string]any), "BootstrapVersion")
	delete(c["Rules"].(map[string]any), "CheckBootstrapVersion")
	for _, key := range []string{"Parameters", "Rules"} {
		if len(c[key].(map[string]any)) == 0 {
			delete(c, key)
		}
	}
	blankAssets(c)
	return c
}

// blankAssets replaces the names of assets.
func blankAssets(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			blankAssets(item)
		}
	case map[string]any:
		for key, item := range v {
			switch key {
			case "S3Key", "SourceObjectKeys", "aws:asset:path":
				v[key] = "<asset>"
			default:
				blankAssets(item)
			}
		}
	}
}

// format returns v as indented JSON with sorted keys.
func format(t *testing.T, v any) []byte {
	t.Helper()
	return []byte(indent(t, v, "") + "\n")
}

func lines(t *testing.T, v any) []string {
	t.Helper()
	return strings.Split(string(format(t, v)), "\n")
}

// formatPatch returns a patch as JSON with one operation a line, unless its
// value is an object or a list.
func formatPatch(t *testing.T, patch []operation) []byte {
	t.Helper()
	var all []string
	for _, o := range patch {
		line := fmt.Sprintf(`  {"op": %s, "path": %s`, indent(t, o.Op, ""), indent(t, o.Path, ""))
		if o.Op != opRemove {
			line += `, "value": ` + indent(t, o.Value, "  ")
		}
		all = append(all, line+"}")
	}
	return []byte("[\n" + strings.Join(all, ",\n") + "\n]\n")
}

func indent(t *testing.T, v any, prefix string) string {
	t.Helper()
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent(prefix, "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(out.String(), "\n")
}
