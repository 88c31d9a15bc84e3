package handler_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/activity/handler"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	document "github.com/paceline/paceline/test/openapi"
)

var discard = slog.New(slog.DiscardHandler)

// me is the athlete of testdata/request.json.
var me = activity.Authorization{AthleteID: 1, Generation: activitytest.Gen1}

type client struct {
	t        *testing.T
	document *document.Document
	ports    activitytest.Ports
	handle   func(context.Context, api.Request) (api.Response, error)
}

func newAPI(t *testing.T) client {
	ports := activitytest.NewPorts(func() time.Time { return activitytest.At(60) })
	return client{t, document.MustLoad(t), ports, api.Mux(discard, handler.APIRoutes(ports.Reader()))}
}

func (a client) put(by activity.Authorization, activities ...gatheringv1.Activity) {
	a.t.Helper()
	if err := a.ports.Store.Put(a.t.Context(), activity.Reading{By: by, At: activitytest.At(0), Activities: activities}); err != nil {
		a.t.Fatal(err)
	}
}

// call sends the recorded request with another route, path parameter and query.
func (a client) call(route, id string, query map[string]string, change ...func(*api.Request)) api.Response {
	a.t.Helper()
	b, err := os.ReadFile("testdata/request.json")
	if err != nil {
		a.t.Fatal(err)
	}
	var req api.Request
	if err := json.Unmarshal(b, &req); err != nil {
		a.t.Fatal(err)
	}
	req.RouteKey, req.QueryStringParameters = route, query
	if id != "" {
		req.PathParameters = map[string]string{"id": id}
	}
	for _, c := range change {
		c(&req)
	}
	res, err := a.handle(a.t.Context(), req)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := a.document.Check(req, res); err != nil {
		a.t.Error(err)
	}
	return res
}

// get calls a route that must answer 200, and decodes the response.
func (a client) get(dst any, route, id string, query map[string]string) {
	a.t.Helper()
	res := a.call(route, id, query)
	if res.StatusCode != http.StatusOK {
		a.t.Fatalf("%s %v: %d %s", route, query, res.StatusCode, res.Body)
	}
	if err := json.Unmarshal([]byte(res.Body), dst); err != nil {
		a.t.Fatal(err)
	}
}

const (
	listRoute  = "GET /v1/me/activities"
	getRoute   = "GET /v1/me/activities/{id}"
	statsRoute = "GET /v1/me/stats"
	syncRoute  = "GET /v1/me/sync"
)

type page struct {
	Items []struct {
		ID   int64
		Name string
	}
	NextCursor *string `json:"next_cursor"`
}

func (p page) names() (out []string) {
	for _, i := range p.Items {
		out = append(out, i.Name)
	}
	return out
}

// walk reads page after page.
func (a client) walk(query map[string]string) (pages [][]string) {
	a.t.Helper()
	query = maps.Clone(query)
	for {
		var p page
		a.get(&p, listRoute, "", query)
		pages = append(pages, p.names())
		if p.NextCursor == nil {
			return pages
		}
		query["cursor"] = *p.NextCursor
	}
}

func TestListPages(t *testing.T) {
	a := newAPI(t)
	var all, runs []string
	for i := range 12 {
		// Three start in each second.
		one := activitytest.Activity(int64(100+i), i/3, fmt.Sprint(i))
		if i%4 == 0 {
			one.SportType = "GravelRide"
		} else {
			runs = append([]string{one.Name}, runs...)
		}
		a.put(me, one)
		all = append([]string{one.Name}, all...)
	}
	for _, limit := range []int{1, 2, 3, 4, 5, 11, 12, 13, 200} {
		query := map[string]string{"limit": fmt.Sprint(limit), "unknown": "ignored"}
		if d := cmp.Diff(slices.Collect(slices.Chunk(all, limit)), a.walk(query)); d != "" {
			t.Errorf("limit %d (-want +got)\n%s", limit, d)
		}
		query["sport_type"] = "Run"
		if d := cmp.Diff(slices.Collect(slices.Chunk(runs, limit)), a.walk(query)); d != "" {
			t.Errorf("runs, limit %d (-want +got)\n%s", limit, d)
		}
	}
}

