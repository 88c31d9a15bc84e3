package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/paceline/paceline/pkg/kit/httpapi"
)

// anothers are values of Ada's for every parameter there is, to be tried by
// others.
func anothers(t *testing.T, s *system) map[string][]string {
	t.Helper()
	out := map[string][]string{
		"id":         {fmt.Sprint(ada * 100), fmt.Sprint(ada), "0", "-1"},
		"receipt":    {receiptOf(eve), fmt.Sprintf("athlete#%d", ada), fmt.Sprint(ada)},
		"sport_type": {mark(ada), "Run", ""},
		"q":          {mark(ada), "mark", ""},
		"format":     {"csv", "json"},
		"fields":     {"id", "athlete_id"},
		"state":      {"s"}, "code": {"c"}, "scope": {"read"}, "error": {"access_denied"}, "returning": {"1"},
	}
	_, res := s.send(call{route: "GET /v1/me/activities", query: map[string]string{"limit": "20"}, cookie: s.session(ada)})
	var page struct {
		NextCursor string `json:"next_cursor"`
	}
	must(t, json.Unmarshal([]byte(res.Body), &page))
	if page.NextCursor == "" || !strings.Contains(res.Body, mark(ada)) {
		t.Fatalf("Ada does not see her own: %s", res.Body)
	}
	out["cursor"] = []string{page.NextCursor}
	return out
}

// attempts are calls of an operation with Ada's values: all at once, and each
// alone.
func attempts(t *testing.T, s *system, route string, values map[string][]string) (out []call) {
	t.Helper()
	// What a stranger may add to any call, in vain.
	claims := map[string]string{"athlete_id": fmt.Sprint(ada), "generation": fmt.Sprint(generation), "Authorization": "Bearer " + fmt.Sprint(ada)}
	all := call{route: route, path: map[string]string{}, query: map[string]string{"athlete_id": fmt.Sprint(ada)}, headers: claims}
	for _, p := range s.document.Operations[route].Parameters {
		if p.In == "path" {
			all.path[p.Name] = values[p.Name][0]
		}
	}
	out = append(out, all)
	for _, p := range s.document.Operations[route].Parameters {
		for _, value := range values[p.Name] {
			one := all
			switch p.In {
			case "path":
				one.path = map[string]string{p.Name: value}
			case "query":
				one.query = map[string]string{p.Name: value}
			}
			out = append(out, one)
		}
	}
	return out
}

// expectNothingOfAda fails when the answer says anything of her, fails, or is
// not as described.
func (s *system) expectNothingOfAda(who string, req httpapi.Request, res httpapi.Response) {
	s.t.Helper()
	headers := fmt.Sprint(res.Headers, res.Cookies)
	for _, hers := range []string{mark(ada), fmt.Sprint(ada)} {
		if strings.Contains(res.Body, hers) || strings.Contains(headers, hers) {
			s.t.Errorf("%s: %s %v %v tells of another: %s", who, req.RouteKey, req.PathParameters, req.QueryStringParameters, res.Body)
		}
	}
	if res.StatusCode >= 500 {
		s.t.Errorf("%s: %s %v %v: %d", who, req.RouteKey, req.PathParameters, req.QueryStringParameters, res.StatusCode)
	}
	if err := s.document.Check(req, res); err != nil {
		s.t.Errorf("%s: %v", who, err)
	}
}

func TestNobodyWithoutALiveSessionGetsAnything(t *testing.T) {
	s := newSystem(t)
	values := anothers(t, s)
	subject := fmt.Sprint(ada)
	later := now.Add(time.Hour)
	right := s.session(ada)
	impostors := map[string]string{
		"nobody":                "",
		"an expired session":    s.cookie(s.key, jwt.SigningMethodES256, subject, generation, now.Add(-time.Second)),
		"another key":           s.cookie(mustKey(t), jwt.SigningMethodES256, subject, generation, later),
		"no signature":          s.cookie(jwt.UnsafeAllowNoneSignatureType, jwt.SigningMethodNone, subject, generation, later),
		"a symmetric signature": s.cookie([]byte("paceline"), jwt.SigningMethodHS256, subject, generation, later),
		"a changed session":     right[:len(right)-4] + "AAAA",
		"half a session":        right[:len(right)/2],
		"no generation":         s.cookie(s.key, jwt.SigningMethodES256, subject, 0, later),
		"no athlete":            s.cookie(s.key, jwt.SigningMethodES256, "0", generation, later),
		"garbage":               "paceline_session=" + subject,
		"another cookie":        strings.Replace(right, "paceline_session", "session", 1),
		"who has left":          s.session(eve),
	}
	before := len(s.bus.Events())
	for who, cookie := range impostors {
		for route, o := range s.document.Operations {
			if route == document {
				continue
			}
			for _, c := range attempts(t, s, route, values) {
				c.cookie = cookie
				req, res := s.send(c)
				s.expectNothingOfAda(who, req, res)
				badQuery := res.StatusCode == http.StatusBadRequest && who == "who has left"
				if o.Session && res.StatusCode != http.StatusUnauthorized && !badQuery {
					t.Errorf("%s: %s: %d", who, route, res.StatusCode)
				}
			}
		}
	}
	if after := len(s.bus.Events()); after != before {
		t.Errorf("%d events were caused", after-before)
	}
}

func TestAnotherSessionGetsOnlyItsOwn(t *testing.T) {
	s := newSystem(t)
	values := anothers(t, s)
	routes := []string{}
	for route := range s.document.Operations {
		if route != document {
			routes = append(routes, route)
		}
	}
	slices.Sort(routes) // so that he leaves before he asks for the rest
	for _, route := range routes {
		for _, c := range attempts(t, s, route, values) {
			c.cookie = s.session(bob)
			req, res := s.send(c)
			s.expectNothingOfAda("Bob", req, res)
			if res.StatusCode == http.StatusUnauthorized {
				t.Errorf("%s: Bob has no session", route)
			}
		}
	}
	// What Bob did, leaving among it, was of no consequence to Ada.
	for _, route := range []string{"GET /v1/me", "GET /v1/me/activities"} {
		if _, res := s.send(call{route: route, cookie: s.session(ada)}); !strings.Contains(res.Body, mark(ada)) {
			t.Errorf("%s: Ada no longer sees her own: %s", route, res.Body)
		}
	}
	for _, e := range s.bus.Events() {
		if text, err := e.Detail(); err != nil || strings.Contains(string(text), fmt.Sprint(ada)) {
			t.Errorf("Bob caused %s about Ada (%v)", e.Fact.DetailType(), err)
		}
	}
}
