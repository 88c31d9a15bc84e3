package gathering_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// process is one run of a gatherer or of another use case. It may end early.
type process struct {
	ctx context.Context
	end context.CancelFunc
}

// killed is the panic value of a process that is killed.
type killed struct{}

// errFault is the error of a call that fails.
var errFault = fault.New(fault.Transient, "no answer")

// strikes are the faults that may happen at a point of a process's calls.
// Before a call, the call has no effect; after it, the answer is lost.
var strikes = map[string]func(*process) error{
	"is killed": func(*process) error { panic(killed{}) },
	"has an error": func(*process) error {
		return errFault
	},
	"hangs": func(p *process) error {
		p.end() // The call lasts until the process's time is over.
		return fault.New(fault.Transient, "no answer in time: %w", p.ctx.Err())
	},
}

// trouble is a fault that strikes at a point of the calls, and again whenever a
// process reaches that kind of point, until it has struck a number of times.
type trouble struct {
	at, times int
	strike    func(*process) error
	after     *trouble // This trouble begins once that one has struck.

	passed, struck int
	point          string
}

func (x *trouble) passes(p *process, point string) error {
	if x.after != nil {
		if x.after.struck == 0 {
			return x.after.passes(p, point)
		}
		if err := x.after.passes(p, point); err != nil {
			return err
		}
	}
	x.passed++
	if x.passed == x.at {
		x.point = point
	}
	if x.point != point || x.struck == x.times {
		return nil
	}
	x.struck++
	return x.strike(p)
}

// suffer runs a process that meets the trouble. It reports whether the process
// was struck, and returns its error unless it was killed.
func (w *world) suffer(x *trouble, do func(context.Context, interceptor) error) (struck bool, err error) {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	p := &process{ctx, cancel}
	defer func() {
		if r := recover(); r != nil && r != (killed{}) {
			panic(r)
		}
	}()
	before := x.strikes()
	defer func() { struck = x.strikes() > before }()
	return false, do(ctx, func(point string) error { return x.passes(p, point) })
}

// strikes counts the strikes so far.
func (x *trouble) strikes() int {
	if x.after != nil {
		return x.struck + x.after.strikes()
	}
	return x.struck
}

// exclusive fails the test if a job is leased twice at the same time.
type exclusive struct{ *world }

func (x exclusive) check(before, after gathering.Job) {
	now := x.clock.Now()
	if before.LeasedUntil.After(now) && after.LeasedUntil.After(now) && before.LeaseOwner != after.LeaseOwner {
		x.t.Errorf("a job is leased until %s and until %s", before.LeasedUntil, after.LeasedUntil)
	}
}

type exclusiveAthletes struct {
	gathering.Athletes
	exclusive
}

func (x exclusiveAthletes) Update(ctx context.Context, id int64, change func(*gathering.Athlete) (bool, error)) (gathering.Athlete, error) {
	return x.Athletes.Update(ctx, id, func(a *gathering.Athlete) (bool, error) {
		before := a.Job
		changed, err := change(a)
		if err == nil {
			x.check(before, a.Job)
		}
		return changed, err
	})
}

type exclusiveInboxes struct {
	gathering.Inboxes
	exclusive
}

func (x exclusiveInboxes) UpdateInbox(ctx context.Context, id int64, change func(*gathering.Inbox) (bool, error)) (gathering.Inbox, error) {
	return x.Inboxes.UpdateInbox(ctx, id, func(m *gathering.Inbox) (bool, error) {
		before := m.Job
		changed, err := change(m)
		if err == nil {
			x.check(before, m.Job)
		}
		return changed, err
	})
}

// delayed is a quota that refuses everything until a time.
type delayed struct {
	gathering.Quota
	now   func() time.Time
	until time.Time
}

func (d delayed) Acquire(ctx context.Context, class quota.Class, due time.Time) (quota.Permit, error) {
	if d.now().Before(d.until) {
		return quota.Permit{}, &quota.Wait{Until: d.until, Reason: quota.ReasonRateLimit}
	}
	return d.Quota.Acquire(ctx, class, due)
}

