package openapi

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
)

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

// Call is one call of an operation.
type Call struct {
	// Route is the operation's key.
	Route                string
	Path, Query, Headers map[string]string
	Cookie               string
	// Key is the bearer token, if any.
	Key string
	// Body is in base64 if Base64, as API Gateway hands on what is no text.
	Body   string
	Base64 bool
}

// Fuzzer makes calls after the document, as many good as bad ones, from a seed.
type Fuzzer struct {
	*rand.Rand
	Document *Document
	// Routes are the operations to call.
	Routes []string
	// Good are values that parameters take, by the parameters' names.
	Good map[string][]string
	// Session is the name of the session's cookie. Live is the cookie of a session,
	// Over one of an athlete who has left.
	Session, Live, Over string
	// Key is a key of the same athlete as Live, DeadKey one that was revoked.
	Key, DeadKey string
	// Form makes a cookie with a form for the waiting list.
	Form func() string
	// SiteURL is the origin that changes may come from.
	SiteURL string
	// Victim is whose data the caller may not see.
	Victim int64
}

func (f *Fuzzer) one(of []string) string { return of[f.IntN(len(of))] }

func (f *Fuzzer) value(p Parameter) string {
	if edges := p.Edges(); len(edges) > 0 && f.IntN(4) == 0 {
		return f.one(edges)
	}
	good := f.Good[p.Name]
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

// Call makes the next call.
func (f *Fuzzer) Call() Call {
	c := Call{Route: f.one(f.Routes), Path: map[string]string{}, Query: map[string]string{}, Headers: map[string]string{}}
	for _, p := range f.Document.Operations[c.Route].Parameters {
		switch {
		case p.In == "path":
			c.Path[p.Name] = f.value(p)
		case p.In == "query" && f.IntN(3) == 0:
			c.Query[p.Name] = f.value(p)
		case p.In == "header" && f.IntN(3) == 0:
			c.Headers[p.Name] = f.value(p)
		}
	}
	if f.IntN(20) == 0 {
		c.Query[f.one(nasty)] = f.one(nasty)
	}
	if f.IntN(20) == 0 {
		c.Headers["origin"] = f.one([]string{f.SiteURL, "null", "https://evil.example", f.one(nasty)})
	}
	if f.IntN(20) == 0 {
		c.Headers["sec-fetch-site"] = f.one([]string{"same-origin", "none", "same-site", "cross-site", f.one(nasty)})
	}
	if f.IntN(20) == 0 {
		c.Headers["athlete_id"] = fmt.Sprint(f.Victim)
	}
	switch f.IntN(8) {
	case 0:
		c.Cookie = f.Session + "=" + f.one(nasty)
	case 1:
		c.Cookie = f.Over
	case 2:
	default:
		c.Cookie = f.Live
	}
	if f.IntN(6) == 0 {
		c.Key = f.one([]string{f.Key, f.Key, f.Key, f.DeadKey, "pck_", f.one(nasty)})
	}
	if f.ends(c) {
		// The caller is to stay: another site's page wants to log them out.
		c.Headers["origin"], c.Headers["sec-fetch-site"] = "https://evil.example", "cross-site"
	}
	field := map[string]string{"POST /oauth/waitlist": "contact", "POST /v1/me/keys": "name"}[c.Route]
	if field != "" {
		c.Headers["content-type"] = f.one([]string{"application/json", "application/json; charset=utf-8", "text/plain", f.one(nasty)})
		c.Body = f.one([]string{
			fmt.Sprintf(`{%q:%q}`, field, f.value(Parameter{Name: field})), fmt.Sprintf(`{%q:1}`, field), `{}`, `[]`, fmt.Sprintf(`{%q:`, field),
			f.one(nasty), strings.Repeat("[", 1000), fmt.Sprintf(`{"name":"a","expires_at":%q}`, f.one(nasty)),
		})
		c.Base64 = f.IntN(3) == 0
		if c.Base64 && f.IntN(2) == 0 {
			c.Body = base64.StdEncoding.EncodeToString([]byte(c.Body))
		}
	}
	if c.Route == "POST /oauth/waitlist" {
		c.Headers["origin"] = f.one([]string{f.SiteURL, f.SiteURL, f.SiteURL, f.one(nasty)})
		c.Cookie = f.one([]string{f.Form(), f.Form(), "x=n", ""})
	}
	return c
}

// ends reports whether the call would end the live session, if it were let.
func (f *Fuzzer) ends(c Call) bool {
	return c.Cookie == f.Live && (c.Route == "DELETE /v1/me/sessions" || c.Route == "POST /oauth/logout")
}

// live reports whether the call has an identity that opens the operation.
func (f *Fuzzer) live(c Call) bool {
	o := f.Document.Operations[c.Route]
	switch {
	case !o.Session:
		return true
	case c.Key != "":
		return c.Key == f.Key && o.ByKey
	}
	return c.Cookie == f.Live
}

// refused names a parameter that the document does not take.
func (f *Fuzzer) refused(c Call) (name, in string) {
	for _, p := range f.Document.Operations[c.Route].Parameters {
		values := map[string]map[string]string{"path": c.Path, "query": c.Query}[p.In]
		if value, given := values[p.Name]; given && !p.Takes(value) {
			return p.Name, p.In
		}
	}
	return "", ""
}

// Judge tells whether the status is one that the call may lead to: only a
// live session or key opens what needs one, what the document does not take is refused, and
// what it takes is not. A call that comes too soon is not looked at, nor
// one whose head is too large for the server before us.
func (f *Fuzzer) Judge(c Call, status int) error {
	if status == http.StatusTooManyRequests || status == http.StatusRequestHeaderFieldsTooLarge {
		return nil
	}
	o := f.Document.Operations[c.Route]
	var errs []error
	live := f.live(c)
	if o.Session && (status == http.StatusUnauthorized) == live && status != http.StatusBadRequest && status != http.StatusForbidden {
		errs = append(errs, fmt.Errorf("%s by a live session or key (%t): %d", c.Route, live, status))
	}
	if o.Session && !live && status < http.StatusBadRequest {
		errs = append(errs, fmt.Errorf("%s is open: %d", c.Route, status))
	}
	name, in := f.refused(c)
	switch {
	case in == "query" && live && status != http.StatusBadRequest:
		errs = append(errs, fmt.Errorf("%s: the document does not take %q for %s: %d", c.Route, c.Query[name], name, status))
	case in == "path" && live && status != http.StatusNotFound && status != http.StatusBadRequest && status != http.StatusForbidden:
		errs = append(errs, fmt.Errorf("%s: the document does not take %q for %s: %d", c.Route, c.Path[name], name, status))
	case in == "" && status == http.StatusBadRequest && c.Query["cursor"] == "" && c.Body == "":
		errs = append(errs, fmt.Errorf("%s: the document takes %q, but: %d", c.Route, c.Query, status))
	}
	return errors.Join(errs...)
}
