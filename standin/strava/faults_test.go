package strava_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/paceline/paceline/standin/strava"
)

func (w *world) inject(f strava.Fault) {
	w.t.Helper()
	if err := w.Inject(f); err != nil {
		w.t.Fatal(err)
	}
}

// TestFaultResponses injects every kind at every endpoint, with each choice of
// rate headers.
func TestFaultResponses(t *testing.T) {
	type want struct {
		status int
		body   string // the whole body, or a part of HTML
		edge   bool
	}
	wants := map[strava.FaultKind]want{
		strava.Fault502:          {502, "temporarily unavailable", true},
		strava.Fault503:          {503, "temporarily unavailable", true},
		strava.Fault504:          {504, "temporarily unavailable", true},
		strava.Fault597:          {597, "maintenance", true},
		strava.Fault403HTML:      {403, "Forbidden", true},
		strava.Fault200HTML:      {200, "Strava", true},
		strava.Fault500:          {500, `{"message":"error"}`, false},
		strava.Fault429:          {429, fault("Rate Limit Exceeded", "Application", "overall rate limit", "exceeded"), false},
		strava.Fault429Text:      {429, `{"message":"Rate Limit Exceeded","errors":"Rate Limit Exceeded"}`, false},
		strava.Fault401:          {401, fault("Authorization Error", "Application", "", "invalid"), false},
		strava.Fault404:          {404, "", false},
		strava.Fault403:          {403, fault("Forbidden", "Application", "Status", "Inactive"), false},
		strava.Fault403Other:     {403, fault("Forbidden", "Athlete", "", "invalid"), false},
		strava.Fault200Null:      {200, "null", false},
		strava.Fault200EmptyList: {200, "[]", false},
		strava.Fault200Message:   {200, `{"message":"error"}`, false},
		strava.Fault200Empty:     {200, "", false},
	}
	// These have tests of their own, because they change more than the response.
	others := []strava.FaultKind{
		strava.FaultNone, strava.FaultReset, strava.FaultHang, strava.FaultDrop,
		strava.Fault200Truncated, strava.FaultRepeatedPage, strava.FaultLongPage,
	}
	if tested := slices.Sorted(slices.Values(slices.Concat(slices.Collect(maps.Keys(wants)), others))); !slices.Equal(tested, strava.FaultKinds()) {
		t.Errorf("the kinds are %v", strava.FaultKinds())
	}
	for kind, want := range wants {
		for _, headers := range []strava.RateHeaders{"", strava.RateHeadersOn, strava.RateHeadersOff} {
			t.Run(fmt.Sprintf("%s headers %q", kind, headers), func(t *testing.T) {
				w := newWorld(t, strava.Config{})
				tok := w.connect(athlete, everyScope...)
				one := must(w.Activities(athlete))[0].ID
				check := func(what string, r reply, rates string) {
					t.Helper()
					if strings.HasPrefix(r.header.Get("Content-Type"), "text/html") != want.edge {
						t.Errorf("%s is %s", what, r.header.Get("Content-Type"))
					}
					if r.status != want.status || (r.body != want.body && !(want.edge && strings.Contains(r.body, want.body))) {
						t.Errorf("%s: %d %s", what, r.status, r.body)
					}
					if got := rate(r.header); got != rates {
						t.Errorf("%s has rate headers %q, want %q", what, got, rates)
					}
				}
				const none = "  /  "
				counted := !want.edge || headers == strava.RateHeadersOn
				sent := counted && headers != strava.RateHeadersOff
				for i, path := range []string{"/athlete", "/athlete/activities", fmt.Sprint("/activities/", one)} {
					w.inject(strava.Fault{Endpoint: "api", Kind: kind, RateHeaders: headers})
					rates := none
					if sent {
						rates = fmt.Sprintf("200,2000 %d,%d / 100,1000 %d,%d", i+1, i+1, i+1, i+1)
					}
					check(path, w.get(tok.Access, "/api/v3"+path), rates)
				}
				if u := w.Usage(); (u.Read == strava.Limit{3, 3}) != counted || (u == strava.Usage{}) == counted {
					t.Errorf("usage %+v", u)
				}
				w.inject(strava.Fault{Endpoint: strava.EndpointRefresh, Kind: kind, RateHeaders: headers})
				check("refresh", w.refresh(tok.Refresh), none)
				w.inject(strava.Fault{Endpoint: strava.EndpointPush, Kind: kind, RateHeaders: headers})
				rates := none
				if sent {
					rates = "200,2000 0,0 / 100,1000 0,0"
				}
				check("push", w.get("", push+"?"+credentials().Encode()), rates)

				// The faults are used up, and the refresh had no effect.
				w.tokens(w.refresh(tok.Refresh))
			})
		}
	}
}

