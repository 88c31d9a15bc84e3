package strava

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
)

// decimal is a number that has a decimal point in JSON even if it is whole, as
// Strava writes some of its integers: 474287.0.
type decimal float64

// MarshalJSON implements json.Marshaler.
func (d decimal) MarshalJSON() ([]byte, error) { return appendDecimal(nil, float64(d)), nil }

func appendDecimal(b []byte, v float64) []byte {
	if v == math.Trunc(v) {
		return strconv.AppendFloat(b, v, 'f', 1, 64)
	}
	return strconv.AppendFloat(b, v, 'f', -1, 64)
}

// member is one name and value of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// setMembers returns object with the members set, or removed if the value is nil.
// The other members keep their bytes and their order.
func setMembers(object []byte, changes ...member) []byte {
	members := objectMembers(object)
	for _, c := range changes {
		i := slices.IndexFunc(members, func(m member) bool { return m.name == c.name })
		switch {
		case c.value == nil && i >= 0:
			members = slices.Delete(members, i, i+1)
		case c.value == nil:
		case i >= 0:
			members[i] = c
		default:
			members = append(members, c)
		}
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(m.name))
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func objectMembers(object []byte) []member {
	d := json.NewDecoder(bytes.NewReader(object))
	var members []member
	_, err := d.Token() // {
	for err == nil && d.More() {
		var name json.Token
		var m member
		if name, err = d.Token(); err == nil {
			m.name = name.(string)
			err = d.Decode(&m.value)
		}
		members = append(members, m)
	}
	if err != nil {
		panic(err) // activities were decoded when they were added
	}
	return members
}

// quote returns s as a JSON string without escaping HTML, as Strava does.
func quote(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // a string can always be encoded
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// objectWriter writes a JSON object member by member. Names need no escaping.
type objectWriter struct{ b []byte }

func (o *objectWriter) raw(name, value string) {
	open := byte(',')
	if len(o.b) == 0 {
		open = '{'
	}
	o.b = append(o.b, open, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
	o.b = append(o.b, value...)
}

func (o *objectWriter) text(name, value string)        { o.raw(name, string(quote(value))) }
func (o *objectWriter) boolean(name string, v bool)    { o.raw(name, strconv.FormatBool(v)) }
func (o *objectWriter) decimal(name string, v float64) { o.raw(name, string(appendDecimal(nil, v))) }
func (o *objectWriter) end() []byte                    { return append(o.b, '}') }

func (o *objectWriter) integer(name string, v int, withPoint bool) {
	if withPoint {
		o.decimal(name, float64(v))
		return
	}
	o.raw(name, strconv.Itoa(v))
}
