package strava

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // A machine need not have any.
	"unicode"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
)

// Bounds of members. A number or time beyond them is left out, a longer text is
// cut.
const (
	// maxMeasure bounds measures, in Strava's units. It is far above any real
	// one, and low enough for sums to stay precise.
	maxMeasure = 1e9
	// maxSeconds bounds moving and elapsed time: ten years.
	maxSeconds = 10 * 366 * 24 * 60 * 60
	// maxOffset bounds the offset from UTC, in seconds: a day.
	maxOffset = 24 * 60 * 60
	// maxRunes bounds texts, so that no activity makes an event grow without
	// limit. Strava's own pages take 255 for a name.
	maxRunes = 500
)

// condition says whether an answer has a member and whether it is readable.
type condition int

const (
	absent condition = iota // Or null.
	readable
	unreadable
)

// The types of members below never fail to decode, whatever JSON they meet: an
// error would end the decoding of the whole answer.

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

// activity is the allow-list for Strava's SummaryActivity and DetailedActivity
// (Strava API v3 reference).
type activity struct {
	ID                 identifier `json:"id"`
	Athlete            owner      `json:"athlete"`
	Name               text       `json:"name"`
	SportType          text       `json:"sport_type"`
	Type               text       `json:"type"`
	StartDate          text       `json:"start_date"`
	StartDateLocal     text       `json:"start_date_local"`
	Timezone           text       `json:"timezone"`
	UTCOffset          number     `json:"utc_offset"`
	Distance           number     `json:"distance"`
	MovingTime         number     `json:"moving_time"`
	ElapsedTime        number     `json:"elapsed_time"`
	TotalElevationGain number     `json:"total_elevation_gain"`
	AverageSpeed       number     `json:"average_speed"`
	MaxSpeed           number     `json:"max_speed"`
	AverageHeartrate   number     `json:"average_heartrate"`
	MaxHeartrate       number     `json:"max_heartrate"`
	AverageWatts       number     `json:"average_watts"`
	Kilojoules         number     `json:"kilojoules"`
	Trainer            flag       `json:"trainer"`
	Commute            flag       `json:"commute"`
	Manual             flag       `json:"manual"`
	Private            flag       `json:"private"`
	Visibility         text       `json:"visibility"`
	DeviceName         text       `json:"device_name"`
}

// reduce returns the activity as it is published, unless its id or its start is
// unreadable. It counts the other members that are unreadable.
func (a *activity) reduce(leftOut counts) (_ gatheringv1.Activity, ok bool) {
	start, ok := parseTime(a.StartDate.value)
	if !ok || a.ID == 0 {
		return gatheringv1.Activity{}, false
	}
	start = start.UTC()
	sport := leftOut.text("sport_type", a.SportType)
	if sport == "" {
		sport = leftOut.text("type", a.Type)
	}
	timezone := leftOut.timezone("timezone", a.Timezone)
	return gatheringv1.Activity{
		ID:                 int64(a.ID),
		Name:               leftOut.text("name", a.Name),
		SportType:          sport,
		StartDate:          start.Format(time.RFC3339),
		StartDateLocal:     a.localStart(start, timezone, leftOut).Format(wallClock),
		Timezone:           timezone,
		Distance:           leftOut.measure("distance", a.Distance),
		MovingTime:         leftOut.seconds("moving_time", a.MovingTime),
		ElapsedTime:        leftOut.seconds("elapsed_time", a.ElapsedTime),
		TotalElevationGain: leftOut.measure("total_elevation_gain", a.TotalElevationGain),
		AverageSpeed:       leftOut.optional("average_speed", a.AverageSpeed),
		MaxSpeed:           leftOut.optional("max_speed", a.MaxSpeed),
		AverageHeartrate:   leftOut.optional("average_heartrate", a.AverageHeartrate),
		MaxHeartrate:       leftOut.optional("max_heartrate", a.MaxHeartrate),
		AverageWatts:       leftOut.optional("average_watts", a.AverageWatts),
		Kilojoules:         leftOut.optional("kilojoules", a.Kilojoules),
		Trainer:            leftOut.flag("trainer", a.Trainer),
		Commute:            leftOut.flag("commute", a.Commute),
		Manual:             leftOut.flag("manual", a.Manual),
		Private:            leftOut.flag("private", a.Private),
		Visibility:         leftOut.text("visibility", a.Visibility),
		DeviceName:         leftOut.text("device_name", a.DeviceName),
	}, true
}

// wallClock is the layout of a local start: Strava ends it in Z although it is
// not UTC.
const wallClock = "2006-01-02T15:04:05Z"

