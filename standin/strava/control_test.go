package strava_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/standin/strava"
)

func (w *world) control(method, path, body string) reply {
	w.t.Helper()
	return w.do(w.request(method, "/control"+path, "", strings.NewReader(body)))
}

// TestControlRoutesCallTheMethods uses every route once.
func TestControlRoutesCallTheMethods(t *testing.T) {
	w := newWorld(t, strava.Config{})
	w.subscribe()
	tok := w.connect(athlete, everyScope...)
	ok := func(method, path, body string) string {
		t.Helper()
		r := w.control(method, path, body)
		if r.status != http.StatusOK && r.status != http.StatusNoContent {
			t.Fatalf("%s %s: %d %s", method, path, r.status, r.body)
		}
		return r.body
	}
	const me = "/athletes/80000001"

	page := w.control("GET", "", "")
	if page.status != 200 || !strings.Contains(page.body, "<title>Control") || !strings.Contains(page.body, "<option>any<option>api<option>oauth<option>athlete") {
		t.Errorf("page: %d", page.status)
	}
	for _, kind := range strava.FaultKinds() {
		if !strings.Contains(page.body, fmt.Sprintf("<option>%s<", kind)) {
			t.Errorf("the page does not offer the fault %s", kind)
		}
	}
	added := decoded[struct {
		ID int64 `json:"id"`
	}](t, ok("POST", me+"/activities", `{"name":"Lunch Ride","sport_type":"Ride","visibility":"followers_only","ready_after":"1m"}`)).ID
	one := fmt.Sprintf("%s/activities/%d", me, added)
	ok("PATCH", one, `{"name":"Messy","visibility":"only_me"}`)
	ok("PATCH", one+"/fields", `{"distance":77.5}`)
	summary := decoded[[]strava.Activity](t, ok("GET", me+"/activities", ""))[0].Summary
	for _, want := range []string{`"name":"Messy"`, `"visibility":"only_me"`, `"private":true`, `"distance":77.5`} {
		if !strings.Contains(string(summary), want) {
			t.Errorf("no %s in %s", want, summary)
		}
	}
	const oldest = "/activities/20000000001"
	ok("PUT", me+oldest+"/corrupt", "")
	if r := w.get(tok.Access, "/api/v3"+oldest); r.status != 500 {
		t.Errorf("corrupt: %d", r.status)
	}
	ok("DELETE", me+oldest+"/corrupt", "")
	if r := w.get(tok.Access, "/api/v3"+oldest); r.status != 200 {
		t.Errorf("repaired: %d", r.status)
	}
	ok("DELETE", one, "")
	if events := w.events(); len(events) != 3 {
		t.Errorf("events %v", events)
	}
	if list := decoded[[]strava.Delivery](t, ok("GET", "/deliveries", "")); len(list) != 3 || list[0].State != "delivered" {
		t.Errorf("deliveries %v", list)
	}
	if got := ok("POST", "/webhook", `{"forged":true}`); got != "{\"outcome\":\"200\"}\n" {
		t.Errorf("forged: %s", got)
	}
	w.hook.events = nil

	ok("PATCH", "/settings", `{"delivery":"hold","read_limit":[5,50],"retry_interval":"3s","capacity":2}`)
	if s := w.Settings(); s.Delivery != strava.DeliverHold || s.ReadLimit != (strava.Limit{5, 50}) || s.RetryInterval != strava.Duration(3*time.Second) ||
		s.Capacity != 2 || s.Rotation != strava.RotateAlways {
		t.Errorf("settings %+v", s)
	}
	must(w.AddActivity(athlete, strava.NewActivity{}))
	ok("POST", "/release", `{"order":"reverse"}`)
	if events := w.events(); len(events) != 1 {
		t.Errorf("released %v", events)
	}
	ok("PUT", "/usage", `{"read":[4,4],"overall":[4,4]}`)
	if r := w.get(tok.Access, "/api/v3/athlete"); r.header.Get("X-Readratelimit-Usage") != "5,5" {
		t.Errorf("usage %s", rate(r.header))
	}
	if r := w.get(tok.Access, "/api/v3/athlete"); r.status != 429 {
		t.Errorf("over the limit: %d", r.status)
	}
	ok("PATCH", "/settings", `{"read_limit":[100,1000]}`)

	ok("POST", "/faults", `{"endpoint":"api","kind":"502","athlete":80000001,"count":2,"delay":"1ms"}`)
	if r := w.get(tok.Access, "/api/v3/athlete"); r.status != 502 {
		t.Errorf("fault: %d", r.status)
	}
	if list := decoded[[]strava.Fault](t, ok("GET", "/faults", "")); len(list) != 1 || list[0].Count != 1 {
		t.Errorf("faults %v", list)
	}
	ok("DELETE", "/faults", "")
	if r := w.get(tok.Access, "/api/v3/athlete"); r.status != 200 {
		t.Errorf("after clearing: %d", r.status)
	}
	ok("PUT", me+"/token-life", `{"left":"0s"}`)
	if r := w.get(tok.Access, "/api/v3/athlete"); r.status != 401 {
		t.Errorf("expired: %d", r.status)
	}
	if c := decoded[strava.Counters](t, ok("GET", "/counters", "")); c.Total(strava.EndpointAthlete, athlete) != 5 {
		t.Errorf("counters %v", c.Calls)
	}
	ok("DELETE", "/counters", "")
	if c := w.Counters(); len(c.Calls) != 0 {
		t.Errorf("counters %v", c.Calls)
	}
	if s := decoded[strava.Secrets](t, ok("GET", "/secrets", "")); s.ClientSecret != secret || len(s.AccessTokens) != 1 || len(s.VerifyTokens) != 1 {
		t.Errorf("secrets %v", s)
	}
	if fresh := decoded[map[string]string](t, ok("POST", "/client-secret", ""))["client_secret"]; len(fresh) != 40 || fresh == secret {
		t.Errorf("the new client secret is %q", fresh)
	}
	ok("POST", me+"/deauthorize", "")
	list := decoded[[]strava.AthleteState](t, ok("GET", "/athletes?offset=0&limit=2", ""))
	if len(list) != 2 || list[0].ID != athlete || list[0].Connected {
		t.Errorf("athletes %v", list)
	}
	status := decoded[map[string]json.RawMessage](t, ok("GET", "/status", ""))
	if string(status["connected"]) != "0" || string(status["athletes"]) != "3" || string(status["client_id"]) != "4711" {
		t.Errorf("status %s", status)
	}
}

