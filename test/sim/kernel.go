package sim

import (
	"container/heap"
	"context"
	"iter"
	"math/rand/v2"
	"time"
)

// kernel runs actions in the order of their times, and one process at a time.
// It lives in a bubble of testing/synctest, whose clock stands still while an
// action runs.
type kernel struct {
	agenda agenda
	// ties orders actions at the same time.
	ties    *rand.Rand
	running *process
	// processes are those that have not ended, idle the coroutines without one.
	processes map[*process]bool
	idle      []*coroutine
	// actions counts what ran.
	actions int64
}

// process is a sequence of actions that may pause between them.
type process struct {
	name string
	body func()
	// on runs it; nil before its first action.
	on *coroutine
	// killed says that no call of the process has an effect any more.
	killed bool
	done   bool
	// deadline is when the process is killed; zero for never.
	deadline time.Time
	// atEnd is called when the process has ended or was killed.
	atEnd []func()
}

// coroutine runs processes, one after the other.
type coroutine struct {
	process *process
	// next runs until the next pause, and stop unwinds.
	next func() (struct{}, bool)
	stop func()
	// yield returns to the kernel until the next call of next.
	yield func(struct{}) bool
}

// killed is the panic that unwinds a killed process.
type killed struct{}

// entry is one action on the agenda.
type entry struct {
	at  time.Time
	tie uint64
	do  func()
}

type agenda []entry

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	if a[i].at.Equal(a[j].at) {
		return a[i].tie < a[j].tie
	}
	return a[i].at.Before(a[j].at)
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(entry)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	(*a)[len(*a)-1] = entry{}
	*a = (*a)[:len(*a)-1]
	return last
}

// after schedules an action d from now. Actions at the same time run in an
// order that the seed determines.
func (k *kernel) after(d time.Duration, do func()) {
	heap.Push(&k.agenda, entry{time.Now().Add(max(d, 0)), k.ties.Uint64(), do})
}

// run runs all actions before a time, and moves the clock there.
func (k *kernel) run(until time.Time) {
	for len(k.agenda) > 0 && k.agenda[0].at.Before(until) {
		next := heap.Pop(&k.agenda).(entry)
		time.Sleep(time.Until(next.at))
		k.actions++
		next.do()
	}
	time.Sleep(time.Until(until))
}

// spawn schedules a process that runs body as soon as others have paused. After
// a limit other than zero the process is killed.
func (k *kernel) spawn(name string, limit time.Duration, body func()) *process {
	p := &process{name: name, body: body}
	if limit > 0 {
		p.deadline = time.Now().Add(limit)
	}
	if k.processes == nil {
		k.processes = map[*process]bool{}
	}
	k.processes[p] = true
	k.after(0, func() { k.resume(p) })
	return p
}

// coroutine returns an idle coroutine, or a new one.
func (k *kernel) coroutine() *coroutine {
	if n := len(k.idle); n > 0 {
		c := k.idle[n-1]
		k.idle = k.idle[:n-1]
		return c
	}
	c := &coroutine{}
	c.next, c.stop = iter.Pull(func(yield func(struct{}) bool) {
		c.yield = yield
		for {
			k.perform(c.process)
			if c.process.killed || !yield(struct{}{}) {
				return
			}
		}
	})
	return c
}

// perform runs a process to its end.
func (k *kernel) perform(p *process) {
	defer k.end(p)
	p.body()
}

// end marks the process as done. It is deferred, and takes the panic of a killed
// process.
func (k *kernel) end(p *process) {
	if p.killed {
		_ = recover()
	}
	p.done = true
	delete(k.processes, p)
	for _, f := range p.atEnd {
		f()
	}
}

// resume lets a process run until it pauses or ends.
func (k *kernel) resume(p *process) {
	if p.done || p.killed {
		return
	}
	if p.on == nil {
		p.on = k.coroutine()
		p.on.process = p
	}
	before := k.running
	k.running = p
	p.on.next()
	k.running = before
	if p.done && !p.killed {
		k.idle = append(k.idle, p.on)
	}
}

// suspend returns to the kernel until the process is resumed.
func (k *kernel) suspend(p *process) {
	if !p.on.yield(struct{}{}) || p.killed {
		panic(killed{})
	}
}

// pause suspends the running process for d.
func (k *kernel) pause(d time.Duration) {
	p := k.alive()
	if !p.deadline.IsZero() && time.Until(p.deadline) <= d {
		k.wait(p, time.Until(p.deadline))
		k.kill(p)
	}
	k.wait(p, d)
}

func (k *kernel) wait(p *process, d time.Duration) {
	if len(k.agenda) == 0 || k.agenda[0].at.After(time.Now().Add(d)) {
		time.Sleep(d) // Nothing else happens meanwhile.
		return
	}
	k.after(d, func() { k.resume(p) })
	k.suspend(p)
}

// alive returns the running process. A killed one that goes on in a deferred
// call is unwound.
func (k *kernel) alive() *process {
	if k.running == nil {
		panic("a call outside of any process")
	}
	if k.running.killed {
		panic(killed{})
	}
	return k.running
}

// kill ends a process where it is paused: nothing that follows has an effect.
// A process that kills itself unwinds at once.
func (k *kernel) kill(p *process) {
	if p.done || p.killed {
		return
	}
	p.killed = true
	if p == k.running {
		panic(killed{})
	}
	if p.on == nil { // It never ran.
		k.end(p)
		return
	}
	before := k.running
	k.running = p
	p.on.stop()
	k.running = before
}

// call runs body as a process of its own and waits until that ends, or until ctx
// does, when it returns the error of ctx: then body goes on alone, as a server
// does whose client has left. limit is as in spawn.
func (k *kernel) call(ctx context.Context, name string, limit time.Duration, body func()) error {
	caller := k.alive()
	if err := ctx.Err(); err != nil {
		return err
	}
	callee := k.spawn(name, limit, body)
	waits := true
	wake := func() {
		if waits {
			waits = false
			k.after(0, func() { k.resume(caller) })
		}
	}
	callee.atEnd = append(callee.atEnd, wake)
	if deadline, ok := ctx.Deadline(); ok {
		// A nanosecond later the context knows that it has ended.
		k.after(time.Until(deadline)+1, wake)
	}
	if !caller.deadline.IsZero() {
		k.after(time.Until(caller.deadline), wake)
	}
	k.suspend(caller)
	waits = false
	if !caller.deadline.IsZero() && !time.Now().Before(caller.deadline) {
		k.kill(caller)
	}
	if !callee.done {
		return ctx.Err()
	}
	return nil
}

// close kills all processes and ends the coroutines.
func (k *kernel) close() {
	for len(k.processes) > 0 {
		for p := range k.processes {
			k.kill(p)
		}
	}
	for _, c := range k.idle {
		c.stop()
	}
}
