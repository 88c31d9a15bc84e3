package strava_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/standin/strava"
)

// rate returns the four rate headers.
func rate(h http.Header) string {
	get := func(name string) string { return strings.Join(h[name], "|") }
	return fmt.Sprintf("%s %s / %s %s",
		get("X-Ratelimit-Limit"), get("X-Ratelimit-Usage"), get("X-Readratelimit-Limit"), get("X-Readratelimit-Usage"))
}

func TestEveryCallCarriesTheRateHeaders(t *testing.T) {
	w := newWorld(t, strava.Config{})
	tok := w.connect(athlete, "read")
	for i, path := range []string{"/api/v3/athlete", "/api/v3/athlete/activities", "/api/v3/activities/1", "/api/v3/nonsense"} {
		want := fmt.Sprintf("200,2000 %d,%d / 100,1000 %d,%d", i+1, i+1, i+1, i+1)
		if got := rate(w.get(tok.Access, path).header); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestWindowsEndAtTheQuarterHourAndAtMidnight(t *testing.T) {
	w := newWorld(t, strava.Config{})
	tok := w.connect(athlete, "read")
	call := func() string { return w.get(tok.Access, "/api/v3/athlete").header.Get("X-Ratelimit-Usage") }
	at := func(clock string) {
		t.Helper()
		to, err := time.Parse(time.RFC3339Nano, clock)
		if err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(to.Sub(w.clock.Now()))
		ok(t, w.SetTokenLife(athlete, time.Hour))
	}
	for _, step := range []struct{ at, usage string }{
		{"2026-11-22T10:00:00Z", "1,1"},
		{"2026-11-22T10:14:59.999999999Z", "2,2"},
		{"2026-11-22T10:15:00Z", "1,3"},
		{"2026-11-22T10:29:59Z", "2,4"},
		{"2026-11-22T10:30:00Z", "1,5"},
		{"2026-11-22T10:45:00Z", "1,6"},
		{"2026-11-22T23:59:59Z", "1,7"},
		{"2026-11-23T00:00:00Z", "1,1"},
	} {
		at(step.at)
		if got := call(); got != step.usage {
			t.Errorf("at %s the usage is %s, want %s", step.at, got, step.usage)
		}
	}
}

func TestLimitsRefuseAndStillCount(t *testing.T) {
	refusal := func(field string) string { return fault("Rate Limit Exceeded", "Application", field, "exceeded") }
	for _, tc := range []struct {
		name          string
		read, overall strava.Limit
		field         string
	}{
		{"read quarter", strava.Limit{2, 100}, strava.Limit{100, 100}, "read rate limit"},
		{"read day", strava.Limit{100, 2}, strava.Limit{100, 100}, "read rate limit"},
		{"overall quarter", strava.Limit{100, 100}, strava.Limit{2, 100}, "overall rate limit"},
		{"overall day", strava.Limit{100, 100}, strava.Limit{100, 2}, "overall rate limit"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, strava.Config{Settings: strava.Settings{ReadLimit: tc.read, OverallLimit: tc.overall}})
			tok := w.connect(athlete, "read")
			for range 2 {
				if r := w.get(tok.Access, "/api/v3/athlete"); r.status != http.StatusOK {
					t.Fatalf("within the limit: %d", r.status)
				}
			}
			for i := range 3 {
				r := w.get(tok.Access, "/api/v3/athlete")
				r.expect(t, 429, refusal(tc.field))
				if want := fmt.Sprintf("%d,%d", i+3, i+3); r.header.Get("X-Ratelimit-Usage") != want || r.header.Get("X-Readratelimit-Usage") != want {
					t.Errorf("usage %s, want %s", rate(r.header), want)
				}
				if r.header.Get("Retry-After") != "" {
					t.Error("Strava sends no Retry-After")
				}
			}
			w.clock.Advance(15 * time.Minute)
			want := http.StatusOK
			if strings.HasSuffix(tc.name, "day") {
				want = http.StatusTooManyRequests
			}
			if r := w.get(tok.Access, "/api/v3/athlete"); r.status != want {
				t.Errorf("in the next quarter: %d, want %d", r.status, want)
			}
		})
	}
}

