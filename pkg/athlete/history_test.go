package athlete_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/event/athletev1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// leaver is an athlete who connects, leaves and deauthorizes, and the credentials
// boundary, which answers each request to leave with a revocation. Events come in
// any order and more than once; half of ours cannot be published at first.
type leaver struct {
	*plane
	*rand.Rand
	t         *testing.T
	deadlines *athlete.Deadlines

	generation int64
	active     bool
	pending    []func()
	received   int
	// ends are the generations that erasures end, by their receipts.
	ends map[string]int64
	// erased are the receipts of the revocations that the plane has handled.
	erased map[string]bool
	story  []string
}

func (l *leaver) note(format string, args ...any) {
	l.story = append(l.story, fmt.Sprintf(format, args...))
}

func (l *leaver) later(what string, do func()) {
	for range 1 + l.IntN(5)/4 {
		l.pending = append(l.pending, func() { l.note("%s", what); do() })
	}
}

func (l *leaver) connect() {
	l.generation++
	l.active = true
	g := l.generation
	l.note("connects as %d", g-gen1)
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
	receipt, err := l.RequestErasure(l.t.Context(), athlete.Authorization{AthleteID: 1, Generation: g})
	l.refuse = nil
	l.note("leaves by %d: %q, %v", g-gen1, receipt, err)
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
	kittest.Must(l.t, err)
}

// answer has credentials receive the published requests.
func (l *leaver) answer() {
	for ; l.received < len(l.published); l.received++ {
		if f, is := l.published[l.received].Fact.(athletev1.ErasureRequested); is {
			l.later("requested "+f.Receipt, func() { l.end(f.Generation, f.Receipt) })
		}
	}
}

// check tests what must hold at any time.
func (l *leaver) check() {
	a, err := l.Accounts.Account(l.t.Context(), 1)
	kittest.Must(l.t, err)
	if a.Profile != nil && a.ProfileGeneration <= a.RevokedGeneration {
		l.t.Error("the profile survives its authorization")
	}
	if a.ErasureRequest == nil && a.Consent == nil && a.RevokedGeneration > 0 && a.ExpiresAt.IsZero() {
		l.t.Error("the account never expires")
	}
	for g := gen1; g <= l.generation; g++ {
		_, err := l.Me(l.t.Context(), athlete.Authorization{AthleteID: 1, Generation: g})
		over, is := errors.AsType[*athlete.RevokedError](err)
		if !is || over.Receipt == "" || a.ErasureRequest != nil && a.ErasureRequest.Receipt == over.Receipt && a.ErasureRequest.Generation >= g {
			continue
		}
		if ends, known := l.ends[over.Receipt]; !known || ends < g {
			l.t.Errorf("a session of %d is led to %s, which ends %d", g-gen1, over.Receipt, ends-gen1)
		}
	}
}

// TestLeavingErasesInEveryHistory: every erasure that was opened is carried out in
// the end, a session is never led to the receipt of an earlier authorization, and
// nothing of a revoked authorization is left.
func TestLeavingErasesInEveryHistory(t *testing.T) {
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
				l.note("ends it at Strava")
				l.end(l.generation, fmt.Sprint("theirs-", l.generation-gen1, "-", len(l.ends)))
			case n <= 3:
				l.leave()
			case n == 4:
				l.now = l.now.Add(12 * time.Minute)
				l.enforce()
			default:
				l.deliver()
			}
			l.answer()
			l.check()
		}
		for range 8 { // A request that is replaced while it is published again takes a few rounds.
			for len(l.pending) > 0 {
				l.deliver()
				l.answer()
				l.check()
			}
			l.now = l.now.Add(15 * time.Minute)
			l.enforce()
			l.answer()
		}
		if len(l.pending) > 0 {
			t.Error("a request to leave never ends")
		}
		kittest.Must(t, l.ports.Inventory.Each(t.Context(), athlete.Visitor{Erasure: func(e athlete.Erasure) error {
			if !l.erased[e.Receipt] {
				t.Errorf("erasure %s was opened and not carried out", e.Receipt)
			}
			return nil
		}}))
		if t.Failed() {
			t.Fatalf("history %d: %s", seed, strings.Join(l.story, "; "))
		}
	}
}
