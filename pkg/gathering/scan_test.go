package gathering_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/standin/strava"
)

func (w *world) progress(id int64) (list []gatheringv1.ScanProgressed) {
	for _, p := range eventtest.Facts[gatheringv1.ScanProgressed](w.bus) {
		if p.AthleteID == id {
			list = append(list, p)
		}
	}
	return list
}

func (w *world) lastProgress(id int64) gatheringv1.ScanProgressed {
	w.t.Helper()
	list := w.progress(id)
	if len(list) == 0 {
		w.t.Fatal("no progress was reported")
	}
	return list[len(list)-1]
}

func TestABackfillOf2000TakesElevenLists(t *testing.T) {
	w := newWorld(t, plenty, histories(2000)...)
	id := w.athlete(0)
	w.gather(id)
	if n := w.lists(id); n != 11 {
		t.Errorf("%d list calls", n)
	}
	w.same(id)
	seen := map[int64]int{}
	for _, f := range eventtest.Facts[gatheringv1.ActivitiesGathered](w.bus) {
		for _, a := range f.Activities {
			seen[a.ID]++
		}
	}
	for a, n := range seen {
		if n != 1 {
			t.Errorf("activity %d came %d times", a, n)
		}
	}
	progress := w.progress(id)
	for i, p := range progress {
		if i > 0 && p.Sequence <= progress[i-1].Sequence {
			t.Errorf("sequence %d after %d", p.Sequence, progress[i-1].Sequence)
		}
	}
	last := progress[len(progress)-1]
	if last.State != gatheringv1.ScanCompleted || last.Generation != generation || last.Chunks != 40 || last.Pages != 10 || last.Activities != 2000 || last.StartedAt == nil {
		t.Errorf("last progress %+v", last)
	}
	if profiles := eventtest.Facts[gatheringv1.AthleteGathered](w.bus); len(profiles) != 1 || profiles[0].Athlete.ID != id || profiles[0].Athlete.Firstname == "" {
		t.Errorf("profiles %+v", profiles)
	}
}

func TestNoPlaceIsPublished(t *testing.T) {
	w := newWorld(t, plenty)
	id := w.athlete(0)
	w.gather(id)
	for _, a := range w.truth(id)[:3] {
		w.receive(w.event(id, a.ID, gathering.AspectUpdate))
		w.pass(2 * time.Minute)
	}
	if len(w.bus.Events()) < 4 || w.rereads(id) == 0 {
		t.Fatal("nothing was published")
	}
	for _, e := range w.bus.Events() {
		b, err := e.Detail()
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"SYNTHETICPOLYLINE", "polyline", "latlng", "location_", `"city"`, `"country"`, `"map"`} {
			if strings.Contains(string(b), word) {
				t.Errorf("%s holds %q", e.Fact.DetailType(), word)
			}
		}
	}
}

func TestALongHistoryDelaysNoOtherAthlete(t *testing.T) {
	// 40 calls a quarter: the long history alone takes hours.
	w := newWorld(t, strava.Settings{ReadLimit: strava.Limit{40, 100_000}, OverallLimit: strava.Limit{20_000, 200_000}}, histories(20_000, 1_000, 1_000)...)
	long, short, newcomer := w.athlete(0), w.athlete(1), w.athlete(2)
	w.begin(long)
	w.pass(time.Minute)
	w.begin(short)
	w.until("the short history is complete", func() bool { return w.completed(short) == 1 })
	if pages := w.lastProgress(long).Pages; pages > 40 {
		t.Errorf("the long history is %d pages ahead", pages)
	}
	// A gather request goes first.
	w.begin(newcomer)
	began := w.clock.Now()
	w.until("the newcomer's first page is there", func() bool { return w.lastProgress(newcomer).Pages > 0 })
	if d := w.clock.Now().Sub(began); d > 15*time.Minute {
		t.Errorf("a newcomer waited %s for the first page", d)
	}
	if n := w.answers(429); n != 0 {
		t.Errorf("%d calls refused", n)
	}
}

