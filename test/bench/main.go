package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"text/tabwriter"
)

// reportFile is where the results are written, as an array of [result].
const reportFile = ".local/bench.json"

// A suite measures one part of the project. It prepares, adds comparisons to the
// report, and cleans up.
type suite func(context.Context, *report) error

// suites are all suites, in the order of the report.
var suites = []suite{requesterOverhead, receiverOverhead, gatherAndStore, activityAPI, coldInit}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if _, err := os.Stat("go.mod"); err != nil {
		return fmt.Errorf("run `make bench` in the root of the repository: %w", err)
	}
	fmt.Println(machine())
	fmt.Println()
	var r report
	for _, measure := range suites {
		if err := measure(ctx, &r); err != nil {
			return err
		}
	}
	if err := r.print(); err != nil {
		return err
	}
	return r.write()
}

// machine describes the machine.
func machine() string {
	cpu := ""
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan() && cpu == ""; {
			if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
				cpu = ", " + strings.TrimSpace(value)
			}
		}
	}
	return fmt.Sprintf("%d cores, %s, %s/%s%s", runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, cpu)
}

// print writes the table.
func (r *report) print() error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "median\tp99\tbaseline\tp99\tdifference\tratio\tunit\tn\t  benchmark | baseline")
	for _, b := range r.results {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.2f\t%s\t%d\t  %s | %s%s\n",
			short(b.Median), short(b.P99), short(b.ComparedWith.Median), short(b.ComparedWith.P99), short(b.Difference),
			b.Ratio, b.Unit, b.Samples, b.Name, b.ComparedWith.Name, b.extra())
	}
	return w.Flush()
}

// short formats v with its significant digits.
func short(v float64) string {
	if v < 100 && v > -100 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// write writes the results to [reportFile].
func (r *report) write() error {
	b, err := json.MarshalIndent(r.results, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(reportFile), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(reportFile, append(b, '\n'), 0o644); err != nil {
		return err
	}
	fmt.Println("\nwritten to", reportFile)
	return nil
}
