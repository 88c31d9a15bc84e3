package gathering_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/test/strava"
)

// gathered returns the ids of all activities passed on, and checks that the
// scan's chunks are numbered without a gap.
func gathered(t *testing.T, w *world) map[int64]int {
	t.Helper()
	ids := map[int64]int{}
	chunks := map[int]bool{}
	for _, f := range eventtest.Facts[gatheringv1.ActivitiesGathered](w.bus) {
		if f.Chunk != nil {
			chunks[f.Chunk.Number] = true
		}
		if len(f.Activities) > gatheringv1.MaxActivities {
			t.Errorf("%d activities in an event", len(f.Activities))
		}
		for _, a := range f.Activities {
			ids[a.ID]++
		}
	}
	for n := range len(chunks) {
		if !chunks[n] {
			t.Errorf("chunk %d of %d is missing", n, len(chunks))
		}
	}
	progress := eventtest.Facts[gatheringv1.ScanProgressed](w.bus)
	if last := progress[len(progress)-1]; last.State == gatheringv1.ScanCompleted && last.Chunks != len(chunks) {
		t.Errorf("%d chunks announced, %d sent", last.Chunks, len(chunks))
	}
	return ids
}

func (w *world) truth(id int64) []strava.Activity {
	w.t.Helper()
	list, err := w.strava.Activities(id)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func TestScanGathersEveryActivityOnce(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	w.begin(id)
	w.workUntilIdle()
	ids := gathered(t, w)
	truth := w.truth(id)
	for _, a := range truth {
		if ids[a.ID] != 1 {
			t.Errorf("activity %d came %d times", a.ID, ids[a.ID])
		}
	}
	if len(ids) != len(truth) {
		t.Errorf("%d activities of %d", len(ids), len(truth))
	}
	want := (len(truth)+gathering.PageSize-1)/gathering.PageSize + 1
	if n := w.strava.Counters().Total(strava.EndpointActivities, id); n != want {
		t.Errorf("%d list calls, want %d", n, want)
	}
	progress := eventtest.Facts[gatheringv1.ScanProgressed](w.bus)
	if last := progress[len(progress)-1]; last.State != gatheringv1.ScanCompleted || last.AthleteID != id || last.Generation != generation {
		t.Errorf("last progress %+v", last)
	}
	for i := 1; i < len(progress); i++ {
		if progress[i].Sequence <= progress[i-1].Sequence {
			t.Errorf("sequence %d after %d", progress[i].Sequence, progress[i-1].Sequence)
		}
	}
	if profiles := eventtest.Facts[gatheringv1.AthleteGathered](w.bus); len(profiles) != 1 || profiles[0].Athlete.ID != id || profiles[0].Athlete.Firstname == "" {
		t.Errorf("profile %+v", profiles)
	}
}

func TestNothingOfPlaceLeavesTheEdge(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	w.begin(w.athlete(0))
	w.workUntilIdle()
	for _, a := range w.truth(w.athlete(0))[:3] {
		if err := w.gatherer.Do(t.Context(), gathering.Job{Kind: gathering.KindActivity, AthleteID: w.athlete(0), ActivityID: a.ID, Aspect: "update"}); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.bus.Events()) < 4 {
		t.Fatal("nothing was passed on")
	}
	for _, e := range w.bus.Events() {
		b, err := e.Detail()
		if err != nil {
			t.Fatal(err)
		}
		var detail map[string]any
		if err := json.Unmarshal(b, &detail); err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"SYNTHETICPOLYLINE", "polyline", "latlng", "location_", `"city"`, `"country"`, `"map"`} {
			if strings.Contains(string(b), word) {
				t.Errorf("%s holds %q", e.Fact.DetailType(), word)
			}
		}
	}
}

func TestNoCallOnceTheWindowIsSpent(t *testing.T) {
	w := newWorld(t, strava.Settings{ReadLimit: strava.Limit{2, 1000}})
	id := w.athlete(0)
	w.begin(id)
	w.work() // Profile and one page: the quarter is spent.
	before := w.strava.Counters().Total("", id)
	progress := eventtest.Facts[gatheringv1.ScanProgressed](w.bus)
	last := progress[len(progress)-1]
	quarter := time.Date(2026, 11, 22, 10, 15, 0, 0, time.UTC)
	if last.State != gatheringv1.ScanWaiting || last.WaitingFor != gatheringv1.WaitingForQuota || last.ResumesAt == nil || !last.ResumesAt.Equal(quarter) {
		t.Fatalf("progress %+v", last)
	}
	w.clock.Advance(quarter.Sub(w.clock.Now()) - time.Second)
	w.work()
	if n := w.strava.Counters().Total("", id); n != before {
		t.Errorf("%d calls were made in a spent window", n-before)
	}
	w.workUntilIdle()
	if len(gathered(t, w)) != len(w.truth(id)) {
		t.Error("the scan did not complete")
	}
	if n := status(w, 429); n != 0 {
		t.Errorf("%d calls refused for the rate limit", n)
	}
}

