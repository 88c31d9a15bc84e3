package strava

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // the same zones on every machine
)

// SyntheticPolyline begins every generated polyline.
const SyntheticPolyline = "SYNTHETICPOLYLINE"

const (
	firstGeneratedAthlete  = 80_000_001
	firstGeneratedActivity = 20_000_000_000
	activityIDsPerAthlete  = 10_000
)

// Generate makes n athletes, the same for the same seed and the same day of
// until, with ids from 80000001. Their histories, of between a dozen and some
// fifteen hundred activities, end before that day. An athlete costs a few
// hundred bytes until their history is asked for.
//
// Every history has activities visible to everyone, to followers and to the
// athlete only, several time zones, two activities with one start time, and
// ones that fall into different years by local and by universal time.
func Generate(seed uint64, n int, until time.Time) []Athlete {
	until = until.UTC().Truncate(24 * time.Hour)
	athletes := make([]Athlete, n)
	for i := range athletes {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		id := int64(firstGeneratedAthlete + i)
		home := pick(rng, homes)
		plan := historyPlan{
			athlete:    id,
			firstID:    firstGeneratedActivity + int64(i)*activityIDsPerAthlete,
			count:      int(min(max(math.Exp(4.7+0.9*rng.NormFloat64()), 12), 1500)),
			perWeek:    1 + 5*rng.Float64(),
			until:      until,
			home:       home.zone,
			favourites: []sport{pick(rng, sports[:favouriteSports]), pick(rng, sports[:favouriteSports])},
			heart:      rng.IntN(4) > 0,
			device:     pick(rng, devices),
		}
		athletes[i] = Athlete{
			ID:        id,
			Firstname: pick(rng, firstnames),
			Lastname:  pick(rng, lastnames),
			City:      home.city,
			Country:   home.country,
			Sex:       pick(rng, []string{"M", "F", ""}),
			CreatedAt: until.AddDate(-10, 0, -rng.IntN(900)),
			history: func() []activity {
				return plan.activities(rand.New(rand.NewPCG(seed+1, uint64(i))))
			},
		}
	}
	return athletes
}

// historyPlan is what one athlete's history is generated from.
type historyPlan struct {
	athlete, firstID int64
	count            int
	perWeek          float64
	until            time.Time
	home             string
	favourites       []sport
	heart            bool
	device           string
}

func (p historyPlan) activities(rng *rand.Rand) []activity {
	days := max(int(7*float64(p.count)/p.perWeek), 30)
	home := mustZone(p.home)
	var all []facts
	for range p.count {
		// Two days back at least: a local day ends after the universal one in the west.
		day := p.until.AddDate(0, 0, -2-rng.IntN(days))
		z := home
		if rng.IntN(12) == 0 {
			z = mustZone(pick(rng, homes).zone)
		}
		all = append(all, p.outing(rng, z, day, 5*3600+rng.IntN(16*3600)))
	}
	all = append(all, p.newYears(rng, home, days)...)

	// Two devices recorded one outing.
	twin := all[0]
	twin.device, twin.power = "Apple Watch Series 7", false
	all = append(all, twin)

	slices.SortStableFunc(all, func(a, b facts) int { return a.start.Compare(b.start) })
	all[0].visibility, all[1].visibility, all[2].visibility = OnlyMe, FollowersOnly, Everyone
	list := make([]activity, len(all))
	for i, f := range all {
		f.id = p.firstID + int64(i)
		list[len(list)-1-i] = f.activity(rng)
	}
	return list
}

// newYears makes an activity for each turn of the year in the history whose
// local date and universal date lie in different years, where the zone is not
// at universal time.
func (p historyPlan) newYears(rng *rand.Rand, z zone, days int) (outings []facts) {
	first := p.until.AddDate(0, 0, -days)
	last := p.until.AddDate(0, 0, -2).Year()
	// Short histories get one too, before their beginning.
	for year := min(first.Year()+1, last); year <= last; year++ {
		midnight := time.Date(year, 1, 1, 0, 0, 0, 0, z.location)
		f := p.outing(rng, z, midnight, 0)
		if _, offset := midnight.Zone(); offset < 0 {
			f.start = midnight.Add(-20 * time.Minute)
		} else {
			f.start = midnight.Add(10 * time.Minute)
		}
		f.hiddenStart = false
		f.name = "New Year's " + f.sport.noun
		outings = append(outings, f)
	}
	return outings
}

