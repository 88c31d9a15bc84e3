package strava

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// facts are the properties of an activity that its encoding depends on.
type facts struct {
	id, athlete    int64
	name           string
	sport          sport
	start          time.Time
	zone           zone
	distance, gain float64 // metres
	moving         int     // seconds
	elapsed        int     // seconds
	visibility     string
	workoutType    string // JSON, or "" for none
	device         string // "" for none
	manual         bool
	trainer        bool
	commute        bool
	gps            bool
	heart          bool
	power          bool
	hiddenStart    bool // the athlete hides the time of day
	floats         bool // whole numbers have a decimal point
}

// activity encodes f with the fields, their order and their types as recorded
// from Strava. The values of sensors come from src.
func (f facts) activity(src rand.Source) activity {
	if f.hiddenStart {
		// Strava shows midnight and one second (Strava, Changelog 2024-07-03).
		local := f.start.In(f.zone.location)
		f.start = time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 1, 0, f.zone.location)
	}
	e := encoder{facts: f, rng: rand.New(src), objectWriter: objectWriter{b: make([]byte, 0, 1800)}}
	place := e.place()
	e.effort()
	e.time()
	e.counts()
	e.raw("map", `{"id":"a`+strconv.FormatInt(f.id, 10)+`","summary_polyline":"`+place.polyline+`","resource_state":2}`)
	e.circumstances()
	e.raw("start_latlng", place.start)
	e.raw("end_latlng", place.end)
	e.sensors()
	e.upload()
	e.rest()
	return activity{id: f.id, start: f.start.Unix(), visibility: f.visibility, raw: e.end()}
}

// encoder writes an activity. The order of its calls is the order of the fields,
// and of the random numbers.
type encoder struct {
	facts
	rng *rand.Rand
	objectWriter
}

// place is where an activity was, in JSON.
type place struct{ polyline, start, end string }

func (e *encoder) place() place {
	if !e.gps {
		return place{"", "[]", "[]"}
	}
	point := func() string {
		return fmt.Sprintf("[%.6f,%.6f]", -0.7-0.0999*e.rng.Float64(), -30.5-0.0999*e.rng.Float64())
	}
	polyline := SyntheticPolyline + scribble(e.rng, 60+e.rng.IntN(240))
	return place{polyline, point(), point()}
}

func (e *encoder) effort() {
	e.raw("resource_state", "2")
	e.raw("athlete", `{"id":`+strconv.FormatInt(e.athlete, 10)+`,"resource_state":1}`)
	e.text("name", e.name)
	if e.distance == math.Trunc(e.distance) && !e.floats {
		e.integer("distance", int(e.distance), false) // Strava sometimes writes whole metres without a point
	} else {
		e.decimal("distance", e.distance)
	}
	e.integer("moving_time", e.moving, e.floats)
	e.integer("elapsed_time", e.elapsed, e.floats)
	e.integer("total_elevation_gain", int(e.gain), e.rng.IntN(5) > 0)
	e.text("type", e.sport.legacy)
	e.text("sport_type", e.sport.name)
	if e.workoutType != "" {
		e.raw("workout_type", e.workoutType)
	}
	e.raw("id", strconv.FormatInt(e.id, 10))
}

func (e *encoder) time() {
	local := e.start.In(e.zone.location)
	_, offset := local.Zone()
	e.text("start_date", e.start.UTC().Format(time.RFC3339))
	e.text("start_date_local", local.Format("2006-01-02T15:04:05Z")) // the Z is wrong, as at Strava
	e.text("timezone", e.zone.label)
	e.decimal("utc_offset", float64(offset))
}

func (e *encoder) counts() {
	e.raw("location_city", "null")
	e.raw("location_state", "null")
	e.raw("location_country", "null")
	e.integer("achievement_count", e.rng.IntN(5), false)
	e.integer("kudos_count", e.rng.IntN(40), false)
	e.integer("comment_count", e.rng.IntN(4), false)
	e.integer("athlete_count", 1+e.rng.IntN(3), false)
	e.integer("photo_count", 0, false)
}

func (e *encoder) circumstances() {
	e.boolean("trainer", e.trainer)
	e.boolean("commute", e.commute)
	e.boolean("manual", e.manual)
	e.boolean("private", e.visibility == OnlyMe)
	e.text("visibility", e.visibility)
	e.boolean("flagged", false)
	if e.rng.IntN(5) == 0 {
		e.raw("gear_id", "null")
	} else {
		e.text("gear_id", "g1000")
	}
}

func (e *encoder) sensors() {
	speed := e.distance / float64(max(e.moving, 1))
	e.decimal("average_speed", thousandths(speed))
	e.decimal("max_speed", thousandths(speed*(1.2+e.rng.Float64())))
	if e.sport.speed > 0 && !e.manual && e.rng.IntN(3) > 0 {
		e.decimal("average_cadence", tenths(60+35*e.rng.Float64()))
	}
	if e.gps && e.rng.IntN(3) > 0 {
		e.integer("average_temp", e.rng.IntN(38)-6, e.floats)
	}
	if e.power && !e.manual {
		watts := 110 + 140*e.rng.Float64()
		e.decimal("average_watts", tenths(watts))
		e.integer("weighted_average_watts", int(watts*1.1), e.floats)
		e.integer("max_watts", int(watts*(2+2*e.rng.Float64())), e.floats)
		e.boolean("device_watts", e.rng.IntN(2) == 0)
		e.decimal("kilojoules", tenths(watts*float64(e.moving)/1000))
	}
	e.boolean("has_heartrate", e.hasHeartRate())
	if e.hasHeartRate() {
		rate := 95 + 65*e.rng.Float64()
		e.decimal("average_heartrate", tenths(rate))
		e.decimal("max_heartrate", math.Trunc(rate*1.15))
	}
	e.boolean("heartrate_opt_out", false)
	e.boolean("display_hide_heartrate_option", e.hasHeartRate())
	if e.gps {
		low := 400 * e.rng.Float64()
		e.decimal("elev_high", tenths(low+e.gain/3))
		e.decimal("elev_low", tenths(low))
	}
}

func (e *encoder) hasHeartRate() bool { return e.heart && !e.manual }

func (e *encoder) upload() {
	if e.manual {
		e.raw("upload_id", "null")
		e.raw("external_id", "null")
		return
	}
	upload := strconv.FormatInt(e.id+1_000_000_000, 10)
	e.raw("upload_id", upload)
	e.text("upload_id_str", upload)
	e.text("external_id", "synthetic_"+upload+".fit")
	if e.device != "" {
		e.text("device_name", e.device)
	}
}

func (e *encoder) rest() {
	e.boolean("hide_from_home", e.rng.IntN(30) == 0)
	e.boolean("from_accepted_tag", false)
	e.integer("pr_count", e.rng.IntN(3), false)
	e.integer("total_photo_count", e.rng.IntN(3), false)
	e.boolean("has_kudoed", false)
	if e.hasHeartRate() {
		e.decimal("suffer_score", float64(e.rng.IntN(180)))
	}
}

func tenths(v float64) float64      { return math.Round(v*10) / 10 }
func thousandths(v float64) float64 { return math.Round(v*1000) / 1000 }

// scribble returns a polyline with random points.
func scribble(rng *rand.Rand, n int) string {
	const alphabet = "_`abcdefgh@~"
	var b strings.Builder
	for range n {
		b.WriteByte(alphabet[rng.IntN(len(alphabet))])
	}
	return b.String()
}
