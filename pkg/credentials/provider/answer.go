package provider

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// tokenResponse is the answer of a token endpoint: its members by their exact
// names. Each is read on its own, because a refresh token that we fail to keep
// may be the only one that is valid.
type tokenResponse map[string]json.RawMessage

// tokenMember finds a token in a body that is no JSON as a whole.
var tokenMember = regexp.MustCompile(`"(access_token|refresh_token)"\s*:\s*("(?:[^"\\]|\\.)*")`)

// readTokenResponse returns what is readable of a body. Of an object that is no
// JSON as a whole, because of a bare NaN for example, that is the tokens. Of
// anything else, such as a page, it is nothing.
func readTokenResponse(body []byte) tokenResponse {
	var a tokenResponse
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	if json.Unmarshal(body, &a) == nil || !bytes.HasPrefix(body, []byte("{")) {
		return a
	}
	a = tokenResponse{}
	for _, m := range tokenMember.FindAllSubmatch(body, -1) {
		a[string(m[1])] = m[2]
	}
	return a
}

// text returns a member that is a text; empty if it is none.
func (a tokenResponse) text(name string) string { return text(a[name]) }

func text(value json.RawMessage) string {
	var s string
	_ = json.Unmarshal(value, &s)
	return s
}

// number returns a member that is a number, or a number as a text; 0 if it is
// neither.
func (a tokenResponse) number(name string) float64 {
	digits := a.text(name)
	if digits == "" {
		digits = string(a[name])
	}
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil { // Also of a number that is out of range.
		return 0
	}
	return v
}

const (
	// maxTTL is the longest life of an access token that we believe. Strava's live
	// for 6 hours, Fitbit's for 8.
	maxTTL = 365 * 24 * time.Hour
	// unknownTTL is how long an access token is used that does not say how long it
	// lives, before it is due for renewal. A shorter one would have every call
	// refresh.
	unknownTTL = 5 * time.Minute
)

// expiry returns when the access token expires that was asked for at asked, and
// is due for renewal margin before.
func (a tokenResponse) expiry(asked time.Time, margin time.Duration) time.Time {
	for _, seconds := range []float64{
		a.number("expires_in"),
		a.number("expires_at") - float64(asked.Unix()), // Unix s
	} {
		if 0 < seconds && seconds <= maxTTL.Seconds() { // NaN is not.
			return asked.Add(time.Duration(seconds) * time.Second)
		}
	}
	return asked.Add(margin + unknownTTL)
}

// scopes returns the scopes that the answer names, in a text or in a list.
func (a tokenResponse) scopes() (scopes []string) {
	var texts []json.RawMessage
	if json.Unmarshal(a["scope"], &texts) != nil {
		texts = []json.RawMessage{a["scope"]}
	}
	for _, t := range texts {
		scopes = append(scopes, strings.FieldsFunc(text(t), func(r rune) bool { return r == ',' || unicode.IsSpace(r) })...)
	}
	return scopes
}

// identifier returns a text as it is, and a whole number such as 7 or 7.0 as its
// digits, since a float64 cannot hold all of them. It is empty for anything else.
func identifier(value json.RawMessage) string {
	if s := text(value); s != "" {
		return s
	}
	whole, fraction, _ := strings.Cut(string(value), ".")
	if strings.Trim(whole, "0123456789") != "" || strings.Trim(fraction, "0") != "" {
		return ""
	}
	return whole
}
