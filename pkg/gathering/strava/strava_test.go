package strava

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
)

func pointer(v float64) *float64 { return &v }

func TestDecodeTakesNumbersLeniently(t *testing.T) {
	got, owner, err := decodeActivity([]byte(`{
		"id": 10853372529, "athlete": {"id": 4242424.0, "resource_state": 1}, "name": "Afternoon Run",
		"type": "Run", "sport_type": "TrailRun", "workout_type": null,
		"start_date": "2025-07-20T20:00:00Z", "start_date_local": "2025-07-20T16:00:00Z", "timezone": "(GMT-05:00) America/New_York",
		"utc_offset": -14400.0, "distance": "6764.8", "moving_time": 2151.0, "elapsed_time": 2178, "total_elevation_gain": 34,
		"average_speed": 3.145, "max_speed": 11, "average_heartrate": 146.8, "max_heartrate": 162.0,
		"average_watts": null, "kilojoules": 812.5,
		"start_latlng": [], "end_latlng": [-0.76, -30.5], "location_city": "Here", "map": {"summary_polyline": "SECRET"},
		"trainer": false, "commute": true, "manual": false, "private": true, "visibility": "only_me", "device_name": "Garmin"
	}`))
	if err != nil || owner != 4242424 {
		t.Fatal(owner, err)
	}
	want := gatheringv1.Activity{
		ID: 10853372529, Name: "Afternoon Run", SportType: "TrailRun",
		StartDate: "2025-07-20T20:00:00Z", StartDateLocal: "2025-07-20T16:00:00Z", Timezone: "America/New_York",
		Distance: 6764.8, MovingTime: 2151, ElapsedTime: 2178, TotalElevationGain: 34,
		AverageSpeed: pointer(3.145), MaxSpeed: pointer(11), AverageHeartrate: pointer(146.8), MaxHeartrate: pointer(162),
		Kilojoules: pointer(812.5), Commute: true, Private: true, Visibility: "only_me", DeviceName: "Garmin",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestDecodeRefusesWhatIsNoActivity(t *testing.T) {
	for _, body := range []string{`{}`, `[]`, `{"id":1}`, `{"id":1,"start_date":"yesterday","start_date_local":"2025-07-20T16:00:00Z"}`,
		`{"id":1,"start_date":"2025-07-20T16:00:00Z","start_date_local":"2025-07-20T16:00:00Z","distance":"far"}`,
		`{"id":1.5,"start_date":"2025-07-20T16:00:00Z","start_date_local":"2025-07-20T16:00:00Z"}`} {
		if _, _, err := decodeActivity([]byte(body)); err == nil {
			t.Errorf("%s was taken", body)
		} else if strings.Contains(err.Error(), "yesterday") || strings.Contains(err.Error(), "far") {
			t.Errorf("the error shows content: %v", err)
		}
	}
}

func TestOneBadActivityDoesNotCostThePage(t *testing.T) {
	good := `{"id":1,"start_date":"2025-07-20T16:00:00Z","start_date_local":"2025-07-20T16:00:00Z"}`
	list, n, err := decodeList("[" + good + `,{"message":"error"},` + good + "]")
	if err != nil || n != 3 || len(list) != 2 {
		t.Errorf("%d of %d, %v", len(list), n, err)
	}
	if _, _, err := decodeList(`{"message":"error"}`); err == nil {
		t.Error("an object was taken for a page")
	}
}

func TestLimitPause(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 7, 30, 0, time.UTC)
	quarter, midnight := time.Date(2026, 11, 22, 10, 15, 0, 0, time.UTC), time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	header := func(limit, usage, readLimit, readUsage string) map[string]string {
		return map[string]string{"X-Ratelimit-Limit": limit, "X-Ratelimit-Usage": usage, "X-Readratelimit-Limit": readLimit, "X-Readratelimit-Usage": readUsage}
	}
	for name, tc := range map[string]struct {
		header map[string]string
		until  time.Time
	}{
		"room in all":          {header("200,2000", "8,151", "100,1000", "8,151"), time.Time{}},
		"one left":             {header("200,2000", "8,151", "100,1000", "99,999"), time.Time{}},
		"read quarter spent":   {header("200,2000", "100,151", "100,1000", "100,151"), quarter},
		"overall quarter over": {header("200,2000", "201,300", "100,1000", "8,151"), quarter},
		"read day spent":       {header("200,2000", "8,1000", "100,1000", "8,1000"), midnight},
		"both spent":           {header("200,2000", "200,2000", "100,1000", "100,1000"), midnight},
		"no headers":           {map[string]string{}, time.Time{}},
		"nonsense":             {header("many", "8,151", "100", "8"), time.Time{}},
	} {
		got := limitPause(tc.header, at)
		if !got.Until.Equal(tc.until) {
			t.Errorf("%s: until %v", name, got.Until)
		}
		if (got == gathering.Pause{}) != tc.until.IsZero() {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := windowEnd(quarter, 15*time.Minute); !got.Equal(quarter.Add(15 * time.Minute)) {
		t.Errorf("at the very beginning of a window: %v", got)
	}
}
