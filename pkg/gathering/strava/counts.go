package strava

import (
	"math"
	"net/url"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // The machine may have no time zones.
	"unicode"
)

// counts counts unreadable members by Strava's name. Its methods return a
// member's value, or count it and return the zero value.
type counts map[string]int

func (c counts) unless(ok bool, name string) {
	if !ok {
		c[name]++
	}
}

func (c counts) number(name string, n number, least, most float64) (_ float64, ok bool) {
	if n.condition == absent {
		return 0, false
	}
	ok = n.condition == readable && least <= n.value && n.value <= most
	c.unless(ok, name)
	return n.value, ok
}

func (c counts) optional(name string, n number) *float64 {
	v, ok := c.number(name, n, 0, maxMeasure)
	if !ok {
		return nil
	}
	return &v
}

func (c counts) measure(name string, n number) float64 {
	v, ok := c.number(name, n, 0, maxMeasure)
	if !ok {
		return 0
	}
	return v
}

func (c counts) seconds(name string, n number) int64 {
	v, ok := c.number(name, n, 0, maxSeconds)
	if !ok {
		return 0
	}
	return int64(math.Round(v))
}

func (c counts) flag(name string, f flag) bool {
	c.unless(f.condition != unreadable, name)
	return f.value
}

func (c counts) text(name string, t text) string {
	c.unless(t.condition != unreadable, name)
	return printable(t.value)
}

// timezone drops the "(GMT-05:00) " that Strava puts before the IANA name.
func (c counts) timezone(name string, t text) string {
	iana := t.value
	if _, after, ok := strings.Cut(iana, ") "); ok && strings.HasPrefix(iana, "(") {
		iana = after
	}
	if _, ok := location(iana); ok {
		return iana
	}
	c.unless(t.condition == absent, name)
	return ""
}

// webURL returns a URL that a browser may fetch. Strava sends a relative one
// for an athlete without a picture.
func (c counts) webURL(name string, t text) string {
	u, err := url.Parse(t.value)
	if err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && printable(t.value) == t.value {
		return t.value
	}
	c.unless(t.condition == absent, name)
	return ""
}

func (c counts) time(name string, t text) string {
	if at, ok := parseTime(t.value); ok {
		return at.UTC().Format(time.RFC3339)
	}
	c.unless(t.condition == absent, name)
	return ""
}

// printable drops control characters and those that change the direction of the
// text around them, and cuts s after maxRunes.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return -1
		}
		return r
	}, s)
	if len(s) <= maxRunes {
		return s // There are no more runes than bytes.
	}
	runes := 0
	for i := range s {
		if runes == maxRunes {
			return s[:i]
		}
		runes++
	}
	return s
}

// parseTime reads a time of the years that RFC 3339 can write, in UTC and by
// its own wall clock.
func parseTime(s string) (_ time.Time, ok bool) {
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil && inRange(t) && inRange(t.UTC())
}

func inRange(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9999 }

// locations caches time zones, because loading one is slow. It cannot grow
// beyond the IANA names.
var locations sync.Map

// location returns the time zone of an IANA name.
func location(name string) (_ *time.Location, ok bool) {
	if known, ok := locations.Load(name); ok {
		return known.(*time.Location), true
	}
	if name == "" || name == "Local" { // Go's own names for UTC and this machine's zone.
		return nil, false
	}
	loaded, err := time.LoadLocation(name)
	if err != nil {
		return nil, false
	}
	locations.Store(name, loaded)
	return loaded, true
}
