package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sessionCookie is the name of the cookie with the session.
const sessionCookie = "__Host-paceline_session"

// keyPrefix begins every key.
const keyPrefix = "pck_"

// patience is how long a browser waits for an answer.
const patience = 40 * time.Second

// browser is a browser, or without cookies another HTTP client.
type browser struct {
	w   *world
	jar []*http.Cookie
	// signedOut is set once the site has refused the session: its page then offers
	// to connect.
	signedOut bool
	// tags are the entity tags of pages, by address.
	tags map[string]string
}

func (w *world) newBrowser() *browser { return &browser{w: w, tags: map[string]string{}} }

// page is an answer. Its status is 0 if none came.
type page struct {
	status int
	header http.Header
	body   []byte
}

// location returns where the answer redirects to.
func (p page) location() *url.URL {
	u, err := url.Parse(p.header.Get("Location"))
	if err != nil || p.status != http.StatusFound {
		return &url.URL{}
	}
	return u
}

// read decodes the answer into v, if it is JSON.
func (p page) read(v any) { _ = json.Unmarshal(p.body, v) }

// get opens an address.
func (b *browser) get(address string, header ...string) page {
	return b.send(http.MethodGet, address, nil, header...)
}

// send sends a request: to the site, if the address is a path. header has names and
// values by turns.
func (b *browser) send(method, address string, body []byte, header ...string) page {
	if strings.HasPrefix(address, "/") {
		address = siteURL + address
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		panic(err) // Addresses are the world's own.
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if r.URL.Host != host(siteURL) {
		return b.visit(r)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if method != http.MethodGet {
		r.Header.Set("Origin", siteURL)
	}
	if r.Header.Get("Sec-Fetch-Site") == "" {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return b.ask(r)
}

// visit opens a page of a provider.
func (b *browser) visit(r *http.Request) page {
	b.w.k.pause(50*time.Millisecond + b.w.latency())
	res, err := b.w.hosts[r.URL.Host].RoundTrip(r)
	return b.receive(res, err)
}

// ask sends a request to the system, and keeps what the answer says about the
// session.
func (b *browser) ask(r *http.Request) page {
	b.addCookies(r)
	if session := b.session(); strings.HasPrefix(r.URL.Path, "/oauth/callback") || strings.HasPrefix(r.URL.Path, "/oauth/logout") {
		b.w.people.mayEnd(func(i *issued) bool { return i.secret == session }) // A new session replaces it.
	}
	viewer := viewerOf(r)
	res, err := b.w.request(r)
	p := b.receive(res, err)
	if p.status == 0 {
		return p
	}
	b.w.answered(viewer, r.URL.RequestURI(), p.status, p.body)
	if p.status == http.StatusUnauthorized {
		b.signedOut = true
	}
	b.keepCookies(res)
	return p
}

func (b *browser) receive(res *http.Response, err error) page {
	if err != nil {
		return page{}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return page{}
	}
	return page{res.StatusCode, res.Header, body}
}

// viewerOf returns the athlete whose session or key a request has, 0 for none.
func viewerOf(r *http.Request) int64 {
	if key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return ownerOf(strings.TrimPrefix(key, keyPrefix))
	}
	if c, err := r.Cookie(sessionCookie); err == nil {
		return ownerOf(c.Value)
	}
	return 0
}

// ownerOf returns the athlete whom a secret names.
func ownerOf(secret string) int64 {
	id, _, _ := strings.Cut(secret, "_")
	n, _ := strconv.ParseInt(id, 10, 64) // No athlete has the id 0.
	return n
}

// session returns the secret of the browser's session; empty if it has none.
func (b *browser) session() string {
	for _, c := range b.jar {
		if c.Name == sessionCookie && c.Expires.After(time.Now()) {
			return c.Value
		}
	}
	return ""
}

// signedInAs reports whether the browser shows the pages of an athlete.
func (b *browser) signedInAs(athlete int64) bool {
	return !b.signedOut && ownerOf(b.session()) == athlete
}

func (b *browser) addCookies(r *http.Request) {
	for _, c := range b.jar {
		if c.Expires.After(time.Now()) {
			r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
		}
	}
}

// keepCookies stores the cookies of an answer as browsers do: one with the prefix
// __Host- only if it is for this host alone (RFC 6265bis, 4.1.3.2).
func (b *browser) keepCookies(res *http.Response) {
	for _, c := range res.Cookies() {
		if strings.HasPrefix(c.Name, "__Host-") && (!c.Secure || c.Path != "/" || c.Domain != "") {
			continue
		}
		b.jar = slices.DeleteFunc(b.jar, func(old *http.Cookie) bool { return old.Name == c.Name })
		if c.MaxAge < 0 || c.Value == "" {
			continue
		}
		c.Expires = time.Now().Add(time.Duration(c.MaxAge) * time.Second)
		b.jar = append(b.jar, c)
		if c.Name == sessionCookie {
			b.signedOut = false
			b.w.people.given(c.Value, false, time.Now().Add(7*day))
		}
	}
}
