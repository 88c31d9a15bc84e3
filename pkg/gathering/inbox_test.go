package gathering_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/kittest"
	"github.com/paceline/paceline/standin/strava"
)

// current returns a world in which one athlete's history of n activities is
// gathered. calls counts API calls since then.
func current(t *testing.T, n int) (w *world, id int64, calls func() int) {
	t.Helper()
	w = newWorld(t, plenty, histories(n, 10)...)
	id = w.athlete(0)
	w.gather(id)
	w.pass(5 * time.Minute)
	total := func() int {
		return w.lists(id) + w.rereads(id) + w.strava.Counters().Total(strava.EndpointAthlete, id)
	}
	before := total()
	return w, id, func() int { return total() - before }
}

func (w *world) add(id int64, a strava.NewActivity) int64 {
	w.t.Helper()
	added, err := w.strava.AddActivity(id, a)
	if err != nil {
		w.t.Fatal(err)
	}
	return added
}

func (w *world) rename(id, activityID int64, name string) {
	w.t.Helper()
	if err := w.strava.EditActivity(id, activityID, strava.Edit{Name: &name}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) remove(id, activityID int64) {
	w.t.Helper()
	if err := w.strava.DeleteActivity(id, activityID); err != nil {
		w.t.Fatal(err)
	}
}

func TestTwentyCreatesTakeFewCalls(t *testing.T) {
	for spacing, most := range map[time.Duration]int{0: 2, 500 * time.Millisecond: 2, 3 * time.Second: 5} {
		w, id, calls := current(t, 250)
		for range 20 {
			w.receive(w.event(id, w.add(id, strava.NewActivity{}), gathering.AspectCreate))
			w.work() // A gatherer is woken by each.
			w.clock.Advance(spacing)
		}
		w.passSeconds(15 * time.Second)
		w.same(id) // The last one shows within 15 s.
		w.pass(10 * time.Minute)
		if n := calls(); n > most {
			t.Errorf("every %s: %d calls", spacing, n)
		}
		w.same(id)
		if m := w.inbox(id); len(m.Hints) != 0 || m.Job.Class != "" {
			t.Errorf("every %s: left %+v", spacing, m)
		}
	}
}

func TestAReplayedEventCostsNothing(t *testing.T) {
	w, id, calls := current(t, 250)
	n := w.event(id, w.truth(id)[5].ID, gathering.AspectUpdate)
	n.Updates = map[string]any{"title": "Messy"}
	w.receive(n)
	w.pass(time.Minute)
	if got := calls(); got != 1 {
		t.Errorf("%d calls for an update", got)
	}
	for range 3 {
		w.receive(n)
		w.pass(24 * time.Minute)
	}
	if got := calls(); got != 1 {
		t.Errorf("%d calls with replays", got)
	}
	if d, m := w.metrics.Of(metric.WebhookDuplicates), w.metrics.Of(metric.WebhookEvents); d != 3 || m != 1 {
		t.Errorf("%d duplicates, %d delivered", d, m)
	}
	if n, err := w.store.WebhookEvents(t.Context(), w.clock.Now()); err != nil || n != 1 {
		t.Errorf("%d are in the status, %v", n, err)
	}
	// Another edit at the same time is another event.
	n.Updates = map[string]any{"title": "Tidy"}
	w.receive(n)
	w.pass(time.Minute)
	if got := calls(); got != 2 {
		t.Errorf("%d calls with another edit", got)
	}
}

func TestHintsCoalesce(t *testing.T) {
	for name, tc := range map[string]struct {
		hurt         func(w *world, id int64, history []strava.Activity)
		lists, reads int
	}{
		"an old activity is renamed": {func(w *world, id int64, h []strava.Activity) {
			w.rename(id, h[450].ID, "Renamed")
			w.receive(w.event(id, h[450].ID, gathering.AspectUpdate))
		}, 0, 1},
		"an activity is edited again and again": {func(w *world, id int64, h []strava.Activity) {
			for i := range 5 {
				w.rename(id, h[3].ID, "Renamed "+string(rune('a'+i)))
				n := w.event(id, h[3].ID, gathering.AspectUpdate)
				n.EventTime += int64(i)
				w.receive(n)
			}
		}, 0, 1},
		"several recent ones are edited": {func(w *world, id int64, h []strava.Activity) {
			for _, a := range h[:30] {
				w.rename(id, a.ID, "Renamed")
				w.receive(w.event(id, a.ID, gathering.AspectUpdate))
			}
		}, 1, 0},
		"a recent and two old ones": {func(w *world, id int64, h []strava.Activity) {
			for _, i := range []int{3, 300, 400} {
				w.rename(id, h[i].ID, "Renamed")
				w.receive(w.event(id, h[i].ID, gathering.AspectUpdate))
			}
		}, 1, 2},
		"one is deleted": {func(w *world, id int64, h []strava.Activity) {
			w.remove(id, h[300].ID)
			w.receive(w.event(id, h[300].ID, gathering.AspectDelete))
		}, 0, 1},
		"made and deleted at once": {func(w *world, id int64, _ []strava.Activity) {
			a := w.add(id, strava.NewActivity{})
			w.remove(id, a)
			w.receive(w.event(id, a, gathering.AspectDelete))
			w.receive(w.event(id, a, gathering.AspectCreate))
		}, 0, 1},
		"all but a few are deleted": {func(w *world, id int64, h []strava.Activity) {
			for _, a := range h[4:] {
				w.remove(id, a.ID)
				w.receive(w.event(id, a.ID, gathering.AspectDelete))
			}
		}, 4, 3}, // The few, the empty page three times, and a sample of the others.
		"one is uploaded that is years old": {func(w *world, id int64, _ []strava.Activity) {
			a := w.add(id, strava.NewActivity{Start: w.clock.Now().Add(-5 * 365 * 24 * time.Hour)})
			w.receive(w.event(id, a, gathering.AspectCreate))
		}, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w, id, _ := current(t, 500)
			lists, reads := w.lists(id), w.rereads(id)
			tc.hurt(w, id, w.truth(id))
			w.pass(15 * time.Minute)
			w.same(id)
			if l, r := w.lists(id)-lists, w.rereads(id)-reads; l != tc.lists || r != tc.reads {
				t.Errorf("%d lists and %d re-reads, want %d and %d", l, r, tc.lists, tc.reads)
			}
		})
	}
}

