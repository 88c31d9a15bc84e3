package activity_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

func record(local string, metres float64) activity.Record {
	return activity.Record{Activity: &gatheringv1.Activity{
		SportType: "Run", StartDateLocal: local, Distance: metres, MovingTime: 1, ElapsedTime: 2, TotalElevationGain: metres / 10,
	}}
}

func TestSummarizeByLocalDate(t *testing.T) {
	records := []activity.Record{
		record("2026-11-16T00:00:01Z", 1),   // Monday
		record("2026-11-22T23:59:59Z", 20),  // Sunday of the same week
		record("2026-11-15T12:00:00Z", 300), // Sunday of the week before
		record("2026-01-01T00:00:00Z", 4000),
		record("2025-12-31T23:59:59Z", 50000), // Wednesday of that week
		record("2024-02-29T06:00:00Z", 600000),
	}
	for by, want := range map[activity.Period]map[string]float64{
		activity.Day: {
			"2026-11-16": 1, "2026-11-22": 20, "2026-11-15": 300, "2026-01-01": 4000, "2025-12-31": 50000, "2024-02-29": 600000,
		},
		activity.Week:  {"2026-11-16": 21, "2026-11-09": 300, "2025-12-29": 54000, "2024-02-26": 600000},
		activity.Month: {"2026-11-01": 321, "2026-01-01": 4000, "2025-12-01": 50000, "2024-02-01": 600000},
		activity.Year:  {"2026-01-01": 4321, "2025-01-01": 50000, "2024-01-01": 600000},
	} {
		got, err := activity.Summarize(activity.TotalsByMonth(records), by, "")
		if err != nil {
			t.Fatal(err)
		}
		distances, before := map[string]float64{}, "9999"
		for _, p := range got.Periods {
			distances[p.Start] = p.Distance
			if p.Start >= before {
				t.Errorf("by %s: %s comes after %s", by, p.Start, before)
			}
			before = p.Start
		}
		if d := cmp.Diff(want, distances); d != "" {
			t.Errorf("by %s (-want +got)\n%s", by, d)
		}
		total := activity.Totals{Count: 6, Distance: 654321, MovingTime: 6, ElapsedTime: 12, TotalElevationGain: 65432.1}
		if d := cmp.Diff(total, got.Total); d != "" {
			t.Errorf("by %s (-want +got)\n%s", by, d)
		}
	}
}

func TestSummarizeNothing(t *testing.T) {
	got, err := activity.Summarize(nil, activity.Year, "")
	if err != nil || len(got.Periods) != 0 || got.Total != (activity.Totals{}) {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestSummarizeOneSport(t *testing.T) {
	records := []activity.Record{record("2026-11-16T00:00:01Z", 1), record("2026-11-16T08:00:00Z", 20), record("2026-11-17T08:00:00Z", 300)}
	records[1].Activity.SportType = "NotYetInvented"
	for sportType, want := range map[string]float64{"": 321, "Run": 301, "NotYetInvented": 20, "Curling": 0} {
		got, err := activity.Summarize(activity.TotalsByMonth(records), activity.Year, sportType)
		if err != nil || got.Total.Distance != want {
			t.Errorf("%q: %v, %v", sportType, got.Total, err)
		}
	}
}

// Sums neither drift with the number of activities nor depend on their order.
func TestSumsAreExact(t *testing.T) {
	const n = 100_000
	var records []activity.Record
	var tenths int64
	r := rand.New(rand.NewPCG(1, 2))
	for range n {
		x := r.Int64N(20_000_000)
		if r.IntN(2) == 0 {
			x = r.Int64N(100)
		}
		tenths += x
		records = append(records, record("2026-11-16T00:00:01Z", float64(x)/10))
	}
	want := float64(tenths) / 10
	for range 3 {
		got, err := activity.Summarize(activity.TotalsByMonth(records), activity.Year, "")
		if err != nil {
			t.Fatal(err)
		}
		if got.Total.Distance != want || got.Periods[0].Distance != want {
			t.Errorf("%v, want %v", got.Total.Distance, want)
		}
		r.Shuffle(n, func(i, j int) { records[i], records[j] = records[j], records[i] })
	}
}
