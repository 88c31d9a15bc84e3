package main

import (
	"container/heap"
	"iter"
	"time"

	"github.com/paceline/paceline/pkg/gathering/quota"
)

// kernel runs actions one after the other, by a virtual clock.
type kernel struct {
	now     time.Time
	agenda  agenda
	count   int64
	running *process
}

// process is a sequence of actions that may sleep.
type process struct {
	next  func() (struct{}, bool)
	yield func(struct{}) bool
	// class of the last permit.
	class quota.Class
}

// entry is one action on the agenda.
type entry struct {
	at    int64 // Unix ns
	order int64 // of arrival, for actions at the same time
	do    func()
}

type agenda []entry

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].order < a[j].order
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(entry)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// after schedules an action d from now.
func (k *kernel) after(d time.Duration, do func()) {
	k.count++
	heap.Push(&k.agenda, entry{k.now.Add(max(d, 0)).UnixNano(), k.count, do})
}

// start starts a process at once.
func (k *kernel) start(body func()) {
	p := &process{}
	p.next, _ = iter.Pull(func(yield func(struct{}) bool) {
		p.yield = yield
		body()
	})
	k.resume(p)
}

func (k *kernel) resume(p *process) {
	before := k.running
	k.running = p
	p.next()
	k.running = before
}

// sleep suspends the running process for d. Outside a process it returns at once.
func (k *kernel) sleep(d time.Duration) {
	p := k.running
	if p == nil {
		return
	}
	k.after(d, func() { k.resume(p) })
	p.yield(struct{}{})
}

// run runs all actions before a time.
func (k *kernel) run(until time.Time) {
	for len(k.agenda) > 0 && k.agenda[0].at < until.UnixNano() {
		next := heap.Pop(&k.agenda).(entry)
		k.now = time.Unix(0, next.at).UTC()
		next.do()
	}
	k.now = until
}
