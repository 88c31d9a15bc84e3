package athlete_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/event/athletev1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// leaver is an athlete who connects, leaves and is ended otherwise, and the
// credentials boundary, which answers each wish to leave with a revocation.
// Events come in any order and more than once; every other announcement of ours
// fails.
type leaver struct {
	*plane
	*rand.Rand
	t         *testing.T
	deadlines *athlete.Deadlines

	generation int64
	active     bool
	pending    []func()
	heard      int
	// ends are the generations that erasures end, by their receipts.
	ends map[string]int64
	// erased are the receipts that the plane has confirmed or was told to.
	erased map[string]bool
	story  []string
}

func (l *leaver) tell(format string, args ...any) {
	l.story = append(l.story, fmt.Sprintf(format, args...))
}

func (l *leaver) later(what string, do func()) {
	for range 1 + l.IntN(5)/4 {
		l.pending = append(l.pending, func() { l.tell("%s", what); do() })
	}
}

func (l *leaver) connect() {
	l.generation++
	l.active = true
	g := l.generation
	l.tell("connects as %d", g-gen1)
	l.later(fmt.Sprint("authorized ", g-gen1), func() { l.authorize(l.t, g, "read") })
	l.later(fmt.Sprint("gathered ", g-gen1), func() { l.gather(l.t, g, 0, "Ada") })
}

func (l *leaver) end(generation int64, receipt string) {
	l.active = l.active && generation < l.generation
	l.ends[receipt] = generation
	l.later(fmt.Sprint("revoked ", generation-gen1, " ", receipt), func() { l.revoke(l.t, generation, receipt); l.erased[receipt] = true })
}

func (l *leaver) leave() {
	g := gen1 + l.Int64N(l.generation-gen1+1)
	if l.IntN(2) == 0 {
		l.refuse = fault.New(fault.Transient, "the bus is away")
	}
	receipt, err := l.Leave(l.t.Context(), athlete.Session{AthleteID: 1, Generation: g})
	l.refuse = nil
	l.tell("leaves by %d: %q, %v", g-gen1, receipt, err)
}

func (l *leaver) deliver() {
	if len(l.pending) > 0 {
		i := l.IntN(len(l.pending))
		do := l.pending[i]
		l.pending = append(l.pending[:i:i], l.pending[i+1:]...)
		do()
	}
}

func (l *leaver) enforce() {
	_, err := l.deadlines.Enforce(l.t.Context())
	must(l.t, err)
}

// listen has credentials hear of what was announced.
func (l *leaver) listen() {
	for ; l.heard < len(l.published); l.heard++ {
		if f, is := l.published[l.heard].Fact.(athletev1.ErasureRequested); is {
			l.later("requested "+f.Receipt, func() { l.end(f.Generation, f.Receipt) })
		}
	}
}

// check looks at what must hold at any time.
func (l *leaver) check() {
	a, err := l.Accounts.Account(l.t.Context(), 1)
	must(l.t, err)
	if a.Profile != nil && a.Generation <= a.Revoked {
		l.t.Error("the profile survives")
	}
	if a.Leave == nil && a.Authorization == nil && a.Revoked > 0 && a.Expires.IsZero() {
		l.t.Error("the account never expires")
	}
	for g := gen1; g <= l.generation; g++ {
		_, err := l.Me(l.t.Context(), athlete.Session{AthleteID: 1, Generation: g})
		over, is := errors.AsType[athlete.RevokedError](err)
		if !is || over.Receipt == "" || a.Leave != nil && a.Leave.Receipt == over.Receipt && a.Leave.Generation >= g {
			continue
		}
		if ends, known := l.ends[over.Receipt]; !known || ends < g {
			l.t.Errorf("a session of %d is led to %s, which ends %d", g-gen1, over.Receipt, ends-gen1)
		}
	}
}

// Whatever comes in between: every receipt that was opened is erased in the end,
// a session is never led to the receipt of an earlier authorization, and nothing
// of what ended is left.
func TestLeavingEnds(t *testing.T) {
	const histories = 5_000
	for seed := range uint64(histories) {
		p := newPlane()
		l := &leaver{
			plane: p, Rand: rand.New(rand.NewPCG(seed, 0)), t: t, deadlines: p.deadlines(),
			generation: gen1 - 1, ends: map[string]int64{}, erased: map[string]bool{},
		}
		l.connect()
		for range 15 {
			l.now = l.now.Add(time.Minute)
			switch n := l.IntN(10); {
			case n == 0 && l.generation < gen1+2:
				l.connect()
			case n == 1 && l.active:
				l.tell("ends it at Strava")
				l.end(l.generation, fmt.Sprint("theirs-", l.generation-gen1, "-", len(l.ends)))
			case n <= 3:
				l.leave()
			case n == 4:
				l.now = l.now.Add(12 * time.Minute)
				l.enforce()
			default:
				l.deliver()
			}
			l.listen()
			l.check()
		}
		for range 8 { // A wish that is replaced while it is announced again takes a few rounds.
			for len(l.pending) > 0 {
				l.deliver()
				l.listen()
				l.check()
			}
			l.now = l.now.Add(15 * time.Minute)
			l.enforce()
			l.listen()
		}
		if len(l.pending) > 0 {
			t.Error("there is a wish that never ends")
		}
		must(t, l.ports.Inventory.Each(t.Context(), athlete.Visitor{Erasure: func(e athlete.Erasure) error {
			if !l.erased[e.Receipt] {
				t.Errorf("%s was opened and nothing came of it", e.Receipt)
			}
			return nil
		}}))
		if t.Failed() {
			t.Fatalf("history %d: %s", seed, strings.Join(l.story, "; "))
		}
	}
}
