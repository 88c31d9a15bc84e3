package activity_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

const (
	gen1 = activitytest.Gen1
	gen2 = activitytest.Gen2
)

type plane struct {
	*activity.Recorder
	reader    *activity.Reader
	store     *activitytest.Store
	now       time.Time
	published []event.Event
	refuse    error
}

func (p *plane) Publish(_ context.Context, events ...event.Event) error {
	if p.refuse != nil {
		return p.refuse
	}
	p.published = append(p.published, events...)
	return nil
}

func newPlane() *plane {
	p := &plane{store: activitytest.NewStore(), now: activitytest.At(60)}
	ids := 0
	p.Recorder = &activity.Recorder{Store: p.store, Publisher: p, Minter: event.Minter{
		Now:   func() time.Time { return p.now },
		NewID: func() string { ids++; return fmt.Sprint("id-", ids) },
	}}
	p.reader = &activity.Reader{Store: p.store, Now: func() time.Time { return p.now }}
	return p
}

func (p *plane) cause() event.Meta {
	return event.Meta{ID: "cause", OccurredAt: p.now, CorrelationID: "correlation"}
}

func gathered(generation int64, at int, chunk *gatheringv1.ScanChunk, activities ...gatheringv1.Activity) gatheringv1.ActivitiesGathered {
	return gatheringv1.ActivitiesGathered{AthleteID: 1, Generation: generation, ReadAt: activitytest.At(at), Chunk: chunk, Activities: activities}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestGatheredActivitiesAreKeptAndCounted(t *testing.T) {
	p := newPlane()
	// Twice the same activity in one reading is one.
	a, b := activitytest.Activity(1, 1, "a"), activitytest.Activity(2, 2, "b")
	f := gathered(gen1, 0, &gatheringv1.ScanChunk{ScanID: "s", Number: 0}, a, b, a)
	for range 2 {
		must(t, p.ActivitiesGathered(t.Context(), p.cause(), f))
	}
	must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 1, nil, activitytest.Activity(3, 3, "c"))))
	must(t, p.ScanProgressed(t.Context(), p.cause(), progress(gen1, "s", 2, gatheringv1.ScanCompleted, 1)))
	status, err := p.reader.Sync(t.Context(), activity.Authorization{AthleteID: 1, Generation: gen1})
	must(t, err)
	if d := cmp.Diff(activity.Status{State: activity.Current, Gathered: 2}, status); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	page, err := p.reader.List(t.Context(), activity.Authorization{AthleteID: 1, Generation: gen1}, activity.Selection{In: activity.Everything(), Limit: 2})
	must(t, err)
	if len(page.Rows) != 2 || page.Rows[0].Activity.Name != "c" || page.Next == nil || page.Next.ID != 2 {
		t.Errorf("%+v", page)
	}
	must(t, p.ActivityGone(t.Context(), p.cause(), gatheringv1.ActivityGone{AthleteID: 1, Generation: gen1, ActivityID: 3, ReadAt: activitytest.At(2)}))
	page, err = p.reader.List(t.Context(), activity.Authorization{AthleteID: 1, Generation: gen1}, activity.Selection{In: activity.Everything(), Limit: 2})
	must(t, err)
	if len(page.Rows) != 2 || page.Rows[0].Activity.Name != "b" || page.Next != nil {
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

func TestRevokedAuthorizationIsErasedFencedAndAnnounced(t *testing.T) {
	p := newPlane()
	write := func(generation int64) {
		must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(generation, 0, &gatheringv1.ScanChunk{ScanID: "s"}, activitytest.Activity(1, 1, ""))))
		must(t, p.ActivityGone(t.Context(), p.cause(), gatheringv1.ActivityGone{AthleteID: 1, Generation: generation, ActivityID: 2, ReadAt: activitytest.At(0)}))
		must(t, p.ScanProgressed(t.Context(), p.cause(), progress(generation, "s", 1, gatheringv1.ScanCompleted, 1)))
	}
	revoked := credentialsv1.AuthorizationRevoked{AthleteID: 1, Generation: gen1, Receipt: "receipt", Reason: credentialsv1.RevokedLeft}
	write(gen1)
	for range 2 {
		must(t, p.AuthorizationRevoked(t.Context(), p.cause(), revoked))
		write(gen1) // Late events: acknowledged, and nothing else.
		if n := p.store.Held(1); n != 0 {
			t.Fatalf("%d items are left", n)
		}
	}
	for _, e := range p.published {
		if e.Fact != (activityv1.ErasureCompleted{Receipt: "receipt"}) || e.Meta.CausationID != "cause" || e.Meta.CorrelationID != "correlation" {
			t.Errorf("published %+v", e)
		}
	}
	if len(p.published) != 2 {
		t.Errorf("published %d events", len(p.published))
	}

	// The athlete comes back; a repetition of the old end does no harm.
	write(gen2)
	must(t, p.AuthorizationRevoked(t.Context(), p.cause(), revoked))
	if n := p.store.Held(1); n != 3 {
		t.Errorf("%d items of the new authorization are left", n)
	}
	if len(p.published) != 3 {
		t.Errorf("published %d events", len(p.published))
	}
}

