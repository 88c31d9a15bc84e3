package strava

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
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
		`{"id":1,"start_date":"2025-07-20T16:00:00Z","start_date_local":"2025-07-20T16:00:00Z","distance":1.1e9}`,
		`{"id":1,"start_date":"2025-07-20T16:00:00Z","start_date_local":"2025-07-20T16:00:00Z","distance":"NaN"}`,
		`{"id":1,"start_date":"2025-07-20T16:00:00Z","start_date_local":"2025-07-20T16:00:00Z","moving_time":1e300}`,
		`{"id":1,"start_date":"2025-07-20T16:00:00Z","start_date_local":"2025-07-20T16:00:00Z","elapsed_time":9e18}`,
		`{"id":1,"start_date":"2025-07-20T16:00:00Z","start_date_local":"2025-07-20T16:00:00Z","total_elevation_gain":-2e9}`,
		`{"id":1,"start_date":"2025-07-20T16:00:00Z","start_date_local":"2025-07-20T16:00:00Z","kilojoules":1e10}`,
		`{"id":1,"start_date":"0000-07-20T16:00:00Z","start_date_local":"2025-07-20T16:00:00Z"}`,
		`{"id":1,"start_date":"9999-12-31T23:30:00-01:00","start_date_local":"2025-07-20T16:00:00Z"}`,
		`{"id":1,"start_date":"2025-07-20T16:00:00Z","start_date_local":"0000-07-20T16:00:00Z"}`,
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

func TestRates(t *testing.T) {
	header := func(limit, usage, readLimit, readUsage string) map[string]string {
		return map[string]string{"X-Ratelimit-Limit": limit, "X-Ratelimit-Usage": usage, "X-Readratelimit-Limit": readLimit, "X-Readratelimit-Usage": readUsage}
	}
	want := &quota.Rates{
		Overall: quota.Rate{Limit: quota.Pair{Quarter: 200, Day: 2000}, Usage: quota.Pair{Quarter: 8, Day: 151}},
		Read:    quota.Rate{Limit: quota.Pair{Quarter: 100, Day: 1000}, Usage: quota.Pair{Quarter: 7, Day: 150}},
	}
	for name, tc := range map[string]struct {
		header map[string]string
		want   *quota.Rates
	}{
		"as documented": {header("200,2000", "8,151", "100,1000", "7,150"), want},
		"with spaces":   {header("200, 2000", " 8,151", "100,1000", "7,150 "), want},
		"none":          {map[string]string{}, nil},
		"one missing":   {header("200,2000", "8,151", "100,1000", ""), nil},
		"nonsense":      {header("many", "8,151", "100,1000", "7,150"), nil},
		"one window":    {header("200", "8,151", "100,1000", "7,150"), nil},
	} {
		if d := cmp.Diff(tc.want, rates(tc.header)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestAnswersTeachTheQuota(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 7, 30, 0, time.UTC)
	limits := map[string]string{"X-Ratelimit-Limit": "1,2", "X-Ratelimit-Usage": "1,2", "X-Readratelimit-Limit": "1,2", "X-Readratelimit-Usage": "1,2", "Date": "Sun, 22 Nov 2026 10:07:31 GMT"}
	answered := func(status int) credentialsv1.ForwardResponse {
		return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeAnswered, Status: status, Header: limits, Body: "[]"}
	}
	for name, tc := range map[string]struct {
		response credentialsv1.ForwardResponse
		fails    error
		want     quota.Outcome
		err      error
	}{
		"a page":              {answered(200), nil, quota.Answered, nil},
		"not there":           {answered(404), nil, quota.Answered, gathering.ErrNotVisible},
		"a scope is missing":  {answered(401), nil, quota.Answered, gathering.ErrNotVisible},
		"a bad request":       {answered(400), nil, quota.Answered, gathering.ErrUnavailable},
		"too many":            {answered(429), nil, quota.RateLimited, gathering.ErrPaused},
		"an error":            {answered(500), nil, quota.Failed, gathering.ErrUnavailable},
		"a bad gateway":       {answered(502), nil, quota.Maintenance, gathering.ErrPaused},
		"maintenance":         {answered(597), nil, quota.Maintenance, gathering.ErrPaused},
		"no answer":           {credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeUnavailable}, nil, quota.Failed, gathering.ErrUnavailable},
		"application refused": {credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeApplication}, nil, quota.Refused, gathering.ErrPaused},
		"degraded":            {credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeDegraded}, nil, quota.NotMade, gathering.ErrDegraded},
		"revoked":             {credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeRevoked}, nil, quota.NotMade, gathering.ErrRevoked},
		"requester failed":    {credentialsv1.ForwardResponse{}, io.ErrUnexpectedEOF, quota.Answered, io.ErrUnexpectedEOF},
	} {
		c := New(func(context.Context, credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
			now = now.Add(time.Second)
			return tc.response, tc.fails
		}, func() time.Time { return now })
		began := now
		_, _, reading, err := c.Activities(t.Context(), 1, 1, now, 1)
		if !errors.Is(err, tc.err) || (tc.err == nil) != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
		a := reading.Answer
		if a.Outcome != tc.want || !a.Began.Equal(began) || !a.Ended.Equal(began.Add(time.Second)) || !reading.At.Equal(began) {
			t.Errorf("%s: %+v", name, reading)
		}
		if told := tc.response.Header != nil; told != (a.Rates != nil) || told != !a.Date.IsZero() {
			t.Errorf("%s: told %v: %+v", name, told, a)
		}
	}
}
