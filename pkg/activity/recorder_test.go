package activity_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/retention"
)

const (
	gen1 = activitytest.Gen1
	gen2 = activitytest.Gen2
)

type plane struct {
	*activity.Recorder
	reader  *activity.Reader
	sweeper *activity.Sweeper
	store   *activitytest.Store
	bus     *eventtest.Bus
	now     time.Time
}

func newPlane() *plane {
	p := &plane{now: activitytest.At(60)}
	ports := activitytest.NewPorts(func() time.Time { return p.now })
	p.Recorder, p.reader, p.sweeper = ports.Recorder(), ports.Reader(), ports.Sweeper()
	p.store, p.bus = ports.Store, ports.Bus
	return p
}

func (p *plane) published() []event.Event { return p.bus.Events() }

func (p *plane) cause() event.Meta {
	return event.Meta{ID: "cause", OccurredAt: p.now, CorrelationID: "correlation"}
}

func gathered(generation int64, at int, chunk *gatheringv1.ScanChunk, activities ...gatheringv1.Activity) gatheringv1.ActivitiesGathered {
	return gatheringv1.ActivitiesGathered{AthleteID: 1, Generation: generation, ReadAt: activitytest.At(at), Chunk: chunk, Activities: activities}
}

func TestGatheredActivitiesAreStoredAndCounted(t *testing.T) {
	p := newPlane()
	// Twice the same activity in one reading is one.
	a, b := activitytest.Activity(1, 1, "a"), activitytest.Activity(2, 2, "b")
	f := gathered(gen1, 0, &gatheringv1.ScanChunk{ScanID: "s", Number: 0}, a, b, a)
	for range 2 {
		kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), f))
	}
	kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 1, nil, activitytest.Activity(3, 3, "c"))))
	kittest.Must(t, p.ScanProgressed(t.Context(), p.cause(), progress(gen1, "s", 2, gatheringv1.ScanCompleted, 1)))
	status, err := p.reader.Sync(t.Context(), activity.Authorization{AthleteID: 1, Generation: gen1})
	kittest.Must(t, err)
	if d := cmp.Diff(activity.Progress{State: activity.Current, Gathered: 2}, status); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	page, err := p.reader.List(t.Context(), activity.Authorization{AthleteID: 1, Generation: gen1}, activity.Selection{In: activity.Everything(), Limit: 2})
	kittest.Must(t, err)
	if len(page.Records) != 2 || page.Records[0].Activity.Name != "c" || page.Next == nil || page.Next.ID != 2 {
		t.Errorf("%+v", page)
	}
	kittest.Must(t, p.ActivityGone(t.Context(), p.cause(), gatheringv1.ActivityGone{AthleteID: 1, Generation: gen1, ActivityID: 3, ReadAt: activitytest.At(2)}))
	page, err = p.reader.List(t.Context(), activity.Authorization{AthleteID: 1, Generation: gen1}, activity.Selection{In: activity.Everything(), Limit: 2})
	kittest.Must(t, err)
	if len(page.Records) != 2 || page.Records[0].Activity.Name != "b" || page.Next != nil {
		t.Errorf("%+v", page)
	}
}

func TestMalformedActivityIsRefusedWithItsReading(t *testing.T) {
	good := activitytest.Activity(1, 1, "good")
	for name, spoil := range map[string]func(*gatheringv1.Activity){
		"no id":             func(a *gatheringv1.Activity) { a.ID = 0 },
		"no start":          func(a *gatheringv1.Activity) { a.StartDate = "" },
		"start out of time": func(a *gatheringv1.Activity) { a.StartDate = "0000-01-01T00:00:00Z" },
		"no local start":    func(a *gatheringv1.Activity) { a.StartDateLocal = "soon" },
	} {
		p := newPlane()
		bad := activitytest.Activity(2, 2, "bad")
		spoil(&bad)
		err := p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 0, nil, good, bad))
		if !fault.Is(err, fault.Permanent) {
			t.Errorf("%s: %v", name, err)
		}
		if n := p.store.Held(1); n != 0 {
			t.Errorf("%s: %d items", name, n)
		}
	}
}

