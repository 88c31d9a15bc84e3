package strava_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/standin/strava"
)

// recorded is a history of six activities, newest first; two share a start.
// Its formatting is unusual, because the stand-in must not change a byte.
const recorded = `[
  {"id":106,"athlete":{"id":42,"resource_state":1},"name":"six \u00e9 <3","distance":1000,"moving_time":300.0,"elapsed_time":310.0,"total_elevation_gain":5,"type":"Ride","sport_type":"GravelRide","start_date":"2026-11-20T10:00:00Z","visibility":"everyone","private":false,"start_latlng":[ -0.7, -30.5 ],"map":{"id":"a106","summary_polyline":"SYNTHETICPOLYLINEx"}},
  {"id":105,"athlete":{"id":42},"name":"five","distance":2000.5,"moving_time":600,"elapsed_time":600,"total_elevation_gain":50.5,"type":"Ride","start_date":"2026-01-01T00:30:00Z","visibility":"followers_only","private":false,"workout_type":null},
  {"id":104,"athlete":{"id":42},"name":"four","distance":3000.0,"type":"Run","moving_time":1,"elapsed_time":1,"total_elevation_gain":0,"start_date":"2025-12-31T23:30:00Z","visibility":"only_me","private":true},
  {"id":103,"athlete":{"id":42},"name":"three","distance":4000.25,"type":"Run","moving_time":1000,"elapsed_time":1200,"total_elevation_gain":12,"start_date":"2025-06-01T10:00:00Z","visibility":"everyone","private":false,"achievement_count":3},
  {"id":102,"athlete":{"id":42},"name":"two","distance":5000.0,"type":"Ride","moving_time":2000,"elapsed_time":2000,"total_elevation_gain":30,"start_date":"2025-06-01T10:00:00Z","visibility":"everyone","private":false},
  {"id":101,"athlete":{"id":42},"name":"one","distance":0.0,"type":"Yoga","moving_time":60,"elapsed_time":60,"total_elevation_gain":0,"start_date":"2024-06-01T10:00:00Z","private":true}
]`

const recordedAthlete = 42

func newRecordedWorld(t *testing.T) *world {
	t.Helper()
	a, err := strava.LoadHistory(strings.NewReader(recorded))
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(t, strava.Config{Athletes: append(strava.Generate(7, 1, start), a)})
}

// ids returns the ids of GET /athlete/activities.
func (w *world) ids(token, query string) []int64 {
	w.t.Helper()
	r := w.get(token, "/api/v3/athlete/activities"+query)
	if r.status != http.StatusOK {
		w.t.Fatalf("list %s: %d %s", query, r.status, r.body)
	}
	ids := []int64{}
	for _, a := range decoded[[]struct {
		ID int64 `json:"id"`
	}](w.t, r.body) {
		ids = append(ids, a.ID)
	}
	return ids
}

func TestStatusesAndBodies(t *testing.T) {
	w := newRecordedWorld(t)
	all := w.connect(recordedAthlete, everyScope...)
	other := w.connect(athlete, "read")
	ok(t, w.SetTokenLife(athlete, 0))
	revoked := w.connect(athlete, "read")
	ok(t, w.Deauthorize(athlete))
	bare := w.connect(athlete, "read", "profile:read_all")

	dead := fault("Authorization Error", "Application", "", "invalid")
	missing := fault("Authorization Error", "AccessToken", "activity:read_permission", "missing")
	for _, tc := range []struct {
		name, token, path string
		status            int
		body              string
	}{
		{"no token", "", "/api/v3/athlete", 401, dead},
		{"unknown token", "0123", "/api/v3/athlete", 401, dead},
		{"expired token", other.Access, "/api/v3/athlete", 401, dead},
		{"revoked token", revoked.Access, "/api/v3/athlete", 401, dead},
		{"refresh token", all.Refresh, "/api/v3/athlete", 401, dead},
		{"list without the scope", bare.Access, "/api/v3/athlete/activities", 401, missing},
		{"detail without the scope", bare.Access, "/api/v3/activities/106", 401, missing},
		{"absent activity", all.Access, "/api/v3/activities/999", 404, ""},
		{"another's activity", all.Access, "/api/v3/activities/20000000001", 404, ""},
		{"odd activity id", all.Access, "/api/v3/activities/x", 400, badRequest("Activity", "id", "invalid")},
		{"another's stats", all.Access, "/api/v3/athletes/80000001/stats", 403, fault("Forbidden", "Athlete", "id", "invalid")},
		{"unknown path", all.Access, "/api/v3/clubs/1", 404, fault("Record Not Found", "resource", "path", "invalid")},
		{"page 0", all.Access, "/api/v3/athlete/activities?page=0", 400, badRequest("Application", "page", "invalid")},
		{"page of 201", all.Access, "/api/v3/athlete/activities?per_page=201", 400, badRequest("Application", "per_page", "invalid")},
		{"odd before", all.Access, "/api/v3/athlete/activities?before=today", 400, badRequest("Application", "before", "invalid")},
		{"past the end", all.Access, "/api/v3/athlete/activities?page=2", 200, "[]"},
	} {
		t.Run(tc.name, func(t *testing.T) { w.get(tc.token, tc.path).expect(t, tc.status, tc.body) })
	}
}

