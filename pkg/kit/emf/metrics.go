package emf

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// Metrics has the counters of one function. Their only dimension is the stage,
// so that an alarm covers all functions of a boundary and each metric is billed
// once. Nothing in it identifies an athlete. The log line also names the
// function, for CloudWatch Logs Insights.
type Metrics struct {
	namespace string
	stage     string
	now       func() time.Time

	mu     sync.Mutex
	w      io.Writer
	counts map[string]float64
}

// New returns metrics that [Metrics.Flush] writes to w.
func New(w io.Writer, now func() time.Time, namespace, stage string) *Metrics {
	return &Metrics{namespace: namespace, stage: stage, now: now, w: w, counts: map[string]float64{}}
}

// Count adds n to a metric.
func (m *Metrics) Count(name string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[name] += float64(n)
}

// Flush writes the counts since the last flush as one line, or nothing if there
// are none. Call it at the end of an invocation.
func (m *Metrics) Flush() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.counts) == 0 {
		return nil
	}
	type unit struct {
		Name string
		Unit string
	}
	units := []unit{}
	line := map[string]any{"stage": m.stage, "function": lambdacontext.FunctionName}
	for _, name := range slices.Sorted(maps.Keys(m.counts)) {
		units = append(units, unit{name, "Count"})
		line[name] = m.counts[name]
	}
	line["_aws"] = map[string]any{
		"Timestamp": m.now().UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{
			"Namespace":  m.namespace,
			"Dimensions": [][]string{{"stage"}},
			"Metrics":    units,
		}},
	}
	clear(m.counts)
	return json.NewEncoder(m.w).Encode(line)
}

// Flushing returns a Lambda handler that flushes the metrics after each
// invocation. It ignores a line that cannot be written.
func Flushing[In, Out any](m *Metrics, handle func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) {
		defer func() { _ = m.Flush() }()
		return handle(ctx, in)
	}
}
