package sim

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// kind is a way in which something fails at a place.
type kind string

// Kinds of failures of calls. Other places have kinds of their own.
const (
	// refuse: the call has no effect and returns a transient error.
	refuse kind = "refused"
	// lose: the call has its effect, and returns a transient error.
	lose kind = "answer lost"
	// slow: the call takes up to 5 s, or until its context ends.
	slow kind = "slow"
	// hang: the call has no effect, and lasts until its context or the adapter
	// ends it.
	hang kind = "hangs"
	// hangLate: the call has its effect, and lasts as long as a hang.
	hangLate kind = "hangs after its effect"
	// killBefore and killAfter: the process ends at the call.
	killBefore kind = "killed before"
	killAfter  kind = "killed after"
	// stale: a read returns what it returned last time.
	stale kind = "stale"
)

// injection is a kind of failure that a seed has.
type injection struct {
	// Number tells the injections of a plan apart.
	Number int
	Kind   kind
	// Where is a place, or the beginning of the names of several, if it ends
	// with a space or a dot.
	Where string
	// Rate is the probability that a call fails.
	Rate float64
	// Times is how many calls fail at most; 0 for any number.
	Times int `json:",omitempty"`
	// From and To bound the injection, counted from the beginning of the run.
	From, To time.Duration

	random *rand.Rand
	hits   int
}

func (t *injection) covers(place string) bool {
	if strings.HasSuffix(t.Where, ".") || strings.HasSuffix(t.Where, " ") {
		return strings.HasPrefix(place, t.Where)
	}
	return t.Where == place
}

// faults draws the failures of a run.
type faults struct {
	// began is when the first storm began; zero before.
	began    time.Time
	storm    func(since time.Duration) bool
	all      []*injection
	at       map[string][]*injection
	kinds    map[string][]kind
	happened coverage
	// ofProbe are the frequent ones of the places that a probe of the webhook passes.
	ofProbe []*injection
}

// coverage counts failures by place and kind.
type coverage map[pair]int64

type pair struct {
	Place string
	Kind  kind
}

func newFaults(p plan) *faults {
	f := &faults{storm: p.storm, at: map[string][]*injection{}, kinds: catalogue(), happened: coverage{}}
	for _, t := range p.Injections {
		t.random = rng(p.Seed, "injection", t.Number)
		f.all = append(f.all, &t)
		if t.Rate >= 0.05 && slices.ContainsFunc(probed, t.covers) {
			f.ofProbe = append(f.ofProbe, &t)
		}
	}
	return f
}

// draw returns the failure that happens at the place now; "" for none.
func (f *faults) draw(place string) kind {
	here, known := f.at[place]
	if !known {
		for _, t := range f.all {
			if t.covers(place) && slices.Contains(f.kinds[place], t.Kind) {
				here = append(here, t)
			}
		}
		f.at[place] = here
	}
	since := time.Since(f.began)
	if len(here) == 0 || f.began.IsZero() || !f.storm(since) {
		return ""
	}
	for _, t := range here {
		if since >= t.From && since < t.To && (t.Times == 0 || t.hits < t.Times) && t.random.Float64() < t.Rate {
			t.hits++
			f.happened[pair{place, t.Kind}]++
			return t.Kind
		}
	}
	return ""
}
