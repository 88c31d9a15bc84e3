package openapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// adasValues returns values of Ada's for every parameter, by parameter name.
func adasValues(t *testing.T, s *system) map[string][]string {
	t.Helper()
	out := map[string][]string{
		"id":         {fmt.Sprint(ada * 100), fmt.Sprint(ada), "0", "-1"},
		"receipt":    {receiptOf(eve), fmt.Sprintf("athlete#%d", ada), fmt.Sprint(ada)},
		"sport_type": {mark(ada), "Run", ""},
		"q":          {mark(ada), "mark", ""},
		"format":     {"csv", "json"},
		"fields":     {"id", "athlete_id"},
		"provider":   {"fitbit", "strava"},
		"state":      {"s"}, "code": {"c"}, "scope": {"read"}, "error": {"access_denied"}, "returning": {"1"},
	}
	_, res := s.send(call{route: "GET /v1/me/activities", query: map[string]string{"limit": "20"}, cookie: s.session(ada)})
	var page struct {
		NextCursor string `json:"next_cursor"`
	}
	kittest.Must(t, json.Unmarshal([]byte(res.Body), &page))
	if page.NextCursor == "" || !strings.Contains(res.Body, mark(ada)) {
		t.Fatalf("Ada does not see her own activities: %s", res.Body)
	}
	out["cursor"] = []string{page.NextCursor}
	return out
}

