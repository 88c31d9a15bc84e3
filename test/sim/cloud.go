package sim

import (
	"context"
	"math/rand/v2"
	"time"
)

// cloud is what the parts of the cloud need of the world.
type cloud struct {
	k *kernel
	// random decides how long things take, and their order.
	random *rand.Rand
	// inspect searches an event for what may not be in it.
	inspect func(where string, data []byte)
	// draw returns the failure that happens at a place now, or "".
	draw func(place string) kind
	// invoke invokes a function from within a process and waits for its result.
	invoke func(ctx context.Context, function string, payload any) (any, error)
	// invokeAsync invokes a function from anywhere. done, unless it is nil, gets the
	// result.
	invokeAsync func(function string, payload any, done func(any, error))
	// idle reports whether a run of a scheduled function is left out.
	idle func(function string) bool
}

// Failures of the cloud's parts, besides those of calls.
const (
	// late: what was sent arrives much later.
	late kind = "late"
	// doubled: it arrives twice.
	doubled kind = "doubled"
	// reordered: it arrives after what was sent later.
	reordered kind = "reordered"
	// skipped: a schedule does not run its function.
	skipped kind = "skipped"
	// kept: a handled message is not deleted.
	kept kind = "not deleted"
	// undeliverable: an event becomes a dead letter instead of reaching its queue.
	undeliverable kind = "undeliverable"
	// entriesRefused: the bus takes a part of the events only.
	entriesRefused kind = "entries refused"
)

// cloudKinds returns the failures of each place of the cloud.
func (d *deployment) cloudKinds() map[string][]kind {
	kinds := map[string][]kind{busPlace: {entriesRefused}}
	for name := range d.queues {
		kinds[queuePlace(name)] = []kind{late, doubled, reordered, kept}
	}
	for _, r := range d.rules {
		kinds[rulePlace(r)] = []kind{late, doubled, reordered, undeliverable}
	}
	for _, s := range d.schedules {
		kinds[schedulePlace(s)] = []kind{late, doubled, skipped}
	}
	for _, r := range d.routes {
		kinds[gatewayPlace(r.api)] = []kind{refuse, lose}
	}
	return kinds
}

// within returns a random duration below d.
func (c *cloud) within(d time.Duration) time.Duration {
	return time.Duration(c.random.Int64N(int64(d)))
}
