package activitytest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// History plays a random history of one athlete, who must be new to the store,
// and checks again and again that the plane's answers follow from the events
// that it received. At Strava activities are created, changed, moved to another
// month, made private and deleted, one at a time or most at once. They are read
// alone and by scans. Scans have gaps, and some are wrong: they miss activities
// that are there. The plane's questions are confirmed, rightly or not, or
// another scan overtakes them. The athlete reconnects, with more or fewer
// rights, loses the right to read activities, leaves and returns. Events come
// late, twice, in any order or never. Days go by, and activities that are too
// old are swept.
//
// Whatever happens, no scan removes more than a handful of activities unless it
// is confirmed. After a correct scan at the end, the plane shows what Strava
// shows.
//
// The same seed gives the same history. Readings under an authorization end
// when the athlete reconnects: of two readings, the one under the newer
// authorization is the later one.
//
// lapse drops what DynamoDB's TTL may drop; it may be nil.
func History(ctx context.Context, s Subject, athleteID int64, seed uint64, lapse func(athleteID int64, at time.Time, dice func() bool)) error {
	h := &history{
		Rand: rand.New(rand.NewPCG(seed, 0)), subject: s, athleteID: athleteID, lapse: lapse, now: At(0),
		strava: map[int64]gatheringv1.Activity{},
	}
	factory := event.Factory{Now: func() time.Time { return h.now }, NewID: func() string { return "id" }}
	h.recorder = &activity.Recorder{Store: s, Publisher: h, Events: factory}
	h.reader = &activity.Reader{Store: s, Now: factory.Now}
	h.sweeper = &activity.Sweeper{Store: s, Now: factory.Now}
	return h.play(ctx)
}

type history struct {
	*rand.Rand
	subject   Subject
	athleteID int64
	lapse     func(athleteID int64, at time.Time, dice func() bool)
	recorder  *activity.Recorder
	reader    *activity.Reader
	sweeper   *activity.Sweeper

	now        time.Time
	generation int64
	pending    []func(context.Context) error
	scanCount  int
	// drifted is set while the store may have dropped activities by itself.
	drifted bool
	// strava holds the activities that exist at Strava, by id.
	strava map[int64]gatheringv1.Activity

	// The facts that the plane received, and the state that follows from them.
	// expected and asked are the questions that the present event has to lead to,
	// and those that it led to.
	heard                    []heardRow
	revoked, limited, closed int64
	authorized               bool
	newest                   *scan
	latestEnded              *scan
	expected, asked          []activityv1.RemovalQuestioned
}

type heardRow struct {
	id  int64
	row activity.Row
}

// scan is a scan, and the parts of it that the plane received.
type scan struct {
	generation int64
	id         string
	began      time.Time
	covered    []gatheringv1.Span
	// sent is the sequence of the last report.
	sent int64

	// read is when each chunk was read, zero until the plane received the chunk;
	// found is how many activities each has.
	read  []time.Time
	found []int
	// heard is the sequence of the latest report that was heard of.
	heard     int64
	confirmed bool
	settled   bool
	// before is the last settled scan before this one.
	before *scan
}

// outdates reports whether the scan would have found the row's activity if
// Strava still had it.
func (s *scan) outdates(r activity.Row) bool {
	if s == nil || r.Activity == nil || r.Generation > s.generation || !r.ReadAt.Before(s.began) {
		return false
	}
	return s.covers(*r.Activity)
}

func (s *scan) covers(a gatheringv1.Activity) bool {
	return slices.ContainsFunc(s.covered, func(span gatheringv1.Span) bool {
		return (span.From == nil || a.StartDate >= span.From.Format(time.RFC3339)) && (span.To == nil || a.StartDate < span.To.Format(time.RFC3339))
	})
}

// has reports whether the plane has every chunk of the scan, all of them young.
func (s *scan) has(young func(time.Time) bool) bool {
	return !slices.ContainsFunc(s.read, func(at time.Time) bool { return !young(at) })
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

// converge makes a correct scan of the whole history, confirms it if the plane
// asks about it, and compares the activities that the plane shows with
// Strava's.
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
	for _, r := range page.Rows {
		got[r.Activity.ID] = *r.Activity
	}
	return compare("what an honest scan leaves", want, got)
}

// Publish implements [activity.Publisher]. In place of gathering it confirms a
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