func TestARevokedAuthorizationIsErasedForGood(t *testing.T) {
	p := newPlane()
	write := func(generation int64) {
		kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(generation, 0, &gatheringv1.ScanChunk{ScanID: "s"}, activitytest.Activity(1, 1, ""))))
		kittest.Must(t, p.ActivityGone(t.Context(), p.cause(), gatheringv1.ActivityGone{AthleteID: 1, Generation: generation, ActivityID: 2, ReadAt: activitytest.At(0)}))
		kittest.Must(t, p.ScanProgressed(t.Context(), p.cause(), progress(generation, "s", 1, gatheringv1.ScanCompleted, 1)))
	}
	revoked := credentialsv1.AuthorizationRevoked{AthleteID: 1, Generation: gen1, Receipt: "receipt", Reason: credentialsv1.RevokedLeft}
	write(gen1)
	for range 2 {
		kittest.Must(t, p.AuthorizationRevoked(t.Context(), p.cause(), revoked))
		write(gen1) // Late events: acknowledged, and nothing else.
		if n := p.store.Held(1); n != 0 {
			t.Fatalf("%d items are left", n)
		}
	}
	for _, e := range p.published() {
		if e.Fact != (activityv1.ErasureCompleted{Receipt: "receipt"}) || e.Meta.CausationID != "cause" || e.Meta.CorrelationID != "correlation" {
			t.Errorf("published %+v", e)
		}
	}
	if len(p.published()) != 2 {
		t.Errorf("published %d events", len(p.published()))
	}

	// The athlete comes back; a repetition of the old end does no harm.
	write(gen2)
	kittest.Must(t, p.AuthorizationRevoked(t.Context(), p.cause(), revoked))
	if n := p.store.Held(1); n != 3 {
		t.Errorf("%d items of the new authorization are left", n)
	}
	if len(p.published()) != 3 {
		t.Errorf("published %d events", len(p.published()))
	}
}

func TestAnErasureIsRepeatedIfItCouldNotBePublished(t *testing.T) {
	p := newPlane()
	p.bus.Fail(fault.New(fault.Transient, "the bus is unavailable"))
	revoked := credentialsv1.AuthorizationRevoked{AthleteID: 1, Generation: gen1, Receipt: "receipt"}
	if err := p.AuthorizationRevoked(t.Context(), p.cause(), revoked); !fault.Is(err, fault.Transient) {
		t.Fatal(err)
	}
	p.bus.Fail(nil)
	kittest.Must(t, p.AuthorizationRevoked(t.Context(), p.cause(), revoked))
	if len(p.published()) != 1 {
		t.Errorf("published %d events", len(p.published()))
	}
}

// An event that arrives after the tombstone may have expired is older than data
// may be kept.
func TestReadingsThatAreTooOldAreIgnored(t *testing.T) {
	p := newPlane()
	sent := p.cause()
	late := gathered(gen1, 60, &gatheringv1.ScanChunk{ScanID: "s"}, activitytest.Activity(1, 1, ""))
	p.now = p.now.Add(retention.StravaData)
	kittest.Must(t, p.ActivitiesGathered(t.Context(), sent, late))
	kittest.Must(t, p.ScanProgressed(t.Context(), sent, progress(gen1, "s", 1, gatheringv1.ScanCompleted, 1)))
	if n := p.store.Held(1); n != 0 {
		t.Errorf("%d items", n)
	}
	p.now = p.now.Add(-time.Nanosecond)
	kittest.Must(t, p.ActivitiesGathered(t.Context(), sent, late))
	kittest.Must(t, p.ScanProgressed(t.Context(), sent, progress(gen1, "s", 1, gatheringv1.ScanCompleted, 1)))
	if n := p.store.Held(1); n != 2 {
		t.Errorf("%d items", n)
	}
	if retention.Tombstone <= retention.StravaData {
		t.Error("a reading may outlive the tombstone")
	}
}

