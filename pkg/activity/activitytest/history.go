package activitytest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// History runs a random history of one athlete, who must be new to the store,
// and checks repeatedly that the plane's answers follow from the events that it
// received. At Strava activities are created, changed, moved to another month,
// made private and deleted, one at a time or most at once. They are read alone
// and by scans. Scans have holes, and some miss existing activities. The
// plane's questions are confirmed, rightly or not, or a newer scan replaces
// them. The athlete reconnects, with more or fewer scopes, loses the right to
// read activities, leaves and returns. Events arrive late, twice, in any order
// or never. Days pass, and the sweeper deletes old activities.
//
// No scan ever removes more than a few activities unless it is confirmed. After
// a correct scan at the end, the plane shows what Strava shows.
//
// The same seed results in the same history. Readings under an authorization
// end when the athlete reconnects: of two readings, the one under the newer
// authorization is the later one.
//
// dropExpired drops what DynamoDB's TTL may drop; it may be nil.
func History(ctx context.Context, s Subject, athleteID int64, seed uint64, dropExpired func(athleteID int64, at time.Time, dice func() bool)) error {
	h := &history{
		Rand: rand.New(rand.NewPCG(seed, 0)), subject: s, athleteID: athleteID, dropExpired: dropExpired, now: At(0),
		strava: map[int64]gatheringv1.Activity{},
	}
	factory := event.Factory{Now: func() time.Time { return h.now }, NewID: func() string { return "id" }}
	ports := activity.Ports{WriteStore: s, ReadStore: s, Publisher: h, Events: factory}
	h.recorder, h.reader, h.sweeper = ports.Recorder(), ports.Reader(), ports.Sweeper()
	return h.play(ctx)
}

type history struct {
	*rand.Rand
	subject     Subject
	athleteID   int64
	dropExpired func(athleteID int64, at time.Time, dice func() bool)
	recorder    *activity.Recorder
	reader      *activity.Reader
	sweeper     *activity.Sweeper

	now        time.Time
	generation int64
	pending    []func(context.Context) error
	scanCount  int
	// drifted is set while the store may have dropped activities by itself.
	drifted bool
	// strava holds the activities that exist at Strava, by id.
	strava map[int64]gatheringv1.Activity

	// The facts that the plane received, and the state that follows from them.
	// expected are the questions that must follow from the current event, asked
	// are those that did.
	received                 []receivedRecord
	revoked, limited, closed int64
	authorized               bool
	newest                   *scan
	latestEnded              *scan
	expected, asked          []activityv1.RemovalQuestioned
}

// How many steps a history has, and how many activities it is about.
const (
	historySteps      = 60
	historyActivities = 12
)

func (h *history) play(ctx context.Context) error {
	h.connect()
	for id := range int64(historyActivities) {
		h.strava[id+1] = h.activity(id + 1)
	}
	for range historySteps {
		if err := h.step(ctx); err != nil {
			return err
		}
	}
	h.Shuffle(len(h.pending), func(i, j int) { h.pending[i], h.pending[j] = h.pending[j], h.pending[i] })
	if err := h.drain(ctx); err != nil {
		return err
	}
	if err := h.sweep(ctx); err != nil {
		return err
	}
	if err := h.converge(ctx); err != nil {
		return err
	}
	h.leave()
	if err := h.drain(ctx); err != nil {
		return err
	}
	if n := h.subject.Held(h.athleteID); n != 0 {
		return fmt.Errorf("%d items are left in the end", n)
	}
	return h.check(ctx)
}

// drain delivers all pending events, and those that follow from them.
func (h *history) drain(ctx context.Context) error {
	for len(h.pending) > 0 {
		deliver := h.pending[0]
		h.pending = h.pending[1:]
		if err := deliver(ctx); err != nil {
			return err
		}
	}
	return h.check(ctx)
}

// converge runs a correct scan of the whole history, confirms it if the plane
// questions it, and compares the activities that the plane shows with Strava's.
func (h *history) converge(ctx context.Context) error {
	h.connect()
	s := h.scan([]gatheringv1.Span{{}}, 1, func(gatheringv1.Activity) bool { return true })
	if err := h.drain(ctx); err != nil {
		return err
	}
	if len(h.asked) > 0 {
		h.report(s, true)
		if err := h.drain(ctx); err != nil {
			return err
		}
	}
	page, err := h.reader.List(ctx, activity.Authorization{AthleteID: h.athleteID, Generation: h.generation}, activity.Selection{In: activity.Everything(), Limit: 100})
	if err != nil {
		return err
	}
	want := map[int64]gatheringv1.Activity{}
	for id, a := range h.strava {
		if h.generation > h.closed && (h.generation > h.limited || a.Visibility != "only_me") {
			want[id] = a
		}
	}
	got := map[int64]gatheringv1.Activity{}
	for _, r := range page.Records {
		got[r.Activity.ID] = *r.Activity
	}
	return compare("the activities after a correct scan", want, got)
}

// Publish implements [activity.Publisher]. Like gathering, it confirms a
// question, rightly or not, or leaves it to another scan.
func (h *history) Publish(_ context.Context, events ...event.Event) error {
	for _, e := range events {
		question, ok := e.Fact.(activityv1.RemovalQuestioned)
		if !ok {
			continue
		}
		h.asked = append(h.asked, question)
		if s := h.newest; s.id == question.ScanID && h.IntN(2) == 0 {
			h.report(s, true)
		}
	}
	return nil
}

func (h *history) step(ctx context.Context) error {
	switch p := h.IntN(100); {
	case p < 16:
		h.change()
	case p < 27:
		h.read()
	case p < 36:
		h.anyScan()
	case p < 80:
		return h.deliver(ctx)
	case p < 84:
		h.connect()
	case p < 85:
		h.degrade()
	case p < 87:
		h.leave()
	case p < 93:
		h.now = h.now.Add([]time.Duration{time.Second, time.Hour, 40 * time.Hour, 80 * time.Hour}[h.IntN(4)])
	case p < 96:
		h.drop()
	case p < 98:
		return h.sweep(ctx)
	default:
		return h.check(ctx)
	}
	h.now = h.now.Add(time.Millisecond)
	return nil
}

// deliver delivers one of the pending events, and keeps it as pending at times.
func (h *history) deliver(ctx context.Context) error {
	if len(h.pending) == 0 {
		return nil
	}
	i := h.IntN(len(h.pending))
	if h.IntN(2) == 0 { // More often than not in order.
		i = 0
	}
	deliver := h.pending[i]
	if h.IntN(5) > 0 {
		h.pending = slices.Delete(h.pending, i, i+1)
	}
	return deliver(ctx)
}

// drop drops expired records from the store, as DynamoDB's TTL would.
func (h *history) drop() {
	if h.dropExpired == nil {
		return
	}
	h.dropExpired(h.athleteID, h.now, func() bool { return h.IntN(2) == 0 })
	h.drifted = true
}

func (h *history) sweep(ctx context.Context) error {
	if err := h.sweeper.Sweep(ctx); err != nil {
		return err
	}
	h.drifted = false
	records, err := h.subject.Records(ctx, h.athleteID)
	if err != nil {
		return err
	}
	for _, r := range records {
		if !h.young(r.ReadAt) {
			return fmt.Errorf("what was read at %s is kept at %s", r.ReadAt, h.now)
		}
	}
	return h.check(ctx)
}
