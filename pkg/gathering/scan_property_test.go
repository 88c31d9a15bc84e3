package gathering_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
)

// audit checks every completed scan against memoryStrava.
type audit struct {
	gathering.Publisher
	l *memoryStrava
	// added is when an activity was added, unless it was there from the beginning,
	// and spoiled is since when Strava fails to show it.
	added, spoiled map[int64]time.Time
	scans          int
}

func (a *audit) Publish(ctx context.Context, events ...event.Event) error {
	if err := a.Publisher.Publish(ctx, events...); err != nil {
		return err
	}
	for _, e := range events {
		if p, ok := e.Fact.(gatheringv1.ScanProgressed); ok && p.State == gatheringv1.ScanCompleted {
			a.completed(p)
		}
	}
	return nil
}

// completed checks that the scan found every activity in the stretches that it
// reports as covered, and that no activity that Strava did not show lies there.
// It ignores a scan during which an activity was deleted whose hint still
// waits: such a scan is made again.
func (a *audit) completed(p gatheringv1.ScanProgressed) {
	w := a.l.w
	a.scans++
	begun := w.stored(a.l.id).Scan.StartedAt
	if slices.ContainsFunc(w.inbox(a.l.id).Hints, func(h gathering.Hint) bool { return h.Aspect == gathering.AspectDelete }) {
		return
	}
	for _, e := range a.l.entries {
		if at, late := a.added[e.ID]; e.hidden || late && !at.Before(begun) || !covers(p.Covered, e.start) {
			continue
		}
		if e.corrupt || e.anonymous {
			if !a.spoiled[e.ID].After(begun) {
				w.t.Errorf("scan %d: activity %d of %s was not shown, and is covered: %s", a.scans, e.ID, e.StartDate, spans(p.Covered))
			}
		} else if r := w.planes.held[a.l.id][e.ID]; r.activity == nil || r.at.Before(begun) {
			w.t.Errorf("scan %d: activity %d of %s was not found, and is covered: %s", a.scans, e.ID, e.StartDate, spans(p.Covered))
		}
	}
}

func spans(list []gatheringv1.Span) (out string) {
	for _, s := range list {
		out += fmt.Sprintf("[%v %v)", s.From, s.To)
	}
	return out
}

// watched has the gatherer of a memoryStrava audited.
func (l *memoryStrava) watched() *audit {
	a := &audit{Publisher: l.w.planes, l: l, added: map[int64]time.Time{}, spoiled: map[int64]time.Time{}}
	l.w.gatherer.Publisher, l.w.gatherer.Quota = a, boundless{}
	return a
}

// scan runs jobs as they are due until another scan is complete, and returns
// how many lists that took.
func (l *memoryStrava) scan(most int) (lists int) {
	w, before, completed := l.w, l.lists, l.w.completed(l.id)
	w.t.Helper()
	for range 5000 {
		if w.completed(l.id) > completed {
			return l.lists - before
		}
		if due, ok := w.store.NextDue(); ok && due.After(w.clock.Now()) {
			w.clock.Advance(due.Sub(w.clock.Now()))
		}
		if _, err := w.gatherer.Run(w.t.Context(), w.clock.Now().Add(time.Minute)); err != nil {
			w.t.Fatal(err)
		}
		w.recheck()
		if l.lists-before > most {
			w.t.Fatalf("no scan is complete after %d lists: %+v", most, w.stored(l.id).Scan)
		}
	}
	w.t.Fatalf("no scan is complete: %+v", w.stored(l.id))
	return 0
}

