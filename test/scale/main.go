package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/paceline/paceline/pkg/gathering/quota"
	"golang.org/x/sync/errgroup"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run() error {
	results := make([]result, len(scenarios))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, s := range scenarios {
		group.Go(func() (err error) {
			if results[i], err = play(s); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, r := range results {
		r.print()
	}
	b, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(".local", "scale.json")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// play runs a scenario.
func play(s scenario) (result, error) {
	began := time.Now()
	w := newWorld(s)
	w.populate(s.athletes, s.connecting)
	w.makeSick()
	w.tick()
	w.sample()
	if s.otherClient > 0 {
		w.useAnotherClient()
	}
	if s.limitChanges > 0 {
		w.changeLimits()
	}
	w.outages(s.outages)
	if s.breakdowns > 0 {
		w.breakComponents()
	}
	w.kernel.run(start.Add(time.Duration(s.days) * aDay))
	r := w.result()
	r.Seconds = time.Since(began).Seconds()
	return r, w.err
}

// useAnotherClient makes another client of the application use some of the quota
// from time to time.
func (w *world) useAnotherClient() {
	w.kernel.after(exponential(w.faults, w.scenario.otherClient), func() {
		for range w.faults.IntN(w.scenario.limit.Quarter / 2) {
			w.limiter.call(w.kernel.now)
		}
		w.useAnotherClient()
	})
}

// changeLimits makes Strava change the limits from time to time, in the middle of
// windows.
func (w *world) changeLimits() {
	w.kernel.after(exponential(w.faults, w.scenario.limitChanges), func() {
		share := []float64{1. / 3, 2. / 3, 1}[w.faults.IntN(3)]
		full := w.scenario.limit
		w.limiter.limit = quota.Pair{Quarter: int(share * float64(full.Quarter)), Day: int(share * float64(full.Day))}
		w.changeLimits()
	})
}