func TestEditsShowAtOnceAndAreBounded(t *testing.T) {
	w, id, calls := current(t, 250)
	h := w.truth(id)
	for i := range 10 {
		w.rename(id, h[i].ID, "Renamed")
		w.receive(w.event(id, h[i].ID, gathering.AspectUpdate))
		w.clock.Advance(time.Second)
		w.work()
		if i < 5 && w.differs(id) != nil {
			t.Errorf("edit %d is not published", i)
		}
	}
	if n := calls(); n > 6 {
		t.Errorf("%d calls within 10 s", n)
	}
	w.pass(2 * time.Minute)
	w.same(id)
}

func TestAForgedDeletionDestroysNothing(t *testing.T) {
	w, id, calls := current(t, 250)
	other := w.truth(w.athlete(1))[0].ID
	w.receive(w.event(id, w.truth(id)[0].ID, gathering.AspectDelete))
	w.pass(time.Minute)
	w.same(id)
	if f := eventtest.Facts[gatheringv1.ActivityGone](w.bus); len(f) != 0 {
		t.Errorf("gone: %+v", f)
	}
	// Another athlete's activity is not this athlete's.
	w.receive(w.event(id, other, gathering.AspectUpdate))
	w.pass(time.Minute)
	w.same(id)
	w.pass(2 * time.Minute)
	if n := calls(); n != 3 { // One answer that it is not visible is not enough.
		t.Errorf("%d calls", n)
	}
}

func TestANewActivityIsWaitedFor(t *testing.T) {
	for name, tc := range map[string]struct {
		ready time.Duration
		calls int
	}{
		"it takes a little":    {20 * time.Second, 2},
		"it takes a while":     {5 * time.Minute, 3},
		"it never comes about": {-1, 3},
	} {
		w, id, calls := current(t, 250)
		var a int64
		if tc.ready < 0 {
			a = w.add(id, strava.NewActivity{})
			w.remove(id, a)
		} else {
			a = w.add(id, strava.NewActivity{ReadyAfter: strava.Duration(tc.ready)})
		}
		w.receive(w.event(id, a, gathering.AspectCreate))
		w.pass(20 * time.Minute)
		w.same(id)
		if n := calls(); n != tc.calls {
			t.Errorf("%s: %d calls, want %d", name, n, tc.calls)
		}
		gone := eventtest.Facts[gatheringv1.ActivityGone](w.bus)
		if tc.ready < 0 != (len(gone) == 1) {
			t.Errorf("%s: gone: %+v", name, gone)
		}
		if m := w.inbox(id); len(m.Hints) != 0 {
			t.Errorf("%s: left %+v", name, m.Hints)
		}
	}
}