// connect makes a new authorization.
func (h *history) connect() {
	h.generation = max(h.generation+1, h.now.UnixMilli())
	f := credentialsv1.AthleteAuthorized{AthleteID: h.athleteID, Generation: h.generation, Scopes: []string{"read", "activity:read", "activity:read_all"}}
	f.Scopes = f.Scopes[:[]int{1, 2, 2, 3, 3, 3}[h.IntN(6)]]
	occurred := h.now
	h.pending = append(h.pending, func(ctx context.Context) error {
		if h.known(occurred) {
			if len(f.Scopes) < 3 {
				h.limited = max(h.limited, f.Generation)
			}
			if len(f.Scopes) < 2 {
				h.closed = max(h.closed, f.Generation)
			}
		}
		return h.recorder.AthleteAuthorized(ctx, event.Meta{OccurredAt: occurred}, f)
	})
}

// known is whether what is said of an authorization counts, and makes it so.
func (h *history) known(occurred time.Time) bool {
	h.authorized = h.authorized || h.young(occurred) || h.revoked > 0 || h.latestEnded != nil
	return h.authorized
}

// degrade takes the right to read activities away.
func (h *history) degrade() {
	f := credentialsv1.AuthorizationDegraded{AthleteID: h.athleteID, Generation: h.generation, Reason: credentialsv1.DegradedScopeMissing}
	occurred := h.now
	h.pending = append(h.pending, func(ctx context.Context) error {
		if f.Generation > h.revoked {
			if h.known(occurred) {
				h.limited, h.closed = max(h.limited, f.Generation), max(h.closed, f.Generation)
			}
			if n := h.newest; n != nil && n.generation <= f.Generation {
				n.forget()
			}
		}
		return h.recorder.AuthorizationDegraded(ctx, event.Meta{OccurredAt: occurred}, f)
	})
}

func (h *history) leave() {
	f := credentialsv1.AuthorizationRevoked{AthleteID: h.athleteID, Generation: h.generation}
	h.pending = append(h.pending, func(ctx context.Context) error {
		h.revoked = max(h.revoked, f.Generation)
		return h.recorder.AuthorizationRevoked(ctx, event.Meta{}, f)
	})
}

// forget drops what is known of the chunks.
func (s *scan) forget() {
	if slices.ContainsFunc(s.read, func(at time.Time) bool { return !at.IsZero() }) {
		clear(s.read)
		s.covered = nil
	}
	if s.before != nil && len(s.before.read) > 0 {
		s.before = nil
	}
}

// activity returns a random activity.
func (h *history) activity(id int64) gatheringv1.Activity {
	begin := time.Date(2026, 12, 30+h.IntN(4), h.IntN(24), h.IntN(60), 1, 0, time.UTC).AddDate(0, -h.IntN(2), 0)
	return gatheringv1.Activity{
		ID: id, Name: fmt.Sprint(h.IntN(1000)), SportType: []string{"Run", "Ride", "NotYetInvented", ""}[h.IntN(4)],
		StartDate: begin.Format(time.RFC3339), StartDateLocal: begin.Add(time.Duration(h.IntN(26)-12) * time.Hour).Format(time.RFC3339),
		Distance: h.Float64() * 1e5, MovingTime: h.Int64N(1e4), ElapsedTime: h.Int64N(1e5), TotalElevationGain: h.Float64() * 1e3,
		Visibility: []string{"everyone", "followers_only", "only_me"}[h.IntN(3)],
	}
}

// change changes some activities at Strava, or deletes them.
func (h *history) change() {
	remove := h.IntN(4) == 0
	for _, n := range h.Perm(historyActivities)[:[]int{1, 2, 3, 9}[h.IntN(4)]] {
		id := int64(n + 1)
		if h.strava[id] = h.activity(id); remove {
			delete(h.strava, id)
		}
	}
}

// read reads some activities alone, and reports each one that is gone.
func (h *history) read() {
	f := gatheringv1.ActivitiesGathered{AthleteID: h.athleteID, Generation: h.generation, ReadAt: h.now}
	for _, n := range h.Perm(historyActivities)[:1+h.IntN(3)] {
		if a, there := h.strava[int64(n+1)]; there {
			f.Activities = append(f.Activities, a)
		} else {
			h.gone(int64(n + 1))
		}
	}
	h.gathered(f, nil)
}

