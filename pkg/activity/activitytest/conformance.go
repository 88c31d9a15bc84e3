package activitytest

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// Subject is a store under test.
type Subject struct {
	activity.WriteStore
	activity.ReadStore
	// Held returns how many items the store has of the athlete, without the
	// guard and the monthly totals.
	Held func(athleteID int64) int
}

// erase ends an authorization.
func (s Subject) erase(ctx context.Context, by activity.Authorization) error {
	expires := At(0).Add(retention.Tombstone)
	return s.UpdateGuard(ctx, by.AthleteID, func(g *activity.Guard) (bool, error) { return g.Revoke(by.Generation, expires), nil })
}

// mustGuard returns the athlete's guard.
func (s Subject) mustGuard(t *testing.T, athleteID int64) (out activity.Guard) {
	t.Helper()
	kittest.Must(t, s.UpdateGuard(t.Context(), athleteID, func(g *activity.Guard) (bool, error) { out = *g; return false, nil }))
	return out
}

// approve returns a function for EndScan that always returns this answer.
func approve(yes bool) func([]activity.Record) bool {
	return func([]activity.Record) bool { return yes }
}

// mustMatch fails the test unless the athlete's monthly totals match the
// records.
func (s Subject) mustMatch(t *testing.T, athleteID int64) {
	t.Helper()
	records, err := s.Records(t.Context(), athleteID)
	kittest.Must(t, err)
	got, err := s.MonthlyTotals(t.Context(), activity.Authorization{AthleteID: athleteID, Generation: math.MaxInt64})
	kittest.Must(t, err)
	same(t, got, activity.TotalsByMonth(records))
}

// Times and generations of the tests.
const (
	Gen1 int64 = 1_800_000_000_000
	Gen2 int64 = 1_800_000_100_000
)

// At returns a time at which Strava was read: n seconds after a fixed time.
func At(n int) time.Time {
	return time.Date(2026, 11, 20, 12, 0, 0, 123_000_000, time.UTC).Add(time.Duration(n) * time.Second)
}

// Activity returns an activity that begins at a second of the history.
func Activity(id int64, start int, name string) gatheringv1.Activity {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(start) * time.Second)
	return gatheringv1.Activity{
		ID: id, Name: name, SportType: "Run",
		StartDate: begin.Format(time.RFC3339), StartDateLocal: begin.Add(-5 * time.Hour).Format(time.RFC3339),
		Distance: 6764.8, MovingTime: 2151, ElapsedTime: 2178, TotalElevationGain: 34.1,
	}
}

// athletes is the number of athletes used: each case has its own, so that all
// can share a table.
var athletes atomic.Int64

// cases are the claims that hold for every store.
var cases = []struct {
	name  string
	check func(t *testing.T, store Subject, by, later activity.Authorization)
}{
	{"an activity comes back as it was put", wholeActivity},
	{"an athlete sees their own only", ownActivities},
	{"the newest reading wins in every order", newestReading},
	{"an outdated activity does not hold back its neighbours", outdatedNeighbour},
	{"a reading may be large", largeReading},
	{"records that a scan outdates are deleted, and no late reading brings them back", outdatedByScan},
	{"records that a scan outdates stay unless the removal is approved, and no older reading is stored", unapprovedScan},
	{"a scan leaves alone what it does not cover", uncoveredByScan},
	{"an authorization that does not cover Only You shows none of it", onlyYou},
	{"an authorization that covers no activities shows none", noActivities},
	{"what is too old is found and deleted", tooOld},
	{"a deletion that is too old is found and deleted", tooOldDeletion},
	{"a history may be large", largeHistory},
	{"a list is in total order, newest first", totalOrder},
	{"a list has one sport type alone", sportType},
	{"a list finds a part of the name", partOfName},
	{"a search ends at its depth and says where to continue", endOfSearch},
	{"a sync comes back as it was written", wholeSync},
	{"parallel updates of a sync all count", parallelSyncs},
	{"a change runs again if another process writes first", crossingUpdates},
	{"an authorization that ends during the update of a sync leaves none", endDuringUpdate},
	{"an activity that is read again during the end of a scan stays", scanAmongWriters},
	{"a revoked authorization can no longer read or write, a later one can", revoked},
	{"an erasure among writers leaves nothing of theirs", erasureAmongWriters},
	{"an update that fails or changes nothing writes nothing", failedUpdate},
}

// Run checks that a store keeps the promises of its ports.
func Run(t *testing.T, store Subject) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			id := athletes.Add(1)
			c.check(t, store, activity.Authorization{AthleteID: id, Generation: Gen1}, activity.Authorization{AthleteID: id, Generation: Gen2})
			store.mustMatch(t, id)
		})
	}
}

func reading(by activity.Authorization, at time.Time, activities ...gatheringv1.Activity) activity.Reading {
	return activity.Reading{By: by, At: at, Activities: activities}
}

func list(t *testing.T, store Subject, by activity.Authorization, in activity.Range, sportType string, limit int) []gatheringv1.Activity {
	t.Helper()
	found, err := store.List(t.Context(), by, activity.Selection{In: in, SportType: sportType, Limit: limit})
	kittest.Must(t, err)
	return activities(found)
}

func activities(p activity.Page) (out []gatheringv1.Activity) {
	for _, r := range p.Records {
		out = append(out, *r.Activity)
	}
	return out
}

// reads returns the error of each way to read.
func reads(t *testing.T, store Subject, by activity.Authorization) map[string]error {
	_, get := store.Get(t.Context(), by, 1)
	_, list := store.List(t.Context(), by, activity.Selection{In: activity.Everything(), Limit: 1})
	_, totals := store.MonthlyTotals(t.Context(), by)
	_, sync := store.Sync(t.Context(), by)
	return map[string]error{"get": get, "list": list, "totals": totals, "sync": sync}
}

func names(activities []gatheringv1.Activity) (out []string) {
	for _, a := range activities {
		out = append(out, a.Name)
	}
	return out
}

// eventually repeats do after transient faults, as a queue would.
func eventually(do func() error) error {
	for deadline := time.Now().Add(30 * time.Second); ; {
		if err := do(); !fault.Is(err, fault.Transient) || time.Now().After(deadline) {
			return err
		}
	}
}

func same(t *testing.T, got, want any, opts ...cmp.Option) {
	t.Helper()
	if d := cmp.Diff(want, got, append(opts, cmpopts.EquateEmpty())...); d != "" {
		t.Fatalf("(-want +got)\n%s", d)
	}
}