// Repeated events of an athlete whose tombstone has expired store nothing.
func TestAnAthleteWithoutATombstoneLeavesNoTrace(t *testing.T) {
	p := newPlane()
	sent := p.cause()
	p.now = p.now.Add(retention.Tombstone)
	kittest.Must(t, p.ActivityGone(t.Context(), sent, gatheringv1.ActivityGone{AthleteID: 1, Generation: gen1, ActivityID: 1, ReadAt: activitytest.At(0)}))
	for _, scopes := range [][]string{{"activity:read"}, {"activity:read_all"}} {
		kittest.Must(t, p.AthleteAuthorized(t.Context(), sent, credentialsv1.AthleteAuthorized{AthleteID: 1, Generation: gen1, Scopes: scopes}))
	}
	if n := p.store.Held(1); n != 0 {
		t.Errorf("%d items", n)
	}
	kittest.Must(t, p.store.UpdateGuard(t.Context(), 1, func(g *activity.Guard) (bool, error) {
		if *g != (activity.Guard{}) {
			t.Errorf("the guard is %+v", *g)
		}
		return false, nil
	}))

	// For a known athlete, a late report of the scopes still counts.
	kittest.Must(t, p.AthleteAuthorized(t.Context(), p.cause(), credentialsv1.AthleteAuthorized{AthleteID: 1, Generation: gen1, Scopes: []string{"activity:read_all"}}))
	kittest.Must(t, p.AthleteAuthorized(t.Context(), sent, credentialsv1.AthleteAuthorized{AthleteID: 1, Generation: gen2, Scopes: []string{"activity:read"}}))
	kittest.Must(t, p.store.UpdateGuard(t.Context(), 1, func(g *activity.Guard) (bool, error) {
		if g.Limited != gen2 {
			t.Errorf("the guard is %+v", *g)
		}
		return false, nil
	}))
}

// Of two readings that began in the same millisecond, the one that did not find
// the activity wins, whichever arrives first.
func TestADeletionWinsATie(t *testing.T) {
	for _, order := range [][]int{{0, 1}, {1, 0}, {0, 1, 0}} {
		p := newPlane()
		events := []func() error{
			func() error {
				return p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 1, nil, activitytest.Activity(1, 1, "")))
			},
			func() error {
				return p.ActivityGone(t.Context(), p.cause(), gatheringv1.ActivityGone{AthleteID: 1, Generation: gen1, ActivityID: 1, ReadAt: activitytest.At(1)})
			},
		}
		for _, i := range order {
			kittest.Must(t, events[i]())
		}
		if _, err := p.reader.Get(t.Context(), activity.Authorization{AthleteID: 1, Generation: gen1}, 1); !errors.Is(err, activity.ErrNotFound) {
			t.Errorf("in the order %v: %v", order, err)
		}
	}
}

// Stores keep whole milliseconds. A reading and the scan that it belongs to
// lose their fractions alike, so that the scan does not outdate it.
func TestFractionsOfAMillisecondDoNotChangeTheOrder(t *testing.T) {
	p := newPlane()
	began := activitytest.At(0).Add(400 * time.Microsecond)
	chunk := gathered(gen1, 0, &gatheringv1.ScanChunk{ScanID: "s"}, activitytest.Activity(1, 1, "found"))
	chunk.ReadAt = began.Add(200 * time.Microsecond)
	report := completed(gen1, "s", 1, 0)
	report.StartedAt = &began
	kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), chunk))
	kittest.Must(t, p.ActivityGone(t.Context(), p.cause(), gatheringv1.ActivityGone{AthleteID: 1, Generation: gen1, ActivityID: 2, ReadAt: chunk.ReadAt}))
	kittest.Must(t, p.ScanProgressed(t.Context(), p.cause(), report))
	if got := p.names(t, gen1); !slices.Equal(got, []string{"found"}) {
		t.Errorf("the athlete sees %v", got)
	}
	records, err := p.store.Records(t.Context(), 1)
	kittest.Must(t, err)
	for _, r := range records {
		if !r.ReadAt.Equal(activitytest.At(0)) {
			t.Errorf("a record was read at %v", r.ReadAt)
		}
	}
	sync, err := p.store.Sync(t.Context(), activity.Authorization{AthleteID: 1, Generation: gen1})
	kittest.Must(t, err)
	if !sync.StartedAt.Equal(activitytest.At(0)) || !sync.Stored[0].ReadAt.Equal(activitytest.At(0)) {
		t.Errorf("the sync is %+v", sync)
	}
}