func TestASpentWindowIsWaitedForVisibly(t *testing.T) {
	w := newWorld(t, strava.Settings{ReadLimit: strava.Limit{5, 1000}}, histories(2000)...)
	id := w.athlete(0)
	w.begin(id)
	w.pass(2 * time.Minute)
	last := w.lastProgress(id)
	quarter := time.Date(2026, 11, 22, 10, 15, 0, 0, time.UTC)
	if last.State != gatheringv1.ScanWaiting || last.WaitingFor != gatheringv1.WaitingForRateLimit || last.ResumesAt == nil || last.ResumesAt.Before(w.clock.Now()) || last.ResumesAt.After(quarter.Add(2*time.Minute)) {
		t.Fatalf("progress %+v", last)
	}
	reports, calls := len(w.progress(id)), w.lists(id)
	w.pass(last.ResumesAt.Sub(w.clock.Now()) - time.Second)
	if n := w.lists(id); n != calls {
		t.Errorf("%d calls were made too early", n-calls)
	}
	if n := len(w.progress(id)); n > reports+1 {
		t.Errorf("the same progress was reported %d times", n-reports)
	}
	w.until("the history is complete", func() bool { return w.completed(id) == 1 })
	w.same(id)
	if n := w.answers(429); n != 0 {
		t.Errorf("%d calls refused for the rate limit", n)
	}
}

func TestTheDailyLimitIsObserved(t *testing.T) {
	w := newWorld(t, strava.Settings{ReadLimit: strava.Limit{100, 8}}, histories(2000)...)
	id := w.athlete(0)
	w.begin(id)
	w.until("the history is complete", func() bool { return w.completed(id) == 1 })
	w.same(id)
	waited := false
	for _, p := range w.progress(id) {
		waited = waited || p.WaitingFor == gatheringv1.WaitingForDailyLimit
	}
	if !waited {
		t.Error("the progress does not say what the scan waits for")
	}
	if n := w.answers(429); n != 0 {
		t.Errorf("%d calls refused for the rate limit", n)
	}
	if w.clock.Now().Day() == 22 {
		t.Error("the scan did not wait for the next day")
	}
}

func TestA429WithoutHeadersConcernsItsAthleteAlone(t *testing.T) {
	w := newWorld(t, plenty)
	w.begin(w.athlete(0))
	w.begin(w.athlete(1))
	if err := w.strava.Inject(strava.Fault{Endpoint: "api", Athlete: w.athlete(0), Kind: strava.Fault429}); err != nil {
		t.Fatal(err)
	}
	w.pass(5 * time.Minute)
	if n := w.strava.Counters().Total("", w.athlete(0)); n != 2 { // The exchange of the code and the refused call.
		t.Errorf("%d calls", n)
	}
	if n := w.completed(w.athlete(1)); n != 1 {
		t.Errorf("the other athlete has %d scans", n)
	}
	if n := w.metrics.Of(metric.RateLimited); n != 1 {
		t.Errorf("%d counted", n)
	}
	w.until("the history is complete", func() bool { return w.completed(w.athlete(0)) == 1 })
	w.same(w.athlete(0))
}

func TestTwo429sWithoutHeadersPauseAllCalls(t *testing.T) {
	w := newWorld(t, plenty, histories(10, 10, 10)...)
	for i := range 3 {
		w.begin(w.athlete(i))
	}
	if err := w.strava.Inject(strava.Fault{Endpoint: "api", Kind: strava.Fault429, Count: -1}); err != nil {
		t.Fatal(err)
	}
	w.pass(13 * time.Minute)
	if n := w.answers(429); n != 2 {
		t.Errorf("%d calls were refused", n)
	}
	for i, want := range []string{gatheringv1.WaitingForRetry, gatheringv1.WaitingForRateLimit, gatheringv1.WaitingForRateLimit} {
		if p := w.lastProgress(w.athlete(i)); p.WaitingFor != want {
			t.Errorf("athlete %d waits for %q", i, p.WaitingFor)
		}
	}
	w.strava.ClearFaults()
	w.until("all histories are complete", func() bool {
		return w.completed(w.athlete(0)) == 1 && w.completed(w.athlete(1)) == 1 && w.completed(w.athlete(2)) == 1
	})
}

func TestScanSurvivesFaults(t *testing.T) {
	for _, kind := range []strava.FaultKind{strava.Fault500, strava.Fault502, strava.Fault503, strava.Fault597, strava.FaultReset, strava.FaultDrop} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t, plenty)
			id := w.athlete(0)
			w.begin(id)
			if err := w.strava.Inject(strava.Fault{Endpoint: strava.EndpointActivities, Kind: kind, Count: 3}); err != nil {
				t.Fatal(err)
			}
			w.until("the history is complete", func() bool { return w.completed(id) == 1 })
			w.same(id)
		})
	}
}

