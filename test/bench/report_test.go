package main

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompare(t *testing.T) {
	var turns string
	next := 0.0
	counting := func(name string, factor float64) sample {
		return func(context.Context) (float64, error) {
			turns += name
			next++
			return factor * next, nil
		}
	}
	var r report
	// The samples of ours are 2, 6, 10, 14, 18, and those of the other 2, 4, 6, 8,
	// 10. The first two of each warm up.
	res, err := r.compare(t.Context(), comparison{
		name: "ours", ours: counting("A", 2), baseline: "the other", base: counting("B", 1), unit: "ns", rounds: 3, warmUp: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	if turns != "ABABABABAB" {
		t.Errorf("the turns were %s", turns)
	}
	res.BinaryBytes = 7
	got, err := json.Marshal(r.results)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"name":"ours","unit":"ns","median":14,"p99":18,"compared_with":{"name":"the other","median":8,"p99":10},` +
		`"ratio":1.75,"difference":6,"samples":3,"binary_bytes":7}]`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestCompareStopsAtAnError(t *testing.T) {
	broken := errors.New("broken")
	fine := func(context.Context) (float64, error) { return 1, nil }
	fails := func(context.Context) (float64, error) { return 0, broken }
	for name, c := range map[string]comparison{
		"ours": {ours: fails, base: fine, rounds: 1},
		"base": {ours: fine, base: fails, rounds: 1},
	} {
		var r report
		if _, err := r.compare(t.Context(), c); !errors.Is(err, broken) || len(r.results) != 0 {
			t.Errorf("%s: error %v, %d results", name, err, len(r.results))
		}
	}
}

func TestBiggerIsBetter(t *testing.T) {
	if got, want := summarize([]float64{3, 1, 2}, true), (distribution{Median: 2, P99: 1}); got != want {
		t.Errorf("%+v, not %+v", got, want)
	}
}

func TestPercentile(t *testing.T) {
	var hundred []float64
	for i := range 100 {
		hundred = append(hundred, float64(i+1))
	}
	for _, c := range []struct {
		sorted  []float64
		p, want float64
	}{
		{[]float64{3}, 50, 3},
		{[]float64{3}, 99, 3},
		{[]float64{1, 2}, 50, 1},
		{[]float64{1, 2, 9}, 50, 2},
		{hundred, 50, 50},
		{hundred, 99, 99},
	} {
		if got := percentile(c.sorted, c.p); got != c.want {
			t.Errorf("percentile %v of %d samples is %v, not %v", c.p, len(c.sorted), got, c.want)
		}
	}
}
