package api_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/paceline/paceline/test/api"
)

// fuzzed is how many requests TestFuzz sends.
const fuzzed = 10_000

// nasty are values that somebody, somewhere, did not expect.
var nasty = []string{
	"", " ", "0", "-0", "+1", "-1", "1", "2", "50", "200", "201", "007", "1.0", "1e3", "1E400", "0x10", "١", "NaN", "Infinity", "null", "true", "undefined",
	"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-62135596800", "253402300799", "253402300800", "99999999999999999999999999",
	"day", "year", "YEAR", "id", "id,name", "id,id", "id,,name", ",", "id;name", "json", "csv", "CSV",
	"' OR '1'='1", `"; DROP TABLE athletes; --`, "<script>alert(1)</script>", "{{7*7}}", "${jndi:ldap://x}", `{"$gt":""}`, `["a"]`, "../../etc/passwd", "..%2f..%2f", "%00", "%",
	"\x00", "\n\r\nSet-Cookie: a=b", "a\r\nb", "\xff\xfe", "\xed\xa0\x80", "ü", "e\u0301", "🚴", "\u202e", "\ufeff", "null\x00byte", "=1+1", "@SUM(A1)",
	"athlete#71000001", "erasure#x", "activity#1", "authorization", "by-start", "__proto__", "constructor",
	strings.Repeat("a", 129), strings.Repeat("9", 400), strings.Repeat("A", 22), strings.Repeat("_", 22), strings.Repeat("=", 24), strings.Repeat("🚴", 3000),
}

// fuzzer makes requests, as many good as bad ones, from a seed.
type fuzzer struct {
	*rand.Rand
	s     *system
	good  map[string][]string
	known []string
	// bobs and eves are the cookies of their sessions.
	bobs, eves string
}

func (f *fuzzer) one(of []string) string { return of[f.IntN(len(of))] }

func (f *fuzzer) value(p api.Parameter) string {
	if edges := p.Edges(); len(edges) > 0 && f.IntN(4) == 0 {
		return f.one(edges)
	}
	good := f.good[p.Name]
	switch n := f.IntN(10); {
	case n < 5 && len(good) > 0:
		return f.one(good)
	case n < 6 && len(good) > 0: // A good one gone bad.
		b := []byte(f.one(good))
		if len(b) > 0 {
			b[f.IntN(len(b))] = byte(f.IntN(256))
		}
		return string(b)
	case n < 7:
		b := make([]byte, f.IntN(40))
		for i := range b {
			b[i] = byte(f.IntN(256))
		}
		return string(b)
	case n < 8:
		return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%16d", f.Int64()))
	case n < 9:
		return fmt.Sprint(f.Int64() >> f.IntN(64))
	}
	return f.one(nasty)
}

func (f *fuzzer) call() call {
	c := call{route: f.one(f.known), path: map[string]string{}, query: map[string]string{}, headers: map[string]string{}}
	for _, p := range f.s.document.Operations[c.route].Parameters {
		switch {
		case p.In == "path":
			c.path[p.Name] = f.value(p)
		case p.In == "query" && f.IntN(3) == 0:
			c.query[p.Name] = f.value(p)
		case p.In == "header" && f.IntN(3) == 0:
			c.headers[p.Name] = f.value(p)
		}
	}
	if f.IntN(20) == 0 {
		c.query[f.one(nasty)] = f.one(nasty)
	}
	if f.IntN(20) == 0 {
		c.headers["origin"] = f.one([]string{siteURL, "null", "https://evil.example", f.one(nasty)})
	}
	if f.IntN(20) == 0 {
		c.headers["sec-fetch-site"] = f.one([]string{"same-origin", "none", "same-site", "cross-site", f.one(nasty)})
	}
	if f.IntN(20) == 0 {
		c.headers["athlete_id"] = fmt.Sprint(ada)
	}
	switch f.IntN(8) {
	case 0:
		c.cookie = "paceline_session=" + f.one(nasty)
	case 1:
		c.cookie = f.eves
	case 2:
	default:
		c.cookie = f.bobs
	}
	if strings.HasPrefix(c.route, "POST /oauth/waitlist") {
		c.headers["content-type"] = f.one([]string{"application/json", "application/json; charset=utf-8", "text/plain", f.one(nasty)})
		c.headers["origin"] = f.one([]string{siteURL, siteURL, siteURL, f.one(nasty)})
		c.cookie = f.one([]string{"paceline_oauth=n", "paceline_oauth=n", ""})
		c.body = f.one([]string{
			fmt.Sprintf(`{"contact":%q}`, f.value(api.Parameter{Name: "contact"})), `{"contact":1}`, `{}`, `[]`, `{"contact":`, f.one(nasty), strings.Repeat("[", 1000),
		})
		c.base64 = f.IntN(3) == 0
		if c.base64 && f.IntN(2) == 0 {
			c.body = base64.StdEncoding.EncodeToString([]byte(c.body))
		}
	}
	return c
}