func TestEachOutcomeOfTheRequester(t *testing.T) {
	for outcome, want := range map[string]struct {
		waitingFor string
		calls      int // of both athletes
		owed       int // profiles left to an inbox
	}{
		credentialsv1.OutcomeDegraded:    {gatheringv1.WaitingForReconnect, 2, 0},
		credentialsv1.OutcomeApplication: {gatheringv1.WaitingForApplication, 2, 0},
		// The profile, which is left for later, and the page.
		credentialsv1.OutcomeUnavailable: {gatheringv1.WaitingForRetry, 4, 2},
		// The profile, and the profile again: the page would fail, too.
		credentialsv1.OutcomeFailed:  {gatheringv1.WaitingForInternal, 4, 0},
		credentialsv1.OutcomeRevoked: {"", 2, 0},
	} {
		w := newWorld(t, plenty)
		w.begin(w.athlete(0))
		w.begin(w.athlete(1))
		w.outcome = outcome
		w.work()
		w.clock.Advance(20 * time.Second)
		w.work()
		for i := range 2 {
			if got := w.lastProgress(w.athlete(i)).WaitingFor; got != want.waitingFor {
				t.Errorf("%s: athlete %d waits for %q, want %q", outcome, i, got, want.waitingFor)
			}
		}
		if n := w.metrics.Of(metric.Calls(string(quota.Interactive))); n != want.calls {
			t.Errorf("%s: %d calls", outcome, n)
		}
		if n := len(w.inbox(w.athlete(0)).Hints) + len(w.inbox(w.athlete(1)).Hints); n != want.owed {
			t.Errorf("%s: %d profiles are left to the inboxes", outcome, n)
		}
		if outcome == credentialsv1.OutcomeApplication || outcome == credentialsv1.OutcomeUnavailable {
			w.outcome = ""
			w.until("the history is complete", func() bool { return w.completed(w.athlete(0)) == 1 && w.completed(w.athlete(1)) == 1 })
		}
	}
}

func TestWorkThatNeverSucceedsIsQuarantined(t *testing.T) {
	w := newWorld(t, plenty)
	sick, well := w.athlete(0), w.athlete(1)
	if err := w.strava.Inject(strava.Fault{Endpoint: strava.EndpointActivities, Athlete: sick, Kind: strava.Fault500, Count: -1}); err != nil {
		t.Fatal(err)
	}
	w.begin(sick)
	w.gather(well)
	w.same(well)
	w.pass(20 * time.Hour)
	// Three at full size, one at each smaller size, and three that were skipped.
	if n := w.lists(sick); n != 3+5+3 {
		t.Errorf("%d attempts", n)
	}
	if n := w.metrics.Of(metric.Quarantined); n != 1 {
		t.Errorf("%d quarantined", n)
	}
	if p := w.lastProgress(sick); p.WaitingFor != gatheringv1.WaitingForRetry || p.ResumesAt == nil || p.ResumesAt.Before(w.clock.Now()) {
		t.Errorf("reported progress %+v", p)
	}
	w.strava.ClearFaults()
	w.until("it is tried again after a day", func() bool { return w.completed(sick) == 1 })
	w.same(sick)
}

func TestAFailureOfOursQuarantinesNothing(t *testing.T) {
	w := newWorld(t, plenty, histories(20, 20)...)
	sick, well := w.athlete(0), w.athlete(1)
	w.gather(well)
	w.begin(sick)
	working := w.gatherer.Strava
	w.gatherer.Strava = unforwarded{working, sick}
	for range 8 {
		id := w.truth(well)[0].ID
		w.rename(well, id, w.clock.Now().String())
		w.receive(w.event(well, id, gathering.AspectUpdate))
		w.pass(time.Hour)
	}
	w.same(well)
	if failed, quarantined := w.metrics.Of(metric.Failed), w.metrics.Of(metric.Quarantined); failed < 8 || failed > 30 || quarantined != 0 {
		t.Errorf("%d attempts failed, %d pieces of work were quarantined", failed, quarantined)
	}
	w.gatherer.Strava = working
	w.pass(maxRetryDelay)
	w.same(sick)
}