func TestListDefaultsToFifty(t *testing.T) {
	a := newAPI(t)
	for i := range 51 {
		a.put(me, activitytest.Activity(int64(i+1), i, fmt.Sprint(i)))
	}
	if pages := a.walk(map[string]string{}); len(pages) != 2 || len(pages[0]) != 50 || pages[0][0] != "50" {
		t.Errorf("pages of %d", len(pages[0]))
	}
}

func TestListBetween(t *testing.T) {
	a := newAPI(t)
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	for i := range 6 {
		a.put(me, activitytest.Activity(int64(i+1), i, fmt.Sprint(i)))
	}
	seconds := func(n int64) string { return fmt.Sprint(base + n) }
	for _, tc := range []struct {
		query map[string]string
		want  [][]string
	}{
		{map[string]string{"after": seconds(3)}, [][]string{{"5", "4"}}},
		{map[string]string{"before": seconds(2)}, [][]string{{"1", "0"}}},
		{map[string]string{"after": seconds(0), "before": seconds(5)}, [][]string{{"4", "3", "2", "1"}}},
		{map[string]string{"after": seconds(0), "before": seconds(5), "limit": "2"}, [][]string{{"4", "3"}, {"2", "1"}}},
		{map[string]string{"after": seconds(0), "before": seconds(5), "limit": "3"}, [][]string{{"4", "3", "2"}, {"1"}}},
		{map[string]string{"after": seconds(3), "before": seconds(3)}, [][]string{nil}},
		{map[string]string{"after": seconds(4), "before": seconds(2)}, [][]string{nil}},
		{map[string]string{"after": fmt.Sprint(activity.MaxStart)}, [][]string{nil}},
		{map[string]string{"before": fmt.Sprint(activity.MinStart)}, [][]string{nil}},
		{map[string]string{"after": "-86400", "before": fmt.Sprint(activity.MaxStart)}, [][]string{{"5", "4", "3", "2", "1", "0"}}},
	} {
		if d := cmp.Diff(tc.want, a.walk(tc.query)); d != "" {
			t.Errorf("%v (-want +got)\n%s", tc.query, d)
		}
	}
}

func TestListByName(t *testing.T) {
	a := newAPI(t)
	for i, name := range []string{"Morning Run", "Évening ride", "morning swim", "50% off", "MORNING", ""} {
		a.put(me, activitytest.Activity(int64(i+1), i, name))
	}
	for q, want := range map[string][]string{
		"morning": {"MORNING", "morning swim", "Morning Run"},
		"éVEN":    {"Évening ride"},
		"% O":     {"50% off"},
		"":        {"", "MORNING", "50% off", "morning swim", "Évening ride", "Morning Run"},
		"' OR 1":  nil,
	} {
		for _, limit := range []string{"1", "2", "200"} {
			got := slices.Concat(a.walk(map[string]string{"q": q, "limit": limit})...)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%q, limit %s (-want +got)\n%s", q, limit, d)
			}
		}
	}
	if got := a.walk(map[string]string{"q": "morning", "sport_type": "Run", "after": "0", "limit": "2"}); len(got) != 2 {
		t.Errorf("with other filters: %v", got)
	}
}

