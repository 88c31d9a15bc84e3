package emf_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/emf"
)

func TestFlushWritesOneLineOfEMF(t *testing.T) {
	var w bytes.Buffer
	m := emf.New(&w, func() time.Time { return time.UnixMilli(1700000000123) }, "Paceline/Test", "local")
	m.Count("Calls", 2)
	m.Count("Calls", 1)
	if err := m.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := m.Flush(); err != nil {
		t.Fatal(err)
	}
	if bytes.Count(w.Bytes(), []byte("\n")) != 1 {
		t.Fatalf("not one line: %s", w.String())
	}
	var line struct {
		Calls float64
		Stage string `json:"stage"`
		AWS   struct {
			Timestamp         int64
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name, Unit string }
			}
		} `json:"_aws"`
	}
	if err := json.Unmarshal(w.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line.Calls != 3 || line.Stage != "local" || line.AWS.Timestamp != 1700000000123 ||
		line.AWS.CloudWatchMetrics[0].Metrics[0].Name != "Calls" || line.AWS.CloudWatchMetrics[0].Namespace != "Paceline/Test" {
		t.Fatalf("wrong line: %s", w.String())
	}
	// Alarms look at metrics by the stage alone.
	if d := line.AWS.CloudWatchMetrics[0].Dimensions; len(d) != 1 || !slices.Equal(d[0], []string{"stage"}) {
		t.Errorf("the dimensions are %v", d)
	}
}