// TestAScanFindsWhatItSaysItCovers in random histories, with activities that
// start in the same second, that Strava fails to show, that have no id, that the
// application may not see, that are uploaded or deleted between two pages, and
// with pages that fail or repeat the one before.
func TestAScanFindsWhatItSaysItCovers(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 2))
			w, l := newMemoryStrava(t, 0)
			a := l.watched()
			size := []int{rng.IntN(8), rng.IntN(250), 195 + rng.IntN(10), rng.IntN(700)}[rng.IntN(4)]
			at := start
			for range size {
				if rng.IntN(5) > 0 { // else in the same second
					at = at.Add(-time.Duration(1+rng.IntN(100_000)) * time.Second)
				}
				l.add(at)
			}
			spoil := func() {
				if len(l.entries) == 0 {
					return
				}
				e := &l.entries[rng.IntN(len(l.entries))]
				e.corrupt, e.anonymous = rng.IntN(2) == 0, rng.IntN(2) == 0
				a.spoiled[e.ID] = w.clock.Now()
			}
			for range rng.IntN(4) {
				spoil()
			}
			l.emptyPages = rng.IntN(2) == 0
			for range max(0, rng.IntN(6)-2) {
				l.hide(rng)
			}
			fails, repeats, changes := rng.IntN(4), rng.IntN(3), rng.IntN(4)
			quiet, left := false, 0
			l.answer = func(req gathering.PageRequest, page gathering.Page, err error) (gathering.Page, error) {
				s := w.stored(l.id).Scan
				if s.Size > 0 && s.Offset%s.Size != 0 {
					t.Errorf("pages of %d from %d on", s.Size, s.Offset)
				}
				switch {
				case quiet:
				case rng.IntN(20) < fails:
					return gathering.Page{}, gathering.ErrUnavailable
				// The last activity of the previous page shows it.
				case rng.IntN(20) < repeats && req.Page > 1 && s.LastID != 0 && s.Skipped == 0 && changes == 0:
					req.Page--
					return l.page(req)
				}
				return page, err
			}
			// Between two calls the athlete uploads or deletes.
			w.gatherer = observe(func(p string) {
				if p != "before reading a page" || left == 0 || rng.IntN(10) >= changes {
					return
				}
				left--
				w.clock.Advance(time.Duration(rng.IntN(5)) * time.Second)
				if rng.IntN(2) == 0 || len(l.entries) == 0 {
					id := l.add(w.clock.Now().Add(-time.Duration(rng.IntN(400*24*3600)) * time.Second))
					a.added[id] = w.clock.Now()
					w.receive(w.event(l.id, id, gathering.AspectCreate))
				} else {
					id := l.entries[rng.IntN(len(l.entries))].ID
					l.remove(id)
					w.receive(w.event(l.id, id, gathering.AspectDelete))
				}
				w.clock.Advance(time.Second)
			}).watch(*w.gatherer)
			l.begin()
			for range 4 {
				left = 5
				l.scan(400)
				left = 0
				w.clock.Advance(30 * time.Hour)
				if rng.IntN(3) == 0 {
					spoil()
				}
			}
			quiet = true
			for i := range l.entries {
				l.entries[i].corrupt, l.entries[i].anonymous = false, false
			}
			l.scan(100)
			w.clock.Advance(30 * time.Hour)
			l.scan(100)
			w.pass(10 * time.Minute)
			if err := l.differs(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestOneActivityThatStravaFailsToShowCostsFewCalls: each scan renews all the
// others.
func TestOneActivityThatStravaFailsToShowCostsFewCalls(t *testing.T) {
	t.Parallel()
	// At either end of the history it is looked for again each time: others may
	// have been uploaded beyond it.
	for at, extra := range map[int]int{0: 15, 1: 6, 199: 6, 200: 6, 321: 6, 399: 6, 400: 6, 648: 6, 649: 25} {
		t.Run(fmt.Sprint("the activity at ", at), func(t *testing.T) {
			w, l := newMemoryStrava(t, 650)
			l.watched()
			l.entries[at].corrupt = true
			l.begin()
			for scan := range 4 {
				began := w.clock.Now()
				lists := l.scan(40)
				renewed := 0
				for _, r := range w.planes.held[l.id] {
					if r.activity != nil && !r.at.Before(began) {
						renewed++
					}
				}
				if renewed != 649 {
					t.Errorf("scan %d read %d activities again", scan, renewed)
				}
				if scan > 0 && lists > 4+1+extra {
					t.Errorf("scan %d took %d lists", scan, lists)
				}
				w.clock.Advance(time.Hour)
			}
		})
	}
}

// TestAScanReadsWhatThereWasWhenItBegan: a new activity on an earlier page
// moves the others down. The scan asks for the same pages and publishes nothing
// twice.
func TestAScanReadsWhatThereWasWhenItBegan(t *testing.T) {
	w, l := newMemoryStrava(t, 450)
	var asked []gathering.PageRequest
	l.answer = func(req gathering.PageRequest, page gathering.Page, err error) (gathering.Page, error) {
		if asked = append(asked, req); len(asked) == 1 {
			w.clock.Advance(time.Hour)
			l.add(w.clock.Now())
			l.add(w.clock.Now().Add(10 * day)) // By a device whose clock is wrong.
			l.add(start.Add(-36 * time.Hour))
		}
		return page, err
	}
	l.gather()
	for _, req := range asked[1:] {
		if !req.To.Equal(asked[0].To) || req.PerPage != asked[0].PerPage {
			t.Errorf("asked for %+v, then %+v", asked[0], req)
		}
	}
	passed := map[int64]int{}
	for _, f := range eventtest.Facts[gatheringv1.ActivitiesGathered](w.bus) {
		for _, a := range f.Activities {
			if passed[a.ID]++; passed[a.ID] > 1 {
				t.Errorf("activity %d was published %d times", a.ID, passed[a.ID])
			}
		}
	}
	if last := w.lastProgress(l.id); len(passed) != 450 || last.Activities != 450 {
		t.Errorf("%d activities were published, %d are counted", len(passed), last.Activities)
	}
}

// TestABadPageRemovesNothing: one page of a scan, or two pages in a row, are
// empty, repeat the one before, or fail.
func TestABadPageRemovesNothing(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 3, 4, 150, 199, 200, 201, 203, 210, 400, 402, 450, 650} {
		for kind, bad := range map[string]func(*memoryStrava, gathering.PageRequest) (gathering.Page, error){
			"empty": func(*memoryStrava, gathering.PageRequest) (gathering.Page, error) { return gathering.Page{}, nil },
			"repeated": func(l *memoryStrava, req gathering.PageRequest) (gathering.Page, error) {
				req.Page = max(1, req.Page-1)
				return l.page(req)
			},
			"unavailable": func(*memoryStrava, gathering.PageRequest) (gathering.Page, error) {
				return gathering.Page{}, gathering.ErrUnavailable
			},
		} {
			for nth := range size/gathering.PageSize + 2 {
				for times := 1; times <= 2; times++ {
					t.Run(fmt.Sprintf("%d activities, page %d is %s %d times", size, nth+1, kind, times), func(t *testing.T) {
						w, l := newMemoryStrava(t, size)
						l.gather()
						w.gatherer.Publisher = keep{w.planes, l}
						w.clock.Advance(30 * time.Hour)
						first := l.lists
						l.answer = func(req gathering.PageRequest, page gathering.Page, err error) (gathering.Page, error) {
							if i := l.lists - first - 1; i >= nth && i < nth+times {
								return bad(l, req)
							}
							return page, err
						}
						l.scan(20)
						l.answer = nil
						w.pass(time.Hour)
						if err := l.differs(); err != nil {
							t.Error(err)
						}
					})
				}
			}
		}
	}
}