func status(w *world, code int) (n int) {
	for _, c := range w.strava.Counters().Calls {
		if c.Status == code {
			n += c.Count
		}
	}
	return n
}

func TestTheDayIsObserved(t *testing.T) {
	w := newWorld(t, strava.Settings{ReadLimit: strava.Limit{100, 2}})
	id := w.athlete(0)
	w.begin(id)
	w.workUntilIdle()
	if len(gathered(t, w)) != len(w.truth(id)) {
		t.Error("the scan did not complete")
	}
	if n := status(w, 429); n != 0 {
		t.Errorf("%d calls refused for the rate limit", n)
	}
	if w.clock.Now().Day() == 22 {
		t.Error("it did not wait for the next day")
	}
}

func TestA429WithoutHeadersPausesEverybody(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	w.begin(w.athlete(0))
	if err := w.strava.Inject(strava.Fault{Endpoint: "api", Kind: strava.Fault429}); err != nil {
		t.Fatal(err)
	}
	w.work()
	if n := w.strava.Counters().Total("", w.athlete(0)); n != 2 { // The exchange of the code and the refused call.
		t.Errorf("%d calls", n)
	}
	w.workUntilIdle()
	if len(gathered(t, w)) != len(w.truth(w.athlete(0))) {
		t.Error("the scan did not complete")
	}
}

func TestScanSurvivesFaults(t *testing.T) {
	for _, kind := range []strava.FaultKind{strava.Fault500, strava.Fault502, strava.Fault503, strava.Fault597, strava.FaultReset, strava.FaultDrop} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t, strava.Settings{})
			id := w.athlete(0)
			w.begin(id)
			if err := w.strava.Inject(strava.Fault{Endpoint: strava.EndpointActivities, Kind: kind, Count: 3}); err != nil {
				t.Fatal(err)
			}
			w.workUntilIdle()
			if len(gathered(t, w)) != len(w.truth(id)) {
				t.Error("the scan did not complete")
			}
		})
	}
}

func TestAPageCutOffAnywhereIsTakenUpAgain(t *testing.T) {
	boom := errors.New("boom")
	for name, hurt := range map[string]func(*world, error){
		"publishing": func(w *world, err error) { w.bus.Fail(err) },
		"queueing":   func(w *world, err error) { w.queue.Fail = err },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, strava.Settings{})
			id := w.athlete(0)
			w.begin(id)
			for range 10_000 {
				job, ok := w.queue.Take()
				if !ok {
					break
				}
				hurt(w, boom)
				first := w.gatherer.Do(t.Context(), job)
				hurt(w, nil)
				if first != nil { // SQS brings it again.
					if err := w.gatherer.Do(t.Context(), job); err != nil {
						t.Fatal(err)
					}
				}
			}
			if len(gathered(t, w)) != len(w.truth(id)) {
				t.Error("the scan did not complete")
			}
		})
	}
}

func TestJobsThatComeTwiceDoNotMultiply(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	w.begin(id)
	for range 10_000 {
		job, ok := w.queue.Take()
		if !ok {
			break
		}
		for range 2 {
			if err := w.gatherer.Do(t.Context(), job); err != nil {
				t.Fatal(err)
			}
		}
		if w.queue.Len() > 4 {
			t.Fatalf("%d jobs in the queue", w.queue.Len())
		}
	}
	if len(gathered(t, w)) != len(w.truth(id)) {
		t.Error("the scan did not complete")
	}
}

// notice does what the webhook's job does about one activity.
func (w *world) notice(id, activityID int64, aspect string) {
	w.t.Helper()
	if err := w.gatherer.Do(w.t.Context(), gathering.Job{Kind: gathering.KindActivity, AthleteID: id, ActivityID: activityID, Aspect: aspect}); err != nil {
		w.t.Fatal(err)
	}
}

func TestNoticesAreCheckedAtStrava(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id, other := w.athlete(0), w.athlete(1)
	w.begin(id)
	w.workUntilIdle()
	mine, others := w.truth(id)[0].ID, w.truth(other)[0].ID
	gone := func() []gatheringv1.ActivityGone { return eventtest.Facts[gatheringv1.ActivityGone](w.bus) }

	w.notice(id, mine, "delete") // Forged: it is still there.
	if len(gone()) != 0 {
		t.Error("a forged deletion was believed")
	}
	if err := w.strava.DeleteActivity(id, mine); err != nil {
		t.Fatal(err)
	}
	w.notice(id, mine, "delete")
	if got := gone(); len(got) != 1 || got[0].ActivityID != mine || got[0].AthleteID != id || !got[0].ReadAt.Equal(w.clock.Now()) {
		t.Errorf("gone: %+v", got)
	}
	before := len(eventtest.Facts[gatheringv1.ActivitiesGathered](w.bus))
	w.notice(id, others, "update")
	if n := len(eventtest.Facts[gatheringv1.ActivitiesGathered](w.bus)); n != before {
		t.Error("another athlete's activity was passed on as this one's")
	}
}