func TestARateLimitFaultCountsForTheDay(t *testing.T) {
	w := newWorld(t, strava.Config{Settings: strava.Settings{ReadLimit: strava.Limit{100, 3}}})
	tok := w.connect(athlete, everyScope...)
	w.inject(strava.Fault{Kind: strava.Fault429, RateHeaders: strava.RateHeadersOff, Count: 3})
	for range 3 {
		w.get(tok.Access, "/api/v3/athlete")
	}
	w.get(tok.Access, "/api/v3/athlete").
		expect(t, 429, fault("Rate Limit Exceeded", "Application", "read rate limit", "exceeded"))
}

func TestATruncatedResponseTakesEffect(t *testing.T) {
	w := newRecordedWorld(t)
	tok := w.connect(recordedAthlete, everyScope...)
	whole := w.get(tok.Access, "/api/v3/athlete/activities").body
	w.inject(strava.Fault{Kind: strava.Fault200Truncated, Count: 2})
	w.get(tok.Access, "/api/v3/athlete/activities").expect(t, 200, whole[:len(whole)/2])
	if r := w.refresh(tok.Refresh); r.status != 200 || json.Valid([]byte(r.body)) {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := w.refresh(tok.Refresh); r.status != 400 {
		t.Errorf("the truncated refresh rotated nothing: %d", r.status)
	}
}

func TestARepeatedPageIsThePageBefore(t *testing.T) {
	w := newRecordedWorld(t)
	tok := w.connect(recordedAthlete, everyScope...)
	w.inject(strava.Fault{Kind: strava.FaultRepeatedPage, Count: -1})
	for query, want := range map[string][]int64{
		"?per_page=2": {106, 105}, "?per_page=2&page=1": {106, 105}, "?per_page=2&page=2": {106, 105},
		"?per_page=2&page=3": {104, 103}, "?per_page=2&page=4": {102, 101}, "?per_page=2&page=5": {},
	} {
		if got := w.ids(tok.Access, query); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	// Calls that do not match the fault do not use it up.
	w.ClearFaults()
	w.inject(strava.Fault{Kind: strava.FaultRepeatedPage})
	w.get(tok.Access, "/api/v3/athlete")
	w.ids(tok.Access, "")
	if got := w.ids(tok.Access, "?per_page=2&page=2"); !slices.Equal(got, []int64{106, 105}) {
		t.Errorf("the second page: %v", got)
	}
}

func TestALongPageHasOneMoreThanRequested(t *testing.T) {
	w := newRecordedWorld(t)
	w.inject(strava.Fault{Kind: strava.FaultLongPage, Count: -1})
	tok := w.connect(recordedAthlete, everyScope...)
	for query, want := range map[string][]int64{
		"?per_page=2":        {106, 105, 104},
		"?per_page=2&page=3": {102, 101, 106},
		"?per_page=2&page=9": {106, 105, 104},
		"?per_page=4&page=2": {102, 101, 106, 105, 104},
		"?per_page=7":        {106, 105, 104, 103, 102, 101, 106, 105},
		"?after=1900000000":  {},
	} {
		if got := w.ids(tok.Access, query); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
}

func TestALongPageHasNoHiddenActivities(t *testing.T) {
	w := newRecordedWorld(t)
	w.inject(strava.Fault{Kind: strava.FaultLongPage})
	tok := w.connect(recordedAthlete, "read", "activity:read")
	if got := w.ids(tok.Access, "?per_page=3&page=2"); !slices.Equal(got, []int64{103, 102, 106, 105}) {
		t.Errorf("%v", got)
	}
}

func TestAHangingCallCounts(t *testing.T) {
	w := newWorld(t, strava.Config{})
	tok := w.connect(athlete, "read")
	w.inject(strava.Fault{Kind: strava.FaultHang})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := w.client.Do(w.request(http.MethodGet, "/api/v3/athlete", tok.Access, nil).WithContext(ctx)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	w.inject(strava.Fault{Kind: strava.FaultReset})
	if _, err := w.client.Do(w.request(http.MethodGet, "/api/v3/athlete", tok.Access, nil)); err == nil {
		t.Error("a response came")
	}
	if u := w.Usage(); u.Read != (strava.Limit{1, 1}) {
		t.Errorf("one hang and one reset make a usage of %+v", u)
	}
}

func TestResetHasNoEffectAndDropHasOne(t *testing.T) {
	for kind, effect := range map[strava.FaultKind]bool{strava.FaultReset: false, strava.FaultDrop: true} {
		t.Run(string(kind), func(t *testing.T) {
			w, server := serveWorld(t, strava.Config{})
			tok := w.connect(athlete, "read")
			w.inject(strava.Fault{Endpoint: strava.EndpointRefresh, Kind: kind})
			form := credentials("grant_type", "refresh_token", "refresh_token", tok.Refresh)
			res, err := http.PostForm(server.URL+"/oauth/token", form)
			if err == nil {
				res.Body.Close()
				t.Fatalf("a response came: %d", res.StatusCode)
			}
			if kind == strava.FaultReset && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("want a reset connection, got %v", err)
			}
			if kind == strava.FaultDrop && !errors.Is(err, io.EOF) {
				t.Errorf("want a closed connection, got %v", err)
			}
			if rotated := w.refresh(tok.Refresh).status == http.StatusBadRequest; rotated != effect {
				t.Errorf("rotated %v", rotated)
			}
			for _, c := range w.Counters().Calls {
				if c.Endpoint == strava.EndpointRefresh && c.Status == 0 && c.Count == 1 && c.Athlete == athlete {
					return
				}
			}
			t.Errorf("not counted as a call without a response: %v", w.Counters().Calls)
		})
	}
}

func TestHangLastsUntilTheClientDisconnects(t *testing.T) {
	w, server := serveWorld(t, strava.Config{})
	tok := w.connect(athlete, "read")
	w.inject(strava.Fault{Kind: strava.FaultHang})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r := w.request(http.MethodGet, "/api/v3/athlete", tok.Access, nil).WithContext(ctx)
	r.URL.Host = strings.TrimPrefix(server.URL, "http://")
	if res, err := http.DefaultClient.Do(r); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v %v", res, err)
	}
	// Close ends a hanging request, so that the server can shut down.
	w.inject(strava.Fault{Kind: strava.FaultHang})
	go func() {
		for len(w.Faults()) > 0 { // until the request below hangs
			time.Sleep(time.Millisecond)
		}
		w.Close()
	}()
	if _, err := w.client.Do(w.request(http.MethodGet, "/api/v3/athlete", tok.Access, nil)); err == nil {
		t.Error("a response came")
	}
}

func TestDelay(t *testing.T) {
	w := newWorld(t, strava.Config{})
	tok := w.connect(athlete, "read")
	w.inject(strava.Fault{Delay: strava.Duration(50 * time.Millisecond)})
	began := time.Now()
	if r := w.get(tok.Access, "/api/v3/athlete"); r.status != 200 || time.Since(began) < 50*time.Millisecond {
		t.Errorf("%d after %s", r.status, time.Since(began))
	}
}

func TestFaultsMatchEndpointAthleteAndCount(t *testing.T) {
	w := newWorld(t, strava.Config{})
	one, two := w.connect(athlete, everyScope...), w.connect(athlete+1, everyScope...)
	status := func(token, path string) int { return w.get(token, path).status }
	const list, me = "/api/v3/athlete/activities", "/api/v3/athlete"

	w.inject(strava.Fault{Endpoint: strava.EndpointActivities, Athlete: athlete, Kind: strava.Fault500, Count: 2})
	for i, want := range []int{500, 500, 200} {
		if got := status(two.Access, list); got != 200 {
			t.Errorf("another athlete: %d", got)
		}
		if got := status(one.Access, me); got != 200 {
			t.Errorf("another endpoint: %d", got)
		}
		if got := status(one.Access, list); got != want {
			t.Errorf("call %d: %d, want %d", i, got, want)
		}
	}
	w.inject(strava.Fault{Endpoint: "api", Kind: strava.Fault502, Count: -1})
	for range 3 {
		if got := status(one.Access, me); got != 502 {
			t.Errorf("until cleared: %d", got)
		}
	}
	if r := w.refresh(one.Refresh); r.status != 200 {
		t.Errorf("another group: %d", r.status)
	}
	w.ClearFaults()
	if got := status(one.Access, me); got != 200 {
		t.Errorf("cleared: %d", got)
	}
}

func TestFaultsMatchThePageAndTheActivity(t *testing.T) {
	w := newRecordedWorld(t)
	tok := w.connect(recordedAthlete, everyScope...)
	status := func(path string) int { return w.get(tok.Access, "/api/v3"+path).status }
	w.inject(strava.Fault{Endpoint: "api", Kind: strava.Fault502, Page: 1, Count: -1})
	w.inject(strava.Fault{Kind: strava.Fault503, Page: 2, Count: -1})
	w.inject(strava.Fault{Endpoint: strava.EndpointActivity, Kind: strava.Fault504, Activity: 105, Count: -1})
	for path, want := range map[string]int{
		"/athlete/activities": 502, "/athlete/activities?page=1": 502, "/athlete/activities?page=2": 503, "/athlete/activities?page=3": 200,
		"/athlete/activities?page=x": 400, "/athlete?page=2": 200, "/activities/106": 200, "/activities/105": 504, "/athletes/42/stats": 200,
	} {
		if got := status(path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	if r := w.refresh(tok.Refresh); r.status != 200 {
		t.Errorf("a refresh: %d", r.status)
	}
}

func TestFaultsAtTheTokenEndpointMatchTheAthlete(t *testing.T) {
	w := newWorld(t, strava.Config{})
	one, two := w.connect(athlete, "read"), w.connect(athlete+1, "read")
	w.inject(strava.Fault{Endpoint: "oauth", Athlete: athlete, Kind: strava.Fault403HTML, Count: -1})
	if a, b := w.refresh(one.Refresh).status, w.refresh(two.Refresh).status; a != 403 || b != 200 {
		t.Errorf("refreshes: %d and %d", a, b)
	}
	if a, b := w.exchange(athlete, "read").status, w.exchange(athlete+1, "read").status; a != 403 || b != 200 {
		t.Errorf("exchanges: %d and %d", a, b)
	}
}

func TestFaultsThatMatchNoCallAreRefused(t *testing.T) {
	w := newWorld(t, strava.Config{})
	for _, f := range []strava.Fault{
		{Endpoint: "moon"}, {Kind: "999"}, {Delay: -1}, {Page: -1}, {Activity: -1}, {RateHeaders: "some"},
		{Endpoint: strava.EndpointRefresh, Page: 2}, {Endpoint: strava.EndpointActivities, Activity: 5}, {Page: 1, Activity: 5},
		{Endpoint: strava.EndpointAthlete, Kind: strava.FaultLongPage}, {Kind: strava.FaultLongPage, Activity: 5},
		{Kind: strava.FaultRepeatedPage, Page: 1},
	} {
		if !errors.Is(w.Inject(f), strava.ErrInvalid) {
			t.Errorf("%+v was accepted", f)
		}
	}
}

func TestACorruptActivityFailsInListsAndAlone(t *testing.T) {
	w := newRecordedWorld(t)
	tok := w.connect(recordedAthlete, everyScope...)
	ok(t, w.CorruptActivity(recordedAthlete, 104))
	const list = "/api/v3/athlete/activities"
	for path, want := range map[string]int{
		list: 500, list + "?per_page=2": 200, list + "?per_page=2&page=2": 500, list + "?per_page=2&page=3": 200,
		list + "?per_page=1&page=3": 500, list + "?per_page=1&page=4": 200,
		list + "?before=1760000000": 200, // before October 2025; the activity began in December
		"/api/v3/activities/104":    500, "/api/v3/activities/105": 200, "/api/v3/athlete": 200,
	} {
		r := w.get(tok.Access, path)
		if r.status != want || (want == 500 && r.body != `{"message":"error"}`) {
			t.Errorf("%s: %d %s, want %d", path, r.status, r.body, want)
		}
	}
	// A list does not fail for a client that may not see the activity.
	if less := w.connect(recordedAthlete, "read", "activity:read"); w.get(less.Access, list).status != 200 || w.get(less.Access, "/api/v3/activities/104").status != 404 {
		t.Error("a hidden activity makes a page fail")
	}
	tok = w.connect(recordedAthlete, everyScope...)
	ok(t, w.RepairActivity(recordedAthlete, 104))
	if got := w.ids(tok.Access, ""); len(got) != 6 || w.get(tok.Access, "/api/v3/activities/104").status != 200 {
		t.Errorf("repaired: %v", got)
	}
	for _, err := range []error{w.CorruptActivity(1, 104), w.CorruptActivity(recordedAthlete, 1), w.RepairActivity(recordedAthlete, 1)} {
		if !errors.Is(err, strava.ErrNotFound) {
			t.Errorf("an unknown one: %v", err)
		}
	}
	ok(t, w.CorruptActivity(recordedAthlete, 104))
	ok(t, w.DeleteActivity(recordedAthlete, 104))
	if got := w.ids(tok.Access, ""); len(got) != 5 {
		t.Errorf("deleted: %v", got)
	}
}

func TestFaultHookIsCalledForEachRequest(t *testing.T) {
	var seen []strava.Request
	w := newWorld(t, strava.Config{Fault: func(r strava.Request) *strava.Fault {
		seen = append(seen, r)
		if r.Endpoint == strava.EndpointRefresh {
			return &strava.Fault{Kind: strava.Fault503}
		}
		return nil
	}})
	tok := w.connect(athlete, "read")
	if r := w.refresh(tok.Refresh); r.status != 503 {
		t.Errorf("%d", r.status)
	}
	want := []strava.Request{
		{Endpoint: strava.EndpointExchange, Athlete: athlete, Method: "POST", Path: "/oauth/token"},
		{Endpoint: strava.EndpointRefresh, Athlete: athlete, Method: "POST", Path: "/oauth/token"},
	}
	if len(seen) != 2 || seen[0] != want[0] || seen[1] != want[1] {
		t.Errorf("the hook saw %v", seen)
	}
}

func TestCountersHaveRefreshesInFlight(t *testing.T) {
	var refreshes atomic.Int32
	w := newWorld(t, strava.Config{Fault: func(r strava.Request) *strava.Fault {
		if r.Endpoint == strava.EndpointRefresh {
			for refreshes.Add(1); refreshes.Load() < 2; { // until the other refresh has begun
				time.Sleep(time.Millisecond)
			}
		}
		return nil
	}})
	tok := w.connect(athlete, "read")
	var group sync.WaitGroup
	statuses := make(chan int, 2)
	for range 2 {
		group.Go(func() { statuses <- w.refresh(tok.Refresh).status })
	}
	group.Wait()
	if a, b := <-statuses, <-statuses; a+b != 600 {
		t.Errorf("want one success and one refusal: %d and %d", a, b)
	}
	c := w.Counters()
	if c.MaxRefreshesInFlight[athlete] != 2 || c.DeadRefreshUses[athlete] != 1 {
		t.Errorf("in flight %v, refused %v", c.MaxRefreshesInFlight, c.DeadRefreshUses)
	}
	if c.Total(strava.EndpointRefresh, athlete) != 2 || c.Total("", 0) != 3 || c.Total("", athlete+1) != 0 {
		t.Errorf("calls %v", c.Calls)
	}
	w.ResetCounters()
	last := w.connect(athlete, "read")
	for range 3 {
		last = w.tokens(w.refresh(last.Refresh))
	}
	if c := w.Counters(); c.MaxRefreshesInFlight[athlete] != 1 {
		t.Errorf("one after another: %v in flight", c.MaxRefreshesInFlight)
	}
	w.ResetCounters()
	if c := w.Counters(); len(c.Calls) != 0 || len(c.DeadRefreshUses) != 0 {
		t.Errorf("after the reset: %+v", c)
	}
}