// outing makes up one activity on a local day, so many seconds after midnight.
func (p historyPlan) outing(rng *rand.Rand, z zone, day time.Time, seconds int) facts {
	s := pick(rng, p.favourites)
	if rng.IntN(6) == 0 {
		s = pick(rng, sports)
	}
	size := math.Exp(0.45 * rng.NormFloat64())
	moving := int(min(max(s.minutes*60*size, 300), 30_000))
	f := facts{
		athlete: p.athlete,
		sport:   s,
		start:   time.Date(day.Year(), day.Month(), day.Day(), 0, 0, seconds, 0, z.location),
		zone:    z,
		moving:  moving,
		elapsed: moving + rng.IntN(moving/8+1),
		manual:  rng.IntN(60) == 0,
		trainer: s.indoor || s.ride && rng.IntN(15) == 0,
		commute: rng.IntN(20) == 0,
		heart:   p.heart && rng.IntN(10) > 0,
		power:   s.ride && rng.IntN(3) > 0,
		device:  p.device,
		floats:  rng.IntN(8) == 0,
	}
	if s.speed > 0 {
		speed := s.speed * (0.85 + 0.3*rng.Float64())
		f.distance = math.Round(10*speed*float64(moving)) / 10
		f.gain = math.Round(f.distance * s.climb * rng.Float64())
	}
	f.gps = s.speed > 0 && !f.trainer && !f.manual
	f.hiddenStart = f.gps && rng.IntN(40) == 0
	switch n := rng.IntN(100); {
	case n < 3:
		f.visibility = OnlyMe
	case n < 15:
		f.visibility = FollowersOnly
	default:
		f.visibility = Everyone
	}
	f.workoutType = pick(rng, []string{"", "null", "0", "0", s.workout})
	part := "Night"
	switch hour := seconds / 3600; {
	case hour >= 5 && hour < 12:
		part = "Morning"
	case hour >= 12 && hour < 17:
		part = "Afternoon"
	case hour >= 17 && hour < 22:
		part = "Evening"
	}
	f.name = part + " " + s.noun
	if rng.IntN(10) == 0 {
		f.name = pick(rng, oddNames)
	}
	return f
}

// facts is what an activity is encoded from.
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
	floats         bool // whole numbers come with a decimal point
}

// activity encodes f with the fields, their order and their types as recorded
// from Strava; src supplies the values of sensors.
func (f facts) activity(src rand.Source) activity {
	rng := rand.New(src)
	local := f.start.In(f.zone.location)
	_, offset := local.Zone()
	if f.hiddenStart {
		// Strava shows midnight and one second (Strava, Changelog 2024-07-03).
		local = time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 1, 0, f.zone.location)
		f.start = local
		_, offset = local.Zone()
	}
	id := strconv.FormatInt(f.id, 10)
	upload := strconv.FormatInt(f.id+1_000_000_000, 10)
	where := func() string {
		return fmt.Sprintf("[%.6f,%.6f]", -0.7-0.0999*rng.Float64(), -30.5-0.0999*rng.Float64())
	}
	var polyline string
	startPoint, endPoint := "[]", "[]"
	if f.gps {
		polyline = SyntheticPolyline + scribble(rng, 60+rng.IntN(240))
		startPoint, endPoint = where(), where()
	}

	o := objectWriter{b: make([]byte, 0, 1800)}
	o.raw("resource_state", "2")
	o.raw("athlete", `{"id":`+strconv.FormatInt(f.athlete, 10)+`,"resource_state":1}`)
	o.text("name", f.name)
	if f.distance == math.Trunc(f.distance) && !f.floats {
		o.integer("distance", int(f.distance), false) // Strava writes whole metres without a point at times
	} else {
		o.decimal("distance", f.distance)
	}
	o.integer("moving_time", f.moving, f.floats)
	o.integer("elapsed_time", f.elapsed, f.floats)
	o.integer("total_elevation_gain", int(f.gain), rng.IntN(5) > 0)
	o.text("type", f.sport.legacy)
	o.text("sport_type", f.sport.name)
	if f.workoutType != "" {
		o.raw("workout_type", f.workoutType)
	}
	o.raw("id", id)
	o.text("start_date", f.start.UTC().Format(time.RFC3339))
	o.text("start_date_local", local.Format("2006-01-02T15:04:05Z")) // the Z is false, as at Strava
	o.text("timezone", f.zone.label)
	o.decimal("utc_offset", float64(offset))
	o.raw("location_city", "null")
	o.raw("location_state", "null")
	o.raw("location_country", "null")
	o.integer("achievement_count", rng.IntN(5), false)
	o.integer("kudos_count", rng.IntN(40), false)
	o.integer("comment_count", rng.IntN(4), false)
	o.integer("athlete_count", 1+rng.IntN(3), false)
	o.integer("photo_count", 0, false)
	o.raw("map", `{"id":"a`+id+`","summary_polyline":"`+polyline+`","resource_state":2}`)
	o.boolean("trainer", f.trainer)
	o.boolean("commute", f.commute)
	o.boolean("manual", f.manual)
	o.boolean("private", f.visibility == OnlyMe)
	o.text("visibility", f.visibility)
	o.boolean("flagged", false)
	if rng.IntN(5) == 0 {
		o.raw("gear_id", "null")
	} else {
		o.text("gear_id", "g1000")
	}
	o.raw("start_latlng", startPoint)
	o.raw("end_latlng", endPoint)
	speed := f.distance / float64(max(f.moving, 1))
	o.decimal("average_speed", thousandths(speed))
	o.decimal("max_speed", thousandths(speed*(1.2+rng.Float64())))
	if f.sport.speed > 0 && !f.manual && rng.IntN(3) > 0 {
		o.decimal("average_cadence", tenths(60+35*rng.Float64()))
	}
	if f.gps && rng.IntN(3) > 0 {
		o.integer("average_temp", rng.IntN(38)-6, f.floats)
	}
	if f.power && !f.manual {
		watts := 110 + 140*rng.Float64()
		o.decimal("average_watts", tenths(watts))
		o.integer("weighted_average_watts", int(watts*1.1), f.floats)
		o.integer("max_watts", int(watts*(2+2*rng.Float64())), f.floats)
		o.boolean("device_watts", rng.IntN(2) == 0)
		o.decimal("kilojoules", tenths(watts*float64(f.moving)/1000))
	}
	heart := f.heart && !f.manual
	o.boolean("has_heartrate", heart)
	if heart {
		rate := 95 + 65*rng.Float64()
		o.decimal("average_heartrate", tenths(rate))
		o.decimal("max_heartrate", math.Trunc(rate*1.15))
	}
	o.boolean("heartrate_opt_out", false)
	o.boolean("display_hide_heartrate_option", heart)
	if f.gps {
		low := 400 * rng.Float64()
		o.decimal("elev_high", tenths(low+f.gain/3))
		o.decimal("elev_low", tenths(low))
	}
	if f.manual {
		o.raw("upload_id", "null")
		o.raw("external_id", "null")
	} else {
		o.raw("upload_id", upload)
		o.text("upload_id_str", upload)
		o.text("external_id", "synthetic_"+upload+".fit")
	}
	if f.device != "" && !f.manual {
		o.text("device_name", f.device)
	}
	o.boolean("hide_from_home", rng.IntN(30) == 0)
	o.boolean("from_accepted_tag", false)
	o.integer("pr_count", rng.IntN(3), false)
	o.integer("total_photo_count", rng.IntN(3), false)
	o.boolean("has_kudoed", false)
	if heart {
		o.decimal("suffer_score", float64(rng.IntN(180)))
	}
	return activity{id: f.id, start: f.start.Unix(), visibility: f.visibility, raw: o.end()}
}