// gathered sends what was read, perhaps as a chunk of a scan.
func (h *history) gathered(f gatheringv1.ActivitiesGathered, s *scan) {
	h.pending = append(h.pending, func(ctx context.Context) error {
		if h.young(f.ReadAt) {
			for _, a := range f.Activities {
				if row := (activity.Row{Generation: f.Generation, ReadAt: f.ReadAt, Activity: &a}); !h.latestEnded.outdates(row) {
					h.heard = append(h.heard, heardRow{a.ID, row})
				}
			}
		}
		if s == nil {
			return h.recorder.ActivitiesGathered(ctx, event.Meta{}, f)
		}
		return h.ofScan(ctx, s, f.ReadAt, f.Activities, func() { s.read[f.Chunk.Number] = f.ReadAt }, func() error {
			return h.recorder.ActivitiesGathered(ctx, event.Meta{}, f)
		})
	})
}

func (h *history) gone(id int64) {
	f := gatheringv1.ActivityGone{AthleteID: h.athleteID, Generation: h.generation, ReadAt: h.now, ActivityID: id}
	h.pending = append(h.pending, func(ctx context.Context) error {
		if h.young(f.ReadAt) {
			h.heard = append(h.heard, heardRow{f.ActivityID, activity.Row{Generation: f.Generation, ReadAt: f.ReadAt}})
		}
		return h.recorder.ActivityGone(ctx, event.Meta{}, f)
	})
}

// anyScan scans the history with gaps or without, honestly or not.
func (h *history) anyScan() {
	at := func() *time.Time {
		t := time.Date(2026, 11, 29+h.IntN(35), h.IntN(24), 0, 0, 0, time.UTC)
		return &t
	}
	spans := [][]gatheringv1.Span{
		{{}}, {{}}, {{}}, {{To: at()}}, {{To: at()}, {From: at()}}, {{From: at(), To: at()}, {}}, nil,
	}[h.IntN(7)]
	shows := []func(gatheringv1.Activity) bool{
		func(gatheringv1.Activity) bool { return true },
		func(gatheringv1.Activity) bool { return true },
		func(gatheringv1.Activity) bool { return h.IntN(8) > 0 },
		func(gatheringv1.Activity) bool { return h.IntN(3) == 0 },
		func(gatheringv1.Activity) bool { return false },
	}[h.IntN(5)]
	h.scan(spans, h.IntN(3), shows)
}

// scan sends the activities that are covered and shown, in that many chunks,
// and reports that the scan is completed.
func (h *history) scan(covered []gatheringv1.Span, chunks int, shows func(gatheringv1.Activity) bool) *scan {
	h.scanCount++
	s := &scan{
		generation: h.generation, id: fmt.Sprintf("scan-%03d", h.scanCount), began: h.now, covered: covered,
		read: make([]time.Time, chunks), found: make([]int, chunks),
	}
	found := make([][]gatheringv1.Activity, chunks)
	for _, id := range slices.Sorted(maps.Keys(h.strava)) {
		if a := h.strava[id]; chunks > 0 && s.covers(a) && shows(a) {
			n := h.IntN(chunks)
			found[n] = append(found[n], a)
		}
	}
	for n := range chunks {
		h.now = h.now.Add(time.Millisecond)
		s.found[n] = len(found[n])
		h.gathered(gatheringv1.ActivitiesGathered{
			AthleteID: h.athleteID, Generation: h.generation, ReadAt: h.now, Activities: found[n],
			Chunk: &gatheringv1.ScanChunk{ScanID: s.id, Number: n},
		}, s)
	}
	h.report(s, false)
	return s
}

// report sends that the scan is completed.
func (h *history) report(s *scan, confirmed bool) {
	s.sent++
	f := gatheringv1.ScanProgressed{
		AthleteID: h.athleteID, Generation: s.generation, ScanID: s.id, Sequence: s.sent, State: gatheringv1.ScanCompleted,
		Chunks: len(s.read), StartedAt: &s.began, Covered: s.covered, Confirmed: confirmed,
	}
	occurred := h.now
	h.pending = append(h.pending, func(ctx context.Context) error {
		return h.ofScan(ctx, s, occurred, nil, func() {
			if f.Sequence > s.heard {
				s.heard, s.confirmed, s.covered = f.Sequence, confirmed, f.Covered
			}
		}, func() error {
			return h.recorder.ScanProgressed(ctx, event.Meta{OccurredAt: occurred}, f)
		})
	})
}