// TestABusThatIsDownQuarantinesNothing: and few calls are spent on data that
// cannot be published.
func TestABusThatIsDownQuarantinesNothing(t *testing.T) {
	w := newWorld(t, plenty, histories(250, 250, 250, 250)...)
	known := w.athlete(3)
	w.gather(known)
	w.rename(known, w.truth(known)[9].ID, "Renamed")
	w.receive(w.event(known, w.truth(known)[9].ID, gathering.AspectUpdate))
	for i := range 3 {
		w.begin(w.athlete(i))
	}
	w.strava.ResetCounters()
	w.bus.Fail(fault.New(fault.Transient, "put events: no answer"))
	failed := 0
	for range 120 {
		_, err := w.gatherer.Run(t.Context(), w.clock.Now().Add(time.Minute))
		if fault.Is(err, fault.Transient) {
			failed++
		} else if err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(time.Minute)
	}
	calls := 0
	for i := range 4 {
		calls += w.strava.Counters().Total("", w.athlete(i))
	}
	if calls > 60 || calls == 0 {
		t.Errorf("%d calls in two hours", calls)
	}
	if n := w.metrics.Of(metric.Quarantined); n != 0 {
		t.Errorf("%d quarantined", n)
	}
	if n := w.metrics.Of(metric.Failed); n != failed || w.metrics.Of(metric.StravaFailed) != 0 {
		t.Errorf("%d counted as failed, %d did", n, failed)
	}
	w.bus.Fail(nil)
	w.pass(maxRetryDelay)
	for i := range 4 {
		w.same(w.athlete(i))
	}
}

// maxRetryDelay is the longest wait of a job that failed, but for those
// quarantined.
const maxRetryDelay = 31 * time.Minute

func TestEverythingIsReadAgain(t *testing.T) {
	w := newWorld(t, plenty, histories(450)...)
	id := w.athlete(0)
	w.gather(id)
	calls := w.lists(id)
	truth := w.truth(id)
	// No webhook reports this change.
	if err := w.strava.SetFields(id, truth[300].ID, map[string]json.RawMessage{"name": json.RawMessage(`"Edited"`)}); err != nil {
		t.Fatal(err)
	}
	if err := w.strava.DeleteActivity(id, truth[10].ID); err != nil {
		t.Fatal(err)
	}
	start := w.clock.Now().Add(-200 * 24 * time.Hour)
	if _, err := w.strava.AddActivity(id, strava.NewActivity{Name: "Uploaded late", Start: start}); err != nil {
		t.Fatal(err)
	}
	w.pass(23 * time.Hour)
	if n := w.lists(id); n != calls {
		t.Errorf("%d calls within a day", n-calls)
	}
	w.pass(25 * time.Hour)
	w.same(id)
	if n := w.lists(id) - calls; n != 4 {
		t.Errorf("%d calls", n)
	}
	// Only its end is reported.
	progress := w.progress(id)
	last, before := progress[len(progress)-1], progress[len(progress)-2]
	if last.State != gatheringv1.ScanCompleted || before.State != gatheringv1.ScanCompleted || last.ScanID <= before.ScanID {
		t.Errorf("progress before %+v, last %+v", before, last)
	}
	if profiles := len(eventtest.Facts[gatheringv1.AthleteGathered](w.bus)); profiles != 2 {
		t.Errorf("%d profiles", profiles)
	}
}

// starve makes the quota refuse some classes and all below them.
func (w *world) starve(classes ...quota.Class) {
	w.gatherer.Quota = starved{w.gatherer.Quota, w.clock.Now, classes}
}

