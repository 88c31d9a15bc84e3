package openapi

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
)

// hostile are values that programs often handle wrongly.
var hostile = []string{
	"", " ", "0", "-0", "+1", "-1", "1", "2", "50", "200", "201", "007", "1.0", "1e3", "1E400", "0x10", "١", "NaN", "Infinity", "null", "true", "undefined",
	"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-62135596800", "253402300799", "253402300800", "99999999999999999999999999",
	"day", "year", "YEAR", "id", "id,name", "id,id", "id,,name", ",", "id;name", "json", "csv", "CSV",
	"' OR '1'='1", `"; DROP TABLE athletes; --`, "<script>alert(1)</script>", "{{7*7}}", "${jndi:ldap://x}", `{"$gt":""}`, `["a"]`, "../../etc/passwd", "..%2f..%2f", "%00", "%",
	"\x00", "\n\r\nSet-Cookie: a=b", "a\r\nb", "\xff\xfe", "\xed\xa0\x80", "ü", "e\u0301", "🚴", "\u202e", "\ufeff", "null\x00byte", "=1+1", "@SUM(A1)",
	"athlete#71000001", "erasure#x", "activity#1", "guard", "by-start", "__proto__", "constructor",
	strings.Repeat("a", 129), strings.Repeat("9", 400), strings.Repeat("A", 22), strings.Repeat("_", 22), strings.Repeat("=", 24), strings.Repeat("🚴", 3000),
}

// Call is a call of an operation.
type Call struct {
	// Route is the operation's key.
	Route                string
	Path, Query, Headers map[string]string
	Cookie               string
	// Key is the bearer token, if any.
	Key string
	// Body is in base64 if Base64 is set, as API Gateway passes binary bodies.
	Body   string
	Base64 bool
}

// Fuzzer generates valid and invalid calls from the document. Its random source
// determines the calls.
type Fuzzer struct {
	*rand.Rand
	Document *Document
	// Routes are the operations to call.
	Routes []string
	// Good has valid values by parameter name.
	Good map[string][]string
	// Session is the name of the session cookie. Live is the cookie of a valid
	// session, Ended that of an athlete who has left.
	Session, Live, Ended string
	// Key is a valid key of the athlete of Live, RevokedKey a revoked one.
	Key, RevokedKey string
	// Form returns a new cookie that allows one call of POST /oauth/waitlist.
	Form func() string
	// SiteURL is the origin from which writes are allowed.
	SiteURL string
	// Victim is the athlete whose data the caller must not see.
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
	case n < 6 && len(good) > 0: // A valid value with one changed byte.
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
	return f.one(hostile)
}

// Call returns the next call.
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
		c.Query[f.one(hostile)] = f.one(hostile)
	}
	if f.IntN(20) == 0 {
		c.Headers["origin"] = f.one([]string{f.SiteURL, "null", "https://evil.example", f.one(hostile)})
	}
	if f.IntN(20) == 0 {
		c.Headers["sec-fetch-site"] = f.one([]string{"same-origin", "none", "same-site", "cross-site", f.one(hostile)})
	}
	if f.IntN(20) == 0 {
		c.Headers["athlete_id"] = fmt.Sprint(f.Victim)
	}
	switch f.IntN(8) {
	case 0:
		c.Cookie = f.Session + "=" + f.one(hostile)
	case 1:
		c.Cookie = f.Ended
	case 2:
	default:
		c.Cookie = f.Live
	}
	if f.IntN(6) == 0 {
		c.Key = f.one([]string{f.Key, f.Key, f.Key, f.RevokedKey, "pck_", f.one(hostile)})
	}
	if f.endsSession(c) {
		// The session must stay valid, so let the call come from another site.
		c.Headers["origin"], c.Headers["sec-fetch-site"] = "https://evil.example", "cross-site"
	}
	field := map[string]string{"POST /oauth/waitlist": "contact", "POST /v1/me/keys": "name"}[c.Route]
	if field != "" {
		c.Headers["content-type"] = f.one([]string{"application/json", "application/json; charset=utf-8", "text/plain", f.one(hostile)})
		c.Body = f.one([]string{
			fmt.Sprintf(`{%q:%q}`, field, f.value(Parameter{Name: field})), fmt.Sprintf(`{%q:1}`, field), `{}`, `[]`, fmt.Sprintf(`{%q:`, field),
			f.one(hostile), strings.Repeat("[", 1000), fmt.Sprintf(`{"name":"a","expires_at":%q}`, f.one(hostile)),
		})
		c.Base64 = f.IntN(3) == 0
		if c.Base64 && f.IntN(2) == 0 {
			c.Body = base64.StdEncoding.EncodeToString([]byte(c.Body))
		}
	}
	if c.Route == "POST /oauth/waitlist" {
		c.Headers["origin"] = f.one([]string{f.SiteURL, f.SiteURL, f.SiteURL, f.one(hostile)})
		c.Cookie = f.one([]string{f.Form(), f.Form(), "x=n", ""})
	}
	return c
}