// TestAScanEndsWhereStravaShowsNothing: Strava fails to show the only activity
// of one history and, in another, the newest one, right above a hole that the
// last scan went around.
func TestAScanEndsWhereStravaShowsNothing(t *testing.T) {
	_, l := newMemoryStrava(t, 1)
	l.watched()
	l.entries[0].corrupt = true
	l.begin()
	if n := l.scan(40); n > 25 {
		t.Errorf("%d lists of one activity that is not shown", n)
	}

	w, l := newMemoryStrava(t, 10)
	l.watched()
	l.entries[1].corrupt = true
	l.begin()
	l.scan(20)
	w.clock.Advance(30 * time.Hour)
	l.entries[0].corrupt = true
	if n := l.scan(60); n > 35 {
		t.Errorf("%d lists with the newest two not shown", n)
	}
}

// TestAScanThatGivesUpCoversNoHole: neither the one at which it gave up, nor
// those that it had yet to probe.
func TestAScanThatGivesUpCoversNoHole(t *testing.T) {
	w, l := newMemoryStrava(t, 40)
	l.watched()
	l.begin()
	l.scan(5)
	w.clock.Advance(30 * time.Hour)
	for _, i := range []int{5, 20, 21, 22, 23, 24} {
		l.entries[i].corrupt = true
	}
	l.scan(60)
	p := w.lastProgress(l.id)
	for i, e := range l.entries {
		if covered := covers(p.Covered, e.start); covered != (i < 4 || i > 6 && i < 19) && i != 4 && i != 6 && i != 19 {
			t.Errorf("activity %d: covered %v", i, covered)
		}
	}
}

// TestAHoleAtTheEndOfAStretchEndsThere: older activities are read in the next
// stretch.
func TestAHoleAtTheEndOfAStretchEndsThere(t *testing.T) {
	w, l := newMemoryStrava(t, 40)
	l.watched()
	l.entries[10].corrupt = true
	l.begin()
	l.scan(40)
	w.clock.Advance(30 * time.Hour)
	l.entries[9].corrupt = true // The last in the stretch above the hole.
	l.scan(45)
	if p := w.lastProgress(l.id); !covers(p.Covered, l.entries[2].start) || !covers(p.Covered, l.entries[30].start) {
		t.Errorf("covered: %s", spans(p.Covered))
	}
}
