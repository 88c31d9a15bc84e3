package sim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// seeds is how many seeds `go test` runs.
const seeds = 300

// tally is what all runs of a test add up to.
type tally struct {
	mu       sync.Mutex
	began    time.Time
	next     uint64
	last     uint64 // 0 for no end
	until    time.Time
	seeds    int
	events   int64
	happened coverage
	failed   bool
	// interrupted has a signal after Ctrl-C.
	interrupted chan os.Signal
}

// take returns the next seed; false when enough have run.
func (s *tally) take() (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.interrupted:
		s.failed = true // This stops all workers.
	default:
	}
	if s.failed || s.last != 0 && s.next > s.last || !s.until.IsZero() && time.Now().After(s.until) {
		return 0, false
	}
	s.next++
	return s.next - 1, true
}

// add adds a run.
func (s *tally) add(o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seeds++
	s.events += o.events
	for p, n := range o.happened {
		s.happened[p] += n
	}
	s.failed = s.failed || len(o.violations) > 0
	if s.last == 0 && s.seeds%100 == 0 {
		fmt.Printf("%s: %s\n", time.Since(s.began).Round(time.Second), s)
	}
}

// String returns the sums.
func (s *tally) String() string {
	hit, all := 0, 0
	for place, kinds := range catalogue() {
		for _, k := range kinds {
			if all++; s.happened[pair{place, k}] > 0 {
				hit++
			}
		}
	}
	var failures int64
	for _, n := range s.happened {
		failures += n
	}
	return fmt.Sprintf("%d seeds, %d events, %d failures, %d of %d pairs of place and failure", s.seeds, s.events, failures, hit, all)
}

// report lists failures by kind and by place, and the pairs that did not occur.
func (s *tally) report() string {
	var b strings.Builder
	kinds, missing := map[kind]int64{}, []string{}
	for p, n := range s.happened {
		kinds[p.Kind] += n
	}
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(&b, "%10d %s\n", kinds[k], k)
	}
	c := catalogue()
	for _, place := range slices.Sorted(maps.Keys(c)) {
		n := int64(0)
		for _, k := range c[place] {
			n += s.happened[pair{place, k}]
			if s.happened[pair{place, k}] == 0 {
				missing = append(missing, place+": "+string(k))
			}
		}
		fmt.Fprintf(&b, "%10d at %s\n", n, place)
	}
	fmt.Fprintf(&b, "%d pairs did not occur\n", len(missing))
	for _, m := range missing {
		fmt.Fprintf(&b, "  %s\n", m)
	}
	return b.String()
}

// TestNoSeedBreaksAPromise runs a month of each of many seeds. SOAK=1h runs other
// seeds for an hour, SOAK=forever until Ctrl-C; SEED=7 runs only that seed
// and tells its story.
func TestNoSeedBreaksAPromise(t *testing.T) {
	if text := os.Getenv("SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal("SEED must be a number: ", err)
		}
		p := newPlan(seed)
		o := play(t, p, true)
		t.Logf("%s\n%d events, digest %x", strings.Join(o.story, "\n"), o.events, o.digest)
		if len(o.violations) > 0 {
			explain(t, p, o)
		}
		return
	}
	s := &tally{began: time.Now(), next: 1, last: seeds, happened: coverage{}}
	if soak := os.Getenv("SOAK"); soak != "" {
		s.next, s.last = uint64(time.Now().Unix()), 0
		s.interrupted = make(chan os.Signal, 1)
		signal.Notify(s.interrupted, os.Interrupt)
		defer signal.Stop(s.interrupted)
		if d, err := time.ParseDuration(soak); err == nil {
			s.until = time.Now().Add(d)
		} else if soak != "forever" {
			t.Fatal(`SOAK must be a duration or "forever": `, err)
		}
	}
	// Many short lives make much garbage.
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	t.Run("seeds", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("worker", func(t *testing.T) {
				t.Parallel()
				for seed, ok := s.take(); ok; seed, ok = s.take() {
					p := newPlan(seed)
					o := play(t, p, false)
					if s.add(o); len(o.violations) > 0 {
						explain(t, p, o)
					}
				}
			})
		}
	})
	t.Logf("%s", s)
	if os.Getenv("SOAK") != "" {
		t.Logf("\n%s", s.report())
	}
}

// explain reports a seed that broke a promise, as small as it gets.
func explain(t *testing.T, p plan, o outcome) {
	promise := promiseOf(o.violations[0])
	small := shrink(t, p, promise)
	told := play(t, small, true)
	file, err := json.MarshalIndent(small, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	tail := told.story[max(0, len(told.story)-200):]
	t.Errorf("failed at seed %d: %s\nthe smallest plan that does, for testdata/regressions:\n%s\nits story:\n%s",
		p.Seed, cmp.Or(strings.Join(told.violations, "\n"), o.violations[0]), file, strings.Join(tail, "\n"))
}

// TestASeedIsARun: the same seed gives the same run, byte for byte.
func TestASeedIsARun(t *testing.T) {
	for seed := range uint64(5) {
		p := newPlan(seed + 1)
		first, second := play(t, p, true), play(t, p, true)
		if first.digest == second.digest && slices.Equal(first.story, second.story) {
			continue
		}
		for i, line := range first.story {
			if i >= len(second.story) || second.story[i] != line {
				t.Errorf("seed %d differs at %q", p.Seed, line)
				break
			}
		}
		t.Errorf("seed %d: digests %x and %x", p.Seed, first.digest, second.digest)
	}
}

// TestRegressions runs the plans that broke a promise once.
func TestRegressions(t *testing.T) {
	files, err := filepath.Glob("testdata/regressions/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var p plan
			d := json.NewDecoder(bytes.NewReader(content))
			d.DisallowUnknownFields()
			if err := d.Decode(&p); err != nil {
				t.Fatal(err)
			}
			if o := play(t, p, true); len(o.violations) > 0 {
				t.Errorf("%s\n%s", strings.Join(o.violations, "\n"), strings.Join(o.story[max(0, len(o.story)-200):], "\n"))
			}
		})
	}
}
