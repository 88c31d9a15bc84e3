package gathering_test

import (
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// TestAnotherAthletesActivityIsNotTakenIn: Strava shows a public activity to
// every athlete by its id.
func TestAnotherAthletesActivityIsNotTakenIn(t *testing.T) {
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

func TestAGapIsDealtWithOnceAllScansArePlanned(t *testing.T) {
	const athletes = 510 // More than are looked at in one go.
	w := newWorld(t, plenty, histories(1)...)
	for id := range int64(athletes) {
		_, err := w.store.Update(t.Context(), id+1, func(a *gathering.Athlete) error {
			*a = gathering.Athlete{
				ID: id + 1, Generation: generation, State: gathering.Active, Scan: gathering.Scan{State: gatheringv1.ScanCompleted},
				Last: gathering.CompletedScan{Started: start, Finished: start, Pages: 1, Activities: 5},
				Job:  gathering.Job{Class: quota.Spare, Due: start.Add(day)},
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.clock.Advance(time.Hour)
	w.configure(subscription+1, 2)
	for planned := false; !planned; {
		if err := w.gatherer.PromoteScans(t.Context()); err != nil {
			t.Fatal(err)
		}
		waiting, err := w.store.Waiting(t.Context(), quota.Reconcile, w.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		webhook, err := w.store.Webhook(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if planned = webhook.Gap.Planned; planned != (waiting.Count == athletes) {
			t.Fatalf("of %d scans %d are planned again; dealt with: %v", athletes, waiting.Count, planned)
		}
	}
}

// TestAScanForTooManyHintsWaitsForTheClocks: a scan does not remove activities
// that were read within the minute before it.
func TestAScanForTooManyHintsWaitsForTheClocks(t *testing.T) {
	w, l := newLedger(t, 10)
	l.gather()
	w.clock.Advance(5 * time.Minute)
	w.receive(w.event(l.id, l.entries[0].ID, gathering.AspectUpdate))
	if _, err := w.store.UpdateInbox(t.Context(), l.id, func(m *gathering.Inbox) error { m.Overflowed = true; return nil }); err != nil {
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

func TestANewcomerWakesAGatherer(t *testing.T) {
	w, l := newLedger(t, 10)
	l.begin()
	if n := w.wakeups.Count(); n != 1 {
		t.Errorf("%d wake-ups", n)
	}
}

// TestOnlyFirstScansAreReportedAsWaiting: other athletes have a history to look
// at.
func TestOnlyFirstScansAreReportedAsWaiting(t *testing.T) {
	w, l := newLedger(t, 250)
	l.begin()
	for range 2 { // The profile and a page.
		if _, err := w.gatherer.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, first := range []bool{false, true} {
		_, err := w.store.Update(t.Context(), l.id, func(a *gathering.Athlete) error { a.Scan.First = first; return nil })
		if err != nil {
			t.Fatal(err)
		}
		before := len(w.progress(l.id))
		w.starve(quota.Classes...)
		w.work()
		if reported := len(w.progress(l.id)) > before; reported != first {
			t.Errorf("first scan %v: reported %v", first, reported)
		}
	}
}