func TestTheReaderRejectsARevokedSession(t *testing.T) {
	p := newPlane()
	kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen2, 0, nil, activitytest.Activity(1, 1, ""))))
	kittest.Must(t, p.AuthorizationRevoked(t.Context(), p.cause(), credentialsv1.AuthorizationRevoked{AthleteID: 1, Generation: gen1}))
	for generation, want := range map[int64]error{gen1 - 1: activity.ErrRevoked, gen1: activity.ErrRevoked, gen1 + 1: nil, gen2: nil} {
		by := activity.Authorization{AthleteID: 1, Generation: generation}
		_, list := p.reader.List(t.Context(), by, activity.Selection{In: activity.Everything(), Limit: 1})
		_, get := p.reader.Get(t.Context(), by, 1)
		_, stats := p.reader.Stats(t.Context(), by, activity.Year, "")
		_, sync := p.reader.Sync(t.Context(), by)
		for name, err := range map[string]error{"list": list, "get": get, "stats": stats, "sync": sync} {
			if !errors.Is(err, want) {
				t.Errorf("%s by %d: %v, want %v", name, generation, err, want)
			}
		}
	}
}

// completed is the report of a scan that began at a time and read everything.
func completed(generation int64, scan string, chunks, began int) gatheringv1.ScanProgressed {
	f := progress(generation, scan, 10, gatheringv1.ScanCompleted, chunks)
	at := activitytest.At(began)
	f.StartedAt, f.Covered = &at, []gatheringv1.Span{{}}
	return f
}

// names returns the names of the activities that the athlete sees, newest
// first.
func (p *plane) names(t *testing.T, generation int64) (out []string) {
	t.Helper()
	page, err := p.reader.List(t.Context(), activity.Authorization{AthleteID: 1, Generation: generation}, activity.Selection{In: activity.Everything(), Limit: 1000})
	kittest.Must(t, err)
	for _, r := range page.Records {
		out = append(out, r.Activity.Name)
	}
	return out
}

// history returns activities with the ids from 1 to n, the oldest first, named
// by their ids.
func history(n int) (out []gatheringv1.Activity) {
	for id := 1; id <= n; id++ {
		out = append(out, activitytest.Activity(int64(id), id*60, fmt.Sprint(id)))
	}
	return out
}

func (p *plane) questions() (out []activityv1.RemovalQuestioned) {
	for _, e := range p.published() {
		if q, ok := e.Fact.(activityv1.RemovalQuestioned); ok {
			out = append(out, q)
		}
	}
	return out
}

func TestAScanOfALaterAuthorizationRemovesWhatItDidNotFind(t *testing.T) {
	p := newPlane()
	kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 0, nil,
		activitytest.Activity(1, 1, "still there"), activitytest.Activity(2, 2, "deleted meanwhile"))))
	kittest.Must(t, p.ScanProgressed(t.Context(), p.cause(), completed(gen2, "s", 1, 9))) // Its activities are still on their way.
	if got := p.names(t, gen2); len(got) != 2 {
		t.Fatalf("before the scan was stored: %v", got)
	}
	kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen2, 9, &gatheringv1.ScanChunk{ScanID: "s"}, activitytest.Activity(1, 1, "still there"))))
	if got := p.names(t, gen2); !slices.Equal(got, []string{"still there"}) {
		t.Errorf("after it: %v", got)
	}
}

