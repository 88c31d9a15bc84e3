package gathering_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
)

// erased fails the test if ErasureCompleted is published while any of the
// athlete's data is stored.
type erased struct {
	gathering.Publisher
	w  *world
	id int64
}

func (e erased) Publish(ctx context.Context, events ...event.Event) error {
	for _, event := range events {
		if _, ok := event.Fact.(gatheringv1.ErasureCompleted); ok && e.w.store.Held(e.id) != 0 {
			e.w.t.Errorf("the erasure is confirmed, and %d items are stored", e.w.store.Held(e.id))
		}
	}
	return e.Publisher.Publish(ctx, events...)
}

// state is the state after a use case.
type state struct {
	Athlete gathering.Athlete
	Inbox   gathering.Inbox
	Webhook gathering.Webhook
	// Facts are the published facts, each once.
	Facts []event.Fact
}

func (w *world) state(id int64) (o state) {
	w.t.Helper()
	var err error
	if o.Webhook, err = w.store.Webhook(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	o.Athlete, o.Inbox = w.stored(id), w.inbox(id)
	for _, e := range w.bus.Events() {
		if !slices.ContainsFunc(o.Facts, func(f event.Fact) bool { return reflect.DeepEqual(f, e.Fact) }) {
			o.Facts = append(o.Facts, e.Fact)
		}
	}
	return o
}

// TestAnEventThatMeetsTroubleIsFollowedWhenItComesAgain: whatever happens at
// any call, the use case either completes or returns an error, and completes
// when the queue delivers the event again.
func TestAnEventThatMeetsTroubleIsFollowedWhenItComesAgain(t *testing.T) {
	gathered := func(w *world, l *ledger) {
		l.gather()
		w.clock.Advance(5 * time.Minute)
		w.receive(w.event(l.id, l.entries[0].ID, gathering.AspectUpdate))
	}
	missing := func(w *world, l *ledger) {
		l.gather()
		w.clock.Advance(30 * time.Hour)
		for range 20 {
			l.remove(l.entries[0].ID)
		}
		for len(w.planes.questions) == 0 {
			if _, err := w.gatherer.Step(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
			w.clock.Advance(time.Second)
		}
	}
	for name, tc := range map[string]struct {
		prepare func(*world, *ledger)
		// follow is the use case.
		follow func(ctx context.Context, w *world, l *ledger, at probe) error
	}{
		"begin": {func(*world, *ledger) {}, func(ctx context.Context, w *world, l *ledger, at probe) error {
			return at.watchAuthorizations(*w.authorizations).Begin(ctx, w.news(), l.id, generation)
		}},
		"begin again": {gathered, func(ctx context.Context, w *world, l *ledger, at probe) error {
			return at.watchAuthorizations(*w.authorizations).Begin(ctx, w.news(), l.id, generation+1)
		}},
		"begin after the end": {func(w *world, l *ledger) {
			if err := w.authorizations.End(w.t.Context(), w.news(), l.id, generation, "receipt"); err != nil {
				w.t.Fatal(err)
			}
		}, func(ctx context.Context, w *world, l *ledger, at probe) error {
			return at.watchAuthorizations(*w.authorizations).Begin(ctx, w.news(), l.id, generation)
		}},
		"degrade": {gathered, func(ctx context.Context, w *world, l *ledger, at probe) error {
			return at.watchAuthorizations(*w.authorizations).Degrade(ctx, w.news(), l.id, generation)
		}},
		"refresh": {func(_ *world, l *ledger) { l.gather() }, func(ctx context.Context, w *world, l *ledger, at probe) error {
			return at.watchAuthorizations(*w.authorizations).Refresh(ctx, l.id, generation)
		}},
		"recheck": {missing, func(ctx context.Context, w *world, l *ledger, at probe) error {
			q := w.planes.questions[0]
			return at.watchAuthorizations(*w.authorizations).Recheck(ctx, l.id, generation, q.ScanID, q.Sample)
		}},
		"end": {gathered, func(ctx context.Context, w *world, l *ledger, at probe) error {
			return at.watchAuthorizations(*w.authorizations).End(ctx, w.news(), l.id, generation, "receipt")
		}},
		"configure": {gathered, func(ctx context.Context, w *world, _ *ledger, at probe) error {
			c := gathering.Configuration{Webhooks: probedWebhooks{w.store, at}, Now: w.clock.Now}
			return c.Configure(ctx, configured(subscription+1, 2))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// run delivers the event until the use case completes.
			run := func(x *trouble) state {
				w, l := newLedger(t, 30)
				tc.prepare(w, l)
				w.authorizations.Publisher = erased{w.bus, w, l.id}
				for followed := false; !followed; {
					struck, err := w.suffer(x, func(ctx context.Context, at probe) error {
						err := tc.follow(ctx, w, l, at)
						followed = err == nil
						return err
					})
					if !struck && err != nil {
						t.Fatal(err)
					}
				}
				return w.state(l.id)
			}
			undisturbed := &trouble{}
			want := run(undisturbed)
			for kind, strike := range strikes {
				for _, times := range []int{1, 3} {
					for n := range undisturbed.passed {
						x := &trouble{at: n + 1, times: times, strike: strike}
						got := run(x)
						what := fmt.Sprintf("it %s at point %d, %s, %d times", kind, x.at, x.point, x.struck)
						if !reflect.DeepEqual(got, want) {
							t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
						}
						if x.struck == 0 {
							t.Errorf("%s", what)
						}
					}
				}
			}
		})
	}
}

// TestGatheringGoesOnWhileItsBeginningIsCutOff: a gatherer may start work
// before Begin has completed.
func TestGatheringGoesOnWhileItsBeginningIsCutOff(t *testing.T) {
	for n, met := 1, true; met; n++ {
		w, l := newLedger(t, 30)
		x := &trouble{at: n, times: 1, strike: strikes["is killed"]}
		cause := w.news()
		begin := func(ctx context.Context, at probe) error {
			return at.watchAuthorizations(*w.authorizations).Begin(ctx, cause, l.id, generation)
		}
		if met, _ = w.suffer(x, begin); met {
			w.pass(5 * time.Minute)
			if _, err := w.suffer(x, begin); err != nil {
				t.Fatal(err)
			}
		}
		w.pass(time.Minute)
		if err := l.differs(); err != nil || w.completed(l.id) == 0 || l.calls != 3 {
			t.Errorf("cut off %s: %v, %d scans are complete, %d calls", x.point, err, w.completed(l.id), l.calls)
		}
		w.receive(w.event(l.id, l.add(w.clock.Now()), gathering.AspectCreate))
		w.pass(time.Minute)
		if err := l.differs(); err != nil {
			t.Errorf("cut off %s, a webhook later: %v", x.point, err)
		}
	}
}
