package sim

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// adapterLimit is how long the adapters over AWS wait for one call at most
// (startup.Short).
const adapterLimit = 7 * time.Second

// aside is the one port that a use case calls beside its other calls, from a
// goroutine of its own, which has no process. It is made without pausing.
const aside = "gathering.Webhooks.CountWebhookEvent"

// around makes a call of a port as the plan has it: after some time, and with a
// failure, if there is to be one.
func (w *world) around(ctx context.Context, op string, call func(context.Context) error) error {
	if op == aside {
		return call(ctx)
	}
	p := w.k.alive()
	w.story.step(p.name, op)
	w.k.pause(w.latency())
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Transient, "%s: %w", op, err)
	}
	failure := w.draw(op)
	switch failure {
	case refuse:
		return fault.New(fault.Transient, "%s: refused", op)
	case killBefore:
		w.k.kill(p)
	case stale:
		return kittest.ErrStale
	case hang:
		return w.hang(ctx, op)
	case slow:
		w.k.pause(50*time.Millisecond + time.Duration(w.delays.Int64N(int64(5*time.Second))))
		if err := ctx.Err(); err != nil {
			return fault.New(fault.Transient, "%s: %w", op, err)
		}
	}
	err := call(ctx)
	switch failure {
	case lose:
		return fault.New(fault.Transient, "%s: the answer was lost", op)
	case killAfter:
		w.k.kill(p)
	case hangLate:
		return w.hang(ctx, op)
	}
	return err
}

// hang waits until the context or the adapter ends the call.
func (w *world) hang(ctx context.Context, op string) error {
	limit := adapterLimit
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)+1)
	}
	w.k.pause(limit)
	return fault.New(fault.Transient, "%s: timed out", op)
}

// latency is how long a call takes that nothing delays.
func (w *world) latency() time.Duration {
	return time.Millisecond + time.Duration(w.delays.Int64N(int64(12*time.Millisecond)))
}

// draw returns the failure that happens at the place now; "" for none.
func (w *world) draw(place string) kind {
	k := w.faults.draw(place)
	if k != "" {
		w.story.failure(place, k)
		w.invariants.failed()
	}
	return k
}

// reads are the methods of ports that change nothing.
var reads = strings.Fields(`
	Grant List Pending CountAuthorized App Tokens Latest PendingConnects Open NewSeal Credential Credentials
	Sessions Entries Athlete Due Waiting Webhook WebhookEvents Each Budget Account Erasure Get MonthlyTotals
	Records Sync AthletesToExpire Ages`)

// staleReads are the reads that may miss the latest writes, and inParts the
// operations that may stop between two parts.
var (
	staleReads = slices.Concat(credentialstest.StaleReads, gatheringtest.StaleReads, activitytest.StaleReads)
	inParts    = slices.Concat(credentialstest.InParts, gatheringtest.InParts, activitytest.InParts)
)

// kindsOf returns the failures that a port operation may have.
func kindsOf(op string) []kind {
	method := op[strings.LastIndex(op, ".")+1:]
	switch {
	case op == aside:
		return nil
	case strings.HasSuffix(op, kittest.Write), strings.HasSuffix(op, kittest.Part):
		return []kind{refuse, slow, killBefore}
	case slices.Contains(staleReads, op):
		return []kind{refuse, slow, hang, killBefore, stale}
	case slices.Contains(reads, method):
		return []kind{refuse, slow, hang, killBefore}
	}
	return []kind{refuse, lose, slow, hang, hangLate, killBefore, killAfter}
}
