package strava

import (
	"encoding/json"
	"strconv"
	"strings"
)

// condition says whether an answer has a member and whether it is readable.
type condition int

const (
	absent condition = iota // Or null.
	readable
	unreadable
)

// number reads 12, 12.0 and "12".
type number struct {
	value     float64
	condition condition
}

// UnmarshalJSON implements [json.Unmarshaler].
func (n *number) UnmarshalJSON(b []byte) error {
	*n = number{}
	if string(b) == "null" {
		return nil
	}
	n.condition = unreadable
	if b[0] == '"' {
		b = b[1 : len(b)-1]
		if !json.Valid(b) { // ParseFloat takes more: "NaN", "Infinity", "0x1p-2".
			return nil
		}
	}
	if v, err := strconv.ParseFloat(string(b), 64); err == nil {
		*n = number{v, readable}
	}
	return nil
}

// identifier reads a positive integer, as a number or as text; 0 means that
// there is none. It refuses an exponent, since digits may have been dropped.
type identifier int64

// UnmarshalJSON implements [json.Unmarshaler].
func (i *identifier) UnmarshalJSON(b []byte) error {
	*i = 0
	whole, fraction, _ := strings.Cut(strings.Trim(string(b), `"`), ".")
	v, err := strconv.ParseInt(whole, 10, 64)
	if err == nil && v > 0 && strings.Trim(fraction, "0") == "" {
		*i = identifier(v)
	}
	return nil
}

// flag reads true, "true" and 1, false, "false" and 0.
type flag struct {
	value     bool
	condition condition
}

// UnmarshalJSON implements [json.Unmarshaler].
func (f *flag) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `null`:
		*f = flag{}
	case `true`, `"true"`, `1`:
		*f = flag{true, readable}
	case `false`, `"false"`, `0`:
		*f = flag{false, readable}
	default:
		*f = flag{false, unreadable}
	}
	return nil
}

// text reads a string. Parts of it that are not valid UTF-8 are replaced, as
// encoding/json does.
type text struct {
	value     string
	condition condition
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *text) UnmarshalJSON(b []byte) error {
	*t = text{}
	if string(b) == "null" {
		return nil
	}
	t.condition = unreadable
	if b[0] != '"' {
		return nil
	}
	if plain(b) {
		*t = text{string(b[1 : len(b)-1]), readable}
		return nil
	}
	if json.Unmarshal(b, &t.value) == nil {
		t.condition = readable
	}
	return nil
}

// plain reports whether a JSON string holds no escapes and only ASCII. Most
// strings do, and need no second decoder.
func plain(b []byte) bool {
	for _, c := range b {
		if c == '\\' || c >= 0x80 {
			return false
		}
	}
	return true
}

// owner reads the id of Strava's MetaAthlete.
type owner struct{ id identifier }

// UnmarshalJSON implements [json.Unmarshaler].
func (o *owner) UnmarshalJSON(b []byte) error {
	var athlete struct {
		ID identifier `json:"id"`
	}
	_ = json.Unmarshal(b, &athlete) // A value that is no object has no id.
	o.id = athlete.ID
	return nil
}
