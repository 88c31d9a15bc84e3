package gathering_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/gathering"
)

// TestHiddenActivitiesHideNoOthers in random histories with runs of activities
// that the application may not see, and with others that Strava fails to show.
// Strava skips a page without an activity that it may show, or leaves it empty.
// Each scan finds all that Strava shows, and covers none that it fails to show.
func TestHiddenActivitiesHideNoOthers(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 3))
			w, l := newMemoryStrava(t, 0)
			l.watched()
			l.emptyPages = rng.IntN(2) == 0
			at := start
			for range []int{rng.IntN(8), rng.IntN(40), rng.IntN(250), 195 + rng.IntN(10), rng.IntN(500)}[rng.IntN(5)] {
				if rng.IntN(5) > 0 { // else in the same second
					at = at.Add(-time.Duration(1+rng.IntN(100_000)) * time.Second)
				}
				l.add(at)
			}
			for range rng.IntN(6) {
				l.hide(rng)
			}
			for range 4 {
				for range rng.IntN(3) {
					l.corrupt(rng)
				}
				if rng.IntN(4) == 0 {
					l.scanInSmallPages(1 + rng.IntN(3))
				}
				if l.lists == 0 {
					l.begin()
				}
				began := w.clock.Now()
				l.scan(200)
				for i, e := range l.entries {
					if r := w.planes.held[l.id][e.ID]; !e.hidden && !e.corrupt && (r.activity == nil || r.at.Before(began)) {
						t.Errorf("activity %d of %s, at %d, was not read", e.ID, e.StartDate, i)
					}
				}
				w.clock.Advance(30 * time.Hour)
				for i := range l.entries {
					if e := &l.entries[i]; rng.IntN(2) == 0 {
						e.corrupt = false
					}
				}
			}
		})
	}
}

// hide hides a run of activities. It leaves no page of the largest size empty,
// since that ends a list.
func (l *memoryStrava) hide(rng *rand.Rand) {
	if len(l.entries) == 0 {
		return
	}
	hidden := slices.Clone(l.entries)
	begin, length := rng.IntN(len(l.entries)), 1+rng.IntN([]int{1, 6, 30, 60, 199, 500}[rng.IntN(6)])
	for i := begin; i < min(begin+length, len(l.entries)); i++ {
		hidden[i].hidden = true
	}
	run := 0
	for _, e := range hidden {
		if run++; !e.hidden {
			run = 0
		}
		if run == gathering.PageSize && l.emptyPages {
			return
		}
	}
	l.entries = hidden
}

// corrupt makes Strava fail to show another activity, but no four in a row: a
// scan goes no further.
func (l *memoryStrava) corrupt(rng *rand.Rand) {
	var shown []*entry
	for i := range l.entries {
		if !l.entries[i].hidden {
			shown = append(shown, &l.entries[i])
		}
	}
	if len(shown) == 0 {
		return
	}
	i := rng.IntN(len(shown))
	shown[i].corrupt = true
	row := 0
	for _, e := range shown {
		if row++; !e.corrupt {
			row = 0
		}
		if row > 3 {
			shown[i].corrupt = false
		}
	}
}

// scanInSmallPages has the next scan use pages so many sizes smaller.
func (l *memoryStrava) scanInSmallPages(sizes int) {
	l.w.t.Helper()
	_, err := l.w.store.Update(l.w.t.Context(), l.id, func(a *gathering.Athlete) (bool, error) {
		a.WrongScans, a.WrongScanAt = sizes, l.w.clock.Now().Add(2*day)
		return a.State == gathering.Active, nil
	})
	if err != nil {
		l.w.t.Fatal(err)
	}
}

// TestGoingAroundCostsFewCalls in the first scan and in each one after it.
func TestGoingAroundCostsFewCalls(t *testing.T) {
	for name, tc := range map[string]struct {
		size        int
		corrupt     []int
		sameSecond  int // Starts in the same second as the corrupt one.
		first, rest int
	}{
		"alone":                          {40, []int{10}, 10, 18, 8},
		"holes that meet":                {40, []int{10, 12, 14}, 10, 46, 18},
		"in the second of the newer one": {40, []int{10}, 9, 18, 24},
		"in the second of the older one": {40, []int{10}, 11, 35, 14},
		"at the end":                     {47, []int{46}, 46, 33, 33},
		"at the end of a page of one":    {40, []int{39}, 39, 30, 30},
		"at the beginning":               {40, []int{0}, 0, 14, 14},
		"two, far from one another":      {400, []int{10, 300}, 10, 40, 20},
		"two at the ends of a long one":  {400, []int{0, 399}, 0, 47, 47},
	} {
		w, l := newMemoryStrava(t, tc.size)
		l.watched()
		for _, i := range tc.corrupt {
			l.entries[i].corrupt = true
		}
		e := &l.entries[tc.corrupt[0]]
		e.start, e.StartDate = l.entries[tc.sameSecond].start, l.entries[tc.sameSecond].StartDate
		l.begin()
		lists := []int{}
		for range 5 {
			lists = append(lists, l.scan(100))
			w.clock.Advance(30 * time.Hour)
		}
		if lists[0] > tc.first || slices.Max(lists[1:]) > tc.rest {
			t.Errorf("%s: %v lists", name, lists)
		}
	}
}