func TestAnActivityThatIsNotThereYetIsAskedForAgain(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	w.begin(id)
	w.workUntilIdle()
	activity := w.truth(id)[0].ID
	if err := w.strava.Inject(strava.Fault{Endpoint: strava.EndpointActivity, Kind: strava.Fault404, Count: 2}); err != nil {
		t.Fatal(err)
	}
	before := len(eventtest.Facts[gatheringv1.ActivitiesGathered](w.bus))
	w.notice(id, activity, "create")
	w.workUntilIdle()
	if n := len(eventtest.Facts[gatheringv1.ActivitiesGathered](w.bus)); n != before+1 {
		t.Errorf("%d readings", n-before)
	}
	if n := len(eventtest.Facts[gatheringv1.ActivityGone](w.bus)); n != 0 {
		t.Error("it was called gone")
	}
}

func TestNoticeForAStrangerIsDropped(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	w.notice(99, 1, "create")
	w.workUntilIdle()
	if n := len(w.bus.Events()); n != 0 {
		t.Errorf("%d events", n)
	}
}

func TestNoticeThatOvertakesTheNewsOfItsAthleteIsKept(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	w.notice(id, w.truth(id)[0].ID, "create")
	w.begin(id)
	w.workUntilIdle()
	if n := w.strava.Counters().Total(strava.EndpointActivity, id); n != 1 {
		t.Errorf("%d re-reads", n)
	}
}

func TestEndForgetsAndFences(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	w.begin(id)
	if err := w.authorizations.End(t.Context(), event.Meta{}, id, generation, "receipt"); err != nil {
		t.Fatal(err)
	}
	w.workUntilIdle()
	if n := w.strava.Counters().Total("api", id) + w.strava.Counters().Total(strava.EndpointActivities, id); n != 0 {
		t.Errorf("%d calls after the end", n)
	}
	// The news of the authorization comes again, late.
	if err := w.authorizations.Begin(t.Context(), event.Meta{}, id, generation); err != nil {
		t.Fatal(err)
	}
	if a, err := w.store.Athlete(t.Context(), id); err != nil || a.State != gathering.Revoked || a.Scan != (gathering.Scan{}) {
		t.Errorf("%+v %v", a, err)
	}
	if f := eventtest.Facts[gatheringv1.ErasureCompleted](w.bus); len(f) != 1 || f[0].Receipt != "receipt" {
		t.Errorf("confirmed %+v", f)
	}
	// A new authorization counts, and a late end of the old one does not.
	if err := w.authorizations.Begin(t.Context(), event.Meta{}, id, generation+1); err != nil {
		t.Fatal(err)
	}
	if err := w.authorizations.End(t.Context(), event.Meta{}, id, generation, "receipt"); err != nil {
		t.Fatal(err)
	}
	w.workUntilIdle()
	if len(gathered(t, w)) != len(w.truth(id)) {
		t.Error("the new authorization was not gathered")
	}
}

func TestOutcomesOfTheRequester(t *testing.T) {
	for outcome, want := range map[string]string{
		credentialsv1.OutcomeDegraded:    gatheringv1.WaitingForReconnect,
		credentialsv1.OutcomeApplication: gatheringv1.WaitingForApplication,
		credentialsv1.OutcomeUnavailable: gatheringv1.WaitingForStrava,
		credentialsv1.OutcomeRevoked:     "",
	} {
		w := newWorld(t, strava.Settings{})
		w.begin(w.athlete(0))
		w.outcome = outcome
		if n := w.work(); n != 0 {
			t.Errorf("%s: %d jobs failed", outcome, n)
		}
		progress := eventtest.Facts[gatheringv1.ScanProgressed](w.bus)
		if got := progress[len(progress)-1].WaitingFor; got != want {
			t.Errorf("%s: waiting for %q, want %q", outcome, got, want)
		}
	}
}

func TestAJobThatNeverSucceedsEndsInTheDeadLetters(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	w.begin(id)
	if err := w.strava.Inject(strava.Fault{Endpoint: strava.EndpointAthlete, Kind: strava.Fault500, Count: -1}); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for range 10_000 {
		failed += w.work()
		due, ok := w.queue.NextDue()
		if !ok {
			break
		}
		w.clock.Advance(due.Sub(w.clock.Now()))
	}
	if failed != 1 {
		t.Errorf("%d jobs failed", failed)
	}
	if len(gathered(t, w)) != len(w.truth(id)) {
		t.Error("it kept the scan from completing")
	}
}
