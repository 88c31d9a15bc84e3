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

// timed makes a sample of how long f takes, in nanoseconds.
func timed(f func(context.Context) error) sample {
	return func(ctx context.Context) (float64, error) {
		start := time.Now()
		err := f(ctx)
		return float64(time.Since(start).Nanoseconds()), err
	}
}

// A comparison is what one benchmark measures.
type comparison struct {
	name string
	ours sample
	// baseline is what ours is compared with, base its sample.
	baseline string
	base     sample
	unit     string
	// biggerIsBetter is for rates; the 99th percentile is then what 99 % of the
	// samples reach.
	biggerIsBetter bool
	// rounds are measured, after warmUp rounds that are not. Each takes one
	// sample of ours and one of base.
	rounds, warmUp int
}

// distribution sums samples up.
type distribution struct {
	Median float64 `json:"median"`
	P99    float64 `json:"p99"`
}

// baseline is what a benchmark was compared with in the same run.
type baseline struct {
	Name string `json:"name"`
	distribution
}

// result is one benchmark of the report.
type result struct {
	Name string `json:"name"`
	// Unit of medians, percentiles and the difference.
	Unit string `json:"unit"`
	// BiggerIsBetter says that the figures are rates: P99 is then what 99 % of
	// the samples reach.
	BiggerIsBetter bool `json:"bigger_is_better,omitempty"`
	distribution
	ComparedWith baseline `json:"compared_with"`
	// Ratio and Difference are between the medians.
	Ratio      float64 `json:"ratio"`
	Difference float64 `json:"difference"`
	// Samples of each side.
	Samples int `json:"samples"`

	// BinaryBytes is the size of the function's program, and
	// BaselineBinaryBytes that of the one it is compared with.
	BinaryBytes         int64 `json:"binary_bytes,omitempty"`
	BaselineBinaryBytes int64 `json:"baseline_binary_bytes,omitempty"`
	// DynamoDBRequests is how many requests to DynamoDB each of ours made.
	DynamoDBRequests *float64 `json:"dynamodb_requests,omitempty"`
}

// extra says in words what only some benchmarks have.
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

// compare measures and adds the result, which the suite may add to.
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

// percentile is the first sample, of samples from the best to the worst, that p
// percent are no worse than (nearest rank): a sample that was taken, never a
// number in between.
func percentile(sorted []float64, p float64) float64 {
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}
