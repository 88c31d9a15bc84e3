package infra

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the snapshots anew")

// TestSnapshots compares every stack of every stage with its snapshot.
func TestSnapshots(t *testing.T) {
	for _, stage := range stages {
		s := synth(t, stage)
		for _, name := range stackNames {
			t.Run(string(stage)+"/"+name, func(t *testing.T) {
				file := filepath.Join("testdata", string(stage), name+".json")
				got := snapshot(t, s.templates[name])
				if *update {
					if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(file, got, 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatalf("%v: write it by `go test ./test/infra -update`", err)
				}
				if diff := cmp.Diff(lines(want), lines(got)); diff != "" {
					t.Errorf("the template differs from %s (-snapshot +now); if that is right, write it by `go test ./test/infra -update`:\n%s", file, diff)
				}
			})
		}
	}
}

// TestSnapshotsIgnoreAssetsOnly shows what a snapshot sees and what it doesn't.
func TestSnapshotsIgnoreAssetsOnly(t *testing.T) {
	s := synth(t, "prod")
	before := snapshot(t, s.templates["Gathering"])

	rebuilt := s.clone(t)
	code := rebuilt.find(t, "Gathering", "AWS::Lambda::Function", "gatherwork").at("Code").(map[string]any)
	code["S3Key"] = strings.Repeat("f", 64) + ".zip"
	if !bytes.Equal(before, snapshot(t, rebuilt.templates["Gathering"])) {
		t.Error("another build of a function changes the snapshot")
	}

	changed := s.clone(t)
	changed.find(t, "Gathering", "AWS::Lambda::Function", "gatherwork").props()["Timeout"] = 61
	if bytes.Equal(before, snapshot(t, changed.templates["Gathering"])) {
		t.Error("another timeout of a function does not change the snapshot")
	}
}

// snapshot is a template without what changes by itself: where assets are, and
// the CDK's check of the bootstrap version.
func snapshot(t *testing.T, tmpl template) []byte {
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
	blank(c)
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(c); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// blank replaces the names of assets.
func blank(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			blank(item)
		}
	case map[string]any:
		for key, item := range v {
			switch key {
			case "S3Key", "SourceObjectKeys", "aws:asset:path":
				v[key] = "<asset>"
			default:
				blank(item)
			}
		}
	}
}

func lines(b []byte) []string { return strings.Split(string(b), "\n") }
