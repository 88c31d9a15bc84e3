package gathering_test

import (
	"context"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

func TestTwoGatherersDoNothingTwice(t *testing.T) {
	for name, prepare := range map[string]func(*world, int64){
		"a scan": func(*world, int64) {},
		"a hint": func(w *world, id int64) {
			w.pass(5 * time.Minute)
			w.receive(w.event(id, w.truth(id)[0].ID, gathering.AspectUpdate))
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
		g := observe(func(string) {
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
		g := observe(func(p string) {
			if p != point {
				return
			}
			// It sleeps at the third point, for longer than its lease, while another
			// gatherer goes on.
			if asleep++; asleep == 3 {
				w.pass(2 * time.Minute)
			}
		}).watch(*w.gatherer)
		if _, err := g.Run(t.Context(), w.clock.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if asleep < 3 {
			t.Fatalf("the gatherer never paused %s", point)
		}
		w.pass(time.Minute)
		w.same(id)
		if n := w.lists(id); n > 4 {
			t.Errorf("paused %s: %d lists", point, n)
		}
		if a := w.stored(id); a.Scan.State != gatheringv1.ScanCompleted || a.Scan.Pages != 2 || w.completed(id) == 0 {
			t.Errorf("paused %s: %+v", point, a.Scan)
		}
		w.pass(10 * time.Hour)
		if n := w.lists(id); n > 4 {
			t.Errorf("paused %s: %d lists in the end", point, n)
		}
	}
}

// TestAnAthleteWhosePageIsBeingReadIsNotReportedAsWaiting: the queue may be a
// moment old. Of two reports with the same number, the second one, here the
// scan's end, would be lost.
func TestAnAthleteWhosePageIsBeingReadIsNotReportedAsWaiting(t *testing.T) {
	w := newWorld(t, plenty, histories(250, 10)...)
	id, waits := w.athlete(0), w.athlete(1)
	w.begin(id)
	pages := 0
	g := observe(func(p string) {
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
		t.Errorf("reported progress of the waiting athlete: %+v", p)
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
		w.receive(w.event(id, h[3].ID, gathering.AspectUpdate))
		came := false
		g := observe(func(p string) {
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
			w.receive(w.event(id, again, gathering.AspectUpdate))
			// The hint does not take the inbox away from its holder.
			if worked, err := w.gatherer.Step(t.Context()); worked || err != nil {
				t.Errorf("another gatherer took the inbox, %v", err)
			}
		}).watch(*w.gatherer)
		if _, err := g.Run(t.Context(), w.clock.Now().Add(time.Minute)); err != nil || !came {
			t.Fatal(came, err)
		}
		w.pass(2 * time.Minute)
		w.same(id)
	}
}

func TestAHintThatComesAfterALateGathererLostTheInboxIsKept(t *testing.T) {
	w := newWorld(t, plenty, histories(250)...)
	id := w.athlete(0)
	w.gather(id)
	w.pass(5 * time.Minute)
	h := w.truth(id)
	w.receive(w.event(id, h[3].ID, gathering.AspectUpdate))
	slept := false
	g := observe(func(p string) {
		if p != "after reading an activity" || slept {
			return
		}
		slept = true
		w.pass(5 * time.Minute) // Another one answers the hint.
		w.rename(id, h[240].ID, "Renamed")
		w.receive(w.event(id, h[240].ID, gathering.AspectUpdate))
	}).watch(*w.gatherer)
	if _, err := g.Run(t.Context(), w.clock.Now().Add(time.Minute)); err != nil || !slept {
		t.Fatal(slept, err)
	}
	w.pass(2 * time.Minute)
	w.same(id)
}

// TestAJobThatKillsItsGathererHoldsNoOtherUp: one athlete's answer may kill the
// process.
func TestAJobThatKillsItsGathererHoldsNoOtherUp(t *testing.T) {
	w := newWorld(t, plenty, histories(30, 30)...)
	poison, well := w.athlete(0), w.athlete(1)
	w.begin(poison)
	w.begin(well)
	kills := 0
	strava := w.gatherer.Strava
	w.gatherer.Strava = deadly{strava, poison, &kills}
	began := w.clock.Now()
	for w.clock.Now().Sub(began) < 24*time.Hour {
		func() {
			defer func() {
				if r := recover(); r != nil && r != (killed{}) {
					panic(r)
				}
			}()
			w.work()
		}()
		if w.completed(well) == 0 && w.clock.Now().Sub(began) > 3*time.Minute {
			t.Fatal("the other athlete waits")
		}
		w.clock.Advance(time.Minute)
	}
	if kills == 0 || kills > 60 {
		t.Errorf("%d gatherers were killed in a day", kills)
	}
	w.gatherer.Strava = strava
	w.until("the history is complete", func() bool { return w.completed(poison) == 1 })
	w.same(poison)
}

// deadly is a Strava whose lists for one athlete kill the gatherer.
type deadly struct {
	gathering.Strava
	athleteID int64
	kills     *int
}

func (d deadly) Activities(ctx context.Context, by gathering.Authorization, r gathering.PageRequest) (gathering.Page, gathering.Reading, error) {
	if by.AthleteID == d.athleteID {
		*d.kills++
		panic(killed{})
	}
	return d.Strava.Activities(ctx, by, r)
}
