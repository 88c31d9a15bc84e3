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

// session is the cookie of the browser's session.
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
	b.t.Fatal("there is no session")
	return ""
}

// trial are calls by strangers to the deployed API, about somebody whose data
// they must not see.
type trial struct {
	cloud    *cloud
	document *openapi.Document
	client   *http.Client
	// theirs is what tells of the victim.
	theirs *regexp.Regexp
	// described guards document, which compiles as it goes.
	described sync.Mutex
}

// makes is the request by which a client makes the call. The bytes that no
// header can have are left out.
func (x *trial) makes(ctx context.Context, c openapi.Call) (*http.Request, error) {
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

// elsewhere tells whether the call's path is not one of the operation's: a
// value that is empty or has parts of its own leads to another path, or to none.
func elsewhere(c openapi.Call) bool {
	for _, value := range c.Path {
		if value == "" || value == "." || value == ".." || strings.Contains(value, "/") {
			return true
		}
	}
	return false
}

// try makes a call. The error tells what is wrong with the answer: it is not as
// described, tells of another, or is a 5xx.
func (x *trial) try(ctx context.Context, c openapi.Call) (int, error) {
	req, err := x.makes(ctx, c)
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
			name = "ETag" // as the document writes it
		}
		headers[name] = strings.Join(values, ", ")
	}
	if len(body) == 0 && headers["Content-Type"] == "application/json" {
		delete(headers, "Content-Type") // API Gateway says JSON of whatever does not say.
	}
	var errs []error
	if x.theirs.Match(body) || x.theirs.MatchString(fmt.Sprint(headers)) {
		errs = append(errs, errors.New("it tells of another"))
	}
	if res.StatusCode >= http.StatusInternalServerError {
		errs = append(errs, errors.New("the server failed"))
	}
	if !elsewhere(c) && res.StatusCode != http.StatusRequestHeaderFieldsTooLarge { // No function of ours was asked.
		x.described.Lock()
		defer x.described.Unlock()
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

// trial is about an athlete, of whom the browser's session sees a first page.
func (c *cloud) trial(t *testing.T, victim *browser, athlete int64) (x *trial, theirs map[string][]string) {
	t.Helper()
	var page struct {
		Items      []item `json:"items"`
		NextCursor string `json:"next_cursor"`
	}
	victim.get("/v1/me/activities?limit=5", &page)
	marks := []string{fmt.Sprint(athlete), lastTitle}
	theirs = map[string][]string{
		"cursor": {page.NextCursor}, "q": {lastTitle}, "receipt": {fmt.Sprint("athlete#", athlete)},
		"state": {"s"}, "code": {"c"}, "scope": {"read"}, "error": {"access_denied"}, "returning": {"1"}, "format": {"csv", "json"},
	}
	for _, one := range page.Items {
		theirs["id"] = append(theirs["id"], fmt.Sprint(one.ID))
		marks = append(marks, fmt.Sprint(one.ID))
	}
	if page.NextCursor == "" || !slices.ContainsFunc(page.Items, func(i item) bool { return i.Name == lastTitle }) {
		t.Fatalf("the athlete's first page is %+v", page)
	}
	return &trial{
		cloud: c, document: openapi.MustLoad(t), theirs: regexp.MustCompile(strings.Join(marks, "|")),
		client: &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, theirs
}

// siteDocument is the route of the document itself, a file of the site.
const siteDocument = "GET /openapi.json"

// ends are the routes by which an athlete's session ends.
var ends = []string{"DELETE /v1/me", "DELETE /v1/me/sessions", "POST /oauth/logout"}

// impostors try every operation with another's ids and cursor, without the
// athlete's session or key.
func impostors(t *testing.T, c *cloud, victim, other *browser, over string, athlete int64) {
	x, theirs := c.trial(t, victim, athlete)
	right := victim.session()
	name, token, _ := strings.Cut(right, "=")
	_, others, _ := strings.Cut(other.session(), "=")
	_, random, _ := strings.Cut(others, "_")
	key, othersKey := victim.newKey("watch"), other.newKey("watch")
	revoked, expired := victim.newKey("revoked"), victim.newKey("expired")
	if a := victim.do("DELETE", "/v1/me/keys/"+revoked.ID); a.status != http.StatusNoContent {
		t.Fatalf("revoking: %d %s", a.status, a.body)
	}
	c.changeCredential(t, athlete, expired.Secret, map[string]int64{"good_until": time.Now().Add(-time.Minute).Unix()})
	twin := c.browser(t)
	if got := twin.connect(athlete, ""); got != "/" {
		t.Fatalf("connecting leads to %q", got)
	}
	_, old, _ := strings.Cut(twin.session(), "=")
	c.changeCredential(t, athlete, old, map[string]int64{"good_until": time.Now().Add(-time.Minute).Unix()})

	type impostor struct {
		cookie, key string
		// lives says that it is a session or key, of another athlete.
		lives bool
	}
	impostors := map[string]impostor{
		"a stranger":               {},
		"another secret":           {cookie: name + "=" + fmt.Sprint(athlete) + "_" + strings.Repeat("A", 43)},
		"another's with her id":    {cookie: name + "=" + fmt.Sprint(athlete) + "_" + random},
		"who has left":             {cookie: over},
		"expired":                  {cookie: name + "=" + old},
		"another's session":        {cookie: other.session(), lives: true},
		"a session by guess":       {cookie: name + "=" + fmt.Sprint(athlete)},
		"a key as a session":       {cookie: name + "=" + key.Secret},
		"a session as a key":       {key: token},
		"a wrong key":              {key: key.Secret[:len(key.Secret)-4] + "AAAA"},
		"a revoked key":            {key: revoked.Secret},
		"an expired key":           {key: expired.Secret},
		"another's key":            {key: othersKey.Secret, lives: true},
		"a wrong key, her session": {key: "pck_x", cookie: right},
	}
	tried := 0
	for who, i := range impostors {
		for route, o := range x.document.Operations {
			if route == siteDocument || slices.Contains(ends, route) && (i.lives || i.cookie == right) {
				continue
			}
			call := openapi.Call{Route: route, Path: map[string]string{}, Query: map[string]string{}, Cookie: i.cookie, Key: i.key, Headers: map[string]string{
				"athlete_id": fmt.Sprint(athlete), "Origin": c.outputs.App,
			}}
			for _, p := range o.Parameters {
				switch values := theirs[p.Name]; {
				case len(values) == 0:
				case p.In == "path":
					call.Path[p.Name] = values[0]
				case p.In == "query":
					call.Query[p.Name] = values[0]
				}
			}
			status, err := x.try(t.Context(), call)
			if tried++; err != nil {
				t.Errorf("%s: %v", who, err)
			}
			if o.Session && (status == http.StatusUnauthorized) == i.lives {
				t.Errorf("%s: %s: %d", who, route, status)
			}
			if i.key != "" && i.lives && o.Session && (status == http.StatusForbidden) == o.ByKey {
				t.Errorf("%s: %s: %d", who, route, status)
			}
		}
	}
	t.Logf("%d calls", tried)
	if a := victim.do("GET", "/v1/me"); a.status != http.StatusOK {
		t.Errorf("whom they tried to be: %d", a.status)
	}
	if a := c.byKey(t, "GET", "/v1/me", key.Secret); a.status != http.StatusOK {
		t.Errorf("the key of whom they tried to be: %d %s", a.status, a.body)
	}
}

// fuzzed sends calls made after the document, good and bad. Every answer is as
// described, none is a 5xx or tells of another.
func fuzzed(t *testing.T, c *cloud, victim, caller *browser, over string, athlete int64) {
	x, good := c.trial(t, victim, athlete)
	own := caller.activities("limit=200")
	maps.Copy(good, map[string][]string{
		"id": {fmt.Sprint(own[0].ID), fmt.Sprint(own[1].ID)}, "limit": {"1", "7", "50", "200"}, "by": {"day", "week", "month", "year"},
		"after": {"0", "1767225600", "-86400"}, "before": {"1767225600", "1795176000", "0"}, "contact": {"a@example.org", "b@example.org"},
		"q": {"ride", "RIDE", "7"}, "fields": {"id", "id,name", "firstname", "distance,id"}, "sport_type": {"Run", "Ride"}, "If-None-Match": {"*", `"x"`},
	})
	f := &openapi.Fuzzer{
		Rand: rand.New(rand.NewPCG(1, 2)), Document: x.document, Good: good, Session: "paceline_session", Live: caller.session(), Over: over,
		Key: caller.newKey("fuzz").Secret, DeadKey: "pck_1_x", Form: func() string { return "paceline_waitlist=x" }, // There is a place.
		SiteURL: c.outputs.App, Victim: athlete,
		Routes: slices.DeleteFunc(slices.Sorted(maps.Keys(x.document.Operations)), func(route string) bool { return route == siteDocument }),
	}
	calls := make(chan openapi.Call)
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		statuses = map[int]int{}
		wrong    int
	)
	began := time.Now()
	for range 4 {
		wg.Go(func() {
			for call := range calls {
				status, err := x.try(t.Context(), call)
				if err == nil && !elsewhere(call) {
					err = f.Judge(call, status)
				}
				mu.Lock()
				statuses[status]++
				if err != nil {
					if wrong++; wrong <= 10 {
						t.Errorf("%v\nheaders %q, body %q", err, call.Headers, call.Body)
					}
				}
				mu.Unlock()
			}
		})
	}
	for range number(t, "PACELINE_E2E_FUZZ", 500) {
		call := f.Call()
		if call.Route == "DELETE /v1/me" && call.Cookie == f.Live {
			// The caller is to stay: it is another site's page that wants to be rid of them.
			call.Headers["origin"], call.Headers["sec-fetch-site"] = "https://evil.example", "cross-site"
		}
		calls <- call
	}
	close(calls)
	wg.Wait()
	t.Logf("%v within %s", statuses, time.Since(began).Round(time.Millisecond))
	if wrong > 0 {
		t.Errorf("%d answers are wrong", wrong)
	}
	// The rate limit may have had enough of the caller, who never wanted to leave.
	eventually(t, soon, "the caller to be served", func() bool { return caller.do("GET", "/v1/me").status == http.StatusOK })
	for _, status := range []int{200, 204, 302, 400, 401, 403, 404} {
		if statuses[status] == 0 {
			t.Errorf("not one answer of %d", status)
		}
	}
}
