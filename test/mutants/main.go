package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// testLimit bounds the tests of one package.
const testLimit = 5 * time.Minute

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, words []string) error {
	mutants := slices.DeleteFunc(table(), func(m mutant) bool {
		return len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(m.id, w) })
	})
	temp, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	began := time.Now()
	r := runner{root: ".", limit: testLimit, temp: temp}
	if err := r.passes(ctx, mutants); err != nil {
		return err
	}
	fmt.Printf("without a fault all tests pass (%.0f s)\n", time.Since(began).Seconds())
	outcomes, err := r.runAll(ctx, mutants)
	summary, left := summarize(mutants, outcomes)
	fmt.Printf("%s in %.0f s\n", summary, time.Since(began).Seconds())
	if left > 0 {
		err = errors.Join(err, fmt.Errorf("no test notices %d of the faults", left))
	}
	return err
}

// passes checks that the tests pass without a fault: one that fails anyway would
// seem to notice every fault.
func (r runner) passes(ctx context.Context, mutants []mutant) error {
	return inParallel(union(mutants), func(by string) error {
		failed, _, err := r.test(ctx, by)
		if failed != "" {
			err = fmt.Errorf("%s fails without a fault", failed)
		}
		return err
	})
}

// union returns what the mutants' tests are, each package once.
func union(mutants []mutant) (all []string) {
	patterns := map[string][]string{}
	for _, m := range mutants {
		for _, by := range m.by {
			pkg, pattern, _ := strings.Cut(by, " ")
			pattern, _, _ = strings.Cut(pattern, "/") // What follows names subtests.
			patterns[pkg] = append(patterns[pkg], pattern)
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(patterns)) {
		if !slices.Contains(patterns[pkg], "") { // Otherwise it is all of them.
			pkg += " " + strings.Join(slices.Compact(slices.Sorted(slices.Values(patterns[pkg]))), "|")
		}
		all = append(all, pkg)
	}
	return all
}

// runAll runs the mutants and prints what became of each. It goes on after one
// that cannot be run.
func (r runner) runAll(ctx context.Context, mutants []mutant) ([]outcome, error) {
	outcomes := make([]outcome, len(mutants))
	index := make([]int, len(mutants))
	for i := range index {
		index[i] = i
	}
	var printing sync.Mutex
	var failed []error
	_ = inParallel(index, func(i int) error {
		o, err := r.run(ctx, mutants[i])
		outcomes[i] = o
		printing.Lock()
		defer printing.Unlock()
		if err != nil {
			failed = append(failed, err)
			fmt.Println(mutants[i].id, "CANNOT RUN")
			return nil
		}
		fmt.Println(row(mutants[i], o))
		return nil
	})
	return outcomes, errors.Join(failed...)
}

// inParallel calls do with each element, on all processors.
func inParallel[T any](all []T, do func(T) error) error {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, one := range all {
		group.Go(func() error { return do(one) })
	}
	return group.Wait()
}

// row is the line of a mutant.
func row(m mutant, o outcome) string {
	by := cmp.Or(o.noticed, "SURVIVES")
	if o.seeds > 0 {
		by += fmt.Sprintf(" (%d seeds)", o.seeds)
	}
	return fmt.Sprintf("%-46s %5.1f s  %s", m.id, o.took.Seconds(), by)
}

// summarize counts the outcomes, and names the faults that no test noticed.
func summarize(mutants []mutant, outcomes []outcome) (summary string, left int) {
	var b strings.Builder
	var seeds []int
	for i, o := range outcomes {
		if o.noticed == "" {
			left++
			fmt.Fprintf(&b, "unnoticed %s: %s (%s)\n", mutants[i].id, mutants[i].breaks, mutants[i].file)
		}
		if o.seeds > 0 {
			seeds = append(seeds, o.seeds)
		}
	}
	fmt.Fprintf(&b, "%d of %d faults noticed", len(mutants)-left, len(mutants))
	if len(seeds) > 0 {
		slices.Sort(seeds)
		fmt.Fprintf(&b, ", %d of them by the simulation: after %d seeds at the median", len(seeds), seeds[len(seeds)/2])
	}
	return b.String(), left
}