// A single scan removes three activities, or two in a hundred. If more are
// missing, all stay, and the plane questions the removal.
func TestOneScanRemovesFewActivities(t *testing.T) {
	for _, tc := range []struct {
		held, missing int
		removes       bool
	}{
		{3, 3, true}, {4, 4, false}, {199, 4, false}, {200, 4, true}, {450, 9, true}, {450, 10, false}, {450, 450, false},
	} {
		for _, generation := range []int64{gen1, gen2} {
			p := newPlane()
			all := history(tc.held)
			kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 0, nil, all...)))
			// Neither counts: one that is gone already, and one that is too old to be
			// shown.
			kittest.Must(t, p.ActivityGone(t.Context(), p.cause(), gatheringv1.ActivityGone{AthleteID: 1, Generation: gen1, ActivityID: 9001, ReadAt: activitytest.At(0)}))
			kittest.Must(t, p.store.Put(t.Context(), activity.Reading{
				By: activity.Authorization{AthleteID: 1, Generation: gen1}, At: p.now.Add(-retention.StravaData),
				Activities: []gatheringv1.Activity{activitytest.Activity(9002, 1, "too old")},
			}))
			kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(generation, 5, &gatheringv1.ScanChunk{ScanID: "s"}, all[tc.missing:]...)))
			kittest.Must(t, p.ScanProgressed(t.Context(), p.cause(), completed(generation, "s", 1, 5)))
			want := tc.held
			if tc.removes {
				want -= tc.missing
			}
			got := p.names(t, generation)
			got = slices.DeleteFunc(got, func(name string) bool { return name == "too old" })
			if len(got) != want {
				t.Errorf("%d of %d missing under %d: %d activities, want %d", tc.missing, tc.held, generation, len(got), want)
			}
			if tc.removes != (len(p.questions()) == 0) {
				t.Errorf("%d of %d missing under %d: asked %+v", tc.missing, tc.held, generation, p.questions())
			}
		}
	}
}

func TestAQuestionedScanChangesNothingUntilItIsConfirmed(t *testing.T) {
	by := activity.Authorization{AthleteID: 1, Generation: gen1}
	before := activity.Progress{State: activity.Current, Gathered: 450}
	setUp := func() (*plane, gatheringv1.ScanProgressed) {
		p := newPlane()
		kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 1, &gatheringv1.ScanChunk{ScanID: "s1"}, history(450)...)))
		kittest.Must(t, p.ScanProgressed(t.Context(), p.cause(), completed(gen1, "s1", 1, 1)))
		empty := completed(gen1, "s2", 0, 5)
		for range 2 { // Each event may come twice.
			kittest.Must(t, p.ScanProgressed(t.Context(), p.cause(), empty))
		}
		return p, empty
	}
	expect := func(p *plane, activities int, status activity.Progress) {
		t.Helper()
		if got := p.names(t, gen1); len(got) != activities {
			t.Errorf("%d activities, want %d", len(got), activities)
		}
		stats, err := p.reader.Stats(t.Context(), by, activity.Year, "")
		kittest.Must(t, err)
		if int(stats.Total.Count) != activities {
			t.Errorf("%d activities in the totals, want %d", stats.Total.Count, activities)
		}
		got, err := p.reader.Sync(t.Context(), by)
		kittest.Must(t, err)
		if d := cmp.Diff(status, got); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
	}

	p, empty := setUp()
	expect(p, 450, before)
	question := activityv1.RemovalQuestioned{
		AthleteID: 1, Generation: gen1, ScanID: "s2", Missing: 450, Held: 450, Sample: []int64{1, 91, 181, 271, 361},
	}
	if d := cmp.Diff([]activityv1.RemovalQuestioned{question, question}, p.questions()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if m := p.published()[0].Meta; m.CausationID != "cause" || m.CorrelationID != "correlation" {
		t.Errorf("the question is caused by %+v", m)
	}
	// Only a new report of the questioned scan confirms it. A report of another
	// scan, or one that is not newer, changes nothing.
	for _, other := range []gatheringv1.ScanProgressed{completed(gen1, "s1", 1, 1), completed(gen1, "s2", 0, 5)} {
		other.Confirmed = true
		kittest.Must(t, p.ScanProgressed(t.Context(), p.cause(), other))
		expect(p, 450, before)
	}
	empty.Sequence++
	empty.Confirmed = true
	for range 2 {
		kittest.Must(t, p.ScanProgressed(t.Context(), p.cause(), empty))
		expect(p, 0, activity.Progress{State: activity.Current})
	}
	if n := len(p.questions()); n != 3 { // Once for each event of the scan while it is open.
		t.Errorf("asked %d times", n)
	}

	// A confirmation removes where it says that the scan has read, and nowhere
	// else.
	p, empty = setUp()
	empty.Sequence++
	empty.Confirmed = true
	tenth, err := time.Parse(time.RFC3339, history(10)[9].StartDate)
	kittest.Must(t, err)
	empty.Covered = []gatheringv1.Span{{To: &tenth}}
	kittest.Must(t, p.ScanProgressed(t.Context(), p.cause(), empty))
	expect(p, 441, activity.Progress{State: activity.Current})

	// A newer scan takes the question's place: what it finds stays.
	p, empty = setUp()
	kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 9, &gatheringv1.ScanChunk{ScanID: "s3"}, history(449)...)))
	expect(p, 450, before)
	empty.Sequence++
	empty.Confirmed = true
	kittest.Must(t, p.ScanProgressed(t.Context(), p.cause(), empty))
	expect(p, 450, before)
	kittest.Must(t, p.ScanProgressed(t.Context(), p.cause(), completed(gen1, "s3", 1, 9)))
	expect(p, 449, activity.Progress{State: activity.Current, Gathered: 449})

	// Without an answer, activities are shown until their seven days are over.
	p, _ = setUp()
	p.now = activitytest.At(1).Add(retention.StravaData - 1)
	expect(p, 450, before)
	p.now = p.now.Add(1)
	expect(p, 0, activity.Progress{State: activity.Backfilling})
}

