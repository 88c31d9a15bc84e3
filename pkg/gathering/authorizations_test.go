package gathering_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/kit/fault"
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

// TestAnEventThatFailedIsHandledWhenItIsRedelivered: whatever happens at
// any call, the use case either completes or returns an error, and completes
// when the queue delivers the event again.
func TestAnEventThatFailedIsHandledWhenItIsRedelivered(t *testing.T) {
	gathered := func(w *world, l *memoryStrava) {
		l.gather()
		w.clock.Advance(5 * time.Minute)
		w.receive(w.event(l.id, l.entries[0].ID, gathering.AspectUpdate))
	}
	missing := func(w *world, l *memoryStrava) {
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
		prepare func(*world, *memoryStrava)
		// follow is the use case.
		follow func(ctx context.Context, w *world, l *memoryStrava, at interceptor) error
	}{
		"begin": {func(*world, *memoryStrava) {}, func(ctx context.Context, w *world, l *memoryStrava, at interceptor) error {
			return at.watchAuthorizations(*w.authorizations).Begin(ctx, w.news(), authorization(l.id, generation))
		}},
		"begin again": {gathered, func(ctx context.Context, w *world, l *memoryStrava, at interceptor) error {
			return at.watchAuthorizations(*w.authorizations).Begin(ctx, w.news(), authorization(l.id, generation+1))
		}},
		"begin after the end": {func(w *world, l *memoryStrava) {
			if err := w.authorizations.End(w.t.Context(), w.news(), authorization(l.id, generation), "receipt"); err != nil {
				w.t.Fatal(err)
			}
		}, func(ctx context.Context, w *world, l *memoryStrava, at interceptor) error {
			return at.watchAuthorizations(*w.authorizations).Begin(ctx, w.news(), authorization(l.id, generation))
		}},
		"degrade": {gathered, func(ctx context.Context, w *world, l *memoryStrava, at interceptor) error {
			return at.watchAuthorizations(*w.authorizations).Degrade(ctx, w.news(), authorization(l.id, generation))
		}},
		"gather request": {func(_ *world, l *memoryStrava) { l.gather() }, func(ctx context.Context, w *world, l *memoryStrava, at interceptor) error {
			return at.watchAuthorizations(*w.authorizations).RequestGather(ctx, authorization(l.id, generation))
		}},
		"recheck": {missing, func(ctx context.Context, w *world, l *memoryStrava, at interceptor) error {
			q := w.planes.questions[0]
			return at.watchAuthorizations(*w.authorizations).Recheck(ctx, authorization(l.id, generation), q.ScanID, q.Sample)
		}},
		"end": {gathered, func(ctx context.Context, w *world, l *memoryStrava, at interceptor) error {
			return at.watchAuthorizations(*w.authorizations).End(ctx, w.news(), authorization(l.id, generation), "receipt")
		}},
		"configure": {gathered, func(ctx context.Context, w *world, _ *memoryStrava, at interceptor) error {
			c := w.ports.Configuration()
			c.Webhooks = at.webhooks(w.store)
			return c.Configure(ctx, configured(subscription+1, 2))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// run delivers the event until the use case completes.
			run := func(x *trouble) state {
				w, l := newMemoryStrava(t, 30)
				tc.prepare(w, l)
				w.authorizations.Publisher = erased{w.bus, w, l.id}
				for followed := false; !followed; {
					struck, err := w.suffer(x, func(ctx context.Context, at interceptor) error {
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
							t.Errorf("nothing failed: %s", what)
						}
					}
				}
			}
		})
	}
}

