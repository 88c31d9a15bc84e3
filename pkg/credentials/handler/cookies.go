package handler

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// Names of cookies without their prefix.
const (
	// sessionCookie holds a session's secret.
	sessionCookie = "paceline_session"
	// nonceCookie binds a connect to the browser that began it. The rest of its
	// name differs for each connect, so that connects in two tabs do not
	// collide.
	nonceCookie = "paceline_oauth_"
	// formCookie holds the form for the waitlist.
	formCookie = "paceline_waitlist"
)

// hostPrefix makes a browser accept a cookie only from this host over TLS, so
// that another host of the domain cannot plant one (RFC 6265bis, 4.1.3.2).
const hostPrefix = "__Host-"

// Cookies sets and reads this boundary's cookies. The zero value is for stages
// with TLS.
type Cookies struct{ plain bool }

// CookiesOf returns the cookies of a stage. Only the local cloud has no TLS.
func CookiesOf(stage string) Cookies { return Cookies{plain: stage == settings.StageLocal} }

// name returns the full name of a cookie.
func (c Cookies) name(name string) string {
	if c.plain {
		return name
	}
	return hostPrefix + name
}

// set returns a Set-Cookie header field. A life of 0 deletes the cookie.
func (c Cookies) set(name string, value secret.String, life time.Duration) string {
	maxAge := int(life / time.Second)
	if life <= 0 {
		maxAge = -1
	}
	return (&http.Cookie{
		Name: c.name(name), Value: value.Reveal(), Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: !c.plain, SameSite: http.SameSiteLaxMode,
	}).String()
}

// read returns the values of all cookies of a name, in the order in which the
// browser sent them. API Gateway passes cookies as a list; some emulators pass
// only the Cookie header field.
func (c Cookies) read(list []string, header map[string]string, name string) (values []secret.String) {
	for key, value := range cookies(list, header) {
		if key == c.name(name) && !value.Empty() {
			values = append(values, value)
		}
	}
	return values
}

// first returns the first value that read returns, or an empty one.
func (c Cookies) first(list []string, header map[string]string, name string) secret.String {
	for _, value := range c.read(list, header, name) {
		return value
	}
	return secret.String{}
}

// names returns the names with the prefix, without the stage's prefix.
func (c Cookies) names(list []string, header map[string]string, prefix string) (names []string) {
	for key := range cookies(list, header) {
		if rest, ok := strings.CutPrefix(key, c.name(prefix)); ok && !slices.Contains(names, prefix+rest) {
			names = append(names, prefix+rest)
		}
	}
	return names
}

// cookies yields all cookies of a request.
func cookies(list []string, header map[string]string) func(func(string, secret.String) bool) {
	return func(yield func(string, secret.String) bool) {
		for _, line := range append(slices.Clone(list), header["cookie"]) {
			// One by one: another application's cookie may be malformed.
			for one := range strings.SplitSeq(line, ";") {
				parsed, err := http.ParseCookie(strings.TrimSpace(one))
				if err == nil && !yield(parsed[0].Name, secret.New(parsed[0].Value)) {
					return
				}
			}
		}
	}
}
