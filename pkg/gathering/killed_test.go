package gathering_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/test/strava"
)

// killed is what a gatherer panics with that is killed.
type killed struct{}

// run has a gatherer run that is killed at the n-th point of its calls; it
// returns the point, empty when the gatherer was done before.
func (w *world) killAt(n int) (point string) {
	w.t.Helper()
	passed := 0
	g := probe(func(p string) {
		if passed++; passed == n {
			point = p
			panic(killed{})
		}
	}).watch(*w.gatherer)
	defer func() {
		if r := recover(); r != nil && r != (killed{}) {
			panic(r)
		}
	}()
	if _, err := g.Run(w.t.Context(), w.clock.Now().Add(time.Minute)); err != nil {
		w.t.Fatal(err)
	}
	return point
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

func TestAGathererKilledAnywhere(t *testing.T) {
	for name, tc := range map[string]struct {
		history int
		prepare func(*world, int64)
		calls   int // of all kinds, undisturbed
		again   int // and more of them at most
	}{
		"in a first scan": {250, func(w *world, id int64) {
			w.begin(id)
		}, 4, 1},
		"in a later scan": {250, func(w *world, id int64) {
			w.gather(id)
			w.clock.Advance(30 * time.Hour)
			w.remove(id, w.truth(id)[7].ID)
			w.rename(id, w.truth(id)[233].ID, "Edited")
		}, 5, 1}, // The end is read twice: an activity is gone.
		"over a burst of new activities": {250, func(w *world, id int64) {
			w.gather(id)
			w.clock.Advance(5 * time.Minute)
			for range 5 {
				w.receive(w.notice(id, w.add(id, strava.NewActivity{}), gathering.AspectCreate))
			}
		}, 1, 1},
		"over a deletion": {250, func(w *world, id int64) {
			w.gather(id)
			w.clock.Advance(5 * time.Minute)
			gone := w.truth(id)[9].ID
			w.remove(id, gone)
			w.receive(w.notice(id, gone, gathering.AspectDelete))
		}, 1, 1},
		"over a deletion during a scan": {450, func(w *world, id int64) {
			w.begin(id)
			for range 3 {
				if _, err := w.gatherer.Step(w.t.Context()); err != nil {
					w.t.Fatal(err)
				}
				w.clock.Advance(2 * time.Minute)
			}
			gone := w.truth(id)[9].ID
			w.remove(id, gone)
			w.receive(w.notice(id, gone, gathering.AspectDelete))
		}, 4, 6}, // The scan may be over when it hears of the deletion, and another has to be made.
		"over a deauthorization": {10, func(w *world, id int64) {
			w.gather(id)
			w.clock.Advance(5 * time.Minute)
			n := w.notice(id, id, "update")
			n.ObjectType, n.Updates = "athlete", map[string]any{"authorized": "false"}
			w.receive(n)
		}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			points := 0
			for n := 1; ; n++ {
				w := newWorld(t, plenty, histories(tc.history)...)
				id := w.athlete(0)
				tc.prepare(w, id)
				w.strava.ResetCounters()
				completed := w.completed(id)
				point := w.killAt(n)
				if point == "" {
					break
				}
				points++
				// The next gatherer comes in a minute, and once more when
				// nobody holds the work any longer.
				w.clock.Advance(time.Minute)
				w.pass(3 * time.Minute)
				what := fmt.Sprintf("killed at point %d, %s", n, point)
				if err := w.differs(id); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if name != "over a deletion during a scan" { // There pages change.
					w.consistent()
				}
				calls := w.strava.Counters().Total("", id)
				if calls > tc.calls+tc.again {
					t.Errorf("%s: %d calls, %d undisturbed", what, calls, tc.calls)
				}
				a := w.stored(id)
				if a.Scan.State != gatheringv1.ScanCompleted || w.completed(id) == 0 {
					t.Errorf("%s: the scan is %s, reported complete %d times, %d before", what, a.Scan.State, w.completed(id), completed)
				}
				if m := w.mailbox(id); len(m.Hints) != 0 || m.Job.Class != "" {
					t.Errorf("%s: left in the mailbox: %+v", what, m)
				}
				if name == "over a deauthorization" && len(eventtest.Facts[gatheringv1.DeauthorizationReported](w.bus)) == 0 {
					t.Errorf("%s: not reported", what)
				}
			}
			if points < 10 {
				t.Errorf("only %d points", points)
			}
			t.Logf("%d points", points)
		})
	}
}

