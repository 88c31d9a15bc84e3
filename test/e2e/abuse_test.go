package e2e_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
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

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/kms"
	"github.com/paceline/paceline/pkg/kit/httpapi"
	"github.com/paceline/paceline/test/api"
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

// signed is the browser's session as the deployed key signs it, but with another
// end.
func (b *browser) signed(expires time.Time) string {
	b.t.Helper()
	name, token, _ := strings.Cut(b.session(), "=")
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		b.t.Fatal(err)
	}
	var claims struct {
		AthleteID  int64 `json:"sub,string"`
		Generation int64 `json:"gen"`
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		b.t.Fatal(err)
	}
	client := awskms.NewFromConfig(b.cloud.aws(b.t))
	session, err := kms.NewSigner(client, sessionKey(b.t, client)).Sign(b.t.Context(), credentials.Session(claims), expires.Add(-time.Hour), expires)
	if err != nil {
		b.t.Fatal(err)
	}
	return name + "=" + session.Reveal()
}

// sessionKey is the id of the only key of the cloud that signs.
func sessionKey(t *testing.T, client *awskms.Client) (id string) {
	t.Helper()
	keys, err := client.ListKeys(t.Context(), &awskms.ListKeysInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys.Keys {
		out, err := client.DescribeKey(t.Context(), &awskms.DescribeKeyInput{KeyId: key.KeyId})
		if err != nil {
			t.Fatal(err)
		}
		if out.KeyMetadata.KeyUsage != types.KeyUsageTypeSignVerify {
			continue
		}
		if id != "" {
			t.Fatal("more than one key signs")
		}
		id = aws.ToString(key.KeyId)
	}
	return id
}

// trial are calls by strangers to the deployed API, about somebody whose data
// they must not see.
type trial struct {
	cloud    *cloud
	document *api.Document
	client   *http.Client
	// theirs is what tells of the victim.
	theirs *regexp.Regexp
	// described guards document, which compiles as it goes.
	described sync.Mutex
}

// makes is the request by which a client makes the call. The bytes that no
// header can have are left out.
func (x *trial) makes(ctx context.Context, c api.Call) (*http.Request, error) {
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
	return req, nil
}

// elsewhere tells whether the call's path is not one of the operation's: a
// value that is empty or has parts of its own leads to another path, or to none.
func elsewhere(c api.Call) bool {
	for _, value := range c.Path {
		if value == "" || value == "." || value == ".." || strings.Contains(value, "/") {
			return true
		}
	}
	return false
}

// try makes a call. The error tells what is wrong with the answer: it is not as
// described, tells of another, or is a 5xx.
func (x *trial) try(ctx context.Context, c api.Call) (int, error) {
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
			httpapi.Request{RouteKey: c.Route, QueryStringParameters: c.Query},
			httpapi.Response{StatusCode: res.StatusCode, Headers: headers, Body: string(body)},
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
		cloud: c, document: api.MustLoad(t), theirs: regexp.MustCompile(strings.Join(marks, "|")),
		client: &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, theirs
}

// siteDocument is the route of the document itself, a file of the site.
const siteDocument = "GET /openapi.json"

// leaves is the route by which an athlete leaves, sessions and all.
const leaves = "DELETE /v1/me"

// impostors try every operation with another's ids and cursor, without the
// athlete's session.
func impostors(t *testing.T, c *cloud, victim, other *browser, over string, athlete int64) {
	x, theirs := c.trial(t, victim, athlete)
	right := victim.session()
	name, token, _ := strings.Cut(right, "=")
	parts := strings.Split(token, ".")
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	cookies := map[string]string{
		"nobody":             "",
		"no signature":       name + "=" + unsigned + "." + parts[1] + ".",
		"another signature":  name + "=" + parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
		"another's claims":   name + "=" + parts[0] + "." + strings.Split(other.session(), ".")[1] + "." + parts[2],
		"who has left":       over,
		"expired":            victim.signed(time.Now().Add(-time.Minute)),
		"another's session":  other.session(),
		"signed the same":    other.signed(time.Now().Add(time.Hour)),
		"a session by guess": name + "=" + fmt.Sprint(athlete),
	}
	lives := map[string]bool{"another's session": true, "signed the same": true}
	tried := 0
	for who, cookie := range cookies {
		for route, o := range x.document.Operations {
			if route == siteDocument || lives[who] && route == leaves {
				continue
			}
			call := api.Call{Route: route, Path: map[string]string{}, Query: map[string]string{}, Cookie: cookie, Headers: map[string]string{
				"athlete_id": fmt.Sprint(athlete), "Authorization": "Bearer " + token[:len(token)/2], "Origin": c.outputs.App,
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
			if o.Session && (status == http.StatusUnauthorized) == lives[who] {
				t.Errorf("%s: %s: %d", who, route, status)
			}
		}
	}
	t.Logf("%d calls", tried)
	if a := victim.do("GET", "/v1/me"); a.status != http.StatusOK {
		t.Errorf("whom they tried to be: %d", a.status)
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
	f := &api.Fuzzer{
		Rand: rand.New(rand.NewPCG(1, 2)), Document: x.document, Good: good, Live: caller.session(), Over: over,
		SiteURL: c.outputs.App, Victim: athlete,
		Routes: slices.DeleteFunc(slices.Sorted(maps.Keys(x.document.Operations)), func(route string) bool { return route == siteDocument }),
	}
	calls := make(chan api.Call)
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
		if call.Route == leaves && call.Cookie == f.Live {
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