// callsWith returns calls of an operation with Ada's values: one with all path
// parameters, and one for each value.
func callsWith(t *testing.T, s *system, route string, values map[string][]string) (out []call) {
	t.Helper()
	// Headers that claim to be Ada and must have no effect.
	claims := map[string]string{"athlete_id": fmt.Sprint(ada), "generation": fmt.Sprint(generation), "X-Authorization": "Bearer " + fmt.Sprint(ada)}
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

// mustNotShowAda checks that a response has no data of Ada, is not a 5xx, and
// matches the document.
func (s *system) mustNotShowAda(who string, req api.Request, res api.Response) {
	s.t.Helper()
	headers := fmt.Sprint(res.Headers, res.Cookies)
	for _, hers := range []string{mark(ada), fmt.Sprint(ada)} {
		if strings.Contains(res.Body, hers) || strings.Contains(headers, hers) {
			s.t.Errorf("%s: %s %v %v contains Ada's data: %s", who, req.RouteKey, req.PathParameters, req.QueryStringParameters, res.Body)
		}
	}
	if res.StatusCode >= 500 {
		s.t.Errorf("%s: %s %v %v: %d", who, req.RouteKey, req.PathParameters, req.QueryStringParameters, res.StatusCode)
	}
	if err := s.document.Check(req, res); err != nil {
		s.t.Errorf("%s: %v", who, err)
	}
}

func TestACallWithoutAValidSessionOrKeyIsRefused(t *testing.T) {
	s := newSystem(t)
	values := adasValues(t, s)
	impostors := s.impostors()
	session, key := s.session(ada), s.byKey[ada]
	before := len(s.bus.Events())
	for who, i := range impostors {
		for route, o := range s.document.Operations {
			if route == document {
				continue
			}
			if route == "POST /oauth/logout" && (i.cookie == session || i.cookie == s.session(eve)) {
				continue // A browser may end its own session.
			}
			for _, c := range callsWith(t, s, route, values) {
				s.mustRefuse(who, i, c, o.Session)
			}
		}
	}
	if after := len(s.bus.Events()); after != before {
		t.Errorf("%d events were published", after-before)
	}
	for _, c := range []call{{route: "GET /v1/me", cookie: session}, {route: "GET /v1/me", key: key}} {
		if _, res := s.send(c); !strings.Contains(res.Body, mark(ada)) {
			t.Errorf("Ada no longer sees her own data: %s", res.Body)
		}
	}
}

// impostor is a caller without a valid session or key.
type impostor struct {
	cookie, key string
	// problem is the expected problem type.
	problem string
}

// mustRefuse checks that an impostor's call gets no data of Ada. If the operation
// needs a session, the response must be the expected problem. Only the problem of
// Eve, who left, contains the receipt of her erasure.
func (s *system) mustRefuse(who string, i impostor, c call, needsSession bool) {
	s.t.Helper()
	c.cookie, c.key = i.cookie, i.key
	req, res := s.send(c)
	s.mustNotShowAda(who, req, res)
	if needsSession && (res.StatusCode != http.StatusUnauthorized || !strings.Contains(res.Body, api.ProblemBase+i.problem+`"`)) {
		s.t.Errorf("%s: %s: %d %s", who, c.route, res.StatusCode, res.Body)
	}
	if erasure := strings.Contains(res.Body, receiptOf(eve)); needsSession && erasure != strings.Contains(who, "Eve") {
		s.t.Errorf("%s: %s: %s", who, c.route, res.Body)
	}
}

// impostors returns the impostors by name.
func (s *system) impostors() map[string]impostor {
	t := s.t
	t.Helper()
	revokedID, revoked := s.newKey(ada, time.Time{})
	kittest.Must(t, s.keys().Revoke(t.Context(), ada, revokedID))
	_, expired := s.newKey(ada, now.Add(time.Second))
	s.now = now.Add(-8 * 24 * time.Hour)
	unused := s.open(credentials.Authorization{AthleteID: ada, Generation: generation})
	s.now = now.Add(time.Minute)

	session, key := s.session(ada), s.byKey[ada]
	mustReplace := func(text, old, by string) string {
		t.Helper()
		if !strings.Contains(text, old) {
			t.Fatalf("nothing to replace: no %s", old)
		}
		return strings.Replace(text, old, by, 1)
	}
	hers, his := fmt.Sprint(ada), fmt.Sprint(bob)
	return map[string]impostor{
		"a stranger":                       {problem: "no-session"},
		"an unused session":                {cookie: unused, problem: "no-session"},
		"a changed session":                {cookie: session[:len(session)-4] + "AAAA", problem: "no-session"},
		"half a session":                   {cookie: session[:len(session)/2], problem: "no-session"},
		"Bob's session with her id":        {cookie: mustReplace(s.session(bob), his, hers), problem: "no-session"},
		"her id alone":                     {cookie: sessionCookie + hers, problem: "no-session"},
		"her id and nothing":               {cookie: sessionCookie + hers + "_", problem: "no-session"},
		"another cookie":                   {cookie: mustReplace(session, "__Host-paceline_session", "session"), problem: "no-session"},
		"a cookie that could be planted":   {cookie: mustReplace(session, "__Host-", ""), problem: "no-session"},
		"her key as a session":             {cookie: sessionCookie + key, problem: "no-session"},
		"the session of Eve, who left":     {cookie: s.session(eve), problem: "no-session"},
		"a wrong key":                      {key: key[:len(key)-4] + "AAAA", problem: "unknown-key"},
		"half a key":                       {key: key[:len(key)/2], problem: "unknown-key"},
		"Bob's key with her id":            {key: mustReplace(s.byKey[bob], his, hers), problem: "unknown-key"},
		"a key without its prefix":         {key: mustReplace(key, "pck_", ""), problem: "unknown-key"},
		"her session as a key":             {key: mustReplace(session, sessionCookie, ""), problem: "unknown-key"},
		"her session as a key, prefixed":   {key: mustReplace(session, sessionCookie, "pck_"), problem: "unknown-key"},
		"her id as a key":                  {key: hers, problem: "unknown-key"},
		"an expired key":                   {key: expired, problem: "expired-key"},
		"a revoked key":                    {key: revoked, problem: "revoked-key"},
		"the key of Eve, who left":         {key: s.byKey[eve], problem: "revoked-key"},
		"a wrong key beside her session":   {key: "pck_x", cookie: session, problem: "unknown-key"},
		"a wrong key beside Bob's session": {key: "pck_x", cookie: s.session(bob), problem: "unknown-key"},
	}
}

func TestAKeyReadsOnlyItsAthletesDataAndChangesNothing(t *testing.T) {
	s := newSystem(t)
	values := adasValues(t, s)
	before := len(s.bus.Events())
	keysBefore, err := s.store.Credentials(t.Context(), bob)
	kittest.Must(t, err)
	for route, o := range s.document.Operations {
		if route == document || !o.Session {
			continue
		}
		for _, c := range callsWith(t, s, route, values) {
			c.key = s.byKey[bob]
			req, res := s.send(c)
			s.mustNotShowAda("Bob's key", req, res)
			if reads := strings.HasPrefix(route, "GET ") && !strings.HasPrefix(route, "GET /v1/me/keys") && !strings.HasPrefix(route, "GET /oauth/"); reads != o.ByKey {
				t.Errorf("%s: the document allows keys: %t", route, o.ByKey)
			}
			if refused := res.StatusCode == http.StatusForbidden || res.StatusCode == http.StatusUnauthorized; refused == o.ByKey {
				t.Errorf("%s: %d %s", route, res.StatusCode, res.Body)
			}
			if !o.ByKey && res.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %d, want 403", route, res.StatusCode)
			}
		}
	}
	if _, res := s.send(call{route: "GET /v1/me", key: s.byKey[bob]}); !strings.Contains(res.Body, mark(bob)) {
		t.Errorf("Bob's key does not return his data: %s", res.Body)
	}
	if after := len(s.bus.Events()); after != before {
		t.Errorf("%d events were published", after-before)
	}
	keysAfter, err := s.store.Credentials(t.Context(), bob)
	if kittest.Must(t, err); len(keysAfter) != len(keysBefore) {
		t.Errorf("%d sessions and keys, before: %d", len(keysAfter), len(keysBefore))
	}
}

