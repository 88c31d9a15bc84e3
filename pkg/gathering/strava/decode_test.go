package strava

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/standin/strava"
)

func pointer(v float64) *float64 { return &v }

// summaries returns n summaries as Strava lists them, of one athlete.
func summaries(tb testing.TB, n int) (list []string, athleteID int64) {
	tb.Helper()
	server := strava.New(strava.Config{Seed: 1, Athletes: strava.Generate(1, 50, time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))})
	tb.Cleanup(server.Close)
	for _, athlete := range server.Athletes() {
		activities, err := server.Activities(athlete.ID)
		if err != nil {
			tb.Fatal(err)
		}
		if len(activities) < n {
			continue
		}
		for _, a := range activities[:n] {
			list = append(list, string(a.Summary))
		}
		return list, athlete.ID
	}
	tb.Fatalf("no athlete has %d activities", n)
	return nil, 0
}

func page(list ...string) string { return "[" + strings.Join(list, ",") + "]" }

func TestDecodeReadsARealActivity(t *testing.T) {
	got, owner, unreadable, err := decodeActivity([]byte(`{
		"id": 10853372529, "athlete": {"id": 4242424.0, "resource_state": 1}, "name": "Afternoon Run",
		"type": "Run", "sport_type": "TrailRun", "workout_type": null,
		"start_date": "2025-07-20T20:00:00Z", "start_date_local": "2025-07-20T16:00:00Z", "timezone": "(GMT-05:00) America/New_York",
		"utc_offset": -14400.0, "distance": "6764.8", "moving_time": 2151.0, "elapsed_time": 2178, "total_elevation_gain": 34,
		"average_speed": 3.145, "max_speed": 11, "average_heartrate": 146.8, "max_heartrate": 162.0,
		"average_watts": null, "kilojoules": 812.5,
		"start_latlng": [], "end_latlng": [-0.76, -30.5], "location_city": "Here", "map": {"summary_polyline": "SECRET"},
		"trainer": false, "commute": true, "manual": false, "private": true, "visibility": "only_me", "device_name": "Garmin"
	}`))
	if err != nil || owner != 4242424 || len(unreadable) > 0 {
		t.Fatal(owner, unreadable, err)
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

// with returns the activity 42 of athlete 7 with members that replace others of
// the same name.
func with(members string) string {
	return `{"id":42,"athlete":{"id":7},"name":"Lunch","sport_type":"Run","type":"Run",` +
		`"start_date":"2025-07-20T16:00:00Z","start_date_local":"2025-07-20T18:00:00Z","timezone":"(GMT+01:00) Europe/Berlin","utc_offset":7200.0,` +
		`"distance":1000,"moving_time":300,"elapsed_time":360,"total_elevation_gain":5,"average_speed":3,"average_watts":200,` +
		`"trainer":true,"private":true,"visibility":"everyone","device_name":"Watch"` + members + `}`
}

func TestOneMemberIsReadOrOmitted(t *testing.T) {
	type activity = gatheringv1.Activity
	for members, want := range map[string]struct {
		change     func(*activity)
		unreadable string
	}{
		``: {},
		// Numbers.
		`"distance":"6764.8"`:              {change: func(a *activity) { a.Distance = 6764.8 }},
		`"distance":"-6e3"`:                {func(a *activity) { a.Distance = 0 }, "distance"},
		`"distance":"NaN"`:                 {func(a *activity) { a.Distance = 0 }, "distance"},
		`"distance":"far"`:                 {func(a *activity) { a.Distance = 0 }, "distance"},
		`"distance":1e999`:                 {func(a *activity) { a.Distance = 0 }, "distance"},
		`"distance":1.1e9`:                 {func(a *activity) { a.Distance = 0 }, "distance"},
		`"distance":null`:                  {change: func(a *activity) { a.Distance = 0 }},
		`"total_elevation_gain":-12.5`:     {func(a *activity) { a.TotalElevationGain = 0 }, "total_elevation_gain"},
		`"total_elevation_gain":true`:      {func(a *activity) { a.TotalElevationGain = 0 }, "total_elevation_gain"},
		`"average_speed":"1,5"`:            {func(a *activity) { a.AverageSpeed = nil }, "average_speed"},
		`"average_speed":"0x1p-2"`:         {func(a *activity) { a.AverageSpeed = nil }, "average_speed"},
		`"average_speed":""`:               {func(a *activity) { a.AverageSpeed = nil }, "average_speed"},
		`"average_speed":"\u0031"`:         {func(a *activity) { a.AverageSpeed = nil }, "average_speed"},
		`"average_watts":"Infinity"`:       {func(a *activity) { a.AverageWatts = nil }, "average_watts"},
		`"average_watts":{}`:               {func(a *activity) { a.AverageWatts = nil }, "average_watts"},
		`"average_watts":[200]`:            {func(a *activity) { a.AverageWatts = nil }, "average_watts"},
		`"average_watts":null`:             {change: func(a *activity) { a.AverageWatts = nil }},
		`"average_watts":0`:                {change: func(a *activity) { a.AverageWatts = pointer(0) }},
		`"max_speed":1e12`:                 {unreadable: "max_speed"},
		`"kilojoules":[]`:                  {unreadable: "kilojoules"},
		`"max_heartrate":174.0`:            {change: func(a *activity) { a.MaxHeartrate = pointer(174) }},
		`"utc_offset":"never"`:             {},
		`"distance":1,"distance":{}`:       {func(a *activity) { a.Distance = 0 }, "distance"},
		`"distance":{},"distance":1`:       {change: func(a *activity) { a.Distance = 1 }},
		`"unknown_field":{"this":[1,2,3]}`: {},
		// Times.
		`"elapsed_time":-5`:          {func(a *activity) { a.ElapsedTime = 0 }, "elapsed_time"},
		`"elapsed_time":1764000000`:  {func(a *activity) { a.ElapsedTime = 0 }, "elapsed_time"},
		`"elapsed_time":4294967295`:  {func(a *activity) { a.ElapsedTime = 0 }, "elapsed_time"},
		`"elapsed_time":86400.4`:     {change: func(a *activity) { a.ElapsedTime = 86400 }},
		`"elapsed_time":315360000`:   {change: func(a *activity) { a.ElapsedTime = 315360000 }},
		`"moving_time":2147483647`:   {func(a *activity) { a.MovingTime = 0 }, "moving_time"},
		`"moving_time":"2151"`:       {change: func(a *activity) { a.MovingTime = 2151 }},
		`"moving_time":null`:         {change: func(a *activity) { a.MovingTime = 0 }},
		`"moving_time":"PT35M51.0S"`: {func(a *activity) { a.MovingTime = 0 }, "moving_time"},
		// Flags.
		`"trainer":"false"`:  {change: func(a *activity) { a.Trainer = false }},
		`"trainer":0`:        {change: func(a *activity) { a.Trainer = false }},
		`"trainer":null`:     {change: func(a *activity) { a.Trainer = false }},
		`"trainer":"no"`:     {func(a *activity) { a.Trainer = false }, "trainer"},
		`"trainer":2`:        {func(a *activity) { a.Trainer = false }, "trainer"},
		`"commute":"true"`:   {change: func(a *activity) { a.Commute = true }},
		`"manual":1`:         {change: func(a *activity) { a.Manual = true }},
		`"private":["true"]`: {func(a *activity) { a.Private = false }, "private"},
		// Texts.
		`"name":null`:                               {change: func(a *activity) { a.Name = "" }},
		`"name":123`:                                {func(a *activity) { a.Name = "" }, "name"},
		`"name":false`:                              {func(a *activity) { a.Name = "" }, "name"},
		`"name":"a\u0000b\u202ec\u2066\n\u0085"`:    {change: func(a *activity) { a.Name = "abc" }},
		`"name":"\ud83d"`:                           {change: func(a *activity) { a.Name = "\ufffd" }},
		"\"name\":\"a\xffb\"":                       {change: func(a *activity) { a.Name = "a\ufffdb" }},
		`"name":"\ud83c\udfc3 <été>"`:               {change: func(a *activity) { a.Name = "🏃 <été>" }},
		`"name":"` + strings.Repeat("🏃", 501) + `"`: {change: func(a *activity) { a.Name = strings.Repeat("🏃", 500) }},
		`"device_name":17`:                          {func(a *activity) { a.DeviceName = "" }, "device_name"},
		`"device_name":{"x":1}`:                     {func(a *activity) { a.DeviceName = "" }, "device_name"},
		`"visibility":3`:                            {func(a *activity) { a.Visibility = "" }, "visibility"},
		`"sport_type":null,"type":"Ride"`:           {change: func(a *activity) { a.SportType = "Ride" }},
		`"sport_type":7,"type":"Ride"`:              {func(a *activity) { a.SportType = "Ride" }, "sport_type"},
		`"sport_type":null,"type":null`:             {change: func(a *activity) { a.SportType = "" }},
		`"sport_type":"Kickbox2030"`:                {change: func(a *activity) { a.SportType = "Kickbox2030" }},
		`"type":17`:                                 {},
		// Time zones.
		`"timezone":null`:                           {change: func(a *activity) { a.Timezone = "" }},
		`"timezone":""`:                             {func(a *activity) { a.Timezone = "" }, "timezone"},
		`"timezone":"Local"`:                        {func(a *activity) { a.Timezone = "" }, "timezone"},
		`"timezone":"(GMT+09:00)"`:                  {func(a *activity) { a.Timezone = "" }, "timezone"},
		`"timezone":"(GMT+09:00) Middle/Earth"`:     {func(a *activity) { a.Timezone = "" }, "timezone"},
		`"timezone":"../../etc/passwd"`:             {func(a *activity) { a.Timezone = "" }, "timezone"},
		`"timezone":"(GMT+05:45) Asia/Kathmandu"`:   {change: func(a *activity) { a.Timezone = "Asia/Kathmandu" }},
		`"timezone":"(GMT-03:30) America/St_Johns"`: {change: func(a *activity) { a.Timezone = "America/St_Johns" }},
		`"timezone":"Etc/GMT+5"`:                    {change: func(a *activity) { a.Timezone = "Etc/GMT+5" }},
		// The local start.
		`"start_date_local":"2025-07-20T18:00:00.000Z"`:                  {},
		`"start_date_local":"2025-07-20T18:00:00+02:00"`:                 {},
		`"start_date_local":"2025-07-20T17:00:00Z"`:                      {change: func(a *activity) { a.StartDateLocal = "2025-07-20T17:00:00Z" }},
		`"start_date_local":null`:                                        {},
		`"start_date_local":1753034400`:                                  {unreadable: "start_date_local"},
		`"start_date_local":"2025-07-20 17:00:00 UTC"`:                   {unreadable: "start_date_local"},
		`"start_date_local":"0000-07-20T17:00:00Z"`:                      {unreadable: "start_date_local"},
		`"start_date_local":null,"timezone":null`:                        {change: func(a *activity) { a.Timezone = "" }},
		`"start_date_local":null,"timezone":null,"utc_offset":"-3600.0"`: {change: func(a *activity) { a.Timezone, a.StartDateLocal = "", "2025-07-20T15:00:00Z" }},
		`"start_date_local":null,"timezone":null,"utc_offset":null`:      {change: func(a *activity) { a.Timezone, a.StartDateLocal = "", "2025-07-20T16:00:00Z" }},
		`"start_date_local":null,"timezone":null,"utc_offset":86401`:     {func(a *activity) { a.Timezone, a.StartDateLocal = "", "2025-07-20T16:00:00Z" }, "utc_offset"},
		`"start_date_local":null,"start_date":"9999-12-31T23:30:00Z"`:    {change: func(a *activity) { a.StartDate, a.StartDateLocal = "9999-12-31T23:30:00Z", "9999-12-31T23:30:00Z" }},
		`"start_date_local":null,"start_date":"0001-01-01T00:30:00Z","timezone":null,"utc_offset":-3600`: {change: func(a *activity) {
			a.Timezone, a.StartDate, a.StartDateLocal = "", "0001-01-01T00:30:00Z", "0001-01-01T00:30:00Z"
		}},
		`"start_date_local":null,"start_date":"2025-01-20T16:00:00Z"`: {change: func(a *activity) { a.StartDate, a.StartDateLocal = "2025-01-20T16:00:00Z", "2025-01-20T17:00:00Z" }},
		`"start_date":"1899-12-30T00:00:00Z"`:                         {change: func(a *activity) { a.StartDate = "1899-12-30T00:00:00Z" }},
		`"start_date":"2107-01-01T00:00:00Z"`:                         {change: func(a *activity) { a.StartDate = "2107-01-01T00:00:00Z" }},
		`"start_date":"2025-07-20T18:00:00+02:00"`:                    {},
		// Ids.
		`"id":9223372036854775807`: {change: func(a *activity) { a.ID = 9223372036854775807 }},
		`"id":"15000000000"`:       {change: func(a *activity) { a.ID = 15000000000 }},
		`"id":15000000000.0`:       {change: func(a *activity) { a.ID = 15000000000 }},
	} {
		comma := ","
		if members == "" {
			comma = ""
		}
		wanted := activity{
			ID: 42, Name: "Lunch", SportType: "Run", StartDate: "2025-07-20T16:00:00Z", StartDateLocal: "2025-07-20T18:00:00Z",
			Timezone: "Europe/Berlin", Distance: 1000, MovingTime: 300, ElapsedTime: 360, TotalElevationGain: 5,
			AverageSpeed: pointer(3), AverageWatts: pointer(200), Trainer: true, Private: true, Visibility: "everyone", DeviceName: "Watch",
		}
		if want.change != nil {
			want.change(&wanted)
		}
		unreadable := map[string]int{}
		if want.unreadable != "" {
			unreadable[want.unreadable] = 1
		}
		got, owner, gotLeftOut, err := decodeActivity([]byte(with(comma + members)))
		if err != nil || owner != 7 {
			t.Errorf("%s: of %d, %v", members, owner, err)
			continue
		}
		if d := cmp.Diff(wanted, got) + cmp.Diff(unreadable, gotLeftOut); d != "" {
			t.Errorf("%s: %s", members, d)
		}
	}
}

func TestAnActivityNeedsAnIDAndAStart(t *testing.T) {
	for _, body := range []string{
		`{}`, `[]`, `null`, ``, `7`, `"x"`, `<html>`, `{"id":1}`, `{"message":"error"}`, byteOrderMark,
		with(`,"id":null`), with(`,"id":0`), with(`,"id":-42`), with(`,"id":1.5`), with(`,"id":"x"`), with(`,"id":9223372036854775808`),
		with(`,"id":1.5e10`), with(`,"id":1e10`), with(`,"id":[42]`), with(`,"id":true`), with(`,"id":"42 "`), with(`,"id":1e99999`),
		with(`,"start_date":null`), with(`,"start_date":""`), with(`,"start_date":"yesterday"`), with(`,"start_date":1753034400`),
		with(`,"start_date":"0000-07-20T16:00:00Z"`), with(`,"start_date":"9999-12-31T23:30:00-01:00"`), with(`,"start_date":{}`),
		with(``)[:100],
	} {
		if _, _, _, err := decodeActivity([]byte(body)); err == nil {
			t.Errorf("%s is decoded", body)
		} else if strings.Contains(err.Error(), "yesterday") {
			t.Errorf("the error shows content: %v", err)
		}
	}
}

func TestAnActivityWithoutAReadableOwnerHasNone(t *testing.T) {
	for _, athlete := range []string{`null`, `7`, `[]`, `{}`, `{"id":null}`, `{"id":7.5}`, `"7"`} {
		if _, owner, _, err := decodeActivity([]byte(with(`,"athlete":` + athlete))); err != nil || owner != 0 {
			t.Errorf("%s: owner %d, error %v", athlete, owner, err)
		}
	}
}

func TestABodyThatIsNoPageIsAnError(t *testing.T) {
	good := with("")
	for name, body := range map[string]string{
		"null": `null`, "an object": `{"message":"error"}`, "HTML": `<html><body>Strava is temporarily unavailable</body></html>`,
		"nothing": ``, "only a byte order mark": byteOrderMark, "a number": `7`, "a text": `"[]"`,
		"a list of null": `[null]`, "a list of lists": `[[]]`, "a list of numbers": `[1]`, "one null among activities": page(good, "null", good),
		"cut off in an activity": page(good)[:200], "cut off after a comma": "[" + good + ",", "cut off after an activity": "[" + good,
		"only a bracket": `[`, "two pages": `[][]`, "more after the page": `[] x`, "no comma": "[" + good + good + "]",
		"a comma too many": "[" + good + ",]", "a control character in a text": page(with(",\"name\":\"a\nb\"")),
	} {
		if p, err := decodePage(body, 7, 200); err == nil {
			t.Errorf("%s is decoded as a page of %d entries", name, p.Entries)
		}
	}
	for name, body := range map[string]string{"a page": "[]", "a page after a byte order mark": byteOrderMark + " [ ]\n"} {
		if p, err := decodePage(body, 7, 200); err != nil || p.Entries != 0 {
			t.Errorf("%s: page %+v, error %v", name, p, err)
		}
	}
	if p, err := decodePage(byteOrderMark+page(good), 7, 200); err != nil || len(p.Activities) != 1 {
		t.Errorf("an activity after a byte order mark: %+v, %v", p, err)
	}
}

func TestAPageLongerThanAskedForIsAnError(t *testing.T) {
	list, athleteID := summaries(t, 3)
	if p, err := decodePage(page(list...), athleteID, 3); err != nil || p.Entries != 3 {
		t.Errorf("as long as asked for: %+v, %v", p, err)
	}
	if _, err := decodePage(page(list...), athleteID, 2); err == nil {
		t.Error("a longer page was taken")
	}
	if _, err := decodePage("["+strings.Repeat("{},", 1<<20)+"{}]", athleteID, 200); err == nil {
		t.Error("a page of a million was taken")
	}
}

func TestAPageWithAnActivityOfAnotherAthleteIsAnError(t *testing.T) {
	for name, entry := range map[string]string{
		"readable": with(`,"athlete":{"id":8}`), "by text": with(`,"athlete":{"id":"8"}`), "without an id": with(`,"athlete":{"id":8},"id":null`),
	} {
		if _, err := decodePage(page(with(""), entry), 7, 200); err == nil {
			t.Errorf("%s: it is decoded", name)
		}
	}
	if p, err := decodePage(page(with(`,"athlete":{"id":"7"}`), with(`,"athlete":null`)), 7, 200); err != nil || len(p.Activities) != 2 {
		t.Errorf("the athlete's own: %+v, %v", p, err)
	}
}

func TestAnUnreadableEntryKeepsItsPlace(t *testing.T) {
	p, err := decodePage(page(`{"message":"error"}`, with(`,"name":1,"distance":"x"`), with(`,"id":{},"name":1`), with(`,"id":43,"name":1`)), 7, 200)
	if err != nil {
		t.Fatal(err)
	}
	if p.Entries != 4 || len(p.Activities) != 2 || p.Activities[0].ID != 42 || p.Activities[1].ID != 43 || !slices.Equal(p.Unreadable, []int{0, 2}) {
		t.Errorf("page %+v", p)
	}
	// Only what is missing in activities that were read counts.
	if d := cmp.Diff(map[string]int{"name": 2, "distance": 1}, p.UnreadableMembers); d != "" {
		t.Error(d)
	}
}

func TestDecodeReadsAProfile(t *testing.T) {
	full := `{"id":7,"username":"ada","firstname":"Ada","lastname":"L","created_at":"2016-01-01T00:00:00Z","profile":"https://p.test/1.png","profile_medium":"http://p.test/2.png"`
	for members, want := range map[string]struct {
		change     func(*gatheringv1.Athlete)
		unreadable string
	}{
		``:                                      {},
		`,"premium":null,"weight":null`:         {},
		`,"id":"7"`:                             {},
		`,"username":12`:                        {func(a *gatheringv1.Athlete) { a.Username = "" }, "username"},
		`,"firstname":null`:                     {change: func(a *gatheringv1.Athlete) { a.Firstname = "" }},
		`,"lastname":"L\u202e\u0007"`:           {},
		`,"created_at":null`:                    {change: func(a *gatheringv1.Athlete) { a.CreatedAt = "" }},
		`,"created_at":"in 2016"`:               {func(a *gatheringv1.Athlete) { a.CreatedAt = "" }, "created_at"},
		`,"profile":"avatar/athlete/large.png"`: {func(a *gatheringv1.Athlete) { a.Profile = "" }, "profile"},
		`,"profile":"javascript:alert(1)"`:      {func(a *gatheringv1.Athlete) { a.Profile = "" }, "profile"},
		`,"profile":"https:///1.png"`:           {func(a *gatheringv1.Athlete) { a.Profile = "" }, "profile"},
		`,"profile":null`:                       {change: func(a *gatheringv1.Athlete) { a.Profile = "" }},
		`,"profile_medium":["https://p.test"]`:  {func(a *gatheringv1.Athlete) { a.ProfileMedium = "" }, "profile_medium"},
		`,"profile_medium":"https://p.test/` + strings.Repeat("a", 500) + `"`: {func(a *gatheringv1.Athlete) { a.ProfileMedium = "" }, "profile_medium"},
	} {
		wanted := gatheringv1.Athlete{
			ID: 7, Username: "ada", Firstname: "Ada", Lastname: "L", CreatedAt: "2016-01-01T00:00:00Z",
			Profile: "https://p.test/1.png", ProfileMedium: "http://p.test/2.png",
		}
		if want.change != nil {
			want.change(&wanted)
		}
		unreadable := map[string]int{}
		if want.unreadable != "" {
			unreadable[want.unreadable] = 1
		}
		got, gotLeftOut, err := decodeAthlete([]byte(full + members + "}"))
		if err != nil {
			t.Errorf("%s: %v", members, err)
			continue
		}
		if d := cmp.Diff(wanted, got) + cmp.Diff(unreadable, gotLeftOut); d != "" {
			t.Errorf("%s: %s", members, d)
		}
	}
	for _, body := range []string{``, `null`, `[]`, `{}`, `<html>`, `{"id":null}`, `{"id":0}`, `{"id":7.5}`, `{"message":"error"}`} {
		if _, _, err := decodeAthlete([]byte(body)); err == nil {
			t.Errorf("%s is decoded as an athlete", body)
		}
	}
}

// anyJSON returns JSON values of every kind, some of them random.
func anyJSON(rng *rand.Rand) []string {
	values := []string{
		`null`, `true`, `false`, `0`, `1`, `-0`, `-1`, `1.5`, `2147483648`, `1e9`, `1e-400`, `1e400`, `-1E+99999`, `9223372036854775808`, `0.1e1`,
		strings.Repeat("9", 5000), `""`, `"0"`, `"1"`, `"x"`, `"NaN"`, `"-Infinity"`, `"1,5"`, `"null"`, `"true"`, `"6764.8"`,
		`"2025-02-29T00:00:00Z"`, `"2025-02-28T00:00:00Z"`, `"2025-02-28"`, `"\ud83d\u0000\u202e"`, "\"\xff\xfe\"", `"` + strings.Repeat(`<\u2028🏃`, 1000) + `"`,
		`[]`, `{}`, `[null]`, `[1,"x",{}]`, `{"id":null}`, `{"id":"x"}`, `{"id":{"id":1.5}}`, `{"":[{}]}`,
		strings.Repeat("[", 5000) + strings.Repeat("]", 5000), strings.Repeat(`{"id":`, 5000) + `1.5` + strings.Repeat("}", 5000),
	}
	for range 10 {
		values = append(values, randomJSON(rng, 4))
	}
	return values
}

func randomJSON(rng *rand.Rand, depth int) string {
	kinds := 7
	if depth == 0 {
		kinds = 5
	}
	switch rng.IntN(kinds) {
	case 0:
		return []string{"null", "true", "false"}[rng.IntN(3)]
	case 1:
		return fmt.Sprint(rng.Int64() - rng.Int64())
	case 2:
		return fmt.Sprintf("%d.%de%d", rng.IntN(10), rng.IntN(1e6), rng.IntN(800)-400)
	case 3, 4:
		runes := make([]rune, rng.IntN(20))
		for i := range runes {
			runes[i] = []rune{rng.Int32N(0x80), rng.Int32N(0x3000), 0x1f300 + rng.Int32N(0x300)}[rng.IntN(3)]
		}
		encoded, _ := json.Marshal(string(runes))
		return string(encoded)
	case 5:
		list := make([]string, rng.IntN(4))
		for i := range list {
			list[i] = randomJSON(rng, depth-1)
		}
		return page(list...)
	default:
		return fmt.Sprintf(`{"a":%s,"id":%s}`, randomJSON(rng, depth-1), randomJSON(rng, 0))
	}
}

// TestOneMemberOfAnyValueCostsNothingElse replaces each member of real
// summaries by all kinds of values. The other activities of the page are read
// as before, and so is this one, but for that member, unless it is the id or
// the start.
func TestOneMemberOfAnyValueCostsNothingElse(t *testing.T) {
	list, athleteID := summaries(t, 15)
	rng := rand.New(rand.NewPCG(1, 2))
	for three := range slices.Chunk(list, 3) {
		before, err := decodePage(page(three...), athleteID, 3)
		if err != nil || len(before.Activities) != 3 || len(before.UnreadableMembers) > 0 {
			t.Fatalf("page %+v, error %v", before, err)
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(three[1]), &members); err != nil {
			t.Fatal(err)
		}
		for name := range members {
			for _, value := range anyJSON(rng) {
				changed := maps.Clone(members)
				changed[name] = json.RawMessage(value)
				after, err := decodePage(page(three[0], object(changed), three[2]), athleteID, 3)
				if err != nil || after.Entries != 3 {
					if name != "athlete" || !namesAnAthlete(value) {
						t.Errorf("%s: %.60s: the page is lost: %v", name, value, err)
					}
					continue
				}
				if problem := differs(before, after, name); problem != "" {
					t.Errorf("%s: %.60s: %s", name, value, problem)
				}
			}
		}
	}
}

// object joins members as they are, valid UTF-8 or not.
func object(members map[string]json.RawMessage) string {
	var list []string
	for name, value := range members {
		list = append(list, fmt.Sprintf("%q:%s", name, value))
	}
	return "{" + strings.Join(list, ",") + "}"
}

func namesAnAthlete(value string) bool {
	var athlete struct {
		ID identifier `json:"id"`
	}
	return json.Unmarshal([]byte(value), &athlete) == nil && athlete.ID != 0
}

// differs returns how a page changes with the named member of its second
// activity, other than in that member.
func differs(before, after gathering.Page, name string) string {
	if len(after.Unreadable) > 0 {
		if name != "id" && name != "start_date" || !slices.Equal(after.Unreadable, []int{1}) || len(after.Activities) != 2 {
			return fmt.Sprintf("%d were read, and %v are unreadable", len(after.Activities), after.Unreadable)
		}
		return cmp.Diff([]gatheringv1.Activity{before.Activities[0], before.Activities[2]}, after.Activities)
	}
	var pages [2][]map[string]any
	for i, list := range [][]gatheringv1.Activity{before.Activities, after.Activities} {
		b, err := json.Marshal(list)
		if err != nil {
			return err.Error()
		}
		if err := json.Unmarshal(b, &pages[i]); err != nil || len(list) != 3 {
			return fmt.Sprintf("%d were read, %v", len(list), err)
		}
		delete(pages[i][1], name)
	}
	unreadable := maps.Clone(after.UnreadableMembers)
	delete(unreadable, name)
	if len(unreadable) > 0 || !reflect.DeepEqual(pages[0], pages[1]) { // cmp.Diff alone takes long.
		return fmt.Sprintf("left out are %v, too; %s", unreadable, cmp.Diff(pages[0], pages[1]))
	}
	return unfit(after.Activities[1])
}

// unfit returns what is wrong with an activity for its consumers.
func unfit(a gatheringv1.Activity) string {
	for _, s := range []string{a.Name, a.SportType, a.Timezone, a.Visibility, a.DeviceName} {
		if utf8.RuneCountInString(s) > maxRunes || !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\n\u202e") {
			return fmt.Sprintf("a text is unfit to be shown: %.20q", s)
		}
	}
	for _, s := range []string{a.StartDate, a.StartDateLocal} {
		if at, err := time.Parse(wallClock, s); err != nil || at.Year() < 1 {
			return "a time is malformed: " + s
		}
	}
	for _, v := range []*float64{
		&a.Distance, &a.TotalElevationGain, a.AverageSpeed, a.MaxSpeed, a.AverageHeartrate, a.MaxHeartrate, a.AverageWatts, a.Kilojoules,
	} {
		if v != nil && !(0 <= *v && *v <= maxMeasure) {
			return fmt.Sprintf("a measure of %v", *v)
		}
	}
	if min(a.MovingTime, a.ElapsedTime) < 0 || max(a.MovingTime, a.ElapsedTime) > maxSeconds {
		return fmt.Sprintf("times of %d and %d s", a.MovingTime, a.ElapsedTime)
	}
	return ""
}

func BenchmarkDecodePage(b *testing.B) {
	list, athleteID := summaries(b, 200)
	body := page(list...)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if p, err := decodePage(body, athleteID, len(list)); err != nil || len(p.Activities) != len(list) || len(p.UnreadableMembers) > 0 {
			b.Fatal(len(p.Activities), p.UnreadableMembers, err)
		}
	}
}