// ofScan delivers an event of a scan, and checks which activities it removes
// and which questions it leads to. It does not count activities that the event
// itself holds: they may be hidden because they are Only You by now.
func (h *history) ofScan(ctx context.Context, s *scan, at time.Time, has []gatheringv1.Activity, take func(), happen func() error) error {
	shown, err := h.shown(ctx)
	if err != nil {
		return err
	}
	h.expected, h.asked = nil, nil
	if h.young(at) {
		h.hear(s, take)
	}
	if err := happen(); err != nil {
		return err
	}
	left, err := h.shown(ctx)
	if err != nil {
		return err
	}
	for _, a := range has {
		left[a.ID] = true
	}
	removed := 0
	for id := range shown {
		if !left[id] {
			removed++
		}
	}
	if removed > 3 && removed*50 > len(shown) && !s.confirmed {
		return fmt.Errorf("%s alone removed %d of %d activities", s.id, removed, len(shown))
	}
	return compare("questions", h.expected, h.asked)
}

// shown has the ids of the activities that an athlete with a session would see.
func (h *history) shown(ctx context.Context) (map[int64]bool, error) {
	page, err := h.reader.List(ctx, activity.Authorization{AthleteID: h.athleteID, Generation: h.revoked + 1}, activity.Selection{In: activity.Everything(), Limit: 100})
	out := map[int64]bool{}
	for _, r := range page.Rows {
		out[r.Activity.ID] = true
	}
	return out, err
}

// hear takes in something of a scan, unless a newer one is known.
func (h *history) hear(s *scan, take func()) {
	if s.generation <= h.revoked {
		return
	}
	if n := h.newest; n != s {
		if n != nil && n.generation > h.revoked && cmp.Or(cmp.Compare(s.generation, n.generation), cmp.Compare(s.id, n.id)) < 0 {
			return
		}
		h.newest = s
		if n != nil && n.generation == s.generation {
			if s.before = n.before; n.settled && n.has(func(at time.Time) bool { return !at.IsZero() }) {
				s.before = n
			}
		}
	}
	take()
	if s.heard > 0 && !s.settled && s.has(h.young) {
		h.settle(s)
	}
}

// settle removes what an ended scan did not find, unless that has to be asked.
func (h *history) settle(s *scan) {
	if len(s.covered) > 0 {
		if e := h.latestEnded; e == nil || s.generation > e.generation || s.generation == e.generation && s.began.After(e.began) {
			h.latestEnded = s
		}
		var missing []activity.Position
		held := 0
		for id := range int64(historyActivities + 1) {
			row := h.latest(id)
			if row.Activity == nil || !h.young(row.ReadAt) {
				continue
			}
			held++
			if s.outdates(row) {
				p, _ := activity.PositionOf(*row.Activity)
				missing = append(missing, p)
			}
		}
		if len(missing) > 3 && len(missing)*50 > held && !s.confirmed {
			slices.SortFunc(missing, activity.Position.Compare)
			q := activityv1.RemovalQuestioned{AthleteID: h.athleteID, Generation: s.generation, ScanID: s.id, Missing: len(missing), Held: held}
			for i := range min(5, len(missing)) {
				q.Sample = append(q.Sample, missing[i*len(missing)/min(5, len(missing))].ID)
			}
			h.expected = append(h.expected, q)
			return
		}
		h.heard = slices.DeleteFunc(h.heard, func(r heardRow) bool {
			return slices.ContainsFunc(missing, func(p activity.Position) bool { return p.ID == r.id })
		})
	}
	s.settled, s.before = true, nil
}

// deliver lets one of the pending events happen, and forgets it or not.
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

// drop lets what lapsed disappear from the store.
func (h *history) drop() {
	if h.lapse == nil {
		return
	}
	h.lapse(h.athleteID, h.now, func() bool { return h.IntN(2) == 0 })
	h.drifted = true
}

