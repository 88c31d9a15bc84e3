package gathering_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/retention"
)

const day = 24 * time.Hour

func (w *world) enforce() gathering.RetentionReport {
	w.t.Helper()
	report, err := w.ports.Deadlines().Enforce(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

// put stores the athlete and the inbox as given.
func (w *world) put(a gathering.Athlete, m gathering.Inbox) {
	w.t.Helper()
	_, err := w.store.Update(w.t.Context(), a.ID, func(stored *gathering.Athlete) (bool, error) { *stored = a; return true, nil })
	_, err2 := w.store.UpdateInbox(w.t.Context(), a.ID, func(stored *gathering.Inbox) (bool, error) { *stored = m; return true, nil })
	if err := errors.Join(err, err2); err != nil {
		w.t.Fatal(err)
	}
}

func TestStravasDataIsDroppedAfterSevenDays(t *testing.T) {
	for _, tc := range []struct {
		age             time.Duration
		dropped, tooOld bool
	}{
		{0, false, false},
		{7*day - 1, false, false},
		{7 * day, true, false},
		{7*day + 2*time.Hour - 1, true, false},
		{7*day + 2*time.Hour, true, true},
		{40 * day, true, true},
	} {
		w := newWorld(t, plenty)
		id, now := w.athlete(0), w.clock.Now()
		a := gathering.Athlete{
			ID: id, Generation: generation, State: gathering.Active, JoinedAt: now.Add(-900 * day), ProfileReadAt: now.Add(-tc.age),
			Scan: gathering.Scan{ID: "1", Pages: 2, Chunks: 8, Activities: 400, Oldest: now.Add(-90 * day), State: gatheringv1.ScanWaiting},
			Job:  gathering.Job{Class: quota.Backfill, Due: now.Add(-tc.age), LeasedUntil: now.Add(time.Second), LeaseOwner: "owner"},
		}
		fresh := gathering.Hint{Aspect: gathering.AspectUpdate, ActivityID: 12, ReceivedAt: now}
		m := gathering.Inbox{
			AthleteID: id, Generation: generation, Job: gathering.Job{Class: quota.Webhook, Due: now.Add(-tc.age), LeasedUntil: now.Add(time.Second), LeaseOwner: "owner", Failures: 2},
			Hints: []gathering.Hint{{Aspect: gathering.AspectDelete, ActivityID: 11, ReceivedAt: now.Add(-tc.age)}, fresh},
		}
		w.put(a, m)
		report := w.enforce()

		want := map[string]int{}
		if tc.tooOld {
			want = map[string]int{gathering.KindProfile: 1, gathering.KindHint: 1}
		}
		if d := cmp.Diff(want, report.TooOld); d != "" {
			t.Errorf("%s old: %s", tc.age, d)
		}
		days := [retention.Days]int{}
		days[min(int(tc.age/day), retention.Days-1)] += 2
		days[0]++
		if report.ByAge != days {
			t.Errorf("%s old: counted %v, want %v", tc.age, report.ByAge, days)
		}
		if tc.dropped {
			// The work stays where it is, and goes on.
			a.JoinedAt, a.ProfileReadAt, a.Scan.Oldest = time.Time{}, time.Time{}, time.Time{}
			m.Hints, m.Overflowed = []gathering.Hint{fresh}, true
			m.Job.LeasedUntil, m.Job.LeaseOwner = time.Time{}, "" // Its holder still has the old hints.
		}
		if d := cmp.Diff(a, w.stored(id)); d != "" {
			t.Errorf("%s old: %s", tc.age, d)
		}
		if d := cmp.Diff(m, w.inbox(id)); d != "" {
			t.Errorf("%s old: %s", tc.age, d)
		}
		if again := w.enforce(); tc.dropped && len(again.TooOld) != 0 {
			t.Errorf("%s old: there is still %v", tc.age, again.TooOld)
		}
	}
}

func TestAnOldDeauthorizationIsKeptUntilItIsReported(t *testing.T) {
	w := newWorld(t, plenty)
	id := w.athlete(0)
	w.begin(id)
	w.receive(gathering.WebhookEvent{
		ObjectType: "athlete", ObjectID: id, AspectType: "update", OwnerID: id, SubscriptionID: subscription,
		EventTime: w.clock.Now().Unix(), Updates: map[string]any{"authorized": "false"},
	})
	w.clock.Advance(8 * day)
	report := w.enforce()
	// The table itself deletes the digest once it has expired.
	if want := map[string]int{gathering.KindDeauthorization: 1, gathering.KindEvent: 1}; !cmp.Equal(want, report.TooOld) {
		t.Errorf("%v, want %v", report.TooOld, want)
	}
	w.work()
	if n := len(eventtest.Facts[gatheringv1.DeauthorizationReported](w.bus)); n != 1 {
		t.Errorf("%d reports", n)
	}
	if report := w.enforce(); report.TooOld[gathering.KindDeauthorization] != 0 {
		t.Errorf("%v after it was reported", report.TooOld)
	}
}

// TestAStarvedScanKeepsNothingTooLong: everything is gathered in the end,
// although Strava's data is dropped in between.
func TestAStarvedScanKeepsNothingTooLong(t *testing.T) {
	for _, hinted := range []bool{false, true} {
		w := newWorld(t, plenty, histories(1000)...)
		id := w.athlete(0)
		w.begin(id)
		for range 3 { // The profile and two pages.
			if worked, err := w.gatherer.Step(t.Context()); err != nil || !worked {
				t.Fatal(worked, err)
			}
		}
		if a := w.stored(id); a.JoinedAt.IsZero() || !a.ProfileReadAt.Equal(start) || a.Scan.Oldest.IsZero() {
			t.Fatalf("athlete %+v", a)
		}
		if hinted {
			w.receive(w.event(id, w.truth(id)[0].ID, gathering.AspectUpdate))
		}
		enough := w.gatherer.Quota
		w.gatherer.Quota = starved{enough, w.clock.Now, []quota.Class{quota.Webhook}}
		for range 8 * 24 {
			w.clock.Advance(time.Hour)
			w.work()
			if report := w.enforce(); report.TooOld[gathering.KindProfile]+report.TooOld[gathering.KindHint] != 0 {
				t.Fatalf("kept too long after %s: %v", w.clock.Now().Sub(start), report.TooOld)
			}
		}
		if a, m := w.stored(id), w.inbox(id); !a.JoinedAt.IsZero() || !a.Scan.Oldest.IsZero() || len(m.Hints) != 0 {
			t.Errorf("left %+v, %+v", a, m)
		}
		w.gatherer.Quota = enough
		w.until("the history is gathered", func() bool { return w.completed(id) > 0 })
		w.same(id)
		if a := w.stored(id); !a.JoinedAt.IsZero() || !a.ProfileReadAt.IsZero() || !a.Scan.Oldest.IsZero() {
			t.Errorf("a complete scan needs no estimate, yet keeps %+v", a)
		}
	}
}

// TestWithoutAProfileNoOldestStartIsKept: without a profile there is no
// estimate, and the start of the oldest activity would have no date of reading
// and would never be dropped.
func TestWithoutAProfileNoOldestStartIsKept(t *testing.T) {
	w, id := halfway(t)
	w.clock.Advance(7 * day)
	w.enforce()
	if worked, err := w.gatherer.Step(t.Context()); err != nil || !worked {
		t.Fatal(worked, err)
	}
	if a := w.stored(id); a.Scan.Pages != 3 || !a.Scan.Oldest.IsZero() {
		t.Errorf("scan %+v", a.Scan)
	}
}

// TestAScanThatStartsOverKeepsNothingForItsEstimate: not until it has read the
// profile.
func TestAScanThatStartsOverKeepsNothingForItsEstimate(t *testing.T) {
	w, id := halfway(t)
	m := w.inbox(id)
	m.Overflowed, m.Job = true, gathering.Job{Class: quota.Webhook, Due: w.clock.Now()}
	w.put(w.stored(id), m)
	if worked, err := w.gatherer.Step(t.Context()); err != nil || !worked {
		t.Fatal(worked, err)
	}
	if a := w.stored(id); a.Scan.Pages != 0 || a.Scan.ProfileDone || !a.JoinedAt.IsZero() || !a.ProfileReadAt.IsZero() || !a.Scan.Oldest.IsZero() {
		t.Errorf("athlete %+v", a)
	}
}

// halfway is a world in which the profile and two of five pages are read.
func halfway(t *testing.T) (w *world, id int64) {
	t.Helper()
	w = newWorld(t, plenty, histories(1000)...)
	id = w.athlete(0)
	w.begin(id)
	for range 3 {
		if worked, err := w.gatherer.Step(t.Context()); err != nil || !worked {
			t.Fatal(worked, err)
		}
	}
	if a := w.stored(id); a.JoinedAt.IsZero() || a.Scan.Pages != 2 || a.Scan.Oldest.IsZero() {
		t.Fatalf("athlete %+v", a)
	}
	return w, id
}

// TestAProfileIsAsOldAsItsReading, however long publishing takes.
func TestAProfileIsAsOldAsItsReading(t *testing.T) {
	w := newWorld(t, plenty)
	id := w.athlete(0)
	w.begin(id)
	g := observe(func(p string) {
		if p == "after reading the profile" {
			w.clock.Advance(10 * time.Second)
		}
	}).watch(*w.gatherer)
	if worked, err := g.Step(t.Context()); err != nil || !worked {
		t.Fatal(worked, err)
	}
	if a := w.stored(id); a.JoinedAt.IsZero() || !a.ProfileReadAt.Equal(start) || w.clock.Now().Equal(start) {
		t.Errorf("read at %s", a.ProfileReadAt)
	}
}

func TestTheHolderOfAnExpiredInboxChangesNothing(t *testing.T) {
	w, id, _ := current(t, 250)
	a := w.truth(id)[0].ID
	w.receive(w.event(id, a, gathering.AspectUpdate))
	w.clock.Advance(7 * day)
	held := w.gatherer.Strava
	w.gatherer.Strava = during{held, func() { w.enforce() }}
	for !w.inbox(id).Overflowed {
		if worked, err := w.gatherer.Step(t.Context()); err != nil || !worked {
			t.Fatal(worked, err)
		}
	}
	if m := w.inbox(id); len(m.Hints) != 0 || m.Job.Class != quota.Webhook || !m.Job.LeasedUntil.IsZero() {
		t.Errorf("inbox %+v", m)
	}
	w.gatherer.Strava = held
	scans := w.completed(id)
	w.until("all is read again", func() bool { return w.completed(id) > scans })
	w.same(id)
}

// during is a Strava that calls a function during each re-read.
type during struct {
	gathering.Strava
	happens func()
}

func (d during) Activity(ctx context.Context, by gathering.Authorization, activityID int64) (gatheringv1.Activity, gathering.Reading, error) {
	d.happens()
	return d.Strava.Activity(ctx, by, activityID)
}

func TestADegradedAthleteKeepsNothingOfStravasData(t *testing.T) {
	for name, degrade := range map[string]func(*world, int64){
		"by an event": func(*world, int64) {},
		"by a gatherer first": func(w *world, id int64) {
			w.outcome = credentialsv1.OutcomeDegraded
			if worked, err := w.gatherer.Step(t.Context()); err != nil || !worked {
				t.Fatal(worked, err)
			}
			w.outcome = ""
			if a := w.stored(id); a.State != gathering.Degraded {
				t.Fatalf("state %s", a.State)
			}
		},
	} {
		w := newWorld(t, plenty, histories(1000)...)
		id := w.athlete(0)
		w.begin(id)
		for range 3 {
			if worked, err := w.gatherer.Step(t.Context()); err != nil || !worked {
				t.Fatal(worked, err)
			}
		}
		before := w.stored(id)
		if before.Scan.Activities != 400 || before.Scan.Chunks == 0 || before.Scan.Pages != 2 || len(before.Scan.RecentPages) != 2 {
			t.Fatalf("before: %+v", before)
		}
		degrade(w, id)
		w.receive(w.event(id, w.truth(id)[0].ID, gathering.AspectUpdate))
		w.receive(gathering.WebhookEvent{
			ObjectType: "athlete", ObjectID: id, AspectType: "update", OwnerID: id, SubscriptionID: subscription,
			EventTime: w.clock.Now().Unix(), Updates: map[string]any{"authorized": "false"},
		})
		for range 2 { // Events come more than once.
			if err := w.authorizations.Degrade(t.Context(), w.news(), authorization(id, generation)); err != nil {
				t.Fatal(err)
			}
		}
		if p, want := w.lastProgress(id), degradedProgress(id, before); !cmp.Equal(want, p) {
			t.Errorf("%s: reported %s", name, cmp.Diff(want, p))
		}
		a, m := w.stored(id), w.inbox(id)
		if want := degraded(before); !cmp.Equal(want, a) {
			t.Errorf("%s: left %s", name, cmp.Diff(want, a))
		}
		if len(m.Hints) != 1 || m.Hints[0].Aspect != gathering.AspectDeauthorize || m.Job.Class != quota.Leave {
			t.Errorf("%s: left %+v", name, m)
		}
		w.work()
		if n := len(eventtest.Facts[gatheringv1.DeauthorizationReported](w.bus)); n != 1 {
			t.Errorf("%s: %d reports", name, n)
		}
		if m := w.inbox(id); len(m.Hints) != 0 || m.Job.Class != "" {
			t.Errorf("%s: left %+v", name, m)
		}
	}
}

// degraded is an athlete after degradation, without counts of activities.
func degraded(before gathering.Athlete) gathering.Athlete {
	return gathering.Athlete{ID: before.ID, Generation: generation, State: gathering.Degraded, Scan: gathering.Scan{
		ID: before.Scan.ID, StartedAt: before.Scan.StartedAt, Sequence: before.Scan.Sequence + 1,
		State: gatheringv1.ScanWaiting, WaitingFor: gatheringv1.WaitingForReconnect,
	}}
}

// degradedProgress is the progress reported for a degraded athlete.
func degradedProgress(id int64, before gathering.Athlete) gatheringv1.ScanProgressed {
	started := before.Scan.StartedAt.Add(-time.Minute)
	return gatheringv1.ScanProgressed{
		AthleteID: id, Generation: generation, ScanID: before.Scan.ID, Sequence: before.Scan.Sequence + 1,
		State: gatheringv1.ScanWaiting, WaitingFor: gatheringv1.WaitingForReconnect, StartedAt: &started,
	}
}

func TestADegradedAthleteKeepsNothingOfACompleteScan(t *testing.T) {
	w, id, _ := current(t, 450)
	before := w.stored(id)
	if before.Last.Pages != 3 || before.Scan.Activities != 450 || before.Job.Class == "" {
		t.Fatalf("before: %+v", before)
	}
	if err := w.authorizations.Degrade(t.Context(), w.news(), authorization(id, generation)); err != nil {
		t.Fatal(err)
	}
	if want, got := degraded(before), w.stored(id); !cmp.Equal(want, got) {
		t.Errorf("left %s", cmp.Diff(want, got))
	}
	if want, got := degradedProgress(id, before), w.lastProgress(id); !cmp.Equal(want, got) {
		t.Errorf("reported %s", cmp.Diff(want, got))
	}
}

func TestALateDegradationLeavesANewAuthorizationAlone(t *testing.T) {
	w := newWorld(t, plenty)
	id := w.athlete(0)
	w.begin(id)
	if err := w.authorizations.Begin(t.Context(), w.news(), authorization(id, generation+1)); err != nil {
		t.Fatal(err)
	}
	w.receive(w.event(id, w.truth(id)[0].ID, gathering.AspectUpdate))
	if err := w.authorizations.Degrade(t.Context(), w.news(), authorization(id, generation)); err != nil {
		t.Fatal(err)
	}
	a, m := w.stored(id), w.inbox(id)
	if a.State != gathering.Active || len(m.Hints) != 1 {
		t.Errorf("left %+v, %+v", a, m)
	}
	// Also when the new one begins in between.
	a.Generation = generation
	w.put(a, m)
	if err := w.authorizations.Degrade(t.Context(), w.news(), authorization(id, generation)); err != nil {
		t.Fatal(err)
	}
	if m := w.inbox(id); len(m.Hints) != 1 {
		t.Errorf("left %+v", m)
	}
}

func TestOneItemThatCannotBeDroppedDoesNotStopTheOthers(t *testing.T) {
	w := newWorld(t, plenty)
	now := w.clock.Now()
	for id := range int64(3) {
		w.put(gathering.Athlete{ID: id + 1, Generation: 1, State: gathering.Active, JoinedAt: now, ProfileReadAt: now.Add(-7 * day)},
			gathering.Inbox{AthleteID: id + 1, Generation: 1, Hints: []gathering.Hint{{Aspect: gathering.AspectUpdate, ActivityID: 1, ReceivedAt: now.Add(-7 * day)}}})
	}
	kept := func() (athletes, inboxes []int64) {
		for id := int64(1); id <= 3; id++ {
			if !w.stored(id).JoinedAt.IsZero() {
				athletes = append(athletes, id)
			}
			if len(w.inbox(id).Hints) != 0 {
				inboxes = append(inboxes, id)
			}
		}
		return athletes, inboxes
	}
	d := w.ports.Deadlines()
	d.Athletes, d.Inboxes = stubborn{w.store, w.store}, stubborn{w.store, w.store}
	report, err := d.Enforce(t.Context())
	if !errors.Is(err, errStubborn) || report.ByAge[7] != 6 {
		t.Errorf("report %v, error %v", report, err)
	}
	if athletes, inboxes := kept(); !slices.Equal(athletes, []int64{2}) || !slices.Equal(inboxes, []int64{2}) {
		t.Errorf("kept the scans of %v and the inboxes of %v", athletes, inboxes)
	}
	// Each failure alone is an error.
	d.Athletes = w.store
	if report, err := d.Enforce(t.Context()); !errors.Is(err, errStubborn) || report.ByAge[7] != 2 {
		t.Errorf("an inbox that cannot be changed: %v, %v", report, err)
	}
	a := w.stored(2)
	a.JoinedAt, a.ProfileReadAt = now, now.Add(-7*day)
	w.put(a, gathering.Inbox{AthleteID: 2, Generation: 1})
	d.Athletes, d.Inboxes = stubborn{w.store, w.store}, w.store
	if report, err := d.Enforce(t.Context()); !errors.Is(err, errStubborn) || report.ByAge[7] != 1 {
		t.Errorf("a scan that stays: %v, %v", report, err)
	}
	w.store.Fail(errStubborn)
	if _, err := d.Enforce(t.Context()); !errors.Is(err, errStubborn) {
		t.Errorf("an inventory that fails: %v", err)
	}
}

var errStubborn = errors.New("boom")

// stubborn is a store that does not change athlete 2.
type stubborn struct {
	gathering.Athletes
	gathering.Inboxes
}

func (s stubborn) Update(ctx context.Context, id int64, change func(*gathering.Athlete) (bool, error)) (gathering.Athlete, error) {
	if id == 2 {
		return gathering.Athlete{}, errStubborn
	}
	return s.Athletes.Update(ctx, id, change)
}

func (s stubborn) UpdateInbox(ctx context.Context, id int64, change func(*gathering.Inbox) (bool, error)) (gathering.Inbox, error) {
	if id == 2 {
		return gathering.Inbox{}, errStubborn
	}
	return s.Inboxes.UpdateInbox(ctx, id, change)
}