// consistent checks that chunks that came twice are the same.
func (w *world) consistent() {
	w.t.Helper()
	seen := map[gatheringv1.ScanChunk][]gatheringv1.Activity{}
	for _, f := range eventtest.Facts[gatheringv1.ActivitiesGathered](w.bus) {
		if f.Chunk == nil {
			continue
		}
		if before, twice := seen[*f.Chunk]; twice && !reflect.DeepEqual(before, f.Activities) {
			w.t.Errorf("chunk %+v came with different activities", *f.Chunk)
		}
		seen[*f.Chunk] = f.Activities
	}
}

// situation is a state of the world with work for a gatherer.
type situation struct {
	history int
	prepare func(*world, *memoryStrava)
	calls   int // without a strike
	again   int // at most so many more calls for each strike
	// lasts is how long the work takes undisturbed, if that is more than minutes.
	lasts time.Duration
	// moves says that pages change while a scan reads them: when it goes back, it
	// may publish other chunks under the same numbers.
	moves bool
	// ends, when not nil, checks the end in place of the usual check: a completed
	// scan, the next one planned, and an empty inbox.
	ends func(*world, *memoryStrava) error
}

var situations = map[string]situation{
	"a first scan": {history: 250, calls: 4, again: 1, prepare: func(_ *world, l *memoryStrava) { l.begin() }},
	"a first scan while the quota is short": {history: 10, calls: 3, again: 1, prepare: func(w *world, l *memoryStrava) {
		l.begin()
		w.gatherer.Quota = delayed{w.gatherer.Quota, w.clock.Now, w.clock.Now().Add(2 * time.Minute)}
	}},
	"a later scan": {history: 250, calls: 6, again: 1, prepare: func(w *world, l *memoryStrava) {
		l.gather()
		w.clock.Advance(30 * time.Hour)
		l.remove(l.entries[7].ID)
		l.entries[233].Name = "Edited"
	}},
	// A question that comes before the completed scan is stored is asked again.
	"a later scan that misses more than a handful": {history: 30, calls: 3 + 2 + 3, again: 1 + 3, prepare: func(w *world, l *memoryStrava) {
		l.gather()
		w.clock.Advance(30 * time.Hour)
		for range 20 {
			l.remove(l.entries[7].ID)
		}
	}},
	"a later scan in which Strava fails to show an activity": {history: 6, calls: 21, again: 1, lasts: 3 * time.Hour, prepare: func(w *world, l *memoryStrava) {
		l.gather()
		w.clock.Advance(30 * time.Hour)
		l.entries[3].corrupt = true
	}},
	"a scan overdue": {history: 10, calls: 3, again: 1, prepare: func(w *world, l *memoryStrava) {
		l.gather()
		w.clock.Advance(8 * day)
	}},
	"a gap in the webhooks": {history: 10, calls: 5, again: 1, prepare: func(w *world, l *memoryStrava) {
		l.gather()
		w.clock.Advance(2 * time.Hour)
		l.remove(l.entries[0].ID)
		w.configure(subscription+1, 2)
	}},
	"a burst of new activities": {history: 30, calls: 1, again: 1, prepare: func(w *world, l *memoryStrava) {
		l.gather()
		w.clock.Advance(5 * time.Minute)
		for range 5 {
			w.receive(w.event(l.id, l.add(w.clock.Now()), gathering.AspectCreate))
		}
	}},
	"a new activity that Strava has not processed": {history: 10, calls: 1, again: 1, prepare: func(w *world, l *memoryStrava) {
		l.gather()
		w.clock.Advance(5 * time.Minute)
		added := l.add(w.clock.Now())
		e := l.entries[0]
		l.remove(added)
		w.receive(w.event(l.id, added, gathering.AspectCreate))
		w.work()
		l.entries = append([]entry{e}, l.entries...)
	}},
	"a deletion": {history: 30, calls: 1, again: 1, prepare: func(w *world, l *memoryStrava) {
		l.gather()
		w.clock.Advance(5 * time.Minute)
		gone := l.entries[9].ID
		l.remove(gone)
		w.receive(w.event(l.id, gone, gathering.AspectDelete))
	}},
	// The deletion may arrive after the scan, which then has to be repeated.
	"a deletion during a scan": {history: 450, calls: 4, again: 6, moves: true, prepare: func(w *world, l *memoryStrava) {
		l.begin()
		for range 3 {
			if _, err := w.gatherer.Step(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
			w.clock.Advance(2 * time.Minute)
		}
		gone := l.entries[9].ID
		l.remove(gone)
		w.receive(w.event(l.id, gone, gathering.AspectDelete))
	}},
	// A scan that is planned without the inbox noting it is made twice.
	"more hints than an inbox holds": {history: 10, calls: 3, again: 3, prepare: func(w *world, l *memoryStrava) {
		l.gather()
		w.clock.Advance(5 * time.Minute)
		l.entries[2].Name = "Renamed"
		w.receive(w.event(l.id, l.entries[2].ID, gathering.AspectUpdate))
		if _, err := w.store.UpdateInbox(w.t.Context(), l.id, func(m *gathering.Inbox) (bool, error) { m.Overflowed = true; return true, nil }); err != nil {
			w.t.Fatal(err)
		}
	}},
	"an athlete who asks for the newest": {history: 10, calls: 1, again: 1, prepare: func(w *world, l *memoryStrava) {
		l.gather()
		w.clock.Advance(5 * time.Minute)
		l.add(w.clock.Now())
		if err := w.authorizations.RequestGather(w.t.Context(), authorization(l.id, generation)); err != nil {
			w.t.Fatal(err)
		}
	}},
	"a deauthorization": {history: 10, calls: 0, again: 0, prepare: func(w *world, l *memoryStrava) {
		l.gather()
		w.clock.Advance(5 * time.Minute)
		n := w.event(l.id, l.id, gathering.AspectUpdate)
		n.ObjectType, n.Updates = "athlete", map[string]any{"authorized": "false"}
		w.receive(n)
	}, ends: func(w *world, _ *memoryStrava) error {
		if len(eventtest.Facts[gatheringv1.DeauthorizationReported](w.bus)) == 0 {
			return fmt.Errorf("the deauthorization is not reported")
		}
		return nil
	}},
	"a scan whose authorization is degraded": {history: 10, calls: 1, again: 1, prepare: func(_ *world, l *memoryStrava) {
		l.begin()
		l.refuse = gathering.ErrDegraded
	}, ends: func(w *world, l *memoryStrava) error {
		// The event of the credentials boundary leads to a report, too.
		if a := w.stored(l.id); a.State != gathering.Degraded || a.Job.Class != "" {
			return fmt.Errorf("state %s, job %+v", a.State, a.Job)
		}
		return nil
	}},
	"a hint whose authorization is revoked": {history: 10, calls: 1, again: 1, prepare: func(w *world, l *memoryStrava) {
		l.gather()
		w.clock.Advance(5 * time.Minute)
		w.receive(w.event(l.id, l.entries[0].ID, gathering.AspectUpdate))
		l.refuse = gathering.ErrRevoked
	}},
}

// meet runs gatherers in the situation, at least 15 s apart. The first of them
// meet the trouble, and meet checks that it changes nothing. It returns how
// many points of calls they reached before all was done.
func (s situation) meet(t *testing.T, x *trouble) (points int) {
	limit := s.lasts + 10*time.Minute // Three leases, or three growing delays, and what is due after them.

	w, l := newMemoryStrava(t, s.history)
	s.prepare(w, l)
	begun := w.clock.Now()
	l.calls = 0
	w.gatherer.Athletes = exclusiveAthletes{w.store, exclusive{w}}
	w.gatherer.Inboxes = exclusiveInboxes{w.store, exclusive{w}}
	w.gatherer.Publisher = keep{w.planes, l}
	for healthy := 0; healthy < 4; { // Go on for a minute once all is done.
		if w.clock.Now().Sub(begun) > limit {
			t.Fatalf("after %s: %v", limit, s.ended(w, l))
		}
		struck, err := w.suffer(x, func(ctx context.Context, at interceptor) error {
			_, err := at.watch(*w.gatherer).Run(ctx, w.clock.Now().Add(time.Minute))
			return err
		})
		if err != nil && !struck {
			t.Errorf("the gatherer failed by itself: %v", err)
		}
		w.recheck()
		w.clock.Advance(15 * time.Second)
		err = s.ended(w, l)
		switch due, ok := w.store.NextDue(); {
		case err == nil:
			if healthy++; healthy == 1 {
				points = x.passed
			}
		case healthy > 0:
			t.Fatalf("all jobs were done, and the next run returned %v", err)
		case !struck && ok && due.After(w.clock.Now()):
			w.clock.Advance(due.Sub(w.clock.Now()))
		}
	}
	if !s.moves {
		w.consistent()
	}
	if most := s.calls + s.again*x.strikes(); l.calls > most || x.strikes() == 0 && l.calls != s.calls {
		t.Errorf("%d calls, %d undisturbed", l.calls, s.calls)
	}
	if n := w.metrics.Of(metric.Quarantined); n != 0 {
		t.Errorf("%d jobs are quarantined", n)
	}
	return points
}

// ended returns an error if the end state is not as it should be.
func (s situation) ended(w *world, l *memoryStrava) error {
	if m := w.inbox(l.id); len(m.Hints) != 0 || m.Job.Class != "" {
		return fmt.Errorf("left in the inbox: %+v", m)
	}
	if s.ends != nil {
		return s.ends(w, l)
	}
	if err := l.differs(); err != nil {
		return err
	}
	a := w.stored(l.id)
	if a.Scan.State != gatheringv1.ScanCompleted || w.completed(l.id) == 0 {
		return fmt.Errorf("the scan is %s, %d are reported complete", a.Scan.State, w.completed(l.id))
	}
	later, err := w.store.Due(w.t.Context(), quota.Spare, w.clock.Now().Add(7*day), nil, 2)
	if err != nil || len(later) != 1 || !later[0].Due.After(w.clock.Now()) {
		return fmt.Errorf("jobs of the next scan: %+v, error %w", later, err)
	}
	return nil
}

// TestAGathererRecoversFromAFailureOfAnyCall disturbs a gatherer at each of its
// calls to a port, before or after the call takes effect: the gatherer is
// killed, gets an error, or waits until its time is over. This happens once, or
// several times, so that the next gatherers meet the same.
func TestAGathererRecoversFromAFailureOfAnyCall(t *testing.T) {
	for name, s := range situations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			points := s.meet(t, &trouble{})
			if points < 10 {
				t.Fatalf("only %d points", points)
			}
			for kind, strike := range strikes {
				for _, times := range []int{1, 3} {
					for n := 0; n < points && !t.Failed(); n++ {
						x := &trouble{at: n + 1, times: times, strike: strike}
						t.Run("", func(t *testing.T) {
							defer func() {
								if t.Failed() {
									t.Logf("it %s at point %d, %s, %d times", kind, x.at, x.point, x.struck)
								}
							}()
							s.meet(t, x)
						})
					}
				}
			}
			t.Logf("%d points", points)
		})
	}
}

// TestAGathererRecoversFromAFailureDuringRecovery: another fault comes anywhere
// after the first.
func TestAGathererRecoversFromAFailureDuringRecovery(t *testing.T) {
	kinds := []string{"is killed", "has an error", "hangs"}
	for _, name := range []string{"a later scan that misses more than a handful", "a deletion during a scan", "a burst of new activities"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			second := 0
			for seed := range uint64(60) {
				t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
					rng := rand.New(rand.NewPCG(seed, 1))
					random := func(points int) *trouble {
						return &trouble{at: 1 + rng.IntN(points), times: 1 + rng.IntN(2), strike: strikes[kinds[rng.IntN(3)]]}
					}
					first, then := random(40), random(30)
					then.after = first
					defer func() {
						if t.Failed() {
							t.Logf("%s at %d, then %s at %d", first.point, first.at, then.point, then.at)
						}
					}()
					situations[name].meet(t, then)
					if then.struck > 0 {
						second++
					}
				})
			}
			if second < 40 {
				t.Errorf("only %d of 60 met a second fault", second)
			}
		})
	}
}
