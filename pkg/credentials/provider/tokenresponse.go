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

// tokenResponse has the members of a token endpoint's response by their exact
// names. Each is read on its own, because a refresh token that is not saved may
// be the only valid one.
type tokenResponse map[string]json.RawMessage

// tokenMember matches a token in a body that is not valid JSON as a whole.
var tokenMember = regexp.MustCompile(`"(access_token|refresh_token)"\s*:\s*("(?:[^"\\]|\\.)*")`)

// readTokenResponse returns the readable members of a body. Of an object that
// is not valid JSON as a whole, because of a bare NaN for example, it returns
// the tokens. Of anything else, such as a page, it returns none.
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

// text returns a member that is a string; empty if it is not.
func (a tokenResponse) text(name string) string { return text(a[name]) }

func text(value json.RawMessage) string {
	var s string
	_ = json.Unmarshal(value, &s)
	return s
}

// number returns a member that is a number, or a number in a string; 0 if it is
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
	// maxTTL is the longest plausible life of an access token. Strava's live for 6
	// hours, Fitbit's for 8.
	maxTTL = 365 * 24 * time.Hour
	// unknownTTL is how long an access token without a known expiry is used before
	// it is due for renewal. With a shorter time every call would refresh.
	unknownTTL = 5 * time.Minute
)

// expiry returns when the access token expires. It was requested at asked, and
// is due for renewal margin before it expires.
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

// scopes returns the scopes that the response names, in a string or in a list.
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

// identifier returns a string as it is, and a whole number such as 7 or 7.0 as
// its digits, because a float64 cannot hold all of them. It is empty for
// anything else.
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