func (h *history) sweep(ctx context.Context) error {
	if err := h.sweeper.Sweep(ctx); err != nil {
		return err
	}
	h.drifted = false
	rows, err := h.subject.Rows(ctx, h.athleteID)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if !h.young(r.ReadAt) {
			return fmt.Errorf("what was read at %s is kept at %s", r.ReadAt, h.now)
		}
	}
	return h.check(ctx)
}

func (h *history) young(at time.Time) bool { return at.After(h.now.Add(-activity.Retention)) }

// latest returns the newest row of an activity, by the received facts alone.
func (h *history) latest(id int64) (latest activity.Row) {
	for _, one := range h.heard {
		r := one.row
		if one.id != id || r.Generation <= max(h.revoked, h.closed) {
			continue
		}
		if r.Activity != nil && r.Activity.Visibility == "only_me" && r.Generation <= h.limited {
			r.Activity = nil
		}
		if r.ReadAt.After(latest.ReadAt) {
			latest = r
		}
	}
	return latest
}

// check compares the answers with the facts.
func (h *history) check(ctx context.Context) error {
	if err := h.exact(ctx); err != nil {
		return err
	}
	by := activity.Authorization{AthleteID: h.athleteID, Generation: h.generation}
	page, err := h.reader.List(ctx, by, activity.Selection{In: activity.Everything(), Limit: 100})
	if h.generation <= h.revoked {
		if !errors.Is(err, activity.ErrRevoked) {
			return fmt.Errorf("list when revoked: %s", fmt.Sprint(err))
		}
		return nil
	}
	if err != nil {
		return err
	}
	if err := h.checkStatus(ctx, by); err != nil {
		return err
	}
	var rows []activity.Row
	for id := range int64(historyActivities + 1) {
		got, err := h.reader.Get(ctx, by, id)
		row := h.latest(id)
		if row.Activity == nil || !h.young(row.ReadAt) {
			if !errors.Is(err, activity.ErrNotFound) {
				return fmt.Errorf("get of %d, which is gone: %s", id, fmt.Sprint(err))
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("get of %d: %w", id, err)
		}
		if err := compare("get", row, got); err != nil {
			return err
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b activity.Row) int {
		return cmp.Or(cmp.Compare(b.Activity.StartDate, a.Activity.StartDate), cmp.Compare(b.Activity.ID, a.Activity.ID))
	})
	if err := compare("list", rows, page.Rows); err != nil {
		return err
	}
	for _, period := range []activity.Period{activity.Day, activity.Week, activity.Month, activity.Year} {
		want, err := activity.Summarize(activity.Tallies(rows), period, "")
		if err != nil {
			return err
		}
		got, err := h.reader.Stats(ctx, by, period, "")
		if err != nil {
			return err
		}
		if err := compare("stats by "+string(period), want, got); err != nil {
			return err
		}
	}
	return nil
}

// checkStatus checks that the athlete is told that all is current only once a
// scan is settled, with the number of activities that it found.
func (h *history) checkStatus(ctx context.Context, by activity.Authorization) error {
	got, err := h.reader.Sync(ctx, by)
	if err != nil {
		return err
	}
	s := h.newest
	if s == nil || s.generation <= h.revoked || !s.settled || !s.has(h.young) {
		if s != nil && s.generation > h.revoked {
			s = s.before
		} else {
			s = nil
		}
		if s != nil && !s.has(h.young) {
			s = nil
		}
	}
	if current := got.State == activity.Current; current != (s != nil) {
		return fmt.Errorf("the status is %+v, by %+v", got, s)
	}
	if s == nil {
		return nil
	}
	found := 0
	for _, n := range s.found {
		found += n
	}
	return compare("how many the scan found", found, got.Gathered)
}

// exact compares the tallies with what they add up.
func (h *history) exact(ctx context.Context) error {
	if h.drifted {
		return nil
	}
	rows, err := h.subject.Rows(ctx, h.athleteID)
	if err != nil {
		return err
	}
	all := activity.Authorization{AthleteID: h.athleteID, Generation: h.revoked + h.generation + 1}
	tallies, err := h.subject.Tallies(ctx, all)
	if err != nil {
		return err
	}
	return compare("tallies", activity.Tallies(rows), tallies)
}

func compare(what string, want, got any) error {
	if reflect.DeepEqual(want, got) { // Which is much faster than a difference.
		return nil
	}
	if d := gocmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		return fmt.Errorf("%s (-want +got)\n%s", what, d)
	}
	return nil
}
