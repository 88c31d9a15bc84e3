package credentials_test

import (
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paceline/paceline/pkg/kit/fault"
)

// A failure is what can go wrong with one call to another system.
type failure string

const (
	noFailure   failure = ""
	killedAfter failure = "killed after it" // the call acts, and the process dies
	answerLost  failure = "answer lost"     // the call acts, and reports a failure at once
	isRefused   failure = "refused"         // the call does not act, and reports a failure at once
	isHung      failure = "hung"            // the call does not act, and reports a failure when its time is over
	takesLong   failure = "slow"            // the call acts right before its time is over
)

// explorer executes the interleavings of processes, one execution after the
// other, each from the initial state. An execution is determined by its
// choices: which process makes its next call, and how that call fails. The
// explorer goes through all sequences of choices, depth first, and cuts a
// branch when it reaches a state that it has explored: what the systems hold,
// what each process has been answered, the time, and how many failures may
// still happen. What a process does next depends on nothing else.
type explorer struct {
	// failures may happen in one execution.
	failures int
	// switches from a process that could go on may happen in one execution.
	switches int
	// skew is how far the clock of the second process is ahead.
	skew time.Duration
	// possible returns the failures of an actor's next call that make a difference.
	possible func(*actor) []failure
	// local reports whether an operation concerns no other process, so that it
	// makes no difference whether others act before it.
	local func(op string) bool

	prefix, path []choice
	visited      map[uint64]bool
	executions   int

	arena  arena
	actors []*actor
	acting *actor
	// failuresLeft and switchesLeft may still happen in this execution.
	failuresLeft, switchesLeft int
	story                      []string
}

// unlimited is for a bound.
const unlimited = 1 << 30

// choice is one of several ways to go on.
type choice struct{ taken, of int }

// arena is what the actors of one execution act on.
type arena interface {
	// state is a digest of what the systems hold.
	state() uint64
	// observable is a digest of what the answer to an operation depends on.
	observable(op string) uint64
	// limit is how long an operation may take.
	limit(op string) time.Duration
	// killed is called after a process was killed.
	killed(p *actor)
	// failure is the error of an operation whose answer does not arrive.
	failure(op string) error
	now() time.Time
	advance(time.Duration)
}

// actor is a process under the explorer's control.
type actor struct {
	x    *explorer
	name string
	// limit is after which the process is ended.
	limit time.Duration
	run   func(context.Context) error

	resume  func() (string, bool)
	stop    func()
	yield   func(string) bool
	op      string    // the call that it makes next; empty while it waits
	making  string    // the call that it is making
	end     time.Time // until when it must begin its next call
	wake    time.Time // when its wait ends
	polls   bool      // it waits for another process
	idle    int       // how often it has done so since another process acted
	began   time.Time
	failure failure // of the call that it makes next
	seen    uint64  // a digest of the answers that it got
	dead    bool
	done    bool
	err     error
}

type abandoned struct{}

// start begins the process up to its first call.
func (p *actor) start(ctx context.Context) {
	p.began = p.x.arena.now()
	p.resume, p.stop = iter.Pull(func(yield func(string) bool) {
		p.yield = yield
		defer func() {
			p.done = true
			if r := recover(); r != nil && r != (killed{}) && r != (abandoned{}) {
				panic(r)
			}
		}()
		if !yield("") { // It begins when the explorer says so.
			return
		}
		ctx, cancel := context.WithTimeout(ctx, p.limit-responseTime)
		defer cancel()
		p.began = p.x.arena.now()
		p.err = p.run(ctx)
	})
	p.resume()
	p.op = "begin"
}

// responseTime is how much earlier than the process its context ends.
const responseTime = 2 * time.Second

// pause suspends the process until the explorer resumes it.
func (p *actor) pause(op string) {
	if p.dead {
		panic(killed{})
	}
	p.op = op
	if !p.yield(op) {
		p.dead = true
		panic(abandoned{})
	}
	if p.x.arena.now().Sub(p.began) >= p.limit {
		p.dead = true
		p.x.story = append(p.x.story, p.name+" is ended")
		panic(killed{})
	}
}