// TestBeginCanBeRepeatedAfterItWasCutOff: a gatherer may start work
// before Begin has completed.
func TestBeginCanBeRepeatedAfterItWasCutOff(t *testing.T) {
	for n, met := 1, true; met; n++ {
		w, l := newMemoryStrava(t, 30)
		x := &trouble{at: n, times: 1, strike: strikes["is killed"]}
		cause := w.news()
		begin := func(ctx context.Context, at interceptor) error {
			return at.watchAuthorizations(*w.authorizations).Begin(ctx, cause, authorization(l.id, generation))
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

func TestEndErasesTheAthleteAndLeavesATombstone(t *testing.T) {
	w := newWorld(t, plenty)
	id := w.athlete(0)
	w.begin(id)
	w.receive(w.event(id, 1, gathering.AspectUpdate))
	if err := w.authorizations.End(t.Context(), w.news(), authorization(id, generation), "receipt"); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Hour)
	if n := w.strava.Counters().Total("api", id) + w.lists(id) + w.rereads(id); n != 0 {
		t.Errorf("%d calls after the end", n)
	}
	if n := w.store.Held(id); n != 0 {
		t.Errorf("%d items are left", n)
	}
	// AthleteAuthorized comes again, late.
	if err := w.authorizations.Begin(t.Context(), w.news(), authorization(id, generation)); err != nil {
		t.Fatal(err)
	}
	if a := w.stored(id); a.State != gathering.Revoked || a.Scan.ID != "" || a.Job != (gathering.Job{}) {
		t.Errorf("athlete %+v", a)
	}
	if f := eventtest.Facts[gatheringv1.ErasureCompleted](w.bus); len(f) != 1 || f[0].Receipt != "receipt" {
		t.Errorf("confirmed %+v", f)
	}
	// A new authorization counts; a late end of the old one does not.
	if err := w.authorizations.Begin(t.Context(), w.news(), authorization(id, generation+1)); err != nil {
		t.Fatal(err)
	}
	if err := w.authorizations.End(t.Context(), w.news(), authorization(id, generation), "receipt"); err != nil {
		t.Fatal(err)
	}
	w.until("the new authorization is gathered", func() bool { return w.completed(id) == 1 })
	if n := w.inbox(id).Generation; n != generation+1 {
		t.Errorf("the inbox is of generation %d", n)
	}
}

// overtaken inboxes change just after the athlete has left.
type overtaken struct {
	gathering.Inboxes
	leave func()
}

func (o overtaken) UpdateInbox(ctx context.Context, athleteID int64, change func(*gathering.Inbox) (bool, error)) (gathering.Inbox, error) {
	o.leave()
	return o.Inboxes.UpdateInbox(ctx, athleteID, change)
}

// unreadable athletes cannot be read the first time.
type unreadable struct {
	gathering.Athletes
	read bool
}

func (u *unreadable) Athlete(ctx context.Context, id int64) (gathering.Athlete, error) {
	if !u.read {
		u.read = true
		return gathering.Athlete{}, fault.New(fault.Transient, "not now")
	}
	return u.Athletes.Athlete(ctx, id)
}

func TestAnAthleteWhoLeavesWhileGatheringBeginsLeavesNothing(t *testing.T) {
	w := newWorld(t, plenty)
	id := w.athlete(0)
	begin := *w.authorizations
	var once sync.Once
	begin.Inboxes = overtaken{w.store, func() {
		once.Do(func() {
			if err := w.authorizations.End(t.Context(), w.news(), authorization(id, generation), "receipt"); err != nil {
				t.Fatal(err)
			}
		})
	}}
	begin.Athletes = &unreadable{Athletes: w.store}
	if err := begin.Begin(t.Context(), w.news(), authorization(id, generation)); !fault.Is(err, fault.Transient) {
		t.Fatal(err)
	}
	// The event comes again.
	if err := begin.Begin(t.Context(), w.news(), authorization(id, generation)); err != nil {
		t.Fatal(err)
	}
	if a, m := w.stored(id), w.inbox(id); a.State != gathering.Revoked || m.Generation != 0 {
		t.Errorf("athlete %+v, inbox %+v", a, m)
	}
	if f := eventtest.Facts[gatheringv1.ScanProgressed](w.bus); len(f) != 0 {
		t.Errorf("published %+v", f)
	}
}

func TestAnAthleteWhoLeavesJustBeforeTheInboxOpensLeavesNothing(t *testing.T) {
	w := newWorld(t, plenty)
	id := w.athlete(0)
	begin := *w.authorizations
	begin.Inboxes = overtaken{w.store, func() {
		if err := w.authorizations.End(t.Context(), w.news(), authorization(id, generation), "receipt"); err != nil {
			t.Fatal(err)
		}
	}}
	if err := begin.Begin(t.Context(), w.news(), authorization(id, generation)); err != nil {
		t.Fatal(err)
	}
	if n := w.inbox(id).Generation; n != 0 {
		t.Errorf("the inbox is of generation %d", n)
	}
}

// TestAnOldAuthorizationEventIsIgnored: the tombstone may be gone when a
// message returns from the dead letters.
func TestAnOldAuthorizationEventIsIgnored(t *testing.T) {
	for age, held := range map[time.Duration]int{7*day - 1: 2, 7 * day: 0, 11 * day: 0} {
		w := newWorld(t, plenty)
		id, cause := w.athlete(0), w.news()
		w.clock.Advance(age)
		if err := w.authorizations.Begin(t.Context(), cause, authorization(id, generation)); err != nil {
			t.Fatal(err)
		}
		if n := w.store.Held(id); n != held { // The state and the inbox.
			t.Errorf("%s old: %d items", age, n)
		}
		if n := len(w.progress(id)); n != min(held, 1) {
			t.Errorf("%s old: %d reports", age, n)
		}
	}
}

// TestEventsAboutUnknownAthletesLeaveNothing, however late they are.
func TestEventsAboutUnknownAthletesLeaveNothing(t *testing.T) {
	w := newWorld(t, plenty)
	id := w.athlete(0)
	err := w.authorizations.Degrade(t.Context(), w.news(), authorization(id, generation))
	if err2 := w.authorizations.RequestGather(t.Context(), authorization(id, generation)); err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	if n, reported := w.store.Held(id), len(w.bus.Events()); n != 0 || reported != 0 || w.wakeups.Count() != 0 {
		t.Errorf("%d items, %d events, %d wake-ups", n, reported, w.wakeups.Count())
	}
}

// TestAnAthleteWhoHasLeftIsNotDegraded: the event may come after the end.
func TestAnAthleteWhoHasLeftIsNotDegraded(t *testing.T) {
	w := newWorld(t, plenty)
	id := w.athlete(0)
	w.begin(id)
	if err := w.authorizations.End(t.Context(), w.news(), authorization(id, generation), "receipt"); err != nil {
		t.Fatal(err)
	}
	reported := len(w.bus.Events())
	if err := w.authorizations.Degrade(t.Context(), w.news(), authorization(id, generation)); err != nil {
		t.Fatal(err)
	}
	if a := w.stored(id); a.State != gathering.Revoked || len(w.bus.Events()) != reported {
		t.Errorf("%+v, and published %d events", a, len(w.bus.Events())-reported)
	}
}

func TestAReconnectStartsOver(t *testing.T) {
	w := newWorld(t, plenty)
	id := w.athlete(0)
	w.gather(id)
	if err := w.authorizations.Degrade(t.Context(), w.news(), authorization(id, generation)); err != nil {
		t.Fatal(err)
	}
	if p := w.lastProgress(id); p.WaitingFor != gatheringv1.WaitingForReconnect {
		t.Errorf("progress %+v", p)
	}
	w.receive(w.event(id, w.truth(id)[0].ID, gathering.AspectUpdate))
	w.pass(time.Hour)
	if n := w.rereads(id); n != 0 {
		t.Errorf("%d calls that were not needed", n)
	}
	if err := w.authorizations.Begin(t.Context(), w.news(), authorization(id, generation+1)); err != nil {
		t.Fatal(err)
	}
	w.until("it is gathered again", func() bool { return w.completed(id) == 2 })
}

func TestANewcomerWakesAGatherer(t *testing.T) {
	w, l := newMemoryStrava(t, 10)
	l.begin()
	if n := w.wakeups.Count(); n != 1 {
		t.Errorf("%d wake-ups", n)
	}
}

// The end of an authorization may arrive after the athlete has connected again.
func TestALateEndLeavesANewAuthorizationAlone(t *testing.T) {
	w := newWorld(t, plenty, histories(3)...)
	id := w.athlete(0)
	w.gather(id)
	for _, g := range []int64{generation, generation + 1} {
		if err := w.authorizations.Begin(t.Context(), w.news(), authorization(id, g)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.authorizations.End(t.Context(), w.news(), authorization(id, generation), "receipt"); err != nil {
		t.Fatal(err)
	}
	if a := w.stored(id); a.State != gathering.Active || a.Generation != generation+1 || w.inbox(id).Generation != generation+1 {
		t.Errorf("%s, generation %d, the inbox of %d", a.State, a.Generation, w.inbox(id).Generation)
	}
	if n := len(eventtest.Facts[gatheringv1.ErasureCompleted](w.bus)); n != 1 {
		t.Errorf("%d confirmations", n)
	}
}