func tenths(v float64) float64      { return math.Round(v*10) / 10 }
func thousandths(v float64) float64 { return math.Round(v*1000) / 1000 }

// scribble is a polyline that leads nowhere.
func scribble(rng *rand.Rand, n int) string {
	const alphabet = "_`abcdefgh@~"
	var b strings.Builder
	for range n {
		b.WriteByte(alphabet[rng.IntN(len(alphabet))])
	}
	return b.String()
}

// objectWriter writes a JSON object member by member; names need no escaping.
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

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

// zone is a time zone with Strava's label for it.
type zone struct {
	location *time.Location
	label    string // "(GMT+05:30) Asia/Kolkata", with the offset of standard time
}

var zones sync.Map // name → zone; loading one parses its whole history

func loadZone(name string) (zone, error) {
	if z, ok := zones.Load(name); ok {
		return z.(zone), nil
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		return zone{}, err
	}
	_, january := time.Date(2026, 1, 1, 0, 0, 0, 0, location).Zone()
	_, july := time.Date(2026, 7, 1, 0, 0, 0, 0, location).Zone()
	standard, sign := min(january, july), '+'
	if standard < 0 {
		standard, sign = -standard, '-'
	}
	z := zone{location, fmt.Sprintf("(GMT%c%02d:%02d) %s", sign, standard/3600, standard/60%60, name)}
	zones.Store(name, z)
	return z, nil
}

func mustZone(name string) zone {
	z, err := loadZone(name)
	if err != nil {
		panic(err) // our own list, and the zones are built in
	}
	return z
}

// sport is a kind of sport with what is usual in it.
type sport struct {
	name    string  // sport_type
	legacy  string  // type, which newer sports do not have
	noun    string  // in default titles
	speed   float64 // m/s; 0 where no distance is covered
	minutes float64 // usual duration
	climb   float64 // most metres climbed per metre
	ride    bool    // may have a power meter
	indoor  bool
	workout string // a workout_type peculiar to it
}

