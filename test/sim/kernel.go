package sim

import (
	"container/heap"
	"context"
	"fmt"
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
	// actions counts what ran.
	actions int64
}

// process is a sequence of actions that may pause between them.
type process struct {
	name string
	// next lets the process run until its next pause, and stop unwinds it.
	next func() (struct{}, bool)
	stop func()
	// yield returns to the kernel until the next resume.
	yield func(struct{}) bool
	// killed says that no call of the process has an effect any more.
	killed bool
	done   bool
	// atEnd is called when the process has ended or was killed.
	atEnd []func()
}

// killed is the panic that unwinds a killed process.
type killed struct{}

type processKey struct{}

// processOf returns the process that runs under the context; nil for none.
func processOf(ctx context.Context) *process {
	p, _ := ctx.Value(processKey{}).(*process)
	return p
}

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

// spawn schedules a process that runs body with a context of its own, made from
// ctx, as soon as others have paused.
func (k *kernel) spawn(ctx context.Context, name string, body func(context.Context)) *process {
	p := &process{name: name}
	ctx = context.WithValue(ctx, processKey{}, p)
	p.next, p.stop = iter.Pull(func(yield func(struct{}) bool) {
		p.yield = yield
		defer p.end()
		body(ctx)
	})
	k.after(0, func() { k.resume(p) })
	return p
}

// end marks the process as done. It takes the panic of a killed process.
func (p *process) end() {
	if p.killed {
		_ = recover()
	}
	p.done = true
	for _, f := range p.atEnd {
		f()
	}
}

// resume lets a process run until it pauses or ends.
func (k *kernel) resume(p *process) {
	if p.done || p.killed {
		return
	}
	before := k.running
	k.running = p
	p.next()
	k.running = before
}

// suspend returns to the kernel until the process of ctx is resumed.
func (k *kernel) suspend(p *process) {
	if p != k.running {
		panic(fmt.Sprintf("%s makes a call while %v runs", p.name, k.running))
	}
	if !p.yield(struct{}{}) || p.killed {
		panic(killed{})
	}
}

// pause suspends the process of ctx for d.
func (k *kernel) pause(ctx context.Context, d time.Duration) {
	p := processOf(ctx)
	k.alive(p)
	if len(k.agenda) == 0 || k.agenda[0].at.After(time.Now().Add(d)) {
		time.Sleep(d) // Nothing else happens meanwhile.
		return
	}
	k.after(d, func() { k.resume(p) })
	k.suspend(p)
}

// alive unwinds a killed process that goes on in a deferred call.
func (k *kernel) alive(p *process) {
	if p.killed {
		panic(killed{})
	}
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
	p.stop()
	if !p.done { // It never ran.
		p.end()
	}
}

// call runs body as a process of its own and waits until that ends, or until ctx
// does, when it returns the error of ctx: then body goes on alone, as a server
// does whose client has left.
func (k *kernel) call(ctx context.Context, name string, body func(context.Context)) error {
	caller := processOf(ctx)
	k.alive(caller)
	if err := ctx.Err(); err != nil {
		return err
	}
	callee := k.spawn(context.WithoutCancel(ctx), name, body)
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
	k.suspend(caller)
	waits = false
	if !callee.done {
		return ctx.Err()
	}
	return nil
}