// localStart returns the wall clock at the start: as Strava sent it, or else as
// its time zone or its offset from UTC makes it, or else the start itself.
func (a *activity) localStart(start time.Time, timezone string, leftOut counts) time.Time {
	if local, ok := parseTime(a.StartDateLocal.value); ok {
		return local
	}
	leftOut.unless(a.StartDateLocal.condition == absent, "start_date_local")
	local := start
	if location, ok := location(timezone); ok {
		local = start.In(location)
	} else if offset, ok := leftOut.number("utc_offset", a.UTCOffset, -maxOffset, maxOffset); ok {
		local = start.Add(time.Duration(offset) * time.Second)
	}
	if !inRange(local) {
		return start
	}
	return local
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

// webURL returns a URL that a browser may fetch. Strava sends a relative one for
// an athlete without a picture.
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

// byteOrderMark has been seen before JSON, though RFC 8259 forbids it.
const byteOrderMark = "\ufeff"

var errNoPage = errors.New("the page is not a list of activities")

// decodePage reads a page of at most perPage activities of an athlete. Errors
// say that the page makes no sense as a whole, and nothing of its content: it is
// not a list of activities, holds more of them than perPage, or one of another
// athlete.
func decodePage(body string, athleteID int64, perPage int) (gathering.Page, error) {
	// One entry at a time, so that a page of nonsense costs no more than a good
	// one.
	decoder := json.NewDecoder(strings.NewReader(strings.TrimPrefix(body, byteOrderMark)))
	if token, err := decoder.Token(); err != nil || token != json.Delim('[') {
		return gathering.Page{}, errNoPage
	}
	leftOut := counts{}
	page := gathering.Page{LeftOut: leftOut}
	for ; decoder.More(); page.Sent++ {
		if page.Sent == perPage {
			return gathering.Page{}, fmt.Errorf("the page holds more than the %d activities asked for", perPage)
		}
		var a *activity
		if err := decoder.Decode(&a); err != nil || a == nil {
			return gathering.Page{}, errNoPage
		}
		if a.Athlete.id != 0 && int64(a.Athlete.id) != athleteID {
			return gathering.Page{}, errors.New("the page holds an activity of another athlete")
		}
		if reduced, ok := a.reduce(leftOut); ok {
			page.Activities = append(page.Activities, reduced)
		} else {
			page.Unreadable = append(page.Unreadable, page.Sent)
		}
	}
	if _, err := decoder.Token(); err != nil {
		return gathering.Page{}, errNoPage
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return gathering.Page{}, errNoPage
	}
	return page, nil
}

// decodeActivity reads one activity and whose it is: 0 when that is unreadable.
// leftOut counts, by Strava's name, the members that were left out. The error
// says nothing of the content.
func decodeActivity(body []byte) (_ gatheringv1.Activity, athleteID int64, leftOut map[string]int, _ error) {
	a, err := decodeObject[activity](body)
	if err != nil {
		return gatheringv1.Activity{}, 0, nil, fmt.Errorf("decode an activity: %w", err)
	}
	count := counts{}
	reduced, ok := a.reduce(count)
	if !ok {
		return gatheringv1.Activity{}, 0, nil, errors.New("the activity has no readable id or start")
	}
	return reduced, int64(a.Athlete.id), count, nil
}

// athlete is the allow-list for Strava's SummaryAthlete and DetailedAthlete
// (Strava API v3 reference).
type athlete struct {
	ID            identifier `json:"id"`
	Username      text       `json:"username"`
	Firstname     text       `json:"firstname"`
	Lastname      text       `json:"lastname"`
	ProfileMedium text       `json:"profile_medium"`
	Profile       text       `json:"profile"`
	CreatedAt     text       `json:"created_at"`
}

// decodeAthlete reads a profile. leftOut counts, by Strava's name, the members
// that were left out. The error says nothing of the content.
func decodeAthlete(body []byte) (_ gatheringv1.Athlete, leftOut map[string]int, _ error) {
	a, err := decodeObject[athlete](body)
	if err != nil {
		return gatheringv1.Athlete{}, nil, fmt.Errorf("decode an athlete: %w", err)
	}
	if a.ID == 0 {
		return gatheringv1.Athlete{}, nil, errors.New("the athlete has no readable id")
	}
	count := counts{}
	return gatheringv1.Athlete{
		ID:            int64(a.ID),
		Username:      count.text("username", a.Username),
		Firstname:     count.text("firstname", a.Firstname),
		Lastname:      count.text("lastname", a.Lastname),
		ProfileMedium: count.webURL("profile_medium", a.ProfileMedium),
		Profile:       count.webURL("profile", a.Profile),
		CreatedAt:     count.time("created_at", a.CreatedAt),
	}, count, nil
}

// decodeObject reads a JSON object whose members cannot fail to decode.
func decodeObject[T any](body []byte) (*T, error) {
	var object *T
	if json.Unmarshal([]byte(strings.TrimPrefix(string(body), byteOrderMark)), &object) != nil || object == nil {
		return nil, errors.New("the answer is not a JSON object")
	}
	return object, nil
}
