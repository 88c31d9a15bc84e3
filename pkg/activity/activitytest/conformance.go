package activitytest

import (
	"context"
	"errors"
	"fmt"
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
	// Held is how many items the store has of the athlete besides the tombstone.
	Held func(athleteID int64) int
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
	expires := time.Now().Add(activity.TombstoneLifetime)

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
				got, err := store.Get(t.Context(), by.AthleteID, want.ID)
				must(t, err)
				same(t, got, want)
			}
			same(t, list(t, store, by, activity.Everything(), "", 10), []gatheringv1.Activity{full, bare})
			efforts, err := store.Efforts(t.Context(), by.AthleteID, "")
			must(t, err)
			same(t, efforts, []activity.Effort{
				{SportType: "Run", StartDateLocal: bare.StartDateLocal, Distance: 6764.8, MovingTime: 2151, ElapsedTime: 2178, TotalElevationGain: 34.1},
				{SportType: "Run", StartDateLocal: full.StartDateLocal, Distance: 6764.8, MovingTime: 2151, ElapsedTime: 2178, TotalElevationGain: 34.1},
			}, cmpopts.SortSlices(func(a, b activity.Effort) bool { return a.StartDateLocal < b.StartDateLocal }))
		}},

		{"an athlete sees their own only", func(t *testing.T, by, _ activity.Authorization) {
			other := activity.Authorization{AthleteID: athletes.Add(1), Generation: Gen1}
			must(t, store.Put(t.Context(), reading(by, At(0), Activity(1, 1, "mine"))))
			must(t, store.Put(t.Context(), reading(other, At(0), Activity(2, 1, "theirs"))))
			if _, err := store.Get(t.Context(), by.AthleteID, 2); !errors.Is(err, activity.ErrNotFound) || !fault.Is(err, fault.NotFound) {
				t.Errorf("the other's activity: %v", err)
			}
			same(t, names(list(t, store, by, activity.Everything(), "", 10)), []string{"mine"})
			must(t, store.Erase(t.Context(), other, expires))
			same(t, names(list(t, store, by, activity.Everything(), "", 10)), []string{"mine"})
		}},

		{"the newest reading wins in every order", func(t *testing.T, by, later activity.Authorization) {
			// In the order of what is known last: each step beats all before it.
			steps := []func(ctx context.Context, athleteID int64) error{
				func(ctx context.Context, id int64) error {
					return store.Put(ctx, reading(activity.Authorization{AthleteID: id, Generation: Gen1}, At(1), Activity(1, 1, "first")))
				},
				func(ctx context.Context, id int64) error {
					return store.PutGone(ctx, activity.Absence{By: activity.Authorization{AthleteID: id, Generation: Gen1}, At: At(1), ActivityID: 1}, expires)
				},
				func(ctx context.Context, id int64) error {
					return store.Put(ctx, reading(activity.Authorization{AthleteID: id, Generation: Gen1}, At(1).Add(time.Nanosecond), Activity(1, 100, "moved")))
				},
				func(ctx context.Context, id int64) error {
					return store.Put(ctx, reading(activity.Authorization{AthleteID: id, Generation: Gen2}, At(0), Activity(1, 1, "reconnected")))
				},
				func(ctx context.Context, id int64) error {
					return store.PutGone(ctx, activity.Absence{By: activity.Authorization{AthleteID: id, Generation: Gen2}, At: At(3), ActivityID: 1}, expires)
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
				_, err := store.Get(t.Context(), by.AthleteID, 1)
				if gone := errors.Is(err, activity.ErrNotFound); gone != (want == nil) {
					t.Errorf("in the order %v: get says %v", order, err)
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

		{"what an earlier authorization left is superseded", func(t *testing.T, by, later activity.Authorization) {
			other := activity.Authorization{AthleteID: by.AthleteID + 1_000_000, Generation: by.Generation}
			must(t, store.Put(t.Context(), reading(by, At(0), Activity(1, 1, "stale"), Activity(2, 2, "old"))))
			must(t, store.PutGone(t.Context(), activity.Absence{By: by, At: At(0), ActivityID: 3}, expires))
			must(t, store.Put(t.Context(), reading(other, At(0), Activity(1, 1, "other's"))))
			must(t, store.Put(t.Context(), reading(later, At(1), Activity(2, 2, "new"))))
			for range 2 {
				must(t, store.Supersede(t.Context(), later))
				same(t, list(t, store, by, activity.Everything(), "", 9), []gatheringv1.Activity{Activity(2, 2, "new")})
				if n := store.Held(by.AthleteID); n != 1 {
					t.Errorf("%d items", n)
				}
			}
			// It is no end: the earlier authorization's sessions go on.
			if revoked, err := store.Revoked(t.Context(), by.AthleteID); err != nil || revoked >= by.Generation {
				t.Errorf("revoked through %d, %v", revoked, err)
			}
			if n := store.Held(other.AthleteID); n != 1 {
				t.Errorf("%d items of another athlete", n)
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
			for sportType, want := range map[string]int{"": n, "Curling": 1} {
				efforts, err := store.Efforts(t.Context(), by.AthleteID, sportType)
				must(t, err)
				if len(efforts) != want {
					t.Errorf("%d efforts of %q, want %d", len(efforts), sportType, want)
				}
			}
			must(t, store.Erase(t.Context(), by, expires))
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
			for sportType, want := range map[string]int{"": 60, "Run": 57, "GravelRide": 3, "Curling": 0} {
				efforts, err := store.Efforts(t.Context(), by.AthleteID, sportType)
				must(t, err)
				if len(efforts) != want {
					t.Errorf("%d efforts of %q, want %d", len(efforts), sportType, want)
				}
			}
		}},

		{"a sync is kept", func(t *testing.T, by, _ activity.Authorization) {
			zero, err := store.Sync(t.Context(), by.AthleteID)
			must(t, err)
			same(t, zero, activity.Sync{})
			resumes := At(900)
			want := activity.Sync{
				Generation: by.Generation, ScanID: "scan", Sequence: 3, State: gatheringv1.ScanWaiting, Chunks: 5,
				WaitingFor: gatheringv1.WaitingForQuota, ResumesAt: &resumes, Stored: map[int]int{0: 50, 3: 7},
			}
			must(t, store.UpdateSync(t.Context(), by, func(s *activity.Sync) bool { *s = want; return true }))
			must(t, store.UpdateSync(t.Context(), by, func(s *activity.Sync) bool { s.ScanID = "not this"; return false }))
			got, err := store.Sync(t.Context(), by.AthleteID)
			must(t, err)
			same(t, got, want)
			want.Stored[4] = 1
			want.ResumesAt = nil
			must(t, store.UpdateSync(t.Context(), by, func(s *activity.Sync) bool { s.Stored[4] = 1; s.ResumesAt = nil; return true }))
			got, err = store.Sync(t.Context(), by.AthleteID)
			must(t, err)
			same(t, got, want)
		}},

		{"parallel updates of a sync all count", func(t *testing.T, by, _ activity.Authorization) {
			const chunks = 8
			var all sync.WaitGroup
			for n := range chunks {
				all.Go(func() {
					err := eventually(func() error {
						return store.UpdateSync(t.Context(), by, func(s *activity.Sync) bool {
							return s.Store(by.Generation, gatheringv1.ScanChunk{ScanID: "scan", Number: n}, 10)
						})
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			got, err := store.Sync(t.Context(), by.AthleteID)
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
					return s.Store(by.Generation, gatheringv1.ScanChunk{ScanID: "scan", Number: 0}, len(ids))
				}))
			}
			fill(by, 1, 2, 3)
			must(t, store.PutGone(t.Context(), activity.Absence{By: by, At: At(2), ActivityID: 3}, expires))
			must(t, store.Put(t.Context(), reading(later, At(0), Activity(2, 2, "later"))))
			must(t, store.Erase(t.Context(), by, expires))
			must(t, store.Erase(t.Context(), by, expires))
			if revoked, err := store.Revoked(t.Context(), by.AthleteID); err != nil || revoked != by.Generation {
				t.Fatalf("revoked %d, %v", revoked, err)
			}
			same(t, names(list(t, store, by, activity.Everything(), "", 10)), []string{"later"})
			if n := store.Held(by.AthleteID); n != 1 {
				t.Fatalf("%d items left", n)
			}

			changed := func(*activity.Sync) bool { return true }
			for name, err := range map[string]error{
				"put":      store.Put(t.Context(), reading(by, At(9), Activity(8, 8, ""))),
				"put gone": store.PutGone(t.Context(), activity.Absence{By: by, At: At(9), ActivityID: 2}, expires),
				"sync":     store.UpdateSync(t.Context(), by, changed),
				"earlier":  store.Put(t.Context(), reading(activity.Authorization{AthleteID: by.AthleteID, Generation: by.Generation - 1}, At(9), Activity(8, 8, ""))),
			} {
				if !errors.Is(err, activity.ErrRevoked) {
					t.Errorf("%s: %v", name, err)
				}
			}
			fill(later, 4)
			if n := store.Held(by.AthleteID); n != 3 {
				t.Fatalf("%d items", n)
			}

			// A late repetition of an earlier revocation takes nothing back.
			must(t, store.Erase(t.Context(), later, expires))
			must(t, store.Erase(t.Context(), by, expires))
			if revoked, err := store.Revoked(t.Context(), by.AthleteID); err != nil || revoked != later.Generation {
				t.Fatalf("revoked %d, %v", revoked, err)
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
								return s.Store(by.Generation, gatheringv1.ScanChunk{ScanID: "scan", Number: int(id)}, 1)
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
			must(t, eventually(func() error { return store.Erase(t.Context(), by, expires) }))
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
		})
	}
}

func reading(by activity.Authorization, at time.Time, activities ...gatheringv1.Activity) activity.Reading {
	return activity.Reading{By: by, At: at, Activities: activities}
}

func list(t *testing.T, store Subject, by activity.Authorization, in activity.Range, sportType string, limit int) []gatheringv1.Activity {
	t.Helper()
	found, err := store.List(t.Context(), by.AthleteID, in, sportType, limit)
	must(t, err)
	return found
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