// endsSession reports whether the call would end the live session.
func (f *Fuzzer) endsSession(c Call) bool {
	return c.Cookie == f.Live && (c.Route == "DELETE /v1/me/sessions" || c.Route == "POST /oauth/logout")
}

// authorized reports whether the call has an identity that the operation accepts.
func (f *Fuzzer) authorized(c Call) bool {
	o := f.Document.Operations[c.Route]
	switch {
	case !o.Session:
		return true
	case c.Key != "":
		return c.Key == f.Key && o.ByKey
	}
	return c.Cookie == f.Live
}

// invalidParameter returns the first parameter with a value that the document does
// not accept.
func (f *Fuzzer) invalidParameter(c Call) (name, in string) {
	for _, p := range f.Document.Operations[c.Route].Parameters {
		values := map[string]map[string]string{"path": c.Path, "query": c.Query}[p.In]
		if value, ok := values[p.Name]; ok && !p.Accepts(value) {
			return p.Name, p.In
		}
	}
	return "", ""
}

// Judge returns an error if the call must not have this status. Operations that
// need a session or key must refuse calls without a valid one. The API must refuse
// exactly the parameters that the document does not accept. Judge accepts every
// response of the rate limit and of a server that refuses large headers.
func (f *Fuzzer) Judge(c Call, status int) error {
	if status == http.StatusTooManyRequests || status == http.StatusRequestHeaderFieldsTooLarge {
		return nil
	}
	o := f.Document.Operations[c.Route]
	var errs []error
	authorized := f.authorized(c)
	if o.Session && (status == http.StatusUnauthorized) == authorized && status != http.StatusBadRequest && status != http.StatusForbidden {
		errs = append(errs, fmt.Errorf("%s: valid session or key: %t, status %d", c.Route, authorized, status))
	}
	if o.Session && !authorized && status < http.StatusBadRequest {
		errs = append(errs, fmt.Errorf("%s succeeds without a session or key: status %d", c.Route, status))
	}
	name, in := f.invalidParameter(c)
	switch {
	case in == "query" && authorized && status != http.StatusBadRequest:
		errs = append(errs, fmt.Errorf("%s: the document does not accept %q for %s: status %d", c.Route, c.Query[name], name, status))
	case in == "path" && authorized && status != http.StatusNotFound && status != http.StatusBadRequest && status != http.StatusForbidden:
		errs = append(errs, fmt.Errorf("%s: the document does not accept %q for %s: status %d", c.Route, c.Path[name], name, status))
	case in == "" && status == http.StatusBadRequest && c.Query["cursor"] == "" && c.Body == "":
		errs = append(errs, fmt.Errorf("%s: the document accepts %q: status %d", c.Route, c.Query, status))
	}
	return errors.Join(errs...)
}