// wait suspends the process until a time.
func (p *actor) wait(until time.Time, polls bool) {
	p.wake, p.polls = until, polls
	p.pause("")
	p.wake, p.polls = time.Time{}, false
}

// sleep is the process's Sleep.
func (p *actor) sleep(ctx context.Context, d time.Duration) error {
	until := p.x.arena.now().Add(d)
	if deadline, ok := ctx.Deadline(); ok {
		until = earlier(until, p.x.arena.now().Add(time.Until(deadline)))
	}
	p.wait(until, true)
	p.idle++
	p.observe("sleep", ctx.Err())
	return ctx.Err()
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// around makes a call of the process, or has it fail.
func (p *actor) around(ctx context.Context, op string, call func(context.Context) error) error {
	if strings.Contains(strings.TrimPrefix(op, "credentials."), "/") {
		return call(ctx) // A step within a call.
	}
	end := p.x.arena.now().Add(p.x.arena.limit(op))
	if deadline, ok := ctx.Deadline(); ok {
		end = earlier(end, p.x.arena.now().Add(time.Until(deadline)))
	}
	p.end = end
	p.pause(op)
	p.making = op
	defer func() { p.making = "" }()
	err, lost := error(nil), p.x.arena.failure(op)
	switch p.failure {
	case noFailure:
		err = call(ctx)
	case killedAfter:
		_ = call(ctx)
		p.dead = true
		p.x.arena.killed(p)
		panic(killed{})
	case answerLost:
		_ = call(ctx)
		err = lost
	case isRefused:
		err = fault.New(fault.Transient, "%s is refused", op)
	case isHung:
		p.wait(end, false)
		err = lost
	case takesLong:
		p.wait(end.Add(-time.Millisecond), false)
		err = call(ctx)
	}
	p.observe(op, err)
	return err
}

// observe adds an answer to what the process has seen.
func (p *actor) observe(op string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	p.seen = digest([5]any{p.seen, op, text, p.x.arena.observable(op), p.x.arena.now().UnixMicro()})
}

var digestSeed = maphash.MakeSeed()

func digest[T comparable](v T) uint64 { return maphash.Comparable(digestSeed, v) }

// explore executes every interleaving. begin sets the initial state up and
// returns the processes; end checks the state after all of them have ended.
func (x *explorer) explore(t *testing.T, begin func(*testing.T, *explorer) (arena, []*actor), end func(*testing.T)) {
	x.visited = map[uint64]bool{}
	for {
		x.path, x.story, x.acting = x.path[:0], x.story[:0], nil
		x.failuresLeft, x.switchesLeft = x.failures, x.switches
		x.executions++
		synctest.Test(t, func(t *testing.T) {
			x.arena, x.actors = begin(t, x)
			for _, p := range x.actors {
				p.x = x
				p.start(t.Context())
				defer p.stop()
			}
			if x.execute() {
				end(t)
			}
			if t.Failed() {
				t.Logf("execution %d:\n\t%s", x.executions, strings.Join(x.story, "\n\t"))
			}
		})
		if t.Failed() || !x.backtrack() {
			return
		}
	}
}

// backtrack prepares the next execution. It reports false if there is none.
func (x *explorer) backtrack() bool {
	n := len(x.path)
	for n > 0 && x.path[n-1].taken+1 == x.path[n-1].of {
		n--
	}
	if n == 0 {
		return false
	}
	x.prefix = append(x.prefix[:0], x.path[:n]...)
	x.prefix[n-1].taken++
	return true
}

// option is a process that can go on, and how its next call fails.
type option struct {
	actor   *actor
	failure failure
}

// execute makes one execution. It reports false if it reached a state from which
// everything has been explored.
func (x *explorer) execute() bool {
	for {
		if len(x.path) >= len(x.prefix) {
			key := x.key()
			if x.visited[key] {
				return false
			}
			x.visited[key] = true
		}
		options := x.options()
		if len(options) == 0 {
			return true
		}
		o := options[x.choose(len(options))]
		p := o.actor
		if p.failure = o.failure; p.failure != noFailure {
			x.failuresLeft--
		}
		if x.preempts(p) {
			x.switchesLeft--
		}
		x.acting = p
		if d := p.wake.Sub(x.arena.now()); !p.wake.IsZero() && d > 0 {
			x.arena.advance(d)
		}
		if p.op != "" {
			x.story = append(x.story, strings.TrimSpace(fmt.Sprintf("%8s %s: %s %s", x.arena.now().Sub(x.actors[0].began), p.name, p.op, o.failure)))
		}
		for _, other := range x.actors {
			if other != p {
				other.idle = 0
			}
		}
		p.resume()
	}
}

func (x *explorer) choose(of int) int {
	if of == 1 {
		return 0
	}
	c := choice{0, of}
	if n := len(x.path); n < len(x.prefix) {
		c.taken = x.prefix[n].taken
		if x.prefix[n].of != of {
			panic("an execution is not repeatable")
		}
	}
	x.path = append(x.path, c)
	return c.taken
}

// preempts reports whether another process could go on that acted last, and now
// p does.
func (x *explorer) preempts(p *actor) bool {
	return x.acting != nil && p != x.acting && !x.acting.done && x.acting.wake.IsZero() && x.acting.op != "begin"
}

// options returns how the execution can go on. A process whose call hangs goes
// on at any time, which passes until then. One that waits for another goes on
// only when no other can.
func (x *explorer) options() (all []option) {
	var first *actor // of those that wait
	for _, p := range x.actors {
		if !p.done && p.wake.IsZero() && x.local(p.op) {
			return x.ways(p)
		}
	}
	for _, p := range x.actors {
		switch {
		case p.done, x.preempts(p) && x.switchesLeft == 0:
		case p.wake.IsZero():
			all = append(all, x.ways(p)...)
		case !p.polls && x.ready(p):
			if x.inTime(p.wake) {
				all = append(all, option{p, noFailure})
			}
		case first == nil || p.wake.Before(first.wake):
			first = p
		}
	}
	if len(all) == 0 && first != nil {
		all = append(all, option{first, noFailure})
	}
	return all
}

// ways returns the ways in which p can make its next call.
func (x *explorer) ways(p *actor) []option {
	all := []option{{p, noFailure}}
	if x.failuresLeft > 0 && p.idle < 2 { // Further rounds differ in time only.
		for _, f := range x.possible(p) {
			all = append(all, option{p, f})
		}
	}
	return all
}

// ready reports whether another process than p could go on at once.
func (x *explorer) ready(p *actor) bool {
	return slices.ContainsFunc(x.actors, func(other *actor) bool { return other != p && !other.done && other.wake.IsZero() })
}

// inTime reports whether each process that could go on at once could also do so
// after t: the time until then is that which its call takes.
func (x *explorer) inTime(t time.Time) bool {
	return !slices.ContainsFunc(x.actors, func(p *actor) bool {
		return !p.done && p.wake.IsZero() && p.op != "begin" && !t.Before(p.end)
	})
}

// key is a digest of the state of the execution.
func (x *explorer) key() uint64 {
	k := digest([3]int64{int64(x.arena.state()), x.arena.now().UnixMicro(), int64(x.failuresLeft)})
	if x.acting != nil && x.switches < unlimited {
		k = digest([3]any{k, x.acting.name, x.switchesLeft})
	}
	for _, p := range x.actors {
		k = digest([7]any{k, p.op, p.seen, p.done, p.idle < 2, p.wake.UnixMicro(), p.began.UnixMicro()})
	}
	return k
}