func TestCompletedScansAreQueuedByTheirAge(t *testing.T) {
	w := newWorld(t, plenty, histories(450)...)
	id := w.athlete(0)
	w.gather(id)
	done := w.stored(id).Last.Started
	expect := func(class quota.Class, after time.Duration) {
		t.Helper()
		got := w.stored(id).Job
		if got.Class != class || !got.Due.Equal(done.Add(after)) {
			t.Errorf("%s due after %s, want %s after %s", got.Class, got.Due.Sub(done), class, after)
		}
	}
	expect(quota.Spare, 24*time.Hour+90*time.Minute)
	engine := w.gatherer.Quota
	w.starve(quota.Spare)
	w.pass(96*time.Hour + 89*time.Minute)
	expect(quota.Spare, 24*time.Hour+90*time.Minute)
	w.starve(quota.Reconcile)
	w.pass(2 * time.Minute)
	expect(quota.Reconcile, 96*time.Hour+90*time.Minute)
	w.starve(quota.Backfill)
	calls := w.lists(id)
	w.pass(3 * 24 * time.Hour)
	if got := w.stored(id).Job; got.Class != quota.Backfill {
		t.Errorf("after seven days: %+v", got)
	}
	if n := w.lists(id); n != calls {
		t.Errorf("%d calls without a permit", n-calls)
	}
	w.gatherer.Quota = engine
	w.until("it is complete again", func() bool { return w.completed(id) == 2 })
	if w.progress(id)[len(w.progress(id))-2].State != gatheringv1.ScanScanning {
		t.Error("no progress for an athlete whose activities are gone")
	}
}

func TestAGapIsRepairedFirst(t *testing.T) {
	w := newWorld(t, plenty, strava.Generate(5, 40, time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))...)
	var ids []int64
	for i := range 40 {
		ids = append(ids, w.athlete(i))
		w.begin(w.athlete(i))
	}
	all := func(n int) func() bool {
		return func() bool {
			for _, id := range ids {
				if w.completed(id) != n {
					return false
				}
			}
			return true
		}
	}
	w.until("all are complete", all(1))
	w.pass(30 * time.Minute)
	lost := w.clock.Now()
	if err := w.strava.DeleteActivity(ids[3], w.truth(ids[3])[0].ID); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Hour)
	w.configure(subscription+1, 2)
	engine := w.gatherer.Quota
	w.starve(quota.Reconcile)
	w.pass(time.Minute)
	waiting, err := w.store.Waiting(t.Context(), quota.Reconcile, w.clock.Now())
	if err != nil || waiting.Count != 40 {
		t.Errorf("%d scans wait, %v", waiting.Count, err)
	}
	first, err := w.store.Due(t.Context(), quota.Reconcile, w.clock.Now(), nil, 40)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(first); i++ {
		if w.stored(first[i].AthleteID).Last.Pages < w.stored(first[i-1].AthleteID).Last.Pages {
			t.Error("the cheapest scan is not the first")
		}
	}
	webhook, err := w.store.Webhook(t.Context())
	if err != nil || webhook.Gap.From.After(lost) || !webhook.Gap.To.Equal(lost.Add(time.Hour)) || !webhook.Gap.Planned {
		t.Errorf("webhook %+v, error %v", webhook, err)
	}
	w.gatherer.Quota = engine
	w.pass(2 * time.Minute) // The end of what lacks an activity is read twice more.
	if !all(2)() {
		t.Error("not all histories were read again at once")
	}
	w.same(ids[3])
	calls := w.lists(ids[3])
	w.pass(time.Hour)
	if w.lists(ids[3]) != calls {
		t.Error("the gap was repaired twice")
	}
}

