package gathering_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/standin/strava"
)

// memoryStrava is Strava in memory, of one athlete and without HTTP: fast
// enough for thousands of worlds.
type memoryStrava struct {
	w  *world
	id int64
	// entries are the athlete's activities, newest first.
	entries []entry
	nextID  int64
	// calls counts all calls, lists those for a page.
	calls, lists int
	// emptyPages says that a page is empty if all its activities are hidden. Strava
	// would otherwise skip it.
	emptyPages bool
	// answer, when not nil, may replace the answer to a list; it gets the true
	// one.
	answer func(gathering.PageRequest, gathering.Page, error) (gathering.Page, error)
	// refuse, when not nil, is the error of every call.
	refuse error
}

type entry struct {
	gatheringv1.Activity
	start time.Time
	// corrupt: Strava fails to show the activity, and every page that it is on.
	corrupt bool
	// anonymous: the page shows it without an id that can be read.
	anonymous bool
	// hidden: the application may not see the activity. Its page is shorter.
	hidden bool
}

// newMemoryStrava is a world whose Strava is a memoryStrava of n activities, a
// day apart.
func newMemoryStrava(t *testing.T, n int) (*world, *memoryStrava) {
	t.Helper()
	w := newWorld(t, plenty, histories(1)...)
	l := &memoryStrava{w: w, id: w.athlete(0), nextID: 1}
	for i := range n {
		l.add(start.Add(-time.Duration(i+1) * day))
	}
	w.gatherer.Strava = l
	return w, l
}

// add records an activity, the newest of those with the same start.
func (l *memoryStrava) add(at time.Time) int64 {
	at = at.UTC().Truncate(time.Second)
	id := l.nextID
	l.nextID++
	e := entry{start: at, Activity: gatheringv1.Activity{
		ID: id, Name: fmt.Sprint("Ride ", id), SportType: "Ride", Visibility: strava.Everyone,
		StartDate: at.Format(time.RFC3339), StartDateLocal: at.Format(time.RFC3339),
	}}
	i, _ := slices.BinarySearchFunc(l.entries, at, func(e entry, at time.Time) int { return at.Compare(e.start) })
	l.entries = slices.Insert(l.entries, i, e)
	return id
}

func (l *memoryStrava) index(id int64) int {
	return slices.IndexFunc(l.entries, func(e entry) bool { return e.ID == id })
}

func (l *memoryStrava) remove(id int64) {
	i := l.index(id)
	l.entries = slices.Delete(l.entries, i, i+1)
}

// begin starts to gather the athlete.
func (l *memoryStrava) begin() {
	l.w.t.Helper()
	if err := l.w.authorizations.Begin(l.w.t.Context(), l.w.news(), authorization(l.id, generation)); err != nil {
		l.w.t.Fatal(err)
	}
}

// gather begins and works until the whole history is there.
func (l *memoryStrava) gather() {
	l.w.t.Helper()
	l.begin()
	l.w.until("the history is gathered", func() bool { return l.w.completed(l.id) > 0 })
}

// call counts a call and returns its reading, and the error if it is refused.
func (l *memoryStrava) call() (gathering.Reading, error) {
	l.calls++
	now := l.w.clock.Now()
	r := gathering.Reading{At: now, Answer: quota.Answer{Began: now, Ended: now, Calls: 1}}
	if l.refuse != nil {
		r.Answer.Outcome = quota.Unknown
	}
	return r, l.refuse
}

// Athlete implements [gathering.Strava].
func (l *memoryStrava) Athlete(context.Context, gathering.Authorization) (gatheringv1.Athlete, gathering.Reading, error) {
	r, err := l.call()
	return gatheringv1.Athlete{ID: l.id, CreatedAt: "2012-01-02T03:04:05Z"}, r, err
}

// Activities implements [gathering.Strava].
func (l *memoryStrava) Activities(_ context.Context, _ gathering.Authorization, req gathering.PageRequest) (gathering.Page, gathering.Reading, error) {
	l.lists++
	r, err := l.call()
	if err != nil {
		return gathering.Page{}, r, err
	}
	page, err := l.page(req)
	if l.answer != nil {
		page, err = l.answer(req, page, err)
	}
	if err != nil {
		r.Answer.Outcome = quota.Unavailable
	}
	return page, r, err
}

func (l *memoryStrava) page(req gathering.PageRequest) (p gathering.Page, _ error) {
	var list []entry
	for _, e := range l.entries {
		if !e.start.Before(req.From) && e.start.Before(req.To) {
			list = append(list, e)
		}
	}
	page := 0
	for chunk := range slices.Chunk(list, req.PerPage) {
		chunk = slices.DeleteFunc(slices.Clone(chunk), func(e entry) bool { return e.hidden })
		if len(chunk) == 0 && !l.emptyPages {
			continue
		}
		if page++; page == req.Page {
			return show(chunk)
		}
	}
	return p, nil
}

// show returns a page with these entries.
func show(list []entry) (p gathering.Page, _ error) {
	for _, e := range list {
		switch {
		case e.corrupt:
			return gathering.Page{}, gathering.ErrUnavailable
		case e.anonymous:
			p.Unreadable = append(p.Unreadable, p.Entries)
		default:
			p.Activities = append(p.Activities, e.Activity)
		}
		p.Entries++
	}
	return p, nil
}

// Activity implements [gathering.Strava].
func (l *memoryStrava) Activity(_ context.Context, _ gathering.Authorization, activityID int64) (gatheringv1.Activity, gathering.Reading, error) {
	r, err := l.call()
	if err != nil {
		return gatheringv1.Activity{}, r, err
	}
	i := l.index(activityID)
	switch {
	case i < 0, l.entries[i].hidden:
		return gatheringv1.Activity{}, r, gathering.ErrNotVisible
	case l.entries[i].corrupt, l.entries[i].anonymous:
		r.Answer.Outcome = quota.Unavailable
		return gatheringv1.Activity{}, r, gathering.ErrUnavailable
	}
	return l.entries[i].Activity, r, nil
}

// differs returns an error if the planes differ from the memoryStrava.
// Activities that Strava does not show may be held or not.
func (l *memoryStrava) differs() error {
	rows := l.w.planes.held[l.id]
	for _, e := range l.entries {
		if a := rows[e.ID].activity; !e.corrupt && !e.anonymous && !e.hidden && (a == nil || *a != e.Activity) {
			return fmt.Errorf("activity %d, %q, is held as %+v", e.ID, e.Name, a)
		}
	}
	all := 0
	for _, r := range rows {
		if r.activity != nil {
			all++
		}
	}
	if gone := all - l.held(); gone != 0 {
		return fmt.Errorf("%d activities are held that are gone", gone)
	}
	return nil
}

// keep makes publishing fail the test if it removes an activity of the
// memoryStrava.
type keep struct {
	gathering.Publisher
	l *memoryStrava
}

func (k keep) Publish(ctx context.Context, events ...event.Event) error {
	held := k.l.held()
	err := k.Publisher.Publish(ctx, events...)
	if now := k.l.held(); now < held {
		k.l.w.t.Errorf("of %d activities that Strava holds and we held, %d are left", held, now)
	}
	return err
}

// held counts the activities of the memoryStrava that the planes hold.
func (l *memoryStrava) held() (n int) {
	rows := l.w.planes.held[l.id]
	for _, e := range l.entries {
		if rows[e.ID].activity != nil {
			n++
		}
	}
	return n
}