func TestAthleteIsDetailedOnlyWithTheScope(t *testing.T) {
	w := newWorld(t, strava.Config{})
	get := func(scope ...string) map[string]any {
		return decoded[map[string]any](t, w.get(w.connect(athlete, scope...).Access, "/api/v3/athlete").body)
	}
	summary, detail := get("read"), get("read", "profile:read_all")
	if _, has := summary["measurement_preference"]; has || summary["resource_state"] != 2.0 {
		t.Errorf("summary is %v", summary)
	}
	if detail["measurement_preference"] != "meters" || detail["resource_state"] != 3.0 || detail["ftp"] != nil {
		t.Errorf("detail is %v", detail)
	}
	for name := range summary {
		if _, has := detail[name]; !has {
			t.Errorf("the detail has no %s", name)
		}
	}
}

func TestHistoryIsSentByteForByte(t *testing.T) {
	w := newRecordedWorld(t)
	tok := w.connect(recordedAthlete, everyScope...)
	r := w.get(tok.Access, "/api/v3/athlete/activities")
	// Equal starts come with the larger id first, which is the order of the
	// fixture.
	elements := decoded[[]json.RawMessage](t, recorded)
	want := make([]string, len(elements))
	for i, e := range elements {
		want[i] = string(e)
	}
	r.expect(t, 200, "["+strings.Join(want, ",")+"]")
	if r.header.Get("Etag") == "" || r.header.Get("Etag") != w.get(tok.Access, "/api/v3/athlete/activities").header.Get("Etag") {
		t.Errorf("etag %q", r.header.Get("Etag"))
	}
}

func TestLoadHistoryRefusesInvalidHistories(t *testing.T) {
	for name, file := range map[string]string{
		"no array":     `{"id":1}`,
		"empty":        `[]`,
		"no athlete":   `[{"id":1,"start_date":"2026-01-01T00:00:00Z"}]`,
		"no start":     `[{"id":1,"athlete":{"id":42}}]`,
		"two athletes": `[{"id":1,"athlete":{"id":42},"start_date":"2026-01-01T00:00:00Z"},{"id":2,"athlete":{"id":43},"start_date":"2026-01-01T00:00:00Z"}]`,
	} {
		if a, err := strava.LoadHistory(strings.NewReader(file)); err == nil {
			t.Errorf("%s was accepted as athlete %d", name, a.ID)
		}
	}
}

func TestListOrderAndFilters(t *testing.T) {
	w := newRecordedWorld(t)
	tok := w.connect(recordedAthlete, everyScope...)
	unix := func(s string) string { return fmt.Sprint(must(time.Parse(time.RFC3339, s)).Unix()) }
	newYear, june := unix("2026-01-01T00:30:00Z"), unix("2025-06-01T10:00:00Z")
	for _, tc := range []struct {
		query string
		want  []int64
	}{
		{"", []int64{106, 105, 104, 103, 102, 101}},
		{"?before=" + newYear, []int64{104, 103, 102, 101}},
		{"?after=" + june, []int64{104, 105, 106}},
		{"?after=" + unix("2024-01-01T00:00:00Z"), []int64{101, 102, 103, 104, 105, 106}},
		{"?after=" + june + "&before=" + unix("2026-02-01T00:00:00Z"), []int64{105, 104}},
		{"?per_page=4", []int64{106, 105, 104, 103}},
		{"?per_page=4&page=2", []int64{102, 101}},
		{"?per_page=4&page=3", []int64{}},
		{"?per_page=2&page=2&after=" + june, []int64{106}},
		{"?per_page=2&page=2&before=" + newYear, []int64{102, 101}},
	} {
		if got := w.ids(tok.Access, tc.query); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.query, got, tc.want)
		}
	}
}