func TestStormOfOneAthleteIsOneScan(t *testing.T) {
	w, id, _ := current(t, 700)
	lists, reads := w.lists(id), w.rereads(id)
	for i, a := range w.truth(id) {
		if i%2 == 0 {
			w.remove(id, a.ID)
			w.receive(w.event(id, a.ID, gathering.AspectDelete))
		}
	}
	w.pass(5 * time.Minute)
	w.same(id)
	if l, r := w.lists(id)-lists, w.rereads(id)-reads; l != 5 || r != 3 { // Two pages, the empty one three times, and a sample.
		t.Errorf("%d lists, %d re-reads", l, r)
	}
}

// TestManyDeletionsRightAfterAReadingShow: a scan removes an activity only if
// it was last read well before the scan began, since clocks differ.
func TestManyDeletionsRightAfterAReadingShow(t *testing.T) {
	for name, read := range map[string]func(*world, int64){
		"a list": func(w *world, id int64) {
			w.receive(w.event(id, w.add(id, strava.NewActivity{}), gathering.AspectCreate))
			w.work()
		},
		"a scan": func(w *world, id int64) {
			w.clock.Advance(30 * time.Hour)
			w.work()
		},
	} {
		for _, deletions := range []int{9, 50} {
			w, id, calls := current(t, 250)
			read(w, id)
			before := calls()
			for _, a := range w.truth(id)[:deletions] {
				w.clock.Advance(200 * time.Millisecond)
				w.remove(id, a.ID)
				w.receive(w.event(id, a.ID, gathering.AspectDelete))
				w.work()
			}
			w.pass(10 * time.Minute)
			if err := w.differs(id); err != nil {
				t.Errorf("%d after %s: %v", deletions, name, err)
			}
			// Five re-reads, a scan for them or two, the end of one twice, and a sample
			// of what it missed.
			if n := calls() - before; before == 0 || n > 5+4+5+3 {
				t.Errorf("%d after %s: %d calls", deletions, name, n)
			}
		}
	}
}

// TestAnActivityThatStravaFailsToShowHoldsNothingUp: Strava answers 500 for an
// activity that is corrupt.
func TestAnActivityThatStravaFailsToShowHoldsNothingUp(t *testing.T) {
	w, id, _ := current(t, 500)
	h := w.truth(id)
	w.gatherer.Strava = corrupt{w.gatherer.Strava, h[300].ID}
	for i := 300; i < 304; i++ {
		w.rename(id, h[i].ID, "Renamed")
		w.receive(w.event(id, h[i].ID, gathering.AspectUpdate))
	}
	left := func() {
		t.Helper()
		if m := w.inbox(id); len(m.Hints) != 1 || m.Hints[0].ActivityID != h[300].ID {
			t.Errorf("left %+v", m.Hints)
		}
	}
	w.pass(time.Minute)
	left()
	w.gather(w.athlete(1)) // Strava works for others.
	w.pass(90 * time.Minute)
	if n := w.metrics.Of(metric.Quarantined); n != 1 {
		t.Errorf("%d quarantined", n)
	}
	// What comes later is not held up, and the sick one costs little.
	before := w.rereads(id)
	w.rename(id, h[310].ID, "Renamed")
	w.receive(w.event(id, h[310].ID, gathering.AspectUpdate))
	w.work()
	left()
	w.pass(12 * time.Hour)
	if n := w.rereads(id) - before; n != 1 {
		t.Errorf("%d re-reads", n)
	}
	w.gatherer.Strava = w.gatherer.Strava.(corrupt).Strava
	w.pass(13 * time.Hour)
	w.same(id)
}