func TestErasureIsRepeatedWhenItCouldNotBeAnnounced(t *testing.T) {
	p := newPlane()
	p.refuse = fault.New(fault.Transient, "the bus is away")
	revoked := credentialsv1.AuthorizationRevoked{AthleteID: 1, Generation: gen1, Receipt: "receipt"}
	if err := p.AuthorizationRevoked(t.Context(), p.cause(), revoked); !fault.Is(err, fault.Transient) {
		t.Fatal(err)
	}
	p.refuse = nil
	must(t, p.AuthorizationRevoked(t.Context(), p.cause(), revoked))
	if len(p.published) != 1 {
		t.Errorf("published %d events", len(p.published))
	}
}

// What comes so late that the tombstone may be gone is older than anything may
// be kept.
func TestReadingsPastTheirRightAreIgnored(t *testing.T) {
	p := newPlane()
	sent := p.cause()
	late := gathered(gen1, 60, &gatheringv1.ScanChunk{ScanID: "s"}, activitytest.Activity(1, 1, ""))
	p.now = p.now.Add(activity.Retention)
	must(t, p.ActivitiesGathered(t.Context(), sent, late))
	must(t, p.ScanProgressed(t.Context(), sent, progress(gen1, "s", 1, gatheringv1.ScanCompleted, 1)))
	if n := p.store.Held(1); n != 0 {
		t.Errorf("%d items", n)
	}
	p.now = p.now.Add(-time.Nanosecond)
	must(t, p.ActivitiesGathered(t.Context(), sent, late))
	must(t, p.ScanProgressed(t.Context(), sent, progress(gen1, "s", 1, gatheringv1.ScanCompleted, 1)))
	if n := p.store.Held(1); n != 2 {
		t.Errorf("%d items", n)
	}
	if activity.TombstoneLifetime <= activity.Retention {
		t.Error("a reading may outlive the tombstone")
	}
}

// An athlete whose tombstone has lapsed leaves no trace again, whatever is
// repeated.
func TestNothingIsRememberedOfWhomTheTombstoneForgot(t *testing.T) {
	p := newPlane()
	sent := p.cause()
	p.now = p.now.Add(activity.TombstoneLifetime)
	must(t, p.ActivityGone(t.Context(), sent, gatheringv1.ActivityGone{AthleteID: 1, Generation: gen1, ActivityID: 1, ReadAt: activitytest.At(0)}))
	for _, scopes := range [][]string{{"activity:read"}, {"activity:read_all"}} {
		must(t, p.AthleteAuthorized(t.Context(), sent, credentialsv1.AthleteAuthorized{AthleteID: 1, Generation: gen1, Scopes: scopes}))
	}
	if n := p.store.Held(1); n != 0 {
		t.Errorf("%d items", n)
	}
	must(t, p.store.UpdateFence(t.Context(), 1, func(f *activity.Fence) bool {
		if *f != (activity.Fence{}) {
			t.Errorf("the fence is %+v", *f)
		}
		return false
	}))

	// Of an athlete who is known, a late word on the scopes still counts.
	must(t, p.AthleteAuthorized(t.Context(), p.cause(), credentialsv1.AthleteAuthorized{AthleteID: 1, Generation: gen1, Scopes: []string{"activity:read_all"}}))
	must(t, p.AthleteAuthorized(t.Context(), sent, credentialsv1.AthleteAuthorized{AthleteID: 1, Generation: gen2, Scopes: []string{"activity:read"}}))
	must(t, p.store.UpdateFence(t.Context(), 1, func(f *activity.Fence) bool {
		if f.Limited != gen2 {
			t.Errorf("the fence is %+v", *f)
		}
		return false
	}))
}

// Of two readings that began at the same instant, the one that did not find the
// activity wins, whichever is heard of first.
func TestGoneWinsATie(t *testing.T) {
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
			must(t, events[i]())
		}
		if _, err := p.reader.Get(t.Context(), activity.Authorization{AthleteID: 1, Generation: gen1}, 1); !errors.Is(err, activity.ErrNotFound) {
			t.Errorf("in the order %v: %v", order, err)
		}
	}
}

func TestReaderTurnsARevokedSessionAway(t *testing.T) {
	p := newPlane()
	must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen2, 0, nil, activitytest.Activity(1, 1, ""))))
	must(t, p.AuthorizationRevoked(t.Context(), p.cause(), credentialsv1.AuthorizationRevoked{AthleteID: 1, Generation: gen1}))
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

func TestACompleteScanSupersedesEarlierAuthorizations(t *testing.T) {
	p := newPlane()
	const first, second = 1_800_000_000_000, 1_800_000_100_000
	must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(first, 0, nil,
		activitytest.Activity(1, 1, "still there"), activitytest.Activity(2, 2, "deleted meanwhile"))))
	chunk := gathered(second, 9, &gatheringv1.ScanChunk{ScanID: "s"}, activitytest.Activity(1, 1, "still there"))
	done := gatheringv1.ScanProgressed{AthleteID: 1, Generation: second, ScanID: "s", Sequence: 2, State: gatheringv1.ScanCompleted, Chunks: 1}
	held := func() int {
		found, err := p.reader.List(t.Context(), activity.Authorization{AthleteID: 1, Generation: second}, activity.Selection{In: activity.Everything(), Limit: 9})
		must(t, err)
		return len(found.Rows)
	}
	must(t, p.ScanProgressed(t.Context(), p.cause(), done)) // Its activities are still on their way.
	if n := held(); n != 2 {
		t.Fatalf("%d activities before the scan was stored", n)
	}
	must(t, p.ActivitiesGathered(t.Context(), p.cause(), chunk))
	if n := held(); n != 1 {
		t.Errorf("%d activities after it", n)
	}
}