// refusedByDocument names a parameter that the document does not take.
func refusedByDocument(o api.Operation, c call) (name, in string) {
	for _, p := range o.Parameters {
		values := map[string]map[string]string{"path": c.path, "query": c.query}[p.In]
		if value, given := values[p.Name]; given && !p.Takes(value) {
			return p.Name, p.In
		}
	}
	return "", ""
}

// TestFuzz sends requests made after the document, good and bad. Every answer is
// as described, none is a 5xx or tells of another; what the document does not
// take is refused, and what it takes is not.
func TestFuzz(t *testing.T) {
	s := newSystem(t)
	f := &fuzzer{Rand: rand.New(rand.NewPCG(1, 2)), s: s, good: anothers(t, s), bobs: s.session(bob), eves: s.session(eve)}
	f.known = slices.DeleteFunc(slices.Sorted(maps.Keys(s.document.Operations)), func(route string) bool { return route == document })
	maps.Copy(f.good, map[string][]string{
		"id": {fmt.Sprint(bob * 100), fmt.Sprint(bob*100 + 7)}, "limit": {"1", "7", "50", "200"}, "by": {"day", "week", "month", "year"},
		"after": {"0", "1767225600", "-86400"}, "before": {"1767225600", "1795176000", "0"}, "contact": {"a@example.org", "b@example.org"},
		"q": {"mark", "MARK", "7"}, "fields": {"id", "id,name", "firstname", "distance,id"},
		"If-None-Match": {"*", `"x"`}, "receipt": {receiptOf(eve)},
	})
	f.good["sport_type"] = []string{"Run", "Ride", ""}
	statuses := map[int]int{}
	for range fuzzed {
		c := f.call()
		req, res := s.send(c)
		statuses[res.StatusCode]++
		s.expectNothingOfAda("fuzz", req, res)
		o := s.document.Operations[c.route]
		if o.Session && (res.StatusCode == http.StatusUnauthorized) != (c.cookie != f.bobs) && res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusForbidden {
			t.Errorf("%s by %q: %d", c.route, c.cookie, res.StatusCode)
		}
		name, in := refusedByDocument(o, c)
		live := !o.Session || c.cookie == f.bobs
		switch {
		case in == "query" && live && res.StatusCode != http.StatusBadRequest:
			t.Errorf("%s: the document does not take %q for %s: %d", c.route, c.query[name], name, res.StatusCode)
		case in == "path" && live && res.StatusCode != http.StatusNotFound && res.StatusCode != http.StatusBadRequest:
			t.Errorf("%s: the document does not take %q for %s: %d", c.route, c.path[name], name, res.StatusCode)
		case in == "" && res.StatusCode == http.StatusBadRequest && c.query["cursor"] == "" && c.body == "":
			t.Errorf("%s: the document takes %q, but: %s", c.route, c.query, res.Body)
		}
		if t.Failed() {
			t.Fatalf("%+v", c)
		}
	}
	t.Log(statuses)
	for _, status := range []int{200, 202, 204, 302, 304, 400, 401, 403, 404, 413, 415, 429} {
		if statuses[status] == 0 {
			t.Errorf("not one answer of %d", status)
		}
	}
}