// While a client reads pages, activities are added, changed and deleted. The
// client sees each of the others exactly once.
func TestPagesWhileActivitiesChange(t *testing.T) {
	a := newAPI(t)
	for i := range 20 {
		a.put(me, activitytest.Activity(int64(i+1), 10*i, fmt.Sprint(i)))
	}
	query := map[string]string{"limit": "3"}
	var seen []string
	for n := 0; ; n++ {
		var p page
		a.get(&p, listRoute, "", query)
		seen = append(seen, p.names()...)
		if p.NextCursor == nil {
			break
		}
		query["cursor"] = *p.NextCursor
		// One newer than all, and the very one that the cursor is of goes.
		a.put(me, activitytest.Activity(int64(1000+n), 10_000+n, "new"))
		gone := activity.Deletion{By: me, At: activitytest.At(1), ActivityID: p.Items[len(p.Items)-1].ID}
		if err := a.ports.Store.PutDeletion(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
	}
	var want []string
	for i := 19; i >= 0; i-- {
		want = append(want, fmt.Sprint(i))
	}
	if d := cmp.Diff(want, seen); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestFields(t *testing.T) {
	a := newAPI(t)
	a.put(me, activitytest.Activity(7, 0, "seven"))
	query := map[string]string{"fields": "name,id"}
	for route, want := range map[string]string{
		getRoute:  `{"id":7,"name":"seven"}`,
		listRoute: `{"items":[{"id":7,"name":"seven"}],"next_cursor":null}`,
	} {
		if res := a.call(route, "7", query); res.StatusCode != http.StatusOK || res.Body != want {
			t.Errorf("%s: %d %s", route, res.StatusCode, res.Body)
		}
	}
}

func TestListAsCSV(t *testing.T) {
	a := newAPI(t)
	const n = 450
	for i := range n {
		one := activitytest.Activity(int64(i+1), i, fmt.Sprintf("No. %d, \"quoted\"", i))
		if i%2 == 0 {
			one.DeviceName = "Garmin Edge 540"
		}
		a.put(me, one)
	}
	var file strings.Builder
	query, pages := map[string]string{"limit": "200", "format": "csv", "fields": "id,name,distance,device_name", "q": "no."}, 0
	for next := true; next; pages++ {
		res := a.call(listRoute, "", query)
		if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Headers["Content-Type"], "text/csv") {
			t.Fatalf("%d %v %s", res.StatusCode, res.Headers, res.Body)
		}
		file.WriteString(res.Body)
		var link string
		if link, next = res.Headers["Link"]; next {
			query = parameters(t, link)
		}
	}
	records, err := csv.NewReader(strings.NewReader(file.String())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if pages != 3 || len(records) != n+1 {
		t.Fatalf("%d pages with %d records", pages, len(records))
	}
	for i, want := range map[int][]string{
		0: {"id", "name", "distance", "device_name"},
		1: {"450", `No. 449, "quoted"`, "6764.8", ""},
		n: {"1", `No. 0, "quoted"`, "6764.8", "Garmin Edge 540"},
	} {
		if d := cmp.Diff(want, records[i]); d != "" {
			t.Errorf("record %d (-want +got)\n%s", i, d)
		}
	}
	a.put(me, activitytest.Activity(9999, n, "=HYPERLINK(\"https://evil.example\")"))
	if one := a.call(listRoute, "", map[string]string{"format": "csv", "limit": "1", "fields": "name"}); one.Body != "name\r\n\"'=HYPERLINK(\"\"https://evil.example\"\")\"\r\n" {
		t.Errorf("a formula: %q", one.Body)
	}
	all := a.call(listRoute, "", map[string]string{"format": "csv", "limit": "1"})
	if !strings.HasPrefix(all.Body, "id,name,sport_type,start_date,start_date_local,timezone,distance,") {
		t.Errorf("all fields: %s", all.Body)
	}
	if none := a.call(listRoute, "", map[string]string{"format": "csv", "q": "none such", "fields": "id"}); none.Body != "id\r\n" || none.Headers["Link"] != "" {
		t.Errorf("no activities: %q %v", none.Body, none.Headers)
	}
}

// parameters are those of the address in a Link header field.
func parameters(t *testing.T, link string) map[string]string {
	t.Helper()
	address, err := url.Parse(strings.TrimSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`))
	if err != nil || address.Path != "/v1/me/activities" {
		t.Fatalf("Link %s: %v", link, err)
	}
	out := map[string]string{}
	for name, values := range address.Query() {
		out[name] = values[0]
	}
	return out
}

func TestConditionalRequests(t *testing.T) {
	a := newAPI(t)
	a.put(me, activitytest.Activity(7, 0, "seven"))
	for _, route := range []string{listRoute, getRoute, statsRoute, syncRoute} {
		tag := a.call(route, "7", nil).Headers["ETag"]
		same := func(r *api.Request) { r.Headers["if-none-match"] = tag }
		if res := a.call(route, "7", nil, same); res.StatusCode != http.StatusNotModified || res.Body != "" {
			t.Errorf("%s: %d %s", route, res.StatusCode, res.Body)
		}
	}
	tag := a.call(listRoute, "", nil).Headers["ETag"]
	a.put(me, activitytest.Activity(8, 1, "eight"))
	if res := a.call(listRoute, "", nil, func(r *api.Request) { r.Headers["if-none-match"] = tag }); res.StatusCode != http.StatusOK {
		t.Errorf("after a change: %d", res.StatusCode)
	}
}

func TestItem(t *testing.T) {
	a := newAPI(t)
	full := activitytest.Activity(7, 0, "full")
	number := 12.5
	full.Timezone, full.Visibility, full.DeviceName = "Europe/Copenhagen", "everyone", "Garmin Edge 540"
	// Every optional figure has a value, so the document must describe a new one.
	for fields, i := reflect.ValueOf(&full).Elem(), 0; i < fields.NumField(); i++ {
		if f := fields.Field(i); f.Kind() == reflect.Pointer {
			f.Set(reflect.ValueOf(&number))
		}
	}
	a.put(me, full, activitytest.Activity(8, 1, ""))

	always := strings.Fields("id name sport_type start_date start_date_local distance moving_time elapsed_time total_elevation_gain trainer commute manual private read_at")
	sometimes := strings.Fields("timezone average_speed max_speed average_heartrate max_heartrate average_watts kilojoules visibility device_name")
	for id, want := range map[string][]string{"7": append(slices.Clone(always), sometimes...), "8": always} {
		var item map[string]any
		a.get(&item, getRoute, id, nil)
		slices.Sort(want)
		if d := cmp.Diff(want, slices.Sorted(maps.Keys(item))); d != "" {
			t.Errorf("fields of %s (-want +got)\n%s", id, d)
		}
	}
	var list, one map[string]any
	a.get(&one, getRoute, "7", nil)
	a.get(&list, listRoute, "", map[string]string{"limit": "1", "before": "1767225601"})
	if d := cmp.Diff(list["items"].([]any)[0], any(one)); d != "" {
		t.Errorf("the list shows the activity differently\n%s", d)
	}
	if one["start_date"] != "2026-01-01T00:00:00Z" || one["start_date_local"] != "2025-12-31T19:00:00Z" || one["distance"] != 6764.8 ||
		one["read_at"] != activitytest.At(0).Format(time.RFC3339Nano) {
		t.Errorf("%v", one)
	}
}

func TestGetFindsOwnActivitiesOnly(t *testing.T) {
	a := newAPI(t)
	a.put(me, activitytest.Activity(7, 0, "mine"), activitytest.Activity(8, 0, "deletion"))
	a.put(activity.Authorization{AthleteID: 2, Generation: activitytest.Gen1}, activitytest.Activity(9, 0, "theirs"))
	if err := a.ports.Store.PutDeletion(t.Context(), activity.Deletion{By: me, At: activitytest.At(1), ActivityID: 8}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"8", "9", "10", "0", "-7", "+7", "007", "7.0", "seven", "99999999999999999999", "7 ", "guard"} {
		if res := a.call(getRoute, id, nil); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", id, res.StatusCode)
		}
	}
	if res := a.call(getRoute, "7", nil); res.StatusCode != http.StatusOK {
		t.Errorf("one's own: %d", res.StatusCode)
	}
}

func TestStats(t *testing.T) {
	a := newAPI(t)
	ride := activitytest.Activity(2, 6*3600, "ride") // 2026-01-01T01:00 where it was
	ride.SportType = "Ride"
	a.put(me, activitytest.Activity(1, 0, "run"), ride)
	const (
		run2025  = `{"start":"2025-01-01","count":1,"distance":6764.8,"moving_time":2151,"elapsed_time":2178,"total_elevation_gain":34.1}`
		ride2026 = `{"start":"2026-01-01","count":1,"distance":6764.8,"moving_time":2151,"elapsed_time":2178,"total_elevation_gain":34.1}`
		one      = `{"count":1,"distance":6764.8,"moving_time":2151,"elapsed_time":2178,"total_elevation_gain":34.1}`
		both     = `{"count":2,"distance":13529.6,"moving_time":4302,"elapsed_time":4356,"total_elevation_gain":68.2}`
		none     = `{"count":0,"distance":0,"moving_time":0,"elapsed_time":0,"total_elevation_gain":0}`
	)
	for _, tc := range []struct {
		query map[string]string
		want  string
	}{
		{nil, `{"periods":[` + ride2026 + `,` + run2025 + `],"total":` + both + `}`},
		{map[string]string{"by": "year", "unknown": "x"}, `{"periods":[` + ride2026 + `,` + run2025 + `],"total":` + both + `}`},
		{map[string]string{"by": "month", "sport_type": "Run"}, `{"periods":[` + strings.Replace(run2025, "-01-01", "-12-01", 1) + `],"total":` + one + `}`},
		{map[string]string{"by": "day", "sport_type": "Run"}, `{"periods":[` + strings.Replace(run2025, "-01-01", "-12-31", 1) + `],"total":` + one + `}`},
		{map[string]string{"by": "week", "sport_type": "Ride"}, `{"periods":[` + strings.Replace(ride2026, "2026-01-01", "2025-12-29", 1) + `],"total":` + one + `}`},
		{map[string]string{"sport_type": "Curling"}, `{"periods":[],"total":` + none + `}`},
	} {
		res := a.call(statsRoute, "", tc.query)
		if res.StatusCode != http.StatusOK || res.Body != tc.want {
			t.Errorf("%v: %d\ngot  %s\nwant %s", tc.query, res.StatusCode, res.Body, tc.want)
		}
	}
}

func TestSync(t *testing.T) {
	a := newAPI(t)
	expect := func(want string) {
		t.Helper()
		if res := a.call(syncRoute, "", nil); res.StatusCode != http.StatusOK || res.Body != want {
			t.Errorf("got %d %s, want %s", res.StatusCode, res.Body, want)
		}
	}
	expect(`{"state":"backfilling","gathered":0,"waiting_for":null,"resumes_at":null,"finishes_at":null}`)
	recorder := a.ports.Recorder()
	chunk := gatheringv1.ActivitiesGathered{AthleteID: me.AthleteID, Generation: me.Generation, ReadAt: activitytest.At(0), Chunk: &gatheringv1.ScanChunk{ScanID: "s"}}
	for id := range int64(50) {
		chunk.Activities = append(chunk.Activities, activitytest.Activity(id+1, 0, ""))
	}
	if err := recorder.ActivitiesGathered(t.Context(), event.Meta{}, chunk); err != nil {
		t.Fatal(err)
	}
	resumes, finishes := time.Date(2026, 11, 20, 12, 15, 0, 0, time.UTC), time.Date(2026, 11, 20, 15, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		report gatheringv1.ScanProgressed
		want   string
	}{
		{gatheringv1.ScanProgressed{Sequence: 1, State: gatheringv1.ScanWaiting, WaitingFor: gatheringv1.WaitingForRateLimit, ResumesAt: &resumes, FinishesAt: &finishes},
			`{"state":"waiting","gathered":50,"waiting_for":"rate_limit","resumes_at":"2026-11-20T12:15:00Z","finishes_at":"2026-11-20T15:00:00Z"}`},
		{gatheringv1.ScanProgressed{Sequence: 2, State: gatheringv1.ScanWaiting, WaitingFor: gatheringv1.WaitingForReconnect},
			`{"state":"waiting","gathered":50,"waiting_for":"reconnect","resumes_at":null,"finishes_at":null}`},
		{gatheringv1.ScanProgressed{Sequence: 3, State: gatheringv1.ScanWaiting, WaitingFor: gatheringv1.WaitingForRetry, ResumesAt: &resumes},
			`{"state":"waiting","gathered":50,"waiting_for":"retry","resumes_at":"2026-11-20T12:15:00Z","finishes_at":null}`},
		{gatheringv1.ScanProgressed{Sequence: 4, State: gatheringv1.ScanWaiting, WaitingFor: gatheringv1.WaitingForInternal},
			`{"state":"waiting","gathered":50,"waiting_for":"internal","resumes_at":null,"finishes_at":null}`},
		{gatheringv1.ScanProgressed{Sequence: 5, State: gatheringv1.ScanCompleted, Chunks: 1},
			`{"state":"current","gathered":50,"waiting_for":null,"resumes_at":null,"finishes_at":null}`},
	} {
		step.report.AthleteID, step.report.Generation, step.report.ScanID = me.AthleteID, me.Generation, "s"
		if err := recorder.ScanProgressed(t.Context(), event.Meta{OccurredAt: activitytest.At(0)}, step.report); err != nil {
			t.Fatal(err)
		}
		expect(step.want)
	}
}

func TestBadParametersAreNamed(t *testing.T) {
	a := newAPI(t)
	for _, tc := range []struct{ route, name, value string }{
		{listRoute, "after", "yesterday"}, {listRoute, "after", ""}, {listRoute, "after", "1.5"},
		{listRoute, "after", "1795176000000"}, {listRoute, "after", "99999999999999999999"},
		{listRoute, "before", "2026-11-20"}, {listRoute, "before", "-99999999999"}, {listRoute, "before", "1,2"},
		{listRoute, "limit", "0"}, {listRoute, "limit", "201"}, {listRoute, "limit", "-1"}, {listRoute, "limit", "x"}, {listRoute, "limit", ""},
		{listRoute, "limit", "007"}, {listRoute, "limit", "+7"}, {listRoute, "after", strings.Repeat("0", 9000) + "1"},
		{listRoute, "sport_type", strings.Repeat("x", 51)}, {statsRoute, "sport_type", strings.Repeat("x", 51)},
		{listRoute, "cursor", "x"}, {listRoute, "cursor", "%%%"},
		{listRoute, "cursor", strings.Repeat("A", 22)}, {listRoute, "cursor", strings.Repeat("_", 22)}, {listRoute, "cursor", strings.Repeat("A", 4000)},
		{listRoute, "q", strings.Repeat("ü", 101)}, {listRoute, "format", "xml"}, {listRoute, "format", ""},
		{listRoute, "fields", "athlete_id"}, {listRoute, "fields", ""}, {getRoute, "fields", "id,"}, {listRoute, "fields", "id,name,id"},
		{statsRoute, "by", "decade"}, {statsRoute, "by", ""}, {statsRoute, "by", "Year"},
	} {
		res := a.call(tc.route, "", map[string]string{tc.name: tc.value})
		var problem struct{ Detail string }
		if err := json.Unmarshal([]byte(res.Body), &problem); err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusBadRequest || !strings.HasPrefix(problem.Detail, tc.name+" must be ") || res.Headers["Content-Type"] != "application/problem+json" {
			t.Errorf("%s=%q: %d %s", tc.name, tc.value, res.StatusCode, res.Body)
		}
	}
}

// Another athlete's cursor is a position and nothing else.
func TestACursorShowsNoOtherAthlete(t *testing.T) {
	a := newAPI(t)
	a.put(activity.Authorization{AthleteID: 2, Generation: activitytest.Gen1}, activitytest.Activity(1, 5, "theirs"), activitytest.Activity(2, 6, "theirs"))
	a.put(me, activitytest.Activity(3, 1, "mine"))
	res := a.call(listRoute, "", map[string]string{"limit": "1"}, func(r *api.Request) {
		r.RequestContext.Authorizer.Lambda["athlete_id"] = "2"
	})
	var theirs, mine page
	if err := json.Unmarshal([]byte(res.Body), &theirs); err != nil || theirs.NextCursor == nil {
		t.Fatal(res.Body, err)
	}
	a.get(&mine, listRoute, "", map[string]string{"cursor": *theirs.NextCursor})
	if d := cmp.Diff([]string{"mine"}, mine.names()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// The cursor of a page without before leads beyond a before that comes with it.
func TestACursorStaysWithinThePeriod(t *testing.T) {
	a := newAPI(t)
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	for i := range 6 {
		a.put(me, activitytest.Activity(int64(i+1), i, fmt.Sprint(i)))
	}
	var first, second page
	a.get(&first, listRoute, "", map[string]string{"limit": "1"})
	a.get(&second, listRoute, "", map[string]string{"cursor": *first.NextCursor, "before": fmt.Sprint(base + 2)})
	if d := cmp.Diff([]string{"1", "0"}, second.names()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestWithoutAValidSessionEverythingIs401(t *testing.T) {
	a := newAPI(t)
	a.put(me, activitytest.Activity(7, 0, ""))
	err := a.ports.Store.UpdateGuard(t.Context(), 3, func(g *activity.Guard) (bool, error) { return g.Revoke(me.Generation, activitytest.At(9)), nil })
	if err != nil {
		t.Fatal(err)
	}
	sessions := map[string]func(*api.Request){
		"no authorizer": func(r *api.Request) { r.RequestContext.Authorizer = nil },
		"no identity":   func(r *api.Request) { r.RequestContext.Authorizer.Lambda = map[string]any{} },
		"revoked":       func(r *api.Request) { r.RequestContext.Authorizer.Lambda["athlete_id"] = "3" },
	}
	for route := range handler.APIRoutes(nil) {
		if res := a.call(route, "7", nil); res.StatusCode != http.StatusOK {
			t.Errorf("%s with a session: %d %s", route, res.StatusCode, res.Body)
		}
		for name, change := range sessions {
			if res := a.call(route, "7", nil, change); res.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s, %s: %d", route, name, res.StatusCode)
			}
		}
	}
}
