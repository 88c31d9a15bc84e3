package handler_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/api"
)

func TestAFullApplicationOffersTheWaitlist(t *testing.T) {
	s := newOAuthFixture(t, "dev")
	s.oauth.Connect.Capacity.Athletes = 0
	res := s.call("GET /oauth/connect", nil)
	c := cookies(t, res)[formName]
	if res.StatusCode != 302 || res.Headers["Location"] != "/?error=app_full" || c == nil || c.Value == "" || c.MaxAge != 3600 ||
		!c.HttpOnly || c.SameSite != http.SameSiteLaxMode || !c.Secure {
		t.Fatalf("%+v", res)
	}
	// An athlete with a place may come back.
	if back := s.call("GET /oauth/connect", map[string]string{"returning": "1"}); !strings.HasPrefix(back.Headers["Location"], "http://strava.test/") {
		t.Errorf("returning: %s", back.Headers["Location"])
	}

	join := func(change func(*api.Request)) api.Response {
		t.Helper()
		req := api.Request{
			RouteKey: "POST /oauth/waitlist", Cookies: []string{c.Name + "=" + c.Value},
			Headers: map[string]string{"origin": "http://localhost", "content-type": "application/json; charset=utf-8"},
			Body:    `{"contact":"ann@example.com"}`,
		}
		if change != nil {
			change(&req)
		}
		return s.send(req)
	}
	waiting := func(want int) {
		t.Helper()
		list, err := s.waitlist.Entries(t.Context(), time.Now())
		if err != nil || len(list) != want {
			t.Errorf("%d wait (%v)", len(list), err)
		}
	}
	for name, c := range map[string]struct {
		change func(*api.Request)
		status int
	}{
		"another site":         {func(r *api.Request) { r.Headers["origin"] = "https://evil.example" }, 403},
		"no origin":            {func(r *api.Request) { delete(r.Headers, "origin") }, 403},
		"a form of another":    {func(r *api.Request) { r.Headers["content-type"] = "text/plain" }, 415},
		"no cookie":            {func(r *api.Request) { r.Cookies = nil }, 403},
		"a long body":          {func(r *api.Request) { r.Body = `{"contact":"` + strings.Repeat("a", 1024) + `"}` }, 413},
		"no JSON":              {func(r *api.Request) { r.Body = "contact=ann" }, 400},
		"base64 that is none":  {func(r *api.Request) { r.IsBase64Encoded = true }, 400},
		"no address":           {func(r *api.Request) { r.Body = `{"contact":"ann"}` }, 400},
		"no contact":           {func(r *api.Request) { r.Body = `{}` }, 400},
		"a cookie by guess":    {func(r *api.Request) { r.Cookies = []string{formName + "=guess"} }, 403},
		"a contact of numbers": {func(r *api.Request) { r.Body = `{"contact":1}` }, 400},
	} {
		if res := join(c.change); res.StatusCode != c.status || strings.Contains(res.Body, "ann@") {
			t.Errorf("%s: %d %s", name, res.StatusCode, res.Body)
		}
	}
	waiting(0)

	encoded := func(r *api.Request) {
		r.Body, r.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(r.Body)), true
	}
	first := join(nil)
	if done := cookies(t, first)[formName]; done == nil || done.MaxAge >= 0 {
		t.Errorf("the form stays: %v", first.Cookies)
	}
	if res := join(encoded); res.StatusCode != 403 {
		t.Errorf("the form a second time: %d", res.StatusCode)
	}
	c = cookies(t, s.call("GET /oauth/connect", nil))[formName]
	again := join(encoded)
	if first.StatusCode != 204 || again.StatusCode != first.StatusCode || again.Body != first.Body {
		t.Errorf("the first time %+v, then %+v", first, again)
	}
	waiting(1)
	if strings.Contains(s.log.String(), "ann@") {
		t.Error("the log holds a contact")
	}
}

// The athlete comes back from Strava into an application that has become full.
func TestFullAtTheCallback(t *testing.T) {
	s := newOAuthFixture(t, "dev")
	if res := s.connect(""); res.Headers["Location"] != "/" {
		t.Fatalf("connect: %+v", res)
	}
	s.oauth.Connect.Capacity.Athletes = 1 // taken; the count when a connect begins is of before
	res := s.connectAs(1, "")
	if res.Headers["Location"] != "/?error=app_full" || cookies(t, res)[sessionName] != nil || cookies(t, res)[formName] == nil {
		t.Errorf("%+v", res)
	}
}

func TestTheWaitlistTakesTwentyContactsAnHour(t *testing.T) {
	s := newOAuthFixture(t, "dev")
	s.oauth.Connect.Capacity.Athletes = 0
	statuses := map[int]int{}
	for n := range 22 {
		res := s.send(api.Request{
			RouteKey: "POST /oauth/waitlist", Cookies: pairs(t, s.call("GET /oauth/connect", nil)),
			Headers: map[string]string{"origin": "http://localhost", "content-type": "application/json"},
			Body:    `{"contact":"` + itoa(int64(n)) + `@example.com"}`,
		})
		if statuses[res.StatusCode]++; res.StatusCode == 429 && res.Headers["Retry-After"] == "" {
			t.Error("no Retry-After")
		}
	}
	if statuses[204] != 20 || statuses[429] != 2 {
		t.Errorf("%v", statuses)
	}
}

func TestTheWaitlistIsClosedWhileThereIsAPlace(t *testing.T) {
	s := newOAuthFixture(t, "dev")
	s.oauth.Connect.Capacity.Athletes = 0
	form := pairs(t, s.call("GET /oauth/connect", nil))
	s.oauth.Connect.Capacity.Athletes = 1
	res := s.send(api.Request{
		RouteKey: "POST /oauth/waitlist", Cookies: form, Body: `{"contact":"ann@example.com"}`,
		Headers: map[string]string{"origin": "http://localhost", "content-type": "application/json"},
	})
	if res.StatusCode != 409 {
		t.Errorf("%+v", res)
	}
}
