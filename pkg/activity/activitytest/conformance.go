package activitytest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Subject is a store under test.
type Subject struct {
	activity.WriteStore
	activity.ReadStore
	// Held is how many items the store has of the athlete besides the fence and
	// the tallies.
	Held func(athleteID int64) int
}

// erase ends an authorization.
func (s Subject) erase(ctx context.Context, by activity.Authorization) error {
	expires := At(0).Add(activity.TombstoneLifetime)
	return s.UpdateFence(ctx, by.AthleteID, func(f *activity.Fence) bool { return f.Revoke(by.Generation, expires) })
}

// fence gives the athlete's fence.
func (s Subject) fence(t *testing.T, athleteID int64) (out activity.Fence) {
	t.Helper()
	must(t, s.UpdateFence(t.Context(), athleteID, func(f *activity.Fence) bool { out = *f; return false }))
	return out
}

// agreeing returns an agree function for EndScan that always gives this answer.
func agreeing(yes bool) func([]activity.Row) bool {
	return func([]activity.Row) bool { return yes }
}

// exact fails the test unless the athlete's tallies are what the activities add
// up to.
func (s Subject) exact(t *testing.T, athleteID int64) {
	t.Helper()
	rows, err := s.Rows(t.Context(), athleteID)
	must(t, err)
	got, err := s.Tallies(t.Context(), activity.Authorization{AthleteID: athleteID, Generation: math.MaxInt64})
	must(t, err)
	same(t, got, activity.Tallies(rows))
}

// Times and generations of the tests.
const (
	Gen1 int64 = 1_800_000_000_000
	Gen2 int64 = 1_800_000_100_000
)

// At is a time of reading, n seconds after some start.
func At(n int) time.Time {
	return time.Date(2026, 11, 20, 12, 0, 0, 123_456_789, time.UTC).Add(time.Duration(n) * time.Second)
}

// Activity makes an activity; start is the second of the history at which it
// begins.
func Activity(id int64, start int, name string) gatheringv1.Activity {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(start) * time.Second)
	return gatheringv1.Activity{
		ID: id, Name: name, SportType: "Run",
		StartDate: begin.Format(time.RFC3339), StartDateLocal: begin.Add(-5 * time.Hour).Format(time.RFC3339),
		Distance: 6764.8, MovingTime: 2151, ElapsedTime: 2178, TotalElevationGain: 34.1,
	}
}

// athletes gives each test an athlete of its own, so that a suite may share a
// table.
var athletes atomic.Int64

