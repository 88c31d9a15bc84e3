package e2e_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/test/openapi"
)

// session returns the cookie of the browser's session.
func (b *browser) session() string {
	b.t.Helper()
	u, err := url.Parse(b.cloud.outputs.App)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, cookie := range b.client.Jar.Cookies(u) {
		if strings.HasSuffix(cookie.Name, "paceline_session") {
			return cookie.Name + "=" + cookie.Value
		}
	}
	b.t.Fatal("the browser has no session")
	return ""
}

// intruder calls the deployed API and must not see the data of its victim.
type intruder struct {
	cloud    *cloud
	document *openapi.Document
	client   *http.Client
	// marks matches the victim's data.
	marks *regexp.Regexp
	// mu guards document, which compiles schemas lazily.
	mu sync.Mutex
}

// request returns the HTTP request of a call, without the bytes that a header
// cannot contain.
func (x *intruder) request(ctx context.Context, c openapi.Call) (*http.Request, error) {
	method, path, _ := strings.Cut(c.Route, " ")
	for name, value := range c.Path {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
	}
	query := url.Values{}
	for name, value := range c.Query {
		query.Set(name, value)
	}
	body := []byte(c.Body)
	if c.Base64 {
		if decoded, err := base64.StdEncoding.DecodeString(c.Body); err == nil {
			body = decoded
		}
	}
	target := x.cloud.outputs.App + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	sendable := func(value string) string {
		return strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f {
				return -1
			}
			return r
		}, value)
	}
	for name, value := range c.Headers {
		req.Header.Set(name, sendable(value))
	}
	if c.Cookie != "" {
		req.Header.Set("Cookie", sendable(c.Cookie))
	}
	if c.Key != "" {
		req.Header.Set("Authorization", "Bearer "+sendable(c.Key))
	}
	return req, nil
}

// hasOtherPath reports whether the call's path differs from its operation's: an
// empty path parameter, or one with segments of its own, gives another path.
func hasOtherPath(c openapi.Call) bool {
	for _, value := range c.Path {
		if value == "" || value == "." || value == ".." || strings.Contains(value, "/") {
			return true
		}
	}
	return false
}

// call makes a call and returns the status. It returns an error if the response
// does not match the document, contains the victim's data or is a 5xx.
func (x *intruder) call(ctx context.Context, c openapi.Call) (int, error) {
	req, err := x.request(ctx, c)
	if err != nil {
		return 0, err
	}
	res, err := x.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	headers := map[string]string{}
	for name, values := range res.Header {
		if name == "Etag" {
			name = "ETag" // as in the document
		}
		headers[name] = strings.Join(values, ", ")
	}
	if len(body) == 0 && headers["Content-Type"] == "application/json" {
		delete(headers, "Content-Type") // API Gateway's default for responses without a type.
	}
	var errs []error
	if x.marks.Match(body) || x.marks.MatchString(fmt.Sprint(headers)) {
		errs = append(errs, errors.New("it contains the data of the victim"))
	}
	if res.StatusCode >= http.StatusInternalServerError {
		errs = append(errs, errors.New("the server failed"))
	}
	if !hasOtherPath(c) && res.StatusCode != http.StatusRequestHeaderFieldsTooLarge { // No function was invoked.
		x.mu.Lock()
		defer x.mu.Unlock()
		errs = append(errs, x.document.Check(
			api.Request{RouteKey: c.Route, QueryStringParameters: c.Query},
			api.Response{StatusCode: res.StatusCode, Headers: headers, Body: string(body)},
		))
	}
	if err := errors.Join(errs...); err != nil {
		return res.StatusCode, fmt.Errorf("%s %v %v: %d %s: %w", c.Route, c.Path, c.Query, res.StatusCode, body, err)
	}
	return res.StatusCode, nil
}

