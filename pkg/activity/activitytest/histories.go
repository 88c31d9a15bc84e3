package activitytest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// History plays a random history of one athlete, who must be new to the store,
// and checks again and again that what the plane answers is what the facts that
// it heard of say: an activity is created, changed, moved to another month,
// made private, deleted; it is read by scans and alone; the athlete reconnects,
// with more or fewer rights, takes the last away, leaves and returns; events
// come late, twice, in any order or never; days go by, and what is too old is
// swept.
//
// The same seed gives the same history. Readings under an authorization end
// when the athlete reconnects: of two readings, the one under the newer
// authorization is the later one.
//
// lapse drops what DynamoDB's TTL may drop; it may be nil.
func History(ctx context.Context, s Subject, athleteID int64, seed uint64, lapse func(athleteID int64, at time.Time, dice func() bool)) error {
	h := &history{
		Rand: rand.New(rand.NewPCG(seed, 0)), subject: s, athleteID: athleteID, lapse: lapse, now: At(0),
	}
	minter := event.Minter{Now: func() time.Time { return h.now }, NewID: func() string { return "id" }}
	h.recorder = &activity.Recorder{Store: s, Publisher: nobody{}, Minter: minter}
	h.reader = &activity.Reader{Store: s, Now: minter.Now}
	h.sweeper = &activity.Sweeper{Store: s, Now: minter.Now}
	return h.play(ctx)
}

type nobody struct{}

func (nobody) Publish(context.Context, ...event.Event) error { return nil }

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

	// What the plane heard of.
	heard                    []heardRow
	revoked, limited, closed int64
	authorized               bool
	newest                   *scan
	horizon                  *scan
}

type heardRow struct {
	id  int64
	row activity.Row
}

// scan is what is known of a scan.
type scan struct {
	generation int64
	id         string
	began      time.Time
	// read has when each chunk was read, and is zero until it was heard of.
	read  []time.Time
	ended bool
}

// How many steps a history has, and how many activities it is about.
const (
	historySteps      = 60
	historyActivities = 5
)

func (h *history) play(ctx context.Context) error {
	h.connect()
	for range historySteps {
		if err := h.step(ctx); err != nil {
			return err
		}
	}
	h.Shuffle(len(h.pending), func(i, j int) { h.pending[i], h.pending[j] = h.pending[j], h.pending[i] })
	for _, deliver := range h.pending {
		if err := deliver(ctx); err != nil {
			return err
		}
	}
	if err := h.check(ctx); err != nil {
		return err
	}
	if err := h.sweep(ctx); err != nil {
		return err
	}
	h.leave()
	if err := h.pending[len(h.pending)-1](ctx); err != nil {
		return err
	}
	if n := h.subject.Held(h.athleteID); n != 0 {
		return fmt.Errorf("%d items are left in the end", n)
	}
	return h.check(ctx)
}

func (h *history) step(ctx context.Context) error {
	switch p := h.IntN(100); {
	case p < 25:
		h.gathered(nil, 0)
	case p < 32:
		h.gone()
	case p < 38:
		h.scan()
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

// connect authorizes anew.
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
	h.authorized = h.authorized || h.young(occurred) || h.revoked > 0 || h.horizon != nil
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
				clear(n.read)
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

// activities makes some activities up.
func (h *history) activities() (out []gatheringv1.Activity) {
	for _, id := range h.Perm(historyActivities)[:1+h.IntN(3)] {
		begin := time.Date(2026, 12, 30+h.IntN(4), h.IntN(24), h.IntN(60), 1, 0, time.UTC).AddDate(0, -h.IntN(2), 0)
		out = append(out, gatheringv1.Activity{
			ID: int64(id + 1), Name: fmt.Sprint(h.IntN(1000)), SportType: []string{"Run", "Ride", "NotYetInvented", ""}[h.IntN(4)],
			StartDate: begin.Format(time.RFC3339), StartDateLocal: begin.Add(time.Duration(h.IntN(26)-12) * time.Hour).Format(time.RFC3339),
			Distance: h.Float64() * 1e5, MovingTime: h.Int64N(1e4), ElapsedTime: h.Int64N(1e5), TotalElevationGain: h.Float64() * 1e3,
			Visibility: []string{"everyone", "followers_only", "only_me"}[h.IntN(3)],
		})
	}
	return out
}

// gathered reads some activities, perhaps as a chunk of a scan.
func (h *history) gathered(s *scan, number int) {
	f := gatheringv1.ActivitiesGathered{AthleteID: h.athleteID, Generation: h.generation, ReadAt: h.now, Activities: h.activities()}
	if s != nil {
		f.Chunk = &gatheringv1.ScanChunk{ScanID: s.id, Number: number}
	}
	h.pending = append(h.pending, func(ctx context.Context) error {
		if h.young(f.ReadAt) {
			for _, a := range f.Activities {
				h.heard = append(h.heard, heardRow{a.ID, activity.Row{Generation: f.Generation, ReadAt: f.ReadAt, Activity: &a}})
			}
			if s != nil {
				h.hear(s, func() { s.read[number] = f.ReadAt })
			}
		}
		return h.recorder.ActivitiesGathered(ctx, event.Meta{}, f)
	})
}

func (h *history) gone() {
	f := gatheringv1.ActivityGone{AthleteID: h.athleteID, Generation: h.generation, ReadAt: h.now, ActivityID: int64(1 + h.IntN(historyActivities))}
	h.pending = append(h.pending, func(ctx context.Context) error {
		if h.young(f.ReadAt) {
			h.heard = append(h.heard, heardRow{f.ActivityID, activity.Row{Generation: f.Generation, ReadAt: f.ReadAt}})
		}
		return h.recorder.ActivityGone(ctx, event.Meta{}, f)
	})
}

func (h *history) scan() {
	h.scanCount++
	s := &scan{generation: h.generation, id: fmt.Sprintf("scan-%03d", h.scanCount), began: h.now, read: make([]time.Time, h.IntN(3))}
	for n := range s.read {
		h.now = h.now.Add(time.Millisecond)
		h.gathered(s, n)
	}
	f := gatheringv1.ScanProgressed{
		AthleteID: h.athleteID, Generation: s.generation, ScanID: s.id, Sequence: 1,
		State: gatheringv1.ScanCompleted, Chunks: len(s.read), StartedAt: &s.began,
	}
	occurred := h.now
	h.pending = append(h.pending, func(ctx context.Context) error {
		if h.young(occurred) {
			h.hear(s, func() { s.ended = true })
		}
		return h.recorder.ScanProgressed(ctx, event.Meta{OccurredAt: occurred}, f)
	})
}

// hear takes in something of a scan, unless a newer one is known.
func (h *history) hear(s *scan, take func()) {
	if s.generation <= h.revoked {
		return
	}
	if n := h.newest; n == nil || n.generation <= h.revoked || cmp.Or(cmp.Compare(s.generation, n.generation), cmp.Compare(s.id, n.id)) >= 0 {
		h.newest = s
		take()
		if s.ended && !slices.ContainsFunc(s.read, func(at time.Time) bool { return !h.young(at) }) {
			h.horizon = s
		}
	}
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

// latest is the last that is known of an activity, by the facts alone.
func (h *history) latest(id int64) (latest activity.Row) {
	for _, one := range h.heard {
		r := one.row
		if one.id != id || r.Generation <= max(h.revoked, h.closed) {
			continue
		}
		if s := h.horizon; s != nil && (r.Generation < s.generation || r.Generation == s.generation && r.ReadAt.Before(s.began)) {
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
