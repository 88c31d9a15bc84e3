package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"time"
)

// A sample takes one measurement, in the comparison's unit.
type sample func(context.Context) (float64, error)

// timed returns a sample of the duration of f, in nanoseconds.
func timed(f func(context.Context) error) sample {
	return func(ctx context.Context) (float64, error) {
		start := time.Now()
		err := f(ctx)
		return float64(time.Since(start).Nanoseconds()), err
	}
}

// A comparison describes one benchmark.
type comparison struct {
	name string
	ours sample
	// baseline is the name of the baseline, and base its sample.
	baseline string
	base     sample
	unit     string
	// biggerIsBetter is for rates. 99 % of the samples then reach the 99th
	// percentile.
	biggerIsBetter bool
	// rounds are measured, after warmUp rounds that are not. Each takes one
	// sample of ours and one of base.
	rounds, warmUp int
}

// distribution summarizes samples.
type distribution struct {
	Median float64 `json:"median"`
	P99    float64 `json:"p99"`
}

// baseline is the baseline of a benchmark in the same run.
type baseline struct {
	Name string `json:"name"`
	distribution
}

// result is one benchmark of the report.
type result struct {
	Name string `json:"name"`
	// Unit of medians, percentiles and the difference.
	Unit string `json:"unit"`
	// BiggerIsBetter means that the figures are rates. 99 % of the samples then
	// reach P99.
	BiggerIsBetter bool `json:"bigger_is_better,omitempty"`
	distribution
	ComparedWith baseline `json:"compared_with"`
	// Ratio and Difference are between the medians.
	Ratio      float64 `json:"ratio"`
	Difference float64 `json:"difference"`
	// Samples of each side.
	Samples int `json:"samples"`

	// BinaryBytes is the size of the function's program, and BaselineBinaryBytes
	// that of the baseline.
	BinaryBytes         int64 `json:"binary_bytes,omitempty"`
	BaselineBinaryBytes int64 `json:"baseline_binary_bytes,omitempty"`
	// DynamoDBRequests is how many requests to DynamoDB one sample of ours makes.
	DynamoDBRequests *float64 `json:"dynamodb_requests,omitempty"`
}

// extra describes the fields that only some benchmarks have.
func (r *result) extra() string {
	switch {
	case r.BiggerIsBetter:
		return "; bigger is better"
	case r.BinaryBytes > 0:
		return fmt.Sprintf("; %.1f MB | %.1f MB", float64(r.BinaryBytes)/1e6, float64(r.BaselineBinaryBytes)/1e6)
	case r.DynamoDBRequests != nil:
		return fmt.Sprintf("; %.3g DynamoDB requests", *r.DynamoDBRequests)
	}
	return ""
}

// report collects results.
type report struct{ results []*result }

// compare measures and adds the result. The suite may complete the result.
func (r *report) compare(ctx context.Context, c comparison) (*result, error) {
	fmt.Fprintln(os.Stderr, "measuring", c.name)
	var ours, base []float64
	for round := range c.warmUp + c.rounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		a, err := c.ours(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		b, err := c.base(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", c.name, c.baseline, err)
		}
		if round >= c.warmUp {
			ours, base = append(ours, a), append(base, b)
		}
	}
	res := &result{
		Name: c.name, Unit: c.unit, BiggerIsBetter: c.biggerIsBetter, distribution: summarize(ours, c.biggerIsBetter),
		ComparedWith: baseline{c.baseline, summarize(base, c.biggerIsBetter)}, Samples: c.rounds,
	}
	res.Ratio = res.Median / res.ComparedWith.Median
	res.Difference = res.Median - res.ComparedWith.Median
	r.results = append(r.results, res)
	return res, nil
}

// summarize needs at least one sample.
func summarize(samples []float64, biggerIsBetter bool) distribution {
	sorted := slices.Sorted(slices.Values(samples))
	if biggerIsBetter {
		slices.Reverse(sorted)
	}
	return distribution{Median: percentile(sorted, 50), P99: percentile(sorted, 99)}
}

// percentile returns a percentile by nearest rank. The samples are sorted from
// the best to the worst. The result is always one of the samples.
func percentile(sorted []float64, p float64) float64 {
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}