func TestPagingGivesEveryActivityOnce(t *testing.T) {
	athletes := strava.Generate(3, 20, start)
	w := newWorld(t, strava.Config{
		Athletes: athletes,
		Settings: strava.Settings{ReadLimit: strava.Limit{9999, 9999}, OverallLimit: strava.Limit{9999, 9999}},
	})
	for _, a := range athletes {
		tok := w.connect(a.ID, everyScope...)
		var got []int64
		for page := 1; ; page++ {
			ids := w.ids(tok.Access, fmt.Sprintf("?per_page=200&page=%d&before=%d", page, start.Unix()))
			if len(ids) == 0 {
				break
			}
			got = append(got, ids...)
		}
		var want []int64
		for _, act := range must(w.Activities(a.ID)) {
			want = append(want, act.ID)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("athlete %d: %d activities listed, want %d", a.ID, len(got), len(want))
		}
	}
	if d := w.ids(w.connect(athletes[0].ID, everyScope...).Access, ""); len(d) > 30 {
		t.Errorf("a default page has %d", len(d))
	}
}

func TestHiddenActivitiesMakeShortPagesButNoEmptyOne(t *testing.T) {
	w := newRecordedWorld(t)
	// Newest first: 106 and 105 visible, 104 hidden, 103 and 102 visible, 101
	// hidden.
	tok := w.connect(recordedAthlete, "read", "activity:read")
	for query, want := range map[string][]int64{
		"?per_page=3":        {106, 105},
		"?per_page=3&page=2": {103, 102},
		"?per_page=3&page=3": {},
		// The third page of one would be empty, so the next page takes its place.
		"?per_page=1&page=3": {103},
		"?per_page=1&page=4": {102},
		"?per_page=1&page=5": {},
	} {
		if got := w.ids(tok.Access, query); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
}

func TestPrivacyByScope(t *testing.T) {
	for _, tc := range []struct {
		scope   string
		visible []string
	}{
		{"read,activity:read", []string{strava.Everyone, strava.FollowersOnly}},
		{"activity:read_all", []string{strava.Everyone, strava.FollowersOnly, strava.OnlyMe}},
		{"activity:read,activity:read_all", []string{strava.Everyone, strava.FollowersOnly, strava.OnlyMe}},
	} {
		for _, visibility := range []string{strava.Everyone, strava.FollowersOnly, strava.OnlyMe} {
			t.Run(tc.scope+" "+visibility, func(t *testing.T) {
				w := newWorld(t, strava.Config{})
				tok := w.connect(athlete, strings.Split(tc.scope, ",")...)
				id := must(w.AddActivity(athlete, strava.NewActivity{Visibility: visibility}))
				visible := slices.Contains(tc.visible, visibility)
				if listed := slices.Contains(w.ids(tok.Access, ""), id); listed != visible {
					t.Errorf("listed: %v", listed)
				}
				r := w.get(tok.Access, fmt.Sprintf("/api/v3/activities/%d", id))
				if !visible {
					r.expect(t, 404, "")
				} else if a := decoded[map[string]any](t, r.body); a["visibility"] != visibility || a["private"] != (visibility == strava.OnlyMe) {
					t.Errorf("the detail has visibility %v, private %v", a["visibility"], a["private"])
				}
			})
		}
	}
}

func TestDetailExtendsTheSummary(t *testing.T) {
	w := newRecordedWorld(t)
	tok := w.connect(recordedAthlete, everyScope...)
	detail := decoded[map[string]json.RawMessage](t, w.get(tok.Access, "/api/v3/activities/106?include_all_efforts=false").body)
	for name, value := range decoded[[]map[string]json.RawMessage](t, recorded)[0] {
		if name != "resource_state" && name != "map" && string(detail[name]) != string(value) {
			t.Errorf("%s is %s, in the summary %s", name, detail[name], value)
		}
	}
	if string(detail["resource_state"]) != "3" || string(detail["segment_efforts"]) != "[]" || !strings.Contains(string(detail["map"]), `"polyline":"SYNTHETICPOLYLINEx"`) {
		t.Errorf("detail is %s", detail)
	}
}

func TestStatsCountOnlyWhatEveryoneMaySee(t *testing.T) {
	w := newRecordedWorld(t)
	tok := w.connect(recordedAthlete, everyScope...)
	r := w.get(tok.Access, "/api/v3/athletes/42/stats")
	var stats map[string]json.RawMessage
	if err := json.Unmarshal([]byte(r.body), &stats); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		// Times are whole numbers with a decimal point, as recorded.
		"recent_ride_totals":           `{"count":1,"distance":1000.0,"moving_time":300.0,"elapsed_time":310.0,"elevation_gain":5.0,"achievement_count":0}`,
		"ytd_ride_totals":              `{"count":1,"distance":1000.0,"moving_time":300.0,"elapsed_time":310.0,"elevation_gain":5.0}`,
		"all_ride_totals":              `{"count":2,"distance":6000.0,"moving_time":2300.0,"elapsed_time":2310.0,"elevation_gain":35.0}`,
		"all_run_totals":               `{"count":1,"distance":4000.25,"moving_time":1000.0,"elapsed_time":1200.0,"elevation_gain":12.0}`,
		"all_swim_totals":              `{"count":0,"distance":0.0,"moving_time":0.0,"elapsed_time":0.0,"elevation_gain":0.0}`,
		"biggest_ride_distance":        `5000.0`,
		"biggest_climb_elevation_gain": `30.0`,
	} {
		if string(stats[name]) != want {
			t.Errorf("%s is %s, want %s", name, stats[name], want)
		}
	}
}