func TestTheNewestActivityMayFailWithoutHoldingUpNewOnes(t *testing.T) {
	for name, test := range map[string]struct {
		uploads int
		ask     bool
		within  time.Duration
	}{
		"a few uploads":                   {uploads: 3, within: 20 * time.Second},
		"many uploads":                    {uploads: 12, within: 20 * time.Minute},
		"and the athlete asks for newest": {uploads: 1, ask: true, within: 20 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			w, id, _ := current(t, 250)
			sick := w.truth(id)[0]
			if err := w.strava.CorruptActivity(id, sick.ID); err != nil {
				t.Fatal(err)
			}
			if test.ask {
				if err := w.authorizations.RequestGather(t.Context(), authorization(id, generation)); err != nil {
					t.Fatal(err)
				}
			}
			for i := range test.uploads {
				// All of them began before the one that fails.
				a := w.add(id, strava.NewActivity{Start: sick.Start.Add(-time.Duration(i+1) * time.Hour)})
				w.receive(w.event(id, a, gathering.AspectCreate))
			}
			w.work()
			w.gather(w.athlete(1)) // Strava works for others.
			w.passSeconds(test.within)
			w.same(id)
			if m := w.inbox(id); len(m.Hints) != 0 || m.Job.Class != "" {
				t.Errorf("left %+v", m)
			}
			if n := w.metrics.Of(metric.Quarantined); n != 0 {
				t.Errorf("%d quarantined", n)
			}
		})
	}
}

// TestAnActivityWithoutAReadableStartHarmsNoOther: it is itself kept as it was.
func TestAnActivityWithoutAReadableStartHarmsNoOther(t *testing.T) {
	w, id, calls := current(t, 250)
	odd, other := w.truth(id)[3].ID, w.truth(id)[4].ID
	start := regexp.MustCompile(fmt.Sprintf(`("id":%d,.*?"start_date":)"[^"]*"`, odd))
	w.bend(func(_ credentialsv1.ForwardRequest, res *credentialsv1.ForwardResponse) {
		res.Body = start.ReplaceAllString(res.Body, `$1"yesterday"`)
	})
	before := w.plane(id)[odd]
	w.receive(w.event(id, odd, gathering.AspectUpdate))
	w.work()
	if n := calls(); n != 1 || len(w.inbox(id).Hints) != 1 {
		t.Errorf("%d calls, left %+v", n, w.inbox(id).Hints)
	}
	w.rename(id, other, "Renamed")
	w.until("all is read again", func() bool { return w.completed(id) == 2 })
	w.pass(time.Hour)
	if got := w.plane(id); len(got) != 250 || got[odd].StartDate != before.StartDate || got[other].Name != "Renamed" {
		t.Errorf("%d activities; the odd one %+v; the other %+v", len(got), got[odd], got[other])
	}
	if n := w.metrics.Of(metric.ActivitiesUnreadable); n != 1 {
		t.Errorf("%d counted", n)
	}
	if holes := w.stored(id).Holes; len(holes) != 0 {
		t.Errorf("the scan goes around %+v", holes)
	}
}

func TestUnreadableMembersAreOmitted(t *testing.T) {
	w, id, _ := current(t, 250)
	odd := w.truth(id)[3].ID
	if err := w.strava.SetFields(id, odd, map[string]json.RawMessage{"distance": json.RawMessage("1e12"), "name": json.RawMessage(`"Renamed"`)}); err != nil {
		t.Fatal(err)
	}
	w.receive(w.event(id, odd, gathering.AspectUpdate))
	w.work()
	w.until("all is read again", func() bool { return w.completed(id) == 2 })
	if got := w.plane(id); len(got) != 250 || got[odd].Name != "Renamed" || got[odd].Distance != 0 {
		t.Errorf("%d activities; the odd one %+v", len(got), got[odd])
	}
	if n := w.metrics.Of(metric.MembersUnreadable); n != 1 { // By the scan.
		t.Errorf("%d counted", n)
	}
}

func TestDeauthorizationsAreReportedWithoutQuota(t *testing.T) {
	w, id, calls := current(t, 250)
	w.starve(quota.Classes...)
	n := gathering.WebhookEvent{
		ObjectType: "athlete", ObjectID: id, AspectType: "update", OwnerID: id, SubscriptionID: subscription,
		EventTime: 1_790_000_000, Updates: map[string]any{"authorized": "false"},
	}
	w.receive(w.event(id, w.truth(id)[0].ID, gathering.AspectUpdate))
	w.work()
	w.receive(n)
	w.work()
	w.receive(n) // Again.
	w.work()
	want := []gatheringv1.DeauthorizationReported{{AthleteID: id, EventTime: 1_790_000_000}}
	if got := eventtest.Facts[gatheringv1.DeauthorizationReported](w.bus); !slices.Equal(got, want) {
		t.Errorf("reported %+v", got)
	}
	if m := w.inbox(id); len(m.Hints) != 1 || m.Job.Class != quota.Webhook {
		t.Errorf("left %+v", m)
	}
	if calls() != 0 {
		t.Error("there were calls")
	}
	// An athlete whom only credentials may know.
	n.OwnerID, n.ObjectID = 99, 99
	w.receive(n)
	if got := eventtest.Facts[gatheringv1.DeauthorizationReported](w.bus); len(got) != 2 || got[1].AthleteID != 99 {
		t.Errorf("reported %+v", got)
	}
}

