package strava_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/paceline/paceline/test/strava"
)

func (w *world) inject(f strava.Fault) {
	w.t.Helper()
	if err := w.Inject(f); err != nil {
		w.t.Fatal(err)
	}
}

func TestFaultAnswers(t *testing.T) {
	for _, tc := range []struct {
		kind    strava.FaultKind
		status  int
		body    string // a part of it, or all when it is JSON or empty
		counted bool
	}{
		{strava.Fault500, 500, `{"message":"error"}`, true},
		{strava.Fault502, 502, "temporarily unavailable", false},
		{strava.Fault503, 503, `{"message":"Service Unavailable","errors":[]}`, false},
		{strava.Fault597, 597, "maintenance", false},
		{strava.Fault429, 429, fault("Rate Limit Exceeded", "Application", "overall rate limit", "exceeded"), true},
		{strava.Fault429Text, 429, `{"errors":"Rate Limit Exceeded","message":"Rate Limit Exceeded"}`, true},
		{strava.Fault401, 401, fault("Authorization Error", "Application", "", "invalid"), true},
		{strava.Fault403, 403, fault("Forbidden", "Application", "Status", "Inactive"), true},
		{strava.Fault404, 404, "", true},
	} {
		t.Run(string(tc.kind), func(t *testing.T) {
			w := newWorld(t, strava.Config{})
			tok := w.connect(athlete, "read")
			w.inject(strava.Fault{Kind: tc.kind, Count: 2})
			api, token := w.get(tok.Access, "/api/v3/athlete"), w.refresh(tok.Refresh)
			for _, r := range []reply{api, token} {
				if html := strings.HasPrefix(r.header.Get("Content-Type"), "text/html"); html {
					if r.status != tc.status || !strings.Contains(r.body, tc.body) {
						t.Errorf("%d %s", r.status, r.body)
					}
					continue
				}
				r.expect(t, tc.status, tc.body)
			}
			if counted := w.Usage().Overall[0] == 1; counted != tc.counted || counted != (api.header.Get("X-Ratelimit-Usage") != "") {
				t.Errorf("counted %v, headers %s", counted, rate(api.header))
			}
			// Both faults are used up, and the refresh had no effect.
			w.tokens(w.refresh(tok.Refresh))
		})
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
				t.Fatalf("an answer came: %d", res.StatusCode)
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
			t.Errorf("not counted as unanswered: %v", w.Counters().Calls)
		})
	}
}

func TestHangLastsUntilTheClientGivesUp(t *testing.T) {
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
	// Close ends a hanging request too, or the server could not be shut down.
	w.inject(strava.Fault{Kind: strava.FaultHang})
	go func() {
		for len(w.Faults()) > 0 { // until the request below hangs
			time.Sleep(time.Millisecond)
		}
		w.Close()
	}()
	if _, err := w.client.Do(w.request(http.MethodGet, "/api/v3/athlete", tok.Access, nil)); err == nil {
		t.Error("an answer came")
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
	for _, f := range []strava.Fault{{Endpoint: "moon"}, {Kind: "999"}, {Delay: -1}} {
		if !errors.Is(w.Inject(f), strava.ErrInvalid) {
			t.Errorf("%+v was taken", f)
		}
	}
}

func TestFaultHookDecidesForEachRequest(t *testing.T) {
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

func TestCountersSeeRefreshesInFlight(t *testing.T) {
	var refreshes atomic.Int32
	w := newWorld(t, strava.Config{Fault: func(r strava.Request) *strava.Fault {
		if r.Endpoint == strava.EndpointRefresh {
			for refreshes.Add(1); refreshes.Load() < 2; { // until the other refresh is under way too
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
		t.Errorf("one should win and one lose: %d and %d", a, b)
	}
	c := w.Counters()
	if c.MaxRefreshesInFlight[athlete] != 2 || c.DeadRefreshUses[athlete] != 1 {
		t.Errorf("in flight %v, dead uses %v", c.MaxRefreshesInFlight, c.DeadRefreshUses)
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
