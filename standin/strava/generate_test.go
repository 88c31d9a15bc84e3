package strava_test

import (
	"encoding/json"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/standin/strava"
)

func histories(t *testing.T, seed uint64, n int, until time.Time) (w *world, all map[int64][]strava.Activity) {
	t.Helper()
	athletes := strava.Generate(seed, n, until)
	w = newWorld(t, strava.Config{Athletes: athletes})
	all = map[int64][]strava.Activity{}
	for _, a := range athletes {
		all[a.ID] = must(w.Activities(a.ID))
	}
	return w, all
}

func TestGenerationIsRepeatable(t *testing.T) {
	text := func(seed uint64, until time.Time) string {
		_, all := histories(t, seed, 2, until)
		return string(must(json.Marshal(all)))
	}
	if text(1, start) != text(1, start.Add(time.Hour)) {
		t.Error("the same seed on the same day gives different histories")
	}
	if text(1, start) == text(2, start) {
		t.Error("another seed gives the same histories")
	}
}

// TestEveryHistoryHasTheDifficultCases checks each generated history alone.
func TestEveryHistoryHasTheDifficultCases(t *testing.T) {
	_, all := histories(t, 5, 40, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	for id, list := range all {
		visibility, starts := map[string]int{}, map[int64]int{}
		twoYears, twins := false, false
		for _, a := range list {
			visibility[a.Visibility]++
			if a.Start.After(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
				t.Errorf("athlete %d: an activity in the future, %s", id, a.Start)
			}
			local := decoded[struct {
				Local time.Time `json:"start_date_local"`
			}](t, string(a.Summary)).Local
			twoYears = twoYears || local.Year() != a.Start.Year()
			starts[a.Start.Unix()]++
			twins = twins || starts[a.Start.Unix()] > 1
		}
		if len(visibility) != 3 || !twoYears || !twins || len(list) < 12 {
			t.Errorf("athlete %d with %d activities: visibility %v, two years %v, equal starts %v", id, len(list), visibility, twoYears, twins)
		}
		if !slices.IsSortedFunc(list, func(a, b strava.Activity) int { return b.Start.Compare(a.Start) }) {
			t.Errorf("athlete %d: not newest first", id)
		}
	}
}

// TestHistoriesTogetherHaveEveryShape looks for shapes that only some histories
// have.
func TestHistoriesTogetherHaveEveryShape(t *testing.T) {
	_, all := histories(t, 1, 12, start)
	var text strings.Builder
	for _, list := range all {
		for _, a := range list {
			text.Write(a.Summary)
			text.WriteByte('\n')
		}
	}
	for what, pattern := range map[string]string{
		"whole number with a point where the specification says integer": `"moving_time":\d+\.0,`,
		"the same as an integer":        `"moving_time":\d+,`,
		"integer where it says float":   `"distance":\d+,`,
		"float distance":                `"distance":\d+\.\d`,
		"watts with a point":            `"max_watts":\d+\.0`,
		"kilojoules":                    `"kilojoules":\d`,
		"no coordinates":                `"start_latlng":\[\]`,
		"coordinates":                   `"start_latlng":\[-0\.7\d{5},-30\.5\d{5}\],"end_latlng":\[-0\.7\d{5},-30\.5\d{5}\]`,
		"polyline":                      `"summary_polyline":"SYNTHETICPOLYLINE[^"]{20,}"`,
		"no polyline":                   `"summary_polyline":""`,
		"manual":                        `"manual":true.*"upload_id":null,"external_id":null`,
		"sensor":                        `"average_heartrate":\d`,
		"no sensor":                     `"has_heartrate":false,"heartrate_opt_out"`,
		"workout type null":             `"workout_type":null`,
		"workout type":                  `"workout_type":1\d?,`,
		"no workout type":               `"sport_type":"\w+","id"`,
		"half-hour zone":                `"timezone":"\(GMT\+05:30\) Asia/Kolkata","utc_offset":19800\.0`,
		"three-quarter-hour zone":       `"timezone":"\(GMT\+05:45\) Asia/Kathmandu","utc_offset":20700\.0`,
		"zone behind by a half hour":    `"timezone":"\(GMT-03:30\) America/St_Johns","utc_offset":-(12600|9000)\.0`,
		"summer time":                   `"timezone":"\(GMT\+01:00\) Europe/Berlin","utc_offset":7200\.0`,
		"hidden time of day":            `"start_date_local":"\d{4}-\d\d-\d\dT00:00:01Z"`,
		"device":                        `"device_name":"Garmin`,
		"no device":                     `"external_id":"synthetic_\d+\.fit","hide_from_home"`,
		"name that needs escaping":      `"name":"6 × 3′ \\"hard\\" 😅"`,
		"empty name":                    `"name":""`,
		"sport that no list has":        `"type":"Workout","sport_type":"UnicycleHockey"`,
		"sport newer than its old type": `"type":"Ride","sport_type":"GravelRide"`,
		"gear null":                     `"gear_id":null`,
		"place null":                    `"location_city":null,"location_state":null,"location_country":null`,
	} {
		if !regexp.MustCompile(pattern).MatchString(text.String()) {
			t.Errorf("%s: nothing matches %s", what, pattern)
		}
	}
	if bad := regexp.MustCompile(`"(start|end)_latlng":\[[^\]]`).FindAllString(text.String(), -1); len(bad) != strings.Count(text.String(), "_latlng\":[-0.7") {
		t.Error("a coordinate could be a real one")
	}
}

func TestTenThousandAthletesFitInMemory(t *testing.T) {
	w := newWorld(t, strava.Config{Athletes: strava.Generate(1, 10_000, start)})
	total := 0
	for i := range 250 { // reads many histories; a few dozen stay in memory
		total += len(must(w.Activities(athlete + int64(i*40))))
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 48<<20 {
		t.Errorf("%d MiB in use", m.HeapAlloc>>20)
	}
	if mean := total / 250; mean < 100 || mean > 400 {
		t.Errorf("%d activities per athlete", mean)
	}
	runtime.KeepAlive(w)
}

func TestForgottenHistoryComesBackWithItsChanges(t *testing.T) {
	w := newWorld(t, strava.Config{Athletes: strava.Generate(1, 200, start)})
	before := must(w.Activities(athlete))
	added := must(w.AddActivity(athlete, strava.NewActivity{Name: "kept"}))
	if err := w.DeleteActivity(athlete, before[0].ID); err != nil {
		t.Fatal(err)
	}
	for id := int64(athlete + 1); id < athlete+200; id++ {
		must(w.Activities(id))
	}
	after := must(w.Activities(athlete))
	if after[0].ID != added || !strings.Contains(string(after[0].Summary), `"name":"kept"`) ||
		len(after) != len(before) || string(after[1].Summary) != string(before[1].Summary) {
		t.Errorf("newest is %s", after[0].Summary)
	}
}

func TestNewRefusesTwoAthletesWithOneID(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("two athletes with one id were accepted")
		}
	}()
	strava.New(strava.Config{Athletes: append(strava.Generate(1, 1, start), strava.Generate(1, 1, start)...)})
}