func TestActivityInProcessingIsNotFound(t *testing.T) {
	w := newWorld(t, strava.Config{})
	w.subscribe()
	tok := w.connect(athlete, everyScope...)
	id := must(w.AddActivity(athlete, strava.NewActivity{ReadyAfter: strava.Duration(time.Minute)}))
	if events := w.events(); len(events) != 1 || events[0].ObjectID != id {
		t.Errorf("events %v", events)
	}
	there := func() bool {
		listed := slices.Contains(w.ids(tok.Access, ""), id)
		got := w.get(tok.Access, fmt.Sprintf("/api/v3/activities/%d", id)).status == http.StatusOK
		if listed != got {
			t.Errorf("listed %v, got %v", listed, got)
		}
		return got
	}
	if err := w.SetFields(athlete, id, map[string]json.RawMessage{"kudos_count": []byte("1")}); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(59 * time.Second)
	if there() {
		t.Error("it is found too early")
	}
	w.clock.Advance(time.Second)
	if !there() {
		t.Error("it is not found when it is processed")
	}
}

func TestEditedActivityKeepsEverythingElse(t *testing.T) {
	w := newRecordedWorld(t)
	tok := w.connect(recordedAthlete, everyScope...)
	name := `new "name"`
	if err := w.EditActivity(recordedAthlete, 106, strava.Edit{Name: &name}); err != nil {
		t.Fatal(err)
	}
	if err := w.SetFields(recordedAthlete, 106, map[string]json.RawMessage{
		"distance": []byte("1234.0"), "moving_time": []byte("null"), "kudos_count": []byte("7"),
	}); err != nil {
		t.Fatal(err)
	}
	r := w.get(tok.Access, "/api/v3/athlete/activities?per_page=1")
	want := string(decoded[[]json.RawMessage](t, recorded)[0])
	for _, change := range [][2]string{
		{`"six \u00e9 <3"`, `"new \"name\""`}, {`"distance":1000`, `"distance":1234.0`}, {`"moving_time":300.0,`, ``}, {`}}`, `},"kudos_count":7}`},
	} {
		want = strings.Replace(want, change[0], change[1], 1)
	}
	r.expect(t, 200, "["+want+"]")

	for what, fields := range map[string]string{"id": `{"id":5}`, "owner": `{"athlete":{"id":5}}`, "start": `{"start_date":null}`} {
		if err := w.SetFields(recordedAthlete, 106, decoded[map[string]json.RawMessage](t, fields)); err == nil {
			t.Errorf("a change of the %s was accepted", what)
		}
	}
}