func TestUploadsAreNotReads(t *testing.T) {
	w := newWorld(t, strava.Config{Settings: strava.Settings{ReadLimit: strava.Limit{1, 1}}})
	tok := w.connect(athlete, "read")
	for i := range 2 {
		r := w.do(w.request(http.MethodPost, "/api/v3/uploads", tok.Access, nil))
		if r.status == http.StatusTooManyRequests || r.header.Get("X-Ratelimit-Usage") != fmt.Sprintf("%d,%d", i+1, i+1) || r.header.Get("X-Readratelimit-Usage") != "0,0" {
			t.Errorf("upload: %d %s", r.status, rate(r.header))
		}
	}
}

func TestOnlyTheApplicationsOwnAPICallsCount(t *testing.T) {
	w := newWorld(t, strava.Config{})
	tok := w.connect(athlete, "read")
	w.refresh(tok.Refresh)
	w.get("", "/api/v3/athlete")
	w.get("unknown", "/api/v3/athlete")
	push := w.get("", "/api/v3/push_subscriptions?"+credentials().Encode())
	if push.header.Get("X-Ratelimit-Usage") != "0,0" {
		t.Errorf("push subscriptions returned %s", rate(push.header))
	}
	if u := w.Usage(); u != (strava.Usage{}) {
		t.Errorf("usage is %+v", u)
	}
	ok(t, w.Deauthorize(athlete))
	w.get(tok.Access, "/api/v3/athlete") // no longer valid, but issued to this application
	if u := w.Usage(); u.Read != (strava.Limit{1, 1}) {
		t.Errorf("usage is %+v", u)
	}
}

func TestUsageAndLimitsCanBeSet(t *testing.T) {
	w := newWorld(t, strava.Config{})
	tok := w.connect(athlete, "read")
	w.SetUsage(strava.Usage{Read: strava.Limit{99, 500}, Overall: strava.Limit{150, 700}})
	if r := w.get(tok.Access, "/api/v3/athlete"); r.status != 200 || rate(r.header) != "200,2000 151,701 / 100,1000 100,501" {
		t.Errorf("%d %s", r.status, rate(r.header))
	}
	if r := w.get(tok.Access, "/api/v3/athlete"); r.status != 429 {
		t.Errorf("%d %s", r.status, rate(r.header))
	}
	if err := w.UpdateSettings(func(s *strava.Settings) { s.ReadLimit = strava.Limit{300, 3000} }); err != nil {
		t.Fatal(err)
	}
	if r := w.get(tok.Access, "/api/v3/athlete"); r.status != 200 || rate(r.header) != "200,2000 153,703 / 300,3000 102,503" {
		t.Errorf("%d %s", r.status, rate(r.header))
	}
}

func TestTokenInTheQueryIsRefused(t *testing.T) {
	w := newWorld(t, strava.Config{})
	tok := w.connect(athlete, "read")
	w.get("", "/api/v3/athlete?"+url.Values{"access_token": {tok.Access}}.Encode()).
		expect(t, 401, fault("Authorization Error", "Application", "", "invalid"))
}

func TestPushSubscriptionsShowTheLimitsAndNoUsage(t *testing.T) {
	w := newWorld(t, strava.Config{})
	w.SetUsage(strava.Usage{Read: strava.Limit{9, 90}, Overall: strava.Limit{9, 90}})
	const want = "200,2000 0,0 / 100,1000 0,0"
	created := w.post(push, credentials("callback_url", callback, "verify_token", "verify"))
	id := w.Subscription().ID
	for what, r := range map[string]reply{
		"create":         created,
		"a second":       w.post(push, credentials("callback_url", callback, "verify_token", "verify")),
		"list":           w.get("", push+"?"+credentials().Encode()),
		"wrong secret":   w.get("", push+"?client_id=4711&client_secret=wrong"),
		"delete unknown": w.do(w.request(http.MethodDelete, push+"/1?"+credentials().Encode(), "", nil)),
		"delete":         w.do(w.request(http.MethodDelete, fmt.Sprintf("%s/%d?%s", push, id, credentials().Encode()), "", nil)),
	} {
		if got := rate(r.header); got != want {
			t.Errorf("%s: %d with %s, want %s", what, r.status, got, want)
		}
	}
	if u := w.Usage(); u.Overall != (strava.Limit{9, 90}) {
		t.Errorf("usage is %+v", u)
	}
}