// Run checks that a store does what its ports promise.
func Run(t *testing.T, store Subject) {
	for _, tc := range []struct {
		name string
		test func(t *testing.T, by, later activity.Authorization)
	}{
		{"an activity comes back as it was put", func(t *testing.T, by, _ activity.Authorization) {
			full := Activity(9_007_199_254_740_993, 10, "Søndagstur 🚴")
			speed, maxSpeed, rate, maxRate, watts, work := 3.145, 11.486, 146.8, 162.0, 0.0, 1234.5
			full.Timezone, full.Visibility, full.DeviceName = "Europe/Copenhagen", "only_me", "Garmin Edge 540"
			full.AverageSpeed, full.MaxSpeed, full.AverageHeartrate = &speed, &maxSpeed, &rate
			full.MaxHeartrate, full.AverageWatts, full.Kilojoules = &maxRate, &watts, &work
			full.Trainer, full.Commute, full.Manual, full.Private = true, true, true, true
			bare := Activity(2, 5, "")
			must(t, store.Put(t.Context(), reading(by, At(0), full, bare)))
			for _, want := range []gatheringv1.Activity{full, bare} {
				got, err := store.Get(t.Context(), by, want.ID)
				must(t, err)
				same(t, got, activity.Row{Generation: by.Generation, ReadAt: At(0), Activity: &want})
			}
			same(t, list(t, store, by, activity.Everything(), "", 10), []gatheringv1.Activity{full, bare})
			rows, err := store.Rows(t.Context(), by.AthleteID)
			must(t, err)
			same(t, rows, []activity.Row{
				{Generation: by.Generation, ReadAt: At(0), Activity: &bare}, {Generation: by.Generation, ReadAt: At(0), Activity: &full},
			}, cmpopts.SortSlices(func(a, b activity.Row) bool { return a.Activity.ID < b.Activity.ID }))
		}},

		{"an athlete sees their own only", func(t *testing.T, by, _ activity.Authorization) {
			other := activity.Authorization{AthleteID: athletes.Add(1), Generation: Gen1}
			must(t, store.Put(t.Context(), reading(by, At(0), Activity(1, 1, "mine"))))
			must(t, store.Put(t.Context(), reading(other, At(0), Activity(2, 1, "theirs"))))
			row, err := store.Get(t.Context(), by, 2)
			must(t, err)
			same(t, row, activity.Row{})
			same(t, names(list(t, store, by, activity.Everything(), "", 10)), []string{"mine"})
			must(t, store.erase(t.Context(), other))
			same(t, names(list(t, store, by, activity.Everything(), "", 10)), []string{"mine"})
		}},

		{"the newest reading wins in every order", func(t *testing.T, by, later activity.Authorization) {
			// In the order of what is known last: each step beats all before it.
			steps := []func(ctx context.Context, athleteID int64) error{
				func(ctx context.Context, id int64) error {
					return store.Put(ctx, reading(activity.Authorization{AthleteID: id, Generation: Gen1}, At(1), Activity(1, 1, "first")))
				},
				func(ctx context.Context, id int64) error {
					return store.PutGone(ctx, activity.Absence{By: activity.Authorization{AthleteID: id, Generation: Gen1}, At: At(1), ActivityID: 1})
				},
				func(ctx context.Context, id int64) error {
					return store.Put(ctx, reading(activity.Authorization{AthleteID: id, Generation: Gen1}, At(1).Add(time.Nanosecond), Activity(1, 100, "moved")))
				},
				func(ctx context.Context, id int64) error {
					return store.Put(ctx, reading(activity.Authorization{AthleteID: id, Generation: Gen2}, At(0), Activity(1, 1, "reconnected")))
				},
				func(ctx context.Context, id int64) error {
					return store.PutGone(ctx, activity.Absence{By: activity.Authorization{AthleteID: id, Generation: Gen2}, At: At(3), ActivityID: 1})
				},
			}
			want := [][]string{{"first"}, nil, {"moved"}, {"reconnected"}, nil}
			orders := [][]int{{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 4, 1, 3, 0}}
			for i := range steps {
				for j := range steps {
					orders = append(orders, []int{i, j})
				}
			}
			for _, order := range orders {
				by := activity.Authorization{AthleteID: athletes.Add(1), Generation: Gen1}
				// Each one twice: duplicates change nothing.
				for _, i := range append(order, order...) {
					must(t, steps[i](t.Context(), by.AthleteID))
				}
				want := want[slices.Max(order)]
				if got := names(list(t, store, by, activity.Everything(), "", 10)); !slices.Equal(got, want) {
					t.Errorf("in the order %v: %v, want %v", order, got, want)
				}
				row, err := store.Get(t.Context(), by, 1)
				must(t, err)
				if gone := row.Activity == nil; gone != (want == nil) {
					t.Errorf("in the order %v: get says %v", order, row)
				}
				if n := store.Held(by.AthleteID); n != 1 {
					t.Errorf("%d items", n)
				}
			}
		}},

		{"an outdated activity does not keep back its neighbours", func(t *testing.T, by, _ activity.Authorization) {
			must(t, store.Put(t.Context(), reading(by, At(5), Activity(2, 2, "newer"))))
			must(t, store.Put(t.Context(), reading(by, At(1), Activity(1, 1, "a"), Activity(2, 2, "older"), Activity(3, 3, "c"))))
			same(t, names(list(t, store, by, activity.Everything(), "", 10)), []string{"c", "newer", "a"})
		}},

		{"a reading may be large", func(t *testing.T, by, _ activity.Authorization) {
			var many []gatheringv1.Activity
			for i := range 230 {
				many = append(many, Activity(int64(i+1), i, fmt.Sprint(i)))
			}
			must(t, store.Put(t.Context(), reading(by, At(0), many...)))
			must(t, store.Put(t.Context(), reading(by, At(0), many...)))
			must(t, store.Put(t.Context(), reading(by, At(0))))
			if n := store.Held(by.AthleteID); n != 230 {
				t.Fatalf("%d items", n)
			}
		}},

		{"rows that a scan outdates are deleted, and no late reading brings them back", func(t *testing.T, by, later activity.Authorization) {
			other := activity.Authorization{AthleteID: by.AthleteID + 1_000_000, Generation: by.Generation}
			scan := activity.CompletedScan{Generation: later.Generation, Began: At(2), Covered: []activity.Range{activity.Everything()}}
			write := func() {
				must(t, store.Put(t.Context(), reading(by, At(0), Activity(1, 1, "stale"), Activity(2, 2, "old"))))
				must(t, store.PutGone(t.Context(), activity.Absence{By: by, At: At(0), ActivityID: 3}))
				must(t, store.Put(t.Context(), reading(later, At(1), Activity(4, 4, "deleted"))))
			}
			write()
			must(t, store.Put(t.Context(), reading(other, At(0), Activity(1, 1, "other's"))))
			must(t, store.Put(t.Context(), reading(later, At(2), Activity(2, 2, "new"))))
			// Read by the former authorization, yet after the scan began.
			must(t, store.Put(t.Context(), reading(by, At(3), Activity(5, 5, "uploaded"))))
			want := []gatheringv1.Activity{Activity(5, 5, "uploaded"), Activity(2, 2, "new")}
			for range 2 {
				must(t, store.EndScan(t.Context(), by.AthleteID, scan, agreeing(true)))
				write()
				same(t, list(t, store, later, activity.Everything(), "", 9), want)
				if n := store.Held(by.AthleteID); n != 3 {
					t.Errorf("%d items, not two activities and the memory of one that is gone", n)
				}
			}
			// An earlier scan that ends late does not move the fence back.
			for _, earlier := range []activity.CompletedScan{
				{Generation: by.Generation, Began: At(3), Covered: scan.Covered}, {Generation: later.Generation, Began: At(1), Covered: scan.Covered},
			} {
				must(t, store.EndScan(t.Context(), by.AthleteID, earlier, agreeing(true)))
				same(t, store.fence(t, by.AthleteID).Scan, &scan)
			}
			// It is no end: the earlier authorization's sessions go on.
			same(t, list(t, store, by, activity.Everything(), "", 9), want)
			if n := store.Held(other.AthleteID); n != 1 {
				t.Errorf("%d items of another athlete", n)
			}
		}},

		{"rows that a scan outdates stay unless agree says yes, and no older reading is taken in", func(t *testing.T, by, _ activity.Authorization) {
			old, found := Activity(1, 1, "not found"), Activity(2, 2, "found")
			must(t, store.Put(t.Context(), reading(by, At(1), old)))
			must(t, store.PutGone(t.Context(), activity.Absence{By: by, At: At(1), ActivityID: 3}))
			must(t, store.Put(t.Context(), reading(by, At(5), found)))
			scan := activity.CompletedScan{Generation: by.Generation, Began: At(4), Covered: []activity.Range{activity.Everything()}}
			asked := 0
			must(t, store.EndScan(t.Context(), by.AthleteID, scan, func(rows []activity.Row) bool {
				asked++
				same(t, rows, []activity.Row{
					{Generation: by.Generation, ReadAt: At(1), Activity: &old}, {Generation: by.Generation, ReadAt: At(1)},
					{Generation: by.Generation, ReadAt: At(5), Activity: &found},
				}, cmpopts.SortSlices(func(a, b activity.Row) bool {
					return a.ReadAt.Before(b.ReadAt) || a.ReadAt.Equal(b.ReadAt) && a.Activity != nil && b.Activity == nil
				}))
				return false
			}))
			if asked != 1 {
				t.Errorf("asked %d times", asked)
			}
			must(t, store.Put(t.Context(), reading(by, At(2), Activity(1, 1, "late"), Activity(4, 4, "late"))))
			same(t, list(t, store, by, activity.Everything(), "", 9), []gatheringv1.Activity{found, old})
			must(t, store.EndScan(t.Context(), by.AthleteID, scan, agreeing(true)))
			same(t, list(t, store, by, activity.Everything(), "", 9), []gatheringv1.Activity{found})
		}},

		{"a scan says nothing of what it does not cover", func(t *testing.T, by, _ activity.Authorization) {
			at := func(start int) activity.Position {
				p, err := activity.PositionOf(Activity(1, start, ""))
				must(t, err)
				return activity.Position{Start: p.Start}
			}
			before, after := activity.Everything(), activity.Range{From: at(21), To: at(30)}
			before.To = at(20)
			scan := activity.CompletedScan{Generation: by.Generation, Began: At(5), Covered: []activity.Range{before, after}}
			all := []gatheringv1.Activity{
				Activity(1, -1e9, "long ago"), Activity(2, 19, "before"), Activity(3, 20, "unreadable"), Activity(4, 21, "after"),
				Activity(5, 29, "the last"), Activity(6, 30, "in the future"),
			}
			want := []string{"in the future", "unreadable"}
			must(t, store.Put(t.Context(), reading(by, At(1), all...)))
			must(t, store.EndScan(t.Context(), by.AthleteID, scan, agreeing(true)))
			same(t, names(list(t, store, by, activity.Everything(), "", 9)), want)
			must(t, store.Put(t.Context(), reading(by, At(2), all...)))
			same(t, names(list(t, store, by, activity.Everything(), "", 9)), want)
			row, err := store.Get(t.Context(), by, 3)
			must(t, err)
			if !row.ReadAt.Equal(At(2)) {
				t.Errorf("the late reading of what is not covered is refused: %+v", row)
			}
			// What was covered is forgotten once it outdates nothing that may be kept.
			must(t, store.Expire(t.Context(), by.AthleteID, At(4)))
			same(t, store.fence(t, by.AthleteID).Scan, &scan)
			must(t, store.Expire(t.Context(), by.AthleteID, At(5)))
			same(t, store.fence(t, by.AthleteID).Scan, &activity.CompletedScan{Generation: by.Generation, Began: At(5)})
		}},

		{"an authorization that does not cover Only You has none of it", func(t *testing.T, by, later activity.Authorization) {
			private := func(id int64) gatheringv1.Activity {
				a := Activity(id, int(id), "private")
				a.Visibility = "only_me"
				return a
			}
			authorize := func(by activity.Authorization, c activity.Coverage) error {
				return store.UpdateFence(t.Context(), by.AthleteID, func(f *activity.Fence) bool { return f.Authorize(by.Generation, c) })
			}
			must(t, store.Put(t.Context(), reading(by, At(1), private(1), Activity(2, 2, "public"), private(3))))
			must(t, store.Put(t.Context(), reading(later, At(2), private(3))))
			must(t, authorize(by, activity.CoversShared))
			same(t, list(t, store, by, activity.Everything(), "", 9), []gatheringv1.Activity{private(3), Activity(2, 2, "public")})
			must(t, store.Put(t.Context(), reading(by, At(3), private(2), private(4))))
			must(t, store.Put(t.Context(), reading(by, At(0), Activity(1, 1, "when it was public"))))
			same(t, list(t, store, by, activity.Everything(), "", 9), []gatheringv1.Activity{private(3)})
			must(t, store.Put(t.Context(), reading(by, At(4), Activity(2, 2, "public"))))
			must(t, authorize(later, activity.CoversOnlyYou))
			must(t, authorize(by, activity.CoversShared))
			must(t, store.Put(t.Context(), reading(later, At(5), private(4))))
			same(t, list(t, store, by, activity.Everything(), "", 9), []gatheringv1.Activity{private(4), private(3), Activity(2, 2, "public")})
		}},

		{"an authorization that covers no activities has none", func(t *testing.T, by, later activity.Authorization) {
			authorize := func(by activity.Authorization, c activity.Coverage) error {
				return store.UpdateFence(t.Context(), by.AthleteID, func(f *activity.Fence) bool { return f.Authorize(by.Generation, c) })
			}
			must(t, authorize(by, activity.CoversOnlyYou))
			must(t, store.Put(t.Context(), reading(by, At(1), Activity(1, 1, "a"), Activity(2, 2, "b"))))
			must(t, store.Put(t.Context(), reading(later, At(2), Activity(2, 2, "c"))))
			for range 2 {
				must(t, authorize(by, activity.CoversNone))
				same(t, list(t, store, by, activity.Everything(), "", 9), []gatheringv1.Activity{Activity(2, 2, "c")})
				must(t, store.Put(t.Context(), reading(by, At(3), Activity(1, 1, "late"), Activity(2, 2, "late"))))
			}
			if n := store.Held(by.AthleteID); n != 1 {
				t.Errorf("%d items", n)
			}
			// It is no end: the session goes on.
			for what, err := range reads(t, store, by) {
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
		}},

		{"what is too old is found and deleted", func(t *testing.T, by, _ activity.Authorization) {
			moved := Activity(1, 1, "moved")
			must(t, store.Put(t.Context(), reading(by, At(-7200), Activity(1, 1, "old"), Activity(2, 2, "old"), Activity(3, 40*86400, "old"))))
			must(t, store.PutGone(t.Context(), activity.Absence{By: by, At: At(-7200), ActivityID: 4}))
			must(t, store.Put(t.Context(), reading(by, At(0), moved)))
			must(t, store.UpdateSync(t.Context(), by, func(s *activity.Sync) bool {
				s.Store(by.Generation, gatheringv1.ScanChunk{ScanID: "scan", Number: 0}, activity.StoredChunk{Activities: 3, ReadAt: At(-7200)})
				return s.Store(by.Generation, gatheringv1.ScanChunk{ScanID: "scan", Number: 1}, activity.StoredChunk{Activities: 5, ReadAt: At(0)})
			}))
			aged := func(until time.Time) bool {
				found, err := store.Aged(t.Context(), until, 1_000_000)
				must(t, err)
				return slices.Contains(found, by.AthleteID)
			}
			if aged(At(-3*7200)) || !aged(At(-7200)) {
				t.Errorf("aged: %v long before, %v when it is", aged(At(-3*7200)), aged(At(-7200)))
			}
			same(t, list(t, store, by, activity.Everything(), "", 9), []gatheringv1.Activity{Activity(3, 40*86400, "old"), Activity(2, 2, "old"), moved})
			young, err := store.List(t.Context(), by, activity.Selection{In: activity.Everything(), ReadAfter: At(-7200), Limit: 9})
			must(t, err)
			same(t, activities(young), []gatheringv1.Activity{moved})
			must(t, store.Expire(t.Context(), by.AthleteID, At(-7201)))
			if n := store.Held(by.AthleteID); n != 5 {
				t.Errorf("%d items when nothing was too old", n)
			}
			for range 2 {
				must(t, store.Expire(t.Context(), by.AthleteID, At(-7200)))
				same(t, list(t, store, by, activity.Everything(), "", 9), []gatheringv1.Activity{moved})
				if n := store.Held(by.AthleteID); n != 2 {
					t.Errorf("%d items, not one activity and a sync", n)
				}
				got, err := store.Sync(t.Context(), by)
				must(t, err)
				same(t, got.Stored, map[int]activity.StoredChunk{1: {Activities: 5, ReadAt: At(0)}})
			}
			if aged(At(-7200)) {
				t.Error("still aged")
			}
		}},

		{"the memory of one that is gone is found and deleted when it is too old", func(t *testing.T, by, _ activity.Authorization) {
			must(t, store.PutGone(t.Context(), activity.Absence{By: by, At: At(-7200), ActivityID: 1}))
			for _, want := range []bool{true, false} {
				found, err := store.Aged(t.Context(), At(-7200), 1_000_000)
				must(t, err)
				if got := slices.Contains(found, by.AthleteID); got != want {
					t.Errorf("aged: %v, want %v", got, want)
				}
				must(t, store.Expire(t.Context(), by.AthleteID, At(-7200)))
				if n := store.Held(by.AthleteID); n != 0 {
					t.Errorf("%d items", n)
				}
			}
		}},

		// More than DynamoDB's 1 MB at once, and more than one query by sport type
		// looks at.
		{"a history may be large", func(t *testing.T, by, _ activity.Authorization) {
			const n = 600
			long := strings.Repeat("x", 2_500)
			var many []gatheringv1.Activity
			for i := range n {
				many = append(many, Activity(int64(i+1), i, fmt.Sprint(i, long)))
			}
			many[0].SportType = "Curling"
			must(t, store.Put(t.Context(), reading(by, At(0), many...)))
			slices.Reverse(many)
			same(t, list(t, store, by, activity.Everything(), "", n+1), many)
			same(t, list(t, store, by, activity.Everything(), "Curling", 2), many[n-1:])
			rows, err := store.Rows(t.Context(), by.AthleteID)
			must(t, err)
			if len(rows) != n {
				t.Errorf("%d rows", len(rows))
			}
			must(t, store.erase(t.Context(), by))
			if left := store.Held(by.AthleteID); left != 0 {
				t.Errorf("%d items are left", left)
			}
		}},

		{"a list is in total order, newest first", func(t *testing.T, by, _ activity.Authorization) {
			// Ids whose decimal order differs from their order as text, many in the
			// same second.
			all := []gatheringv1.Activity{
				Activity(7, 3, "7@3"), Activity(1_000_000_000_000_000_000, 2, "1e18@2"), Activity(99, 2, "99@2"),
				Activity(10, 2, "10@2"), Activity(9, 2, "9@2"), Activity(500, 1, "500@1"),
			}
			shuffled := slices.Clone(all)
			rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			must(t, store.Put(t.Context(), reading(by, At(0), shuffled...)))
			same(t, list(t, store, by, activity.Everything(), "", 100), all)
			for limit := range len(all) {
				same(t, list(t, store, by, activity.Everything(), "", limit+1), all[:limit+1])
			}
			positions := []activity.Position{{Start: activity.MinStart}, {Start: activity.MaxStart}}
			for _, a := range all {
				p, err := activity.PositionOf(a)
				must(t, err)
				positions = append(positions, p, activity.Position{Start: p.Start}, activity.Position{Start: p.Start, ID: p.ID - 1}, activity.Position{Start: p.Start, ID: p.ID + 1})
			}
			for _, from := range positions {
				for _, to := range positions {
					in := activity.Range{From: from, To: to}
					var want []gatheringv1.Activity
					for _, a := range all {
						if p, _ := activity.PositionOf(a); in.Contains(p) {
							want = append(want, a)
						}
					}
					same(t, list(t, store, by, in, "", 100), want)
				}
			}
		}},

		{"a sport type alone", func(t *testing.T, by, _ activity.Authorization) {
			var all []gatheringv1.Activity
			for i := range 60 {
				a := Activity(int64(i+1), i, fmt.Sprint(i))
				if i%20 == 0 {
					a.SportType = "GravelRide"
				}
				all = append(all, a)
			}
			must(t, store.Put(t.Context(), reading(by, At(0), all...)))
			same(t, names(list(t, store, by, activity.Everything(), "GravelRide", 2)), []string{"40", "20"})
			same(t, names(list(t, store, by, activity.Everything(), "GravelRide", 3)), []string{"40", "20", "0"})
			same(t, names(list(t, store, by, activity.Everything(), "GravelRide", 100)), []string{"40", "20", "0"})
			if got := list(t, store, by, activity.Everything(), "Curling", 100); len(got) != 0 {
				t.Errorf("got %v", names(got))
			}
		}},

		{"a part of the name", func(t *testing.T, by, _ activity.Authorization) {
			var all []gatheringv1.Activity
			for i, name := range []string{"Morning Run", "Évening", "morning ride", "", "mornin'"} {
				all = append(all, Activity(int64(i+1), i, name))
			}
			all[2].SportType = "Ride"
			must(t, store.Put(t.Context(), reading(by, At(0), all...)))
			for _, tc := range []struct {
				selection activity.Selection
				want      []string
			}{
				{activity.Selection{Name: "MORNING", Limit: 9}, []string{"morning ride", "Morning Run"}},
				{activity.Selection{Name: "MORNING", Limit: 1}, []string{"morning ride"}},
				{activity.Selection{Name: "morning", SportType: "Run", Limit: 9}, []string{"Morning Run"}},
				{activity.Selection{Name: "évé", Limit: 9}, nil},
				{activity.Selection{Name: "éve", Limit: 9}, []string{"Évening"}},
			} {
				tc.selection.In = activity.Everything()
				found, err := store.List(t.Context(), by, tc.selection)
				must(t, err)
				same(t, names(activities(found)), tc.want)
			}
		}},

		{"a search ends somewhere and says where to go on", func(t *testing.T, by, _ activity.Authorization) {
			const n = activity.SearchDepth + 100
			var many []gatheringv1.Activity
			for i := range n {
				many = append(many, Activity(int64(i+1), i, "a ride"))
			}
			many[0].SportType = "Curling"
			must(t, store.Put(t.Context(), reading(by, At(0), many...)))
			s := activity.Selection{In: activity.Everything(), SportType: "Curling", Limit: 1}
			for _, want := range [][]gatheringv1.Activity{nil, many[:1]} {
				page, err := store.List(t.Context(), by, s)
				must(t, err)
				same(t, activities(page), want)
				if page.Next == nil {
					s.In.To = activity.Position{}
					continue
				}
				if !page.Next.Less(s.In.To) {
					t.Fatalf("from %v on to %v", s.In.To, page.Next)
				}
				s.In.To = *page.Next
			}
			if s.In.To != (activity.Position{}) {
				t.Errorf("there is more at %v", s.In.To)
			}
		}},

		{"a sync is kept", func(t *testing.T, by, _ activity.Authorization) {
			zero, err := store.Sync(t.Context(), by)
			must(t, err)
			same(t, zero, activity.Sync{})
			resumes, finishes := At(900), At(9000)
			want := activity.Sync{
				Generation: by.Generation, ScanID: "scan", Sequence: 3, State: gatheringv1.ScanWaiting, Chunks: 5,
				WaitingFor: gatheringv1.WaitingForRateLimit, ResumesAt: &resumes, FinishesAt: &finishes, StartedAt: At(1),
				Covered:   []activity.Range{{From: activity.Position{Start: 5, ID: 1}, To: activity.Position{Start: 7}}, activity.Everything()},
				Confirmed: true, Settled: true,
				Stored: map[int]activity.StoredChunk{0: {Activities: 50, ReadAt: At(1)}, 3: {Activities: 7, ReadAt: At(2)}},
				Before: map[int]activity.StoredChunk{0: {Activities: 40, ReadAt: At(0)}},
			}
			must(t, store.UpdateSync(t.Context(), by, func(s *activity.Sync) bool { *s = want; return true }))
			must(t, store.UpdateSync(t.Context(), by, func(s *activity.Sync) bool { s.ScanID = "not this"; return false }))
			got, err := store.Sync(t.Context(), by)
			must(t, err)
			same(t, got, want)
			more := activity.StoredChunk{Activities: 1, ReadAt: At(3)}
			want.Stored[4] = more
			want.ResumesAt, want.Before = nil, map[int]activity.StoredChunk{}
			must(t, store.UpdateSync(t.Context(), by, func(s *activity.Sync) bool {
				s.Stored[4], s.ResumesAt, s.Before = more, nil, want.Before
				return true
			}))
			got, err = store.Sync(t.Context(), by)
			must(t, err)
			same(t, got, want)
			// A scan that found nothing differs from none.
			if got.Before == nil {
				t.Error("the scan before is forgotten")
			}
		}},

		{"parallel updates of a sync all count", func(t *testing.T, by, _ activity.Authorization) {
			const chunks = 8
			var all sync.WaitGroup
			for n := range chunks {
				all.Go(func() {
					err := eventually(func() error {
						return store.UpdateSync(t.Context(), by, func(s *activity.Sync) bool {
							return s.Store(by.Generation, gatheringv1.ScanChunk{ScanID: "scan", Number: n}, activity.StoredChunk{Activities: 10, ReadAt: At(n)})
						})
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			got, err := store.Sync(t.Context(), by)
			must(t, err)
			if len(got.Stored) != chunks {
				t.Fatalf("%d chunks", len(got.Stored))
			}
		}},

		{"a revoked authorization is fenced and a later one isn't", func(t *testing.T, by, later activity.Authorization) {
			fill := func(by activity.Authorization, ids ...int64) {
				for _, id := range ids {
					must(t, store.Put(t.Context(), reading(by, At(1), Activity(id, int(id), fmt.Sprint(id)))))
				}
				must(t, store.UpdateSync(t.Context(), by, func(s *activity.Sync) bool {
					return s.Store(by.Generation, gatheringv1.ScanChunk{ScanID: "scan", Number: 0}, activity.StoredChunk{Activities: len(ids), ReadAt: At(1)})
				}))
			}
			fill(by, 1, 2, 3)
			must(t, store.PutGone(t.Context(), activity.Absence{By: by, At: At(2), ActivityID: 3}))
			must(t, store.Put(t.Context(), reading(later, At(0), Activity(2, 2, "later"))))
			must(t, store.erase(t.Context(), by))
			must(t, store.erase(t.Context(), by))
			same(t, names(list(t, store, later, activity.Everything(), "", 10)), []string{"later"})
			if n := store.Held(by.AthleteID); n != 1 {
				t.Fatalf("%d items left", n)
			}

			changed := func(*activity.Sync) bool { return true }
			for name, err := range map[string]error{
				"put":      store.Put(t.Context(), reading(by, At(9), Activity(8, 8, ""))),
				"put gone": store.PutGone(t.Context(), activity.Absence{By: by, At: At(9), ActivityID: 2}),
				"sync":     store.UpdateSync(t.Context(), by, changed),
				"earlier":  store.Put(t.Context(), reading(activity.Authorization{AthleteID: by.AthleteID, Generation: by.Generation - 1}, At(9), Activity(8, 8, ""))),
			} {
				if !errors.Is(err, activity.ErrRevoked) {
					t.Errorf("%s: %v", name, err)
				}
			}
			for name, err := range reads(t, store, by) {
				if !errors.Is(err, activity.ErrRevoked) {
					t.Errorf("%s: %v", name, err)
				}
			}
			for name, err := range reads(t, store, later) {
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			fill(later, 4)
			if n := store.Held(by.AthleteID); n != 3 {
				t.Fatalf("%d items", n)
			}

			// A late repetition of an earlier revocation takes nothing back.
			must(t, store.erase(t.Context(), later))
			must(t, store.erase(t.Context(), by))
			for name, err := range reads(t, store, later) {
				if !errors.Is(err, activity.ErrRevoked) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if n := store.Held(by.AthleteID); n != 0 {
				t.Fatalf("%d items left", n)
			}
		}},

		{"an erasure among writers leaves nothing of theirs", func(t *testing.T, by, later activity.Authorization) {
			var writers sync.WaitGroup
			started := make(chan struct{}, 4)
			for w := range 4 {
				writers.Go(func() {
					for n := 0; ; n++ {
						id := int64(w*1000 + n%40 + 1)
						err := store.Put(t.Context(), reading(by, At(n), Activity(id, n, "")))
						if err == nil {
							err = store.UpdateSync(t.Context(), by, func(s *activity.Sync) bool {
								return s.Store(by.Generation, gatheringv1.ScanChunk{ScanID: "scan", Number: int(id)}, activity.StoredChunk{Activities: 1, ReadAt: At(n)})
							})
						}
						if errors.Is(err, activity.ErrRevoked) {
							return
						}
						if err != nil && !fault.Is(err, fault.Transient) {
							t.Error(err)
							return
						}
						if n == 10 {
							started <- struct{}{}
						}
					}
				})
			}
			for range 4 {
				<-started
			}
			must(t, store.Put(t.Context(), reading(later, At(0), Activity(1, 1, "later"))))
			must(t, eventually(func() error { return store.erase(t.Context(), by) }))
			left := store.Held(by.AthleteID)
			writers.Wait()
			if after := store.Held(by.AthleteID); left != 1 || after != 1 {
				t.Fatalf("%d items left, %d after the writers ended; want the later authorization's one", left, after)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			id := athletes.Add(1)
			tc.test(t, activity.Authorization{AthleteID: id, Generation: Gen1}, activity.Authorization{AthleteID: id, Generation: Gen2})
			store.exact(t, id)
		})
	}
}

func reading(by activity.Authorization, at time.Time, activities ...gatheringv1.Activity) activity.Reading {
	return activity.Reading{By: by, At: at, Activities: activities}
}

func list(t *testing.T, store Subject, by activity.Authorization, in activity.Range, sportType string, limit int) []gatheringv1.Activity {
	t.Helper()
	found, err := store.List(t.Context(), by, activity.Selection{In: in, SportType: sportType, Limit: limit})
	must(t, err)
	return activities(found)
}

func activities(p activity.Page) (out []gatheringv1.Activity) {
	for _, r := range p.Rows {
		out = append(out, *r.Activity)
	}
	return out
}

// reads is what each way to read says.
func reads(t *testing.T, store Subject, by activity.Authorization) map[string]error {
	_, get := store.Get(t.Context(), by, 1)
	_, list := store.List(t.Context(), by, activity.Selection{In: activity.Everything(), Limit: 1})
	_, tallies := store.Tallies(t.Context(), by)
	_, sync := store.Sync(t.Context(), by)
	return map[string]error{"get": get, "list": list, "tallies": tallies, "sync": sync}
}

func names(activities []gatheringv1.Activity) (out []string) {
	for _, a := range activities {
		out = append(out, a.Name)
	}
	return out
}

// eventually repeats what fails for the time being, as a queue would.
func eventually(do func() error) error {
	for deadline := time.Now().Add(30 * time.Second); ; {
		if err := do(); !fault.Is(err, fault.Transient) || time.Now().After(deadline) {
			return err
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, got, want any, opts ...cmp.Option) {
	t.Helper()
	if d := cmp.Diff(want, got, append(opts, cmpopts.EquateEmpty())...); d != "" {
		t.Fatalf("(-want +got)\n%s", d)
	}
}