// TestPagesGrowAgain once those that failed are passed.
func TestPagesGrowAgain(t *testing.T) {
	_, l := newMemoryStrava(t, 1000)
	l.answer = func(req gathering.PageRequest, page gathering.Page, err error) (gathering.Page, error) {
		if l.lists <= 6 {
			return gathering.Page{}, gathering.ErrUnavailable
		}
		return page, err
	}
	l.begin()
	if n := l.scan(100); n > 6+5+5+2+2+2+6 {
		t.Errorf("%d lists", n)
	}
}

// TestASecondWithManyActivitiesIsPassed: neither a smaller page nor a later
// beginning goes around the one that Strava fails to show.
func TestASecondWithManyActivitiesIsPassed(t *testing.T) {
	_, l := newMemoryStrava(t, 0)
	l.watched()
	l.emptyPages = true
	for range 60 {
		l.add(start)
	}
	for i := range 30 {
		l.entries[i+1].hidden = true
	}
	l.entries[32].corrupt = true
	l.begin()
	l.scan(150)
}

// TestAHoleThatHiddenActivitiesFillIsRead: one of its activities can be shown
// again, behind those that the application may not see.
func TestAHoleThatHiddenActivitiesFillIsRead(t *testing.T) {
	w, l := newMemoryStrava(t, 40)
	a := l.watched()
	l.emptyPages = true
	for i := range l.entries {
		l.entries[i].hidden, l.entries[i].corrupt = i > 4 && i < 15, i == 15 || i == 16
	}
	l.begin()
	l.scan(60)
	w.clock.Advance(30 * time.Hour)
	l.entries[15].corrupt = false
	l.scan(60)
	if w.planes.held[l.id][l.entries[15].ID].activity == nil || a.scans != 2 {
		t.Error("the activity was not read")
	}
}

// TestAHoleKeepsItsNeighbours though none of its activities can be shown.
func TestAHoleKeepsItsNeighbours(t *testing.T) {
	w, l := newMemoryStrava(t, 40)
	l.watched()
	for i := range 3 {
		l.entries[10+i].corrupt = true
	}
	l.begin()
	l.scan(60)
	w.clock.Advance(30 * time.Hour)
	l.add(l.entries[11].start.Add(time.Hour))
	l.entries[11].corrupt = true
	l.scan(60)
	if h := w.stored(l.id).Holes; len(h) != 1 || h[0].NewerID != l.entries[9].ID || h[0].OlderID != l.entries[14].ID {
		t.Errorf("the holes are %+v", h)
	}
}

// TestAnEmptyPageAfterAFullOneIsReadAgain although the full one began with the
// activity that the page before ended with.
func TestAnEmptyPageAfterAFullOneIsReadAgain(t *testing.T) {
	w, l := newMemoryStrava(t, 650)
	l.watched()
	l.entries[500].corrupt = true
	l.begin()
	l.scan(60)
	w.clock.Advance(30 * time.Hour)
	l.entries[10].corrupt = true
	wrong := 0
	l.answer = func(req gathering.PageRequest, page gathering.Page, err error) (gathering.Page, error) {
		if s := w.stored(l.id).Scan; wrong == 0 && req.Page == 2 && req.PerPage == gathering.PageSize && s.Stretches[0].To.Before(s.Cutoff) {
			wrong++
			return gathering.Page{}, nil
		}
		return page, err
	}
	l.scan(60)
	if wrong == 0 {
		t.Error("no page was empty")
	}
}

// TestAShortPageThatIsRepeatedEndsNoList: it is short because the application
// may not see one of its activities.
func TestAShortPageThatIsRepeatedEndsNoList(t *testing.T) {
	_, l := newMemoryStrava(t, 300)
	l.watched()
	l.entries[7].hidden = true
	l.answer = func(req gathering.PageRequest, page gathering.Page, err error) (gathering.Page, error) {
		if l.lists == 2 {
			req.Page = 1
			return l.page(req)
		}
		return page, err
	}
	l.begin()
	if n := l.scan(10); n != 4 {
		t.Errorf("%d lists", n)
	}
}

// TestADeletionChangesNoPageSize: pages of one activity would not begin where
// those of 200 ended.
func TestADeletionChangesNoPageSize(t *testing.T) {
	w, l := newMemoryStrava(t, 900)
	l.watched()
	for i := range 300 {
		l.entries[2*i].hidden = true
	}
	l.answer = func(_ gathering.PageRequest, page gathering.Page, err error) (gathering.Page, error) {
		w.clock.Advance(5 * time.Minute)
		if l.lists == 4 {
			id := l.entries[11].ID
			l.remove(id)
			w.receive(w.event(l.id, id, gathering.AspectDelete))
		}
		return page, err
	}
	l.begin()
	if n := l.scan(20); n > 8 {
		t.Errorf("%d lists", n)
	}
}