// An athlete who reconnects keeps the history if the first scan of the new
// authorization finds nothing, and the progress does not become current.
func TestReconnectingAndOneEmptyPageLoseNothing(t *testing.T) {
	p := newPlane()
	kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 1, &gatheringv1.ScanChunk{ScanID: "s1"}, history(40)...)))
	kittest.Must(t, p.ScanProgressed(t.Context(), p.cause(), completed(gen1, "s1", 1, 1)))
	kittest.Must(t, p.ScanProgressed(t.Context(), p.cause(), completed(gen2, "s2", 0, 5)))
	status, err := p.reader.Sync(t.Context(), activity.Authorization{AthleteID: 1, Generation: gen2})
	kittest.Must(t, err)
	if n := len(p.names(t, gen2)); n != 40 || status.State != activity.Backfilling {
		t.Errorf("%d activities, %+v", n, status)
	}
}

// A scan does not change activities that it does not cover; it may cover none.
func TestActivitiesThatAScanDoesNotCoverAreKept(t *testing.T) {
	at := func(start int) *time.Time {
		began, err := time.Parse(time.RFC3339, activitytest.Activity(1, start, "").StartDate)
		kittest.Must(t, err)
		return &began
	}
	all := []gatheringv1.Activity{
		activitytest.Activity(1, 1, "deleted"), activitytest.Activity(2, 2, "unreadable"), activitytest.Activity(3, 3, "found"),
		activitytest.Activity(4, 4, "deleted, too"), activitytest.Activity(5, 5, "in the future"),
	}
	many := make([]gatheringv1.Span, activity.MaxCovered, activity.MaxCovered+1)
	for i := range many {
		many[i] = gatheringv1.Span{From: at(100 + i), To: at(101 + i)}
	}
	for name, tc := range map[string]struct {
		covered []gatheringv1.Span
		want    []string
	}{
		"with holes":                    {[]gatheringv1.Span{{To: at(2)}, {From: at(3), To: at(5)}}, []string{"in the future", "found", "unreadable"}},
		"nothing":                       {nil, []string{"in the future", "deleted, too", "found", "unreadable", "deleted"}},
		"more stretches than are known": {append(many, gatheringv1.Span{}), []string{"in the future", "deleted, too", "found", "unreadable", "deleted"}},
	} {
		p := newPlane()
		kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 0, nil, all...)))
		kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 5, &gatheringv1.ScanChunk{ScanID: "s"}, all[2])))
		done := completed(gen1, "s", 1, 5)
		done.Covered = tc.covered
		kittest.Must(t, p.ScanProgressed(t.Context(), p.cause(), done))
		if got := p.names(t, gen1); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
		status, err := p.reader.Sync(t.Context(), activity.Authorization{AthleteID: 1, Generation: gen1})
		kittest.Must(t, err)
		if status.State != activity.Current {
			t.Errorf("%s: %+v", name, status)
		}
		// Outside the covered ranges, a late reading from before the scan is stored.
		kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 1, nil, all[0], activitytest.Activity(2, 2, "late"))))
		if got := p.names(t, gen1); !slices.Contains(got, "late") || slices.Contains(got, "deleted") != slices.Contains(tc.want, "deleted") {
			t.Errorf("%s: after a late reading %v", name, got)
		}
	}
}