func TestHintsOfADegradedAthleteAreDropped(t *testing.T) {
	w, id, _ := current(t, 250)
	w.outcome = credentialsv1.OutcomeDegraded
	w.receive(w.event(id, w.truth(id)[0].ID, gathering.AspectUpdate))
	w.pass(time.Minute)
	if m := w.inbox(id); len(m.Hints) != 0 || m.Job.Class != "" {
		t.Errorf("left %+v", m)
	}
}

func TestAHintThatFailsIsTriedAgain(t *testing.T) {
	for _, outcome := range []string{credentialsv1.OutcomeUnavailable, credentialsv1.OutcomeApplication} {
		w, id, _ := current(t, 250)
		a := w.truth(id)[0].ID
		w.rename(id, a, "Renamed")
		w.outcome = outcome
		w.receive(w.event(id, a, gathering.AspectUpdate))
		w.pass(10 * time.Hour)
		w.outcome = ""
		w.pass(2 * time.Hour)
		w.same(id)
		if n := w.metrics.Of(metric.Quarantined); n != 0 {
			t.Errorf("%s: %d quarantined although it is not their fault", outcome, n)
		}
	}
}

func TestAGatherRequestShowsTheNewestActivities(t *testing.T) {
	w, id, calls := current(t, 250)
	a := w.truth(id)[3].ID
	w.rename(id, a, "No webhook reported it")
	ask := func(generation int64) {
		t.Helper()
		if err := w.authorizations.RequestGather(t.Context(), authorization(id, generation)); err != nil {
			t.Fatal(err)
		}
	}
	ask(generation + 1) // A generation that does not exist.
	w.work()
	if n := calls(); n != 0 {
		t.Errorf("%d calls", n)
	}
	woken := w.wakeups.Count()
	ask(generation)
	ask(generation) // The event comes twice.
	if m := w.inbox(id); m.Job.Class != quota.Interactive || w.wakeups.Count() != woken+2 {
		t.Errorf("inbox %+v", m)
	}
	w.work()
	w.same(id)
	ask(generation) // Again so soon: it waits.
	w.work()
	if n := calls(); n != 1 {
		t.Errorf("%d calls", n)
	}
	// Together with a more urgent hint it is one action.
	w.rename(id, a, "Renamed")
	w.receive(w.event(id, a, gathering.AspectUpdate))
	w.pass(2 * time.Minute)
	w.same(id)
	if n := calls(); n != 2 {
		t.Errorf("%d calls at the end", n)
	}
	if m := w.inbox(id); m.GatherRequested || m.Job.Class != "" {
		t.Errorf("left %+v", m)
	}
}

// TestAQuestionIsAnsweredAlthoughOneOfItsSampleCannotBeRead: the others are
// enough. If none can be read, nothing is removed.
func TestAQuestionIsAnsweredAlthoughOneOfItsSampleCannotBeRead(t *testing.T) {
	for name, tc := range map[string]struct {
		unreadable func(sampled int) bool
		left       int
	}{
		"one cannot be read": {func(n int) bool { return n == 0 }, 200},
		"none can":           {func(int) bool { return true }, 700},
	} {
		t.Run(name, func(t *testing.T) {
			w, id, _ := current(t, 700)
			w.gather(w.athlete(1))
			for _, a := range w.truth(id)[:500] {
				w.remove(id, a.ID)
			}
			sampled := map[string]int{}
			w.bend(func(req credentialsv1.ForwardRequest, res *credentialsv1.ForwardResponse) {
				if req.AthleteID != id || !strings.HasPrefix(req.Path, "/activities/") {
					return
				}
				if _, seen := sampled[req.Path]; !seen {
					sampled[req.Path] = len(sampled)
				}
				if tc.unreadable(sampled[req.Path]) {
					res.Status, res.Body = 500, `{"message":"error"}`
				}
			})
			scans := w.completed(id)
			w.until("all is read again", func() bool { return w.completed(id) > scans })
			w.pass(8 * time.Hour)
			if n := len(w.plane(id)); n != tc.left || len(sampled) < 3 {
				t.Errorf("%d are left, %d were sampled", n, len(sampled))
			}
			if q := w.inbox(id).Question; q != (gathering.Question{}) {
				t.Errorf("the question is still open: %+v", q)
			}
		})
	}
}

