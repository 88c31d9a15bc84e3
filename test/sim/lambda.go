package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// Errors of an invocation.
var (
	errThrottled = errors.New("the function is throttled")
	errFunction  = errors.New("the function failed")
)

// Failures of an invocation.
const (
	throttle kind = "throttled"
	// coldStart: a new instance, although one waits.
	coldStart kind = "cold start"
	// cut: the instance ends somewhere in the invocation.
	cut kind = "cut off"
)

// function is one Lambda function.
type function struct {
	spec  functionSpec
	place string // of its failures
	build func(*instance) lambdaHandler
	// idle are the instances that wait, the one that waited least last.
	idle []*instance
	busy int
}

// lambdaHandler handles one invocation. Payloads and results are not encoded.
type lambdaHandler func(ctx context.Context, payload any) (any, error)

// instance is an execution environment: one process's memory.
type instance struct {
	handle lambdaHandler
	// skew is how far its clock is off.
	skew   time.Duration
	idleAt time.Time
	// life is how long it waits for an invocation.
	life time.Duration
	// version of the deployment that it runs.
	version int
}

// now is the time by the instance's clock.
func (i *instance) now() time.Time { return time.Now().Add(i.skew) }

// take returns an instance for an invocation, and whether it is new.
func (w *world) take(f *function, fresh bool) (_ *instance, cold bool) {
	for n := len(f.idle); n > 0 && !fresh; n = len(f.idle) {
		i := f.idle[n-1]
		f.idle = f.idle[:n-1]
		if i.version == w.version && time.Since(i.idleAt) < i.life {
			return i, false
		}
	}
	i := &instance{
		skew:    time.Duration((2*w.delays.Float64() - 1) * float64(w.plan.Skew)),
		life:    5*time.Minute + time.Duration(w.delays.Int64N(int64(40*time.Minute))),
		version: w.version,
	}
	i.handle = f.build(i)
	return i, true
}

// deploy replaces all instances: those that work finish, and are not used again.
func (w *world) deploy() { w.version++ }

// prepare returns the body of an invocation and its name, or an error if the
// function is throttled. The body calls done with its result; an invocation that
// is killed calls nothing.
func (w *world) prepare(name string, payload any, done func(any, error)) (body func(), ended func(), _ error) {
	f := w.functions[name]
	if f == nil {
		return nil, nil, fmt.Errorf("there is no function %s", name)
	}
	failure := w.draw(f.place)
	if failure == throttle || f.spec.reserved > 0 && f.busy >= f.spec.reserved {
		return nil, nil, errThrottled
	}
	i, cold := w.take(f, failure == coldStart)
	f.busy++
	returned := false
	body = func() {
		if cold {
			w.k.pause(200*time.Millisecond + time.Duration(w.delays.Int64N(int64(time.Second))))
		}
		if failure == cut {
			w.cutOff()
		}
		w.k.running.deadline = time.Now().Add(f.spec.timeout)
		ctx, cancel := context.WithDeadline(context.Background(), w.k.running.deadline)
		defer cancel()
		out, err := w.handle(ctx, name, i, payload)
		returned = true
		if err != nil {
			w.alarms.count(lambdaErrors+" "+name, 1)
		}
		done(out, err)
	}
	ended = func() {
		f.busy--
		if !returned {
			w.alarms.count(lambdaErrors+" "+name, 1)
		}
		if returned && i.version == w.version {
			i.idleAt = time.Now()
			f.idle = append(f.idle, i)
		}
	}
	return body, ended, nil
}

// cutOff kills the running process within 2 s.
func (w *world) cutOff() {
	p := w.k.running
	w.k.after(time.Duration(w.delays.Int64N(int64(2*time.Second))), func() { w.k.kill(p) })
}

// handle calls the handler, and reports a panic of the product.
func (w *world) handle(ctx context.Context, name string, i *instance, payload any) (out any, err error) {
	defer func() {
		p := recover()
		if _, ok := p.(killed); ok {
			panic(p)
		}
		if p != nil {
			w.violation("no function panics", "%s: %v\n%s", name, p, debug.Stack())
			out, err = nil, errFunction
		}
	}()
	return i.handle(ctx, payload)
}

// invoke invokes a function from within a process and waits for its result.
func (w *world) invoke(ctx context.Context, name string, payload any) (any, error) {
	var out any
	err := errFunction
	body, ended, throttled := w.prepare(name, payload, func(o any, e error) { out, err = o, e })
	if throttled != nil {
		w.k.pause(w.latency())
		return nil, throttled
	}
	left := w.k.call(ctx, name, 0, func() {
		w.k.running.atEnd = append(w.k.running.atEnd, ended)
		body()
	})
	if left != nil {
		return nil, left
	}
	return out, err
}

// invokeAsync invokes a function from anywhere. done, unless it is nil, gets the
// result when the invocation has ended.
func (w *world) invokeAsync(name string, payload any, done func(any, error)) {
	var out any
	err := errFunction
	body, ended, throttled := w.prepare(name, payload, func(o any, e error) { out, err = o, e })
	if throttled != nil {
		if done != nil {
			done(nil, throttled)
		}
		return
	}
	p := w.k.spawn(name, 0, body)
	p.atEnd = append(p.atEnd, ended)
	if done != nil {
		p.atEnd = append(p.atEnd, func() { done(out, err) })
	}
}

// rng returns a stream of random numbers that depends on the seed and its name
// only.
func rng(seed uint64, name string, n int) *rand.Rand {
	h := uint64(14695981039346656037) // FNV-1a
	for _, b := range []byte(name) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, h+uint64(n)))
}