// A scan does not remove a deletion. Without it a late event with an older
// reading would bring the activity back, in a range that the scan did not
// cover.
func TestADeletionOutlivesAScan(t *testing.T) {
	p := newPlane()
	kittest.Must(t, p.ActivityGone(t.Context(), p.cause(), gatheringv1.ActivityGone{AthleteID: 1, Generation: gen1, ActivityID: 1, ReadAt: activitytest.At(2)}))
	done := completed(gen1, "s", 0, 5)
	done.Covered = []gatheringv1.Span{{To: &time.Time{}}}
	kittest.Must(t, p.ScanProgressed(t.Context(), p.cause(), done))
	kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 1, nil, activitytest.Activity(1, 1, "before"))))
	if got := p.names(t, gen1); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// failing is a store with one method that fails.
type failing struct {
	activity.WriteStore
	updateGuard, endScan error
}

func (f *failing) UpdateGuard(ctx context.Context, athleteID int64, change func(*activity.Guard) (bool, error)) error {
	if f.updateGuard != nil {
		return f.updateGuard
	}
	return f.WriteStore.UpdateGuard(ctx, athleteID, change)
}

// EndScan fails after the approval, as if it was killed while it deletes.
func (f *failing) EndScan(ctx context.Context, athleteID int64, scan activity.CompletedScan, approve func([]activity.Record) bool) error {
	err := f.WriteStore.EndScan(ctx, athleteID, scan, approve)
	if f.endScan != nil {
		return f.endScan
	}
	return err
}

// No event is published if the store fails; the consumed event is retried.
func TestNothingIsPublishedIfTheStoreFails(t *testing.T) {
	down := fault.New(fault.Transient, "the store is down")
	p := newPlane()
	store := &failing{WriteStore: p.store}
	p.Store = store
	kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 0, nil, history(10)...)))
	revoked := credentialsv1.AuthorizationRevoked{AthleteID: 1, Generation: gen1, Receipt: "receipt"}
	for name, tc := range map[string]struct {
		fail   *error
		happen func() error
	}{
		"an erasure":   {&store.updateGuard, func() error { return p.AuthorizationRevoked(t.Context(), p.cause(), revoked) }},
		"a scan's end": {&store.endScan, func() error { return p.ScanProgressed(t.Context(), p.cause(), completed(gen1, "s", 0, 5)) }},
	} {
		*tc.fail = down
		if err := tc.happen(); !errors.Is(err, down) || len(p.published()) != 0 {
			t.Errorf("%s: %v, %d events", name, err, len(p.published()))
		}
		*tc.fail = nil
	}
}

func TestAQuestionIsRepeatedIfItCouldNotBePublished(t *testing.T) {
	p := newPlane()
	p.bus.Fail(fault.New(fault.Transient, "the bus is unavailable"))
	kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 0, nil, history(10)...)))
	if err := p.ScanProgressed(t.Context(), p.cause(), completed(gen1, "s", 0, 5)); !fault.Is(err, fault.Transient) {
		t.Fatal(err)
	}
	p.bus.Fail(nil)
	kittest.Must(t, p.ScanProgressed(t.Context(), p.cause(), completed(gen1, "s", 0, 5)))
	if len(p.questions()) != 1 || len(p.names(t, gen1)) != 10 {
		t.Errorf("asked %+v, %d activities", p.questions(), len(p.names(t, gen1)))
	}
}