func TestNewActivityHasTheGivenFields(t *testing.T) {
	w := newWorld(t, strava.Config{})
	id := must(w.AddActivity(athlete, strava.NewActivity{
		Name: "Night <ride>", SportType: "Kite\"surf", Timezone: "Asia/Kolkata", Start: time.Date(2025, 12, 31, 19, 0, 0, 0, time.UTC),
		Distance: 1234.5, ElapsedTime: 700, MovingTime: 600, Gain: 12, Visibility: strava.FollowersOnly,
	}))
	list := must(w.Activities(athlete))
	i := slices.IndexFunc(list, func(a strava.Activity) bool { return a.ID == id })
	got := decoded[map[string]any](t, string(list[i].Summary))
	for name, want := range map[string]any{
		"name": "Night <ride>", "sport_type": `Kite"surf`, "type": "Workout", "timezone": "(GMT+05:30) Asia/Kolkata",
		"start_date": "2025-12-31T19:00:00Z", "start_date_local": "2026-01-01T00:30:00Z",
		"distance": 1234.5, "elapsed_time": 700.0, "moving_time": 600.0, "total_elevation_gain": 12.0, "visibility": "followers_only",
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	for _, bad := range []strava.NewActivity{{Timezone: "Mars/Olympus"}, {Visibility: "friends"}} {
		if _, err := w.AddActivity(athlete, bad); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}