func TestTwoGatherersDoNothingTwice(t *testing.T) {
	for name, prepare := range map[string]func(*world, int64){
		"a scan": func(*world, int64) {},
		"a hint": func(w *world, id int64) {
			w.pass(5 * time.Minute)
			w.receive(w.notice(id, w.truth(id)[0].ID, gathering.AspectUpdate))
		},
	} {
		w := newWorld(t, plenty, histories(250)...)
		w.gatherer.Quota = boundless{}
		id := w.athlete(0)
		w.begin(id)
		prepare(w, id)
		before := w.strava.Counters().Total("", id)
		// A second gatherer runs at every point of the first one's calls.
		inside := false
		g := probe(func(string) {
			if inside {
				return
			}
			inside = true
			defer func() { inside = false }()
			if _, err := w.gatherer.Step(t.Context()); err != nil {
				t.Error(err)
			}
		}).watch(*w.gatherer)
		if _, err := g.Run(t.Context(), w.clock.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		w.same(id)
		w.consistent()
		want := 4 // The profile, two pages and the empty one.
		if name == "a hint" {
			want = 1
		}
		if n := w.strava.Counters().Total("", id) - before; n != want {
			t.Errorf("%s: %d calls", name, n)
		}
	}
}

func TestAGathererThatComesBackLateChangesNothing(t *testing.T) {
	for _, point := range []string{"after reading a page", "before publishing", "before writing the athlete"} {
		w := newWorld(t, plenty, histories(250)...)
		w.gatherer.Quota = boundless{}
		id := w.athlete(0)
		w.begin(id)
		asleep := 0
		g := probe(func(p string) {
			if p != point {
				return
			}
			// It sleeps at its third chance, longer than it may hold its work,
			// while another gets further.
			if asleep++; asleep == 3 {
				w.pass(2 * time.Minute)
			}
		}).watch(*w.gatherer)
		if _, err := g.Run(t.Context(), w.clock.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if asleep < 3 {
			t.Fatalf("it never slept %s", point)
		}
		w.pass(time.Minute)
		w.same(id)
		if n := w.lists(id); n > 4 {
			t.Errorf("asleep %s: %d lists", point, n)
		}
		if a := w.stored(id); a.Scan.State != gatheringv1.ScanCompleted || a.Scan.Pages != 2 || w.completed(id) == 0 {
			t.Errorf("asleep %s: %+v", point, a.Scan)
		}
		w.pass(10 * time.Hour)
		if n := w.lists(id); n > 4 {
			t.Errorf("asleep %s: %d lists in the end", point, n)
		}
	}
}

// TestAnAthleteWhosePageIsBeingReadIsNotToldToWait: the index may be a moment
// old. Of two reports with one number the second, here the scan's end, is lost.
func TestAnAthleteWhosePageIsBeingReadIsNotToldToWait(t *testing.T) {
	w := newWorld(t, plenty, histories(250, 10)...)
	id, waits := w.athlete(0), w.athlete(1)
	w.begin(id)
	pages := 0
	g := probe(func(p string) {
		if p != "after reading a page" {
			return
		}
		if pages++; pages != 3 {
			return
		}
		w.begin(waits)
		other := *w.gatherer
		other.Jobs = stale{other.Jobs, gathering.JobRef{AthleteID: id, Kind: gathering.JobScan, Class: quota.Backfill, Due: w.clock.Now()}}
		other.Quota = starved{other.Quota, w.clock.Now, quota.Classes}
		if _, err := other.Run(t.Context(), w.clock.Now().Add(time.Minute)); err != nil {
			t.Error(err)
		}
	}).watch(*w.gatherer)
	for pages < 3 {
		if _, err := g.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if p := w.lastProgress(waits); p.State != gatheringv1.ScanWaiting {
		t.Errorf("who waits is told %+v", p)
	}
	seen := map[int64]string{}
	for _, p := range w.progress(id) {
		if before, twice := seen[p.Sequence]; twice {
			t.Errorf("report %d says %s, and %s", p.Sequence, before, p.State)
		}
		seen[p.Sequence] = p.State
	}
	if w.completed(id) != 1 {
		t.Error("the scan is not complete")
	}
}

func TestAHintThatComesDuringACallIsKept(t *testing.T) {
	for _, same := range []bool{true, false} {
		w := newWorld(t, plenty, histories(250)...)
		id := w.athlete(0)
		w.gather(id)
		w.pass(5 * time.Minute)
		h := w.truth(id)
		w.rename(id, h[3].ID, "First")
		w.receive(w.notice(id, h[3].ID, gathering.AspectUpdate))
		came := false
		g := probe(func(p string) {
			if p != "after reading an activity" || came {
				return
			}
			came = true
			w.clock.Advance(2 * time.Second)
			again := h[3].ID
			if !same {
				again = h[240].ID
			}
			w.rename(id, again, "Second")
			w.receive(w.notice(id, again, gathering.AspectUpdate))
			// The hint does not take the mailbox away from who holds it.
			if worked, err := w.gatherer.Step(t.Context()); worked || err != nil {
				t.Errorf("another gatherer took the mailbox, %v", err)
			}
		}).watch(*w.gatherer)
		if _, err := g.Run(t.Context(), w.clock.Now().Add(time.Minute)); err != nil || !came {
			t.Fatal(came, err)
		}
		w.pass(2 * time.Minute)
		w.same(id)
	}
}

func TestAHintThatComesAfterALateGathererLostTheMailboxIsKept(t *testing.T) {
	w := newWorld(t, plenty, histories(250)...)
	id := w.athlete(0)
	w.gather(id)
	w.pass(5 * time.Minute)
	h := w.truth(id)
	w.receive(w.notice(id, h[3].ID, gathering.AspectUpdate))
	slept := false
	g := probe(func(p string) {
		if p != "after reading an activity" || slept {
			return
		}
		slept = true
		w.pass(5 * time.Minute) // Another one answers the hint.
		w.rename(id, h[240].ID, "Renamed")
		w.receive(w.notice(id, h[240].ID, gathering.AspectUpdate))
	}).watch(*w.gatherer)
	if _, err := g.Run(t.Context(), w.clock.Now().Add(time.Minute)); err != nil || !slept {
		t.Fatal(slept, err)
	}
	w.pass(2 * time.Minute)
	w.same(id)
}