// TestAnotherAthletesActivityIsNotPublished: Strava shows a public activity to
// every athlete by its id.
func TestAnotherAthletesActivityIsNotPublished(t *testing.T) {
	settings := plenty
	settings.Lenient = true
	w := newWorld(t, settings, histories(10, 10)...)
	id, other := w.athlete(0), w.athlete(1)
	w.gather(id)
	foreign := w.truth(other)[3].ID
	for _, aspect := range []string{gathering.AspectUpdate, gathering.AspectDelete, gathering.AspectCreate} {
		before := w.rereads(id)
		w.receive(w.event(id, foreign, aspect))
		w.pass(30 * time.Minute)
		if w.rereads(id) == before || w.answers(404) != 0 {
			t.Errorf("%s: %d re-reads, %d answered with 404", aspect, w.rereads(id)-before, w.answers(404))
		}
		w.same(id)
	}
}

// TestAScanForTooManyHintsWaitsForTheClocks: a scan does not remove activities
// that were read within the minute before it.
func TestAScanForTooManyHintsWaitsForTheClocks(t *testing.T) {
	w, l := newMemoryStrava(t, 10)
	l.gather()
	w.clock.Advance(5 * time.Minute)
	w.receive(w.event(l.id, l.entries[0].ID, gathering.AspectUpdate))
	if _, err := w.store.UpdateInbox(t.Context(), l.id, func(m *gathering.Inbox) (bool, error) { m.Overflowed = true; return true, nil }); err != nil {
		t.Fatal(err)
	}
	w.work()
	if j := w.stored(l.id).Job; j.Class != quota.Webhook || j.Due.Before(w.clock.Now().Add(time.Minute)) {
		t.Errorf("at %s: %+v", w.clock.Now(), j)
	}
	if m := w.inbox(l.id); len(m.Hints) != 0 || m.Overflowed {
		t.Errorf("left %+v", m)
	}
}

// firstRead notes the activity that is re-read first.
type firstRead struct {
	gathering.Strava
	id *int64
}

func (s firstRead) Activity(ctx context.Context, by gathering.Authorization, activityID int64) (gatheringv1.Activity, gathering.Reading, error) {
	if *s.id == 0 {
		*s.id = activityID
	}
	return s.Strava.Activity(ctx, by, activityID)
}

// Of two activities that are due, the one that has failed goes last.
func TestAnActivityThatHasFailedGoesLast(t *testing.T) {
	w, id, _ := current(t, 500)
	h := w.truth(id)
	for _, a := range []int64{h[300].ID, h[301].ID} {
		w.receive(w.event(id, a, gathering.AspectUpdate))
	}
	_, err := w.store.UpdateInbox(t.Context(), id, func(m *gathering.Inbox) (bool, error) {
		for i := range m.Hints {
			m.Hints[i].Unlisted = true
		}
		m.Hints[0].Failures, m.Hints[0].FailingSince = 1, w.clock.Now()
		return true, nil
	})
	kittest.Must(t, err)
	var first int64
	w.gatherer.Strava = firstRead{w.gatherer.Strava, &first}
	w.work()
	if first != h[301].ID {
		t.Errorf("the activity %d is read first, of %d and %d", first, h[300].ID, h[301].ID)
	}
}

// A scan that missed an activity which Strava still shows was wrong: the history
// is read again in a minute, in smaller pages.
func TestAScanThatMissedAnActivityIsRepeatedSoon(t *testing.T) {
	w, id, _ := current(t, 10)
	scan := w.stored(id).Scan.ID
	kittest.Must(t, w.authorizations.Recheck(t.Context(), authorization(id, generation), scan, []int64{w.truth(id)[5].ID}))
	w.work()
	a := w.stored(id)
	if a.WrongScans != 1 || a.Scan.ID == scan || a.Job.Class != quota.Reconcile || a.Job.Due.After(w.clock.Now().Add(time.Minute)) {
		t.Errorf("%d wrong scans, the next is due at %s, now is %s", a.WrongScans, a.Job.Due, w.clock.Now())
	}
	w.pass(5 * time.Minute)
	if a := w.stored(id); a.Scan.LargestSize >= gathering.PageSize || a.Scan.State != gatheringv1.ScanCompleted {
		t.Errorf("the next scan is %s, in pages of %d", a.Scan.State, a.Scan.LargestSize)
	}
}