// intrude returns an intruder, and the victim's parameter values for its calls.
func (c *cloud) intrude(t *testing.T, victim *browser, athlete int64) (x *intruder, values map[string][]string) {
	t.Helper()
	var page struct {
		Items      []item `json:"items"`
		NextCursor string `json:"next_cursor"`
	}
	victim.get("/v1/me/activities?limit=5", &page)
	marks := []string{fmt.Sprint(athlete), lastTitle}
	values = map[string][]string{
		"cursor": {page.NextCursor}, "q": {lastTitle}, "receipt": {fmt.Sprint("athlete#", athlete)},
		"state": {"s"}, "code": {"c"}, "scope": {"read"}, "error": {"access_denied"}, "returning": {"1"}, "format": {"csv", "json"},
	}
	for _, one := range page.Items {
		values["id"] = append(values["id"], fmt.Sprint(one.ID))
		marks = append(marks, fmt.Sprint(one.ID))
	}
	if page.NextCursor == "" || !slices.ContainsFunc(page.Items, func(i item) bool { return i.Name == lastTitle }) {
		t.Fatalf("unexpected first page of the victim: %+v", page)
	}
	return &intruder{
		cloud: c, document: openapi.MustLoad(t), marks: regexp.MustCompile(strings.Join(marks, "|")),
		client: &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, values
}

// siteDocument is the route of the document, which is a file of the site.
const siteDocument = "GET /openapi.json"

// endingRoutes are the routes that end a session.
var endingRoutes = []string{"DELETE /v1/me", "DELETE /v1/me/sessions", "POST /oauth/logout"}

// impostorsGetNoAccess calls every operation with the victim's ids and cursor,
// but without a valid session or key of the victim.
func impostorsGetNoAccess(t *testing.T, c *cloud, victim, other *browser, endedSession string, athlete int64) {
	x, values := c.intrude(t, victim, athlete)
	session, key := victim.session(), victim.newKey("watch")
	tried := 0
	for name, i := range c.impostors(t, victim, other, key, endedSession, athlete) {
		for route, o := range x.document.Operations {
			if route == siteDocument || slices.Contains(endingRoutes, route) && (i.valid || i.cookie == session) {
				continue
			}
			status, err := x.call(t.Context(), i.call(o, values, athlete, c.outputs.App))
			if tried++; err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if o.Session && (status == http.StatusUnauthorized) == i.valid {
				t.Errorf("%s: %s: %d", name, route, status)
			}
			if i.key != "" && i.valid && o.Session && (status == http.StatusForbidden) == o.ByKey {
				t.Errorf("%s: %s: %d", name, route, status)
			}
		}
	}
	t.Logf("%d calls", tried)
	if a := victim.do("GET", "/v1/me"); a.status != http.StatusOK {
		t.Errorf("the victim's session: %d", a.status)
	}
	if a := c.requestByKey(t, "GET", "/v1/me", key.Secret); a.status != http.StatusOK {
		t.Errorf("the victim's key: %d %s", a.status, a.body)
	}
}

// impostor is a caller without a valid session or key of the victim.
type impostor struct {
	cookie, key string
	// valid means a valid session or key of another athlete.
	valid bool
}

// call returns a call of an operation with the victim's parameter values.
func (i impostor) call(o openapi.Operation, values map[string][]string, athlete int64, origin string) openapi.Call {
	call := openapi.Call{Route: o.Key, Path: map[string]string{}, Query: map[string]string{}, Cookie: i.cookie, Key: i.key, Headers: map[string]string{
		"athlete_id": fmt.Sprint(athlete), "Origin": origin,
	}}
	for _, p := range o.Parameters {
		switch theirs := values[p.Name]; {
		case len(theirs) == 0:
		case p.In == "path":
			call.Path[p.Name] = theirs[0]
		case p.In == "query":
			call.Query[p.Name] = theirs[0]
		}
	}
	return call
}

// impostors returns the impostors by name. key is a key of the victim.
func (c *cloud) impostors(t *testing.T, victim, other *browser, key key, endedSession string, athlete int64) map[string]impostor {
	t.Helper()
	session := victim.session()
	name, token, _ := strings.Cut(session, "=")
	_, others, _ := strings.Cut(other.session(), "=")
	_, random, _ := strings.Cut(others, "_")
	revoked, expired := victim.newKey("revoked"), victim.newKey("expired")
	if a := victim.do("DELETE", "/v1/me/keys/"+revoked.ID); a.status != http.StatusNoContent {
		t.Fatalf("revoking: %d %s", a.status, a.body)
	}
	c.changeCredential(t, athlete, expired.Secret, map[string]int64{"good_until": time.Now().Add(-time.Minute).UnixMilli()})
	twin := c.browser(t)
	if got := twin.connect(athlete, ""); got != "/" {
		t.Fatalf("connecting redirects to %q", got)
	}
	_, old, _ := strings.Cut(twin.session(), "=")
	c.changeCredential(t, athlete, old, map[string]int64{"good_until": time.Now().Add(-time.Minute).UnixMilli()})

	return map[string]impostor{
		"a stranger":                         {},
		"a wrong secret":                     {cookie: name + "=" + fmt.Sprint(athlete) + "_" + strings.Repeat("A", 43)},
		"another's secret with her id":       {cookie: name + "=" + fmt.Sprint(athlete) + "_" + random},
		"the session of an athlete who left": {cookie: endedSession},
		"an expired session":                 {cookie: name + "=" + old},
		"another's session":                  {cookie: other.session(), valid: true},
		"a session without a secret":         {cookie: name + "=" + fmt.Sprint(athlete)},
		"a key as a session":                 {cookie: name + "=" + key.Secret},
		"a session as a key":                 {key: token},
		"a wrong key":                        {key: key.Secret[:len(key.Secret)-4] + "AAAA"},
		"a revoked key":                      {key: revoked.Secret},
		"an expired key":                     {key: expired.Secret},
		"another's key":                      {key: other.newKey("watch").Secret, valid: true},
		"a wrong key with her session":       {key: "pck_x", cookie: session},
	}
}

// fuzzedCalls sends valid and invalid calls that are generated from the document.
// Every response must match the document; none may be a 5xx or contain the
// victim's data.
func fuzzedCalls(t *testing.T, c *cloud, victim, caller *browser, endedSession string, athlete int64) {
	x, good := c.intrude(t, victim, athlete)
	f := newFuzzer(t, x, good, caller, endedSession, athlete)
	calls := make(chan openapi.Call)
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		statuses = map[int]int{}
		wrong    int
	)
	count := func(call openapi.Call, status int, err error) {
		mu.Lock()
		defer mu.Unlock()
		statuses[status]++
		if err == nil {
			return
		}
		if wrong++; wrong <= 10 {
			t.Errorf("%v\nheaders %q, body %q", err, call.Headers, call.Body)
		}
	}
	began := time.Now()
	for range 4 {
		wg.Go(func() {
			for call := range calls {
				status, err := x.call(t.Context(), call)
				if err == nil && !hasOtherPath(call) {
					err = f.Judge(call, status)
				}
				count(call, status, err)
			}
		})
	}
	for range envNumber(t, "PACELINE_E2E_FUZZ", 500) {
		call := f.Call()
		if call.Route == "DELETE /v1/me" && call.Cookie == f.Live {
			// The caller must stay connected, so let the call come from another site.
			call.Headers["origin"], call.Headers["sec-fetch-site"] = "https://evil.example", "cross-site"
		}
		calls <- call
	}
	close(calls)
	wg.Wait()
	t.Logf("%v within %s", statuses, time.Since(began).Round(time.Millisecond))
	if wrong > 0 {
		t.Errorf("%d wrong responses", wrong)
	}
	// The rate limit may still refuse the caller, who must stay connected.
	eventually(t, soon, "the caller's session to work", func() bool { return caller.do("GET", "/v1/me").status == http.StatusOK })
	for _, status := range []int{200, 204, 302, 400, 401, 403, 404} {
		if statuses[status] == 0 {
			t.Errorf("no response with status %d", status)
		}
	}
}