// A failing store must give a 503, not a 401, for sessions and for keys.
func TestAFailingStoreIsNotARefusal(t *testing.T) {
	s := newSystem(t)
	values := adasValues(t, s)
	s.now = now.Add(time.Minute) // The authorizer's cache has expired.
	s.store.Fail(fault.New(fault.Transient, "down"))
	for route, o := range s.document.Operations {
		if !o.Session {
			continue
		}
		for _, c := range callsWith(t, s, route, values) {
			for _, as := range []call{{cookie: s.session(ada)}, {key: s.byKey[ada]}} {
				c.cookie, c.key = as.cookie, as.key
				req, res := s.send(c)
				if err := s.document.Check(req, res); err != nil || res.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("%s: %d, %v", route, res.StatusCode, err)
				}
			}
		}
	}
}

func TestASessionReadsOnlyItsAthletesData(t *testing.T) {
	s := newSystem(t)
	values := adasValues(t, s)
	routes := []string{}
	for route := range s.document.Operations {
		if route != document {
			routes = append(routes, route)
		}
	}
	slices.Sort(routes) // Bob leaves before he calls most routes.
	before := len(s.bus.Events())
	for _, route := range routes {
		for _, c := range callsWith(t, s, route, values) {
			// Leaving and logging out end sessions, so each call gets a new one.
			c.cookie = s.open(credentials.Authorization{AthleteID: bob, Generation: generation})
			req, res := s.send(c)
			s.mustNotShowAda("Bob", req, res)
			if res.StatusCode == http.StatusUnauthorized {
				t.Errorf("%s: Bob's session is refused", route)
			}
		}
	}
	// Bob's calls, including leaving, have no effect on Ada.
	for _, route := range []string{"GET /v1/me", "GET /v1/me/activities", "GET /v1/me/links/{provider}"} {
		if _, res := s.send(call{route: route, path: map[string]string{"provider": "fitbit"}, cookie: s.session(ada)}); !strings.Contains(res.Body, mark(ada)) {
			t.Errorf("%s: Ada no longer sees her own data: %s", route, res.Body)
		}
	}
	for _, e := range s.bus.Events()[before:] {
		if text, err := e.Detail(); err != nil || strings.Contains(string(text), fmt.Sprint(ada)) {
			t.Errorf("Bob's calls published %s about Ada (%v)", e.Fact.DetailType(), err)
		}
	}
}