func TestAScanThatAGapOvertakesIsRepeated(t *testing.T) {
	w := newWorld(t, plenty, histories(1000)...)
	id := w.athlete(0)
	w.begin(id)
	for range 4 { // The profile and three pages.
		if _, err := w.gatherer.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.clock.Advance(time.Minute)
	if err := w.strava.SetFields(id, w.truth(id)[0].ID, map[string]json.RawMessage{"name": json.RawMessage(`"Edited"`)}); err != nil {
		t.Fatal(err)
	}
	w.configure(subscription+1, 2)
	w.pass(2 * time.Minute) // After five full pages the end is read three times.
	if n := w.completed(id); n != 2 {
		t.Errorf("%d scans", n)
	}
	w.same(id)
}

func TestOneEmptyLastPageRemovesNothingHoweverShortItWas(t *testing.T) {
	// The last page holds 3 activities, or 2 % of all: so few would be removed
	// without a question. In the third history an upload has moved one activity to
	// a page of its own, so that the scan finds as many as the last one.
	for _, tc := range []struct{ history, uploads, page int }{{203, 0, 2}, {5100, 0, 26}, {200, 1, 2}} {
		w := newWorld(t, plenty, histories(tc.history)...)
		id := w.athlete(0)
		w.gather(id)
		for range tc.uploads {
			w.receive(w.event(id, w.add(id, strava.NewActivity{}), gathering.AspectCreate))
			w.pass(time.Minute)
		}
		if err := w.strava.Inject(strava.Fault{Endpoint: strava.EndpointActivities, Page: tc.page, Kind: strava.Fault200EmptyList}); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(40 * time.Hour)
		w.pass(5 * time.Minute)
		if w.completed(id) != 2 || len(w.strava.Faults()) != 0 {
			t.Errorf("%d scans, left %v", w.completed(id), w.strava.Faults())
		}
		w.same(id)
		if w.planes.removed != 0 {
			t.Errorf("%d of %d were removed", w.planes.removed, tc.history)
		}
	}
}

func TestADeletionDuringAScanHidesNothing(t *testing.T) {
	const pages = 6
	for read := 1; read <= pages; read++ {
		for _, delay := range []int{0, 1, 3} { // pages that are read before the event arrives
			t.Run(fmt.Sprintf("after page %d, reported %d later", read, delay), func(t *testing.T) {
				w := newWorld(t, plenty, histories(pages*gathering.PageSize)...)
				id := w.athlete(0)
				truth := w.truth(id)
				w.begin(id)
				step := w.stepping(2 * time.Minute)
				for range 1 + read {
					step()
				}
				// The first of what was read: everything moves up.
				gone := truth[0].ID
				if err := w.strava.DeleteActivity(id, gone); err != nil {
					t.Fatal(err)
				}
				n := w.event(id, gone, gathering.AspectDelete)
				for range delay {
					step()
				}
				w.receive(n)
				w.pass(time.Hour)
				w.same(id)
				if extra := w.lists(id) - pages - 1; extra > delay+3 && w.completed(id) == 1 {
					t.Errorf("%d pages were read again", extra)
				}
			})
		}
	}
}

// TestADeletionDuringAFastScanHidesNothing: pages seconds apart are all read
// within what clocks may differ by.
func TestADeletionDuringAFastScanHidesNothing(t *testing.T) {
	for _, size := range []int{201, 600, 601} { // The last page may vanish.
		for read := 1; read <= (size-1)/gathering.PageSize; read++ {
			for _, reported := range []time.Duration{0, 5 * time.Second, 20 * time.Second} {
				t.Run(fmt.Sprintf("of %d after page %d, reported %s later", size, read, reported), func(t *testing.T) {
					w := newWorld(t, plenty, histories(size)...)
					id := w.athlete(0)
					truth := w.truth(id)
					w.begin(id)
					step := w.stepping(3 * time.Second)
					for range 1 + read {
						step()
					}
					w.remove(id, truth[0].ID)
					n := w.event(id, truth[0].ID, gathering.AspectDelete)
					for heard := w.clock.Now().Add(reported); w.clock.Now().Before(heard); {
						step()
					}
					w.receive(n)
					w.pass(time.Hour)
					w.same(id)
				})
			}
		}
	}
}

// TestADeletionDuringTheFirstPageHidesNothing: the event arrives after a
// gatherer has read the first page and before it has saved that.
func TestADeletionDuringTheFirstPageHidesNothing(t *testing.T) {
	w := newWorld(t, plenty, histories(450)...)
	w.gatherer.Quota = boundless{}
	id := w.athlete(0)
	w.begin(id)
	came := false
	g := observe(func(p string) {
		if p != "after reading a page" || came {
			return
		}
		came = true
		w.clock.Advance(time.Second)
		gone := w.truth(id)[0].ID
		w.remove(id, gone)
		w.receive(w.event(id, gone, gathering.AspectDelete))
		if worked, err := w.gatherer.Step(t.Context()); !worked || err != nil {
			t.Errorf("the deletion led to no re-read: worked %v, error %v", worked, err)
		}
	}).watch(*w.gatherer)
	if _, err := g.Run(t.Context(), w.clock.Now().Add(time.Minute)); err != nil || !came {
		t.Fatal(came, err)
	}
	w.pass(3 * time.Minute)
	w.same(id)
}

func TestADeletionLongAgoStartsTheScanOver(t *testing.T) {
	w := newWorld(t, plenty, histories(25*gathering.PageSize)...)
	id := w.athlete(0)
	truth := w.truth(id)
	w.begin(id)
	for i := range 24 {
		if _, err := w.gatherer.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(2 * time.Minute)
		if i == 2 {
			if err := w.strava.DeleteActivity(id, truth[0].ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	n := w.event(id, truth[0].ID, gathering.AspectDelete)
	n.EventTime -= 42 * 60
	w.receive(n)
	w.pass(time.Hour)
	w.same(id)
}

func TestProgressEstimatesTheEnd(t *testing.T) {
	w := newWorld(t, plenty, histories(2000)...)
	id := w.athlete(0)
	w.begin(id)
	for range 6 { // The profile and five pages, a minute each.
		if _, err := w.gatherer.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(time.Minute)
	}
	p := w.lastProgress(id)
	if p.Pages != 5 || p.Activities != 1000 || p.FinishesAt == nil || p.FinishesAt.Before(w.clock.Now()) {
		t.Errorf("progress %+v", p)
	}
	w.pass(time.Minute)
	if p := w.lastProgress(id); p.State != gatheringv1.ScanCompleted || p.FinishesAt != nil {
		t.Errorf("the last progress: %+v", p)
	}
}

// TestAnActivityThatStartsInTheFutureIsKept: devices have wrong clocks. A scan
// says nothing about what starts after its cutoff.
func TestAnActivityThatStartsInTheFutureIsKept(t *testing.T) {
	for _, ahead := range []time.Duration{2 * time.Hour, 40 * 24 * time.Hour, 6 * 365 * 24 * time.Hour} {
		w := newWorld(t, plenty, histories(10)...)
		id := w.athlete(0)
		w.gather(id)
		future := w.add(id, strava.NewActivity{Start: w.clock.Now().Add(ahead)})
		w.receive(w.event(id, future, gathering.AspectCreate))
		w.pass(15 * time.Minute)
		held := func() bool { _, ok := w.plane(id)[future]; return ok }
		if !held() {
			t.Errorf("%s ahead: its webhook leads to no change", ahead)
		}
		w.until("all is read again", func() bool { return w.completed(id) == 2 })
		if !held() {
			t.Errorf("%s ahead: the scan removed it", ahead)
		}
	}
}

// TestARetryThatFailsAgainIsReported: the time of the last report has passed.
func TestARetryThatFailsAgainIsReported(t *testing.T) {
	w := newWorld(t, plenty)
	id := w.athlete(0)
	if err := w.strava.Inject(strava.Fault{Endpoint: strava.EndpointActivities, Athlete: id, Kind: strava.Fault500, Count: -1}); err != nil {
		t.Fatal(err)
	}
	w.begin(id)
	for range 60 {
		w.clock.Advance(time.Second)
		w.work()
		if p := w.lastProgress(id); p.State == gatheringv1.ScanWaiting && !p.ResumesAt.After(w.clock.Now().Add(-time.Second)) {
			t.Fatalf("at %s the progress says that the scan resumes at %s", w.clock.Now(), p.ResumesAt)
		}
	}
}

// TestAnUploadWhileTheEndIsReadAgainStopsNoScan: it pushes the last activity
// onto a page of its own, which holds nothing new.
func TestAnUploadWhileTheEndIsReadAgainStopsNoScan(t *testing.T) {
	w := newWorld(t, plenty, histories(201)...)
	id := w.athlete(0)
	w.gather(id)
	w.remove(id, w.truth(id)[7].ID)
	w.until("the end is read again", func() bool { return w.stored(id).Scan.EndReads > 0 })
	w.add(id, strava.NewActivity{})
	w.pass(5 * time.Minute)
	if n := w.completed(id); n != 2 {
		t.Errorf("%d scans are complete", n)
	}
	if n := w.metrics.Of(metric.StravaFailed); n != 0 {
		t.Errorf("%d failures", n)
	}
}

// TestOnlyFirstScansAreReportedAsWaiting: other athletes have a history to look
// at.
func TestOnlyFirstScansAreReportedAsWaiting(t *testing.T) {
	w, l := newMemoryStrava(t, 250)
	l.begin()
	for range 2 { // The profile and a page.
		if _, err := w.gatherer.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, first := range []bool{false, true} {
		_, err := w.store.Update(t.Context(), l.id, func(a *gathering.Athlete) (bool, error) { a.Scan.First = first; return true, nil })
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