func TestControlReturnsTheError(t *testing.T) {
	w := newWorld(t, strava.Config{})
	for _, tc := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", "/athletes/1/activities", "", 404, "athlete 1: not found"},
		{"GET", "/athletes/x/activities", "", 404, "athlete 0: not found"},
		{"DELETE", "/athletes/80000001/activities/5", "", 404, "activity 5 of athlete 80000001: not found"},
		{"PATCH", "/athletes/80000001/activities/20000000001", `{"visibility":"friends"}`, 400, "visibility"},
		{"PATCH", "/athletes/80000001/activities/20000000001", `{"title":"x"}`, 400, "unknown field"},
		{"POST", "/athletes/80000001/deauthorize", "", 404, "grant of athlete 80000001: not found"},
		{"PUT", "/athletes/80000001/token-life", `{"left":"0s"}`, 404, "grant"},
		{"PUT", "/athletes/80000001/token-life", `{"left":"soon"}`, 400, "soon"},
		{"PATCH", "/settings", `{"rotation":"sometimes"}`, 400, "rotation"},
		{"PATCH", "/settings", `{"capacity":-1}`, 400, "negative"},
		{"PATCH", "/settings", `{"delivery_copies":0}`, 400, "negative or zero"},
		{"PATCH", "/settings", `{"code_life":"-1s"}`, 400, "code life"},
		{"POST", "/faults", `{"kind":"418"}`, 400, "Kind:418"},
		{"PUT", "/athletes/80000001/activities/5/corrupt", "", 404, "activity 5"},
		{"POST", "/release", `{"order":"sideways"}`, 400, "sideways"},
		{"POST", "/webhook", `{}`, 404, "push subscription"},
	} {
		r := w.control(tc.method, tc.path, tc.body)
		if says := decoded[map[string]string](t, r.body)["error"]; r.status != tc.status || !strings.Contains(says, tc.says) {
			t.Errorf("%s %s %s: %d %s", tc.method, tc.path, tc.body, r.status, r.body)
		}
	}
}