// favouriteSports is how many of sports, from the first, somebody may be devoted to.
const favouriteSports = 7

var sports = []sport{
	{name: "Ride", legacy: "Ride", noun: "Ride", speed: 7.4, minutes: 95, climb: 0.02, ride: true, workout: "10"},
	{name: "Run", legacy: "Run", noun: "Run", speed: 2.9, minutes: 45, climb: 0.015, workout: "1"},
	{name: "GravelRide", legacy: "Ride", noun: "Gravel Ride", speed: 5.8, minutes: 110, climb: 0.025, ride: true, workout: "12"},
	{name: "TrailRun", legacy: "Run", noun: "Trail Run", speed: 2.3, minutes: 70, climb: 0.06, workout: "2"},
	{name: "VirtualRide", legacy: "VirtualRide", noun: "Virtual Ride", speed: 8.6, minutes: 60, climb: 0.015, ride: true, indoor: true, workout: "10"},
	{name: "Swim", legacy: "Swim", noun: "Swim", speed: 0.85, minutes: 40, workout: "null"},
	{name: "Walk", legacy: "Walk", noun: "Walk", speed: 1.4, minutes: 50, climb: 0.02, workout: "null"},
	{name: "MountainBikeRide", legacy: "Ride", noun: "Mountain Bike Ride", speed: 4.4, minutes: 90, climb: 0.05, ride: true, workout: "10"},
	{name: "EBikeRide", legacy: "EBikeRide", noun: "E-Bike Ride", speed: 6.4, minutes: 60, climb: 0.02, workout: "null"},
	{name: "Hike", legacy: "Hike", noun: "Hike", speed: 1.1, minutes: 180, climb: 0.09, workout: "null"},
	{name: "WeightTraining", legacy: "WeightTraining", noun: "Weight Training", minutes: 45, indoor: true, workout: "30"},
	{name: "Yoga", legacy: "Yoga", noun: "Yoga", minutes: 40, indoor: true, workout: "null"},
	{name: "NordicSki", legacy: "NordicSki", noun: "Nordic Ski", speed: 3.6, minutes: 80, climb: 0.03, workout: "null"},
	{name: "AlpineSki", legacy: "AlpineSki", noun: "Alpine Ski", speed: 5, minutes: 150, climb: 0.1, workout: "null"},
	{name: "Rowing", legacy: "Rowing", noun: "Rowing", speed: 3.2, minutes: 35, workout: "null"},
	// Strava adds sports without notice, so here is one that no list has.
	{name: "UnicycleHockey", legacy: "Workout", noun: "Unicycle Hockey", minutes: 60, workout: "null"},
}

// sportOf returns the sport with a sport_type, known or not.
func sportOf(name string) sport {
	if i := slices.IndexFunc(sports, func(s sport) bool { return s.name == name }); i >= 0 {
		return sports[i]
	}
	return sport{name: name, legacy: "Workout", noun: name}
}

// home is where an athlete may live.
type home struct{ city, country, zone string }

// homes has zones on both sides of universal time, two at a half hour and one
// at three quarters.
var homes = []home{
	{"Berlin", "Germany", "Europe/Berlin"},
	{"New York", "United States", "America/New_York"},
	{"Los Angeles", "United States", "America/Los_Angeles"},
	{"Bengaluru", "India", "Asia/Kolkata"},
	{"Adelaide", "Australia", "Australia/Adelaide"},
	{"Kathmandu", "Nepal", "Asia/Kathmandu"},
	{"St. John's", "Canada", "America/St_Johns"},
	{"São Paulo", "Brazil", "America/Sao_Paulo"},
	{"Auckland", "New Zealand", "Pacific/Auckland"},
	{"Honolulu", "United States", "Pacific/Honolulu"},
}

var (
	devices    = []string{"Garmin Edge 540", "Garmin Forerunner 965", "Wahoo ELEMNT BOLT", "COROS PACE 3", "Strava iPhone App", ""}
	firstnames = []string{"Ada", "Björn", "Chidi", "Dalia", "Emre", "Freya", "Goro", "Hanna", "Ishaan", "José", "Kaja", "Liam", "Mina", "Noor", "Oluwa", "Priya", "Quentin", "Rosa", "Søren", "Tamar"}
	lastnames  = []string{"Almeida", "Bauer", "Carter", "Dubois", "Eriksen", "Fontana", "García", "Haddad", "Ivanova", "Jensen", "Kimura", "Larsen", "Mbeki", "Novak", "O'Brien", "Patel", "Rossi", "Schmidt", "Tanaka", "Žukauskas"}
	oddNames   = []string{`6 × 3′ "hard" 😅`, "Café & back <3", "<b>bold</b>", "長距離ライド", "", "Commute: home → work", `back\slash`}
)