// newFuzzer returns a fuzzer whose calls come from the caller. good has parameter
// values of the victim.
func newFuzzer(t *testing.T, x *intruder, good map[string][]string, caller *browser, endedSession string, victim int64) *openapi.Fuzzer {
	t.Helper()
	own := caller.activities("limit=200")
	maps.Copy(good, map[string][]string{
		"id": {fmt.Sprint(own[0].ID), fmt.Sprint(own[1].ID)}, "limit": {"1", "7", "50", "200"}, "by": {"day", "week", "month", "year"},
		"after": {"0", "1767225600", "-86400"}, "before": {"1767225600", "1795176000", "0"}, "contact": {"a@example.org", "b@example.org"},
		"q": {"ride", "RIDE", "7"}, "fields": {"id", "id,name", "firstname", "distance,id"}, "sport_type": {"Run", "Ride"}, "If-None-Match": {"*", `"x"`},
	})
	return &openapi.Fuzzer{
		Rand: rand.New(rand.NewPCG(1, 2)), Document: x.document, Good: good, Session: "paceline_session", Live: caller.session(), Ended: endedSession,
		Key: caller.newKey("fuzz").Secret, RevokedKey: "pck_1_x", Form: func() string { return "paceline_waitlist=x" }, // Paceline is not full.
		SiteURL: x.cloud.outputs.App, Victim: victim,
		Routes: slices.DeleteFunc(slices.Sorted(maps.Keys(x.document.Operations)), func(route string) bool { return route == siteDocument }),
	}
}
