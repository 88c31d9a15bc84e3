package strava

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// zone is a time zone with Strava's label for it.
type zone struct {
	location *time.Location
	label    string // "(GMT+05:30) Asia/Kolkata", with the offset of standard time
}

var zones sync.Map // zones by name; time.LoadLocation is slow

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
		panic(err) // the names are constants, and the zones are built in
	}
	return z
}

// sport is a kind of sport with its usual values.
type sport struct {
	name    string  // sport_type
	legacy  string  // type, an older field
	noun    string  // in default titles
	speed   float64 // m/s; 0 where no distance is covered
	minutes float64 // usual duration
	climb   float64 // most metres climbed per metre
	ride    bool    // may have a power meter
	indoor  bool
	workout string // a workout_type of this sport only
}

// favouriteSports is how many sports, from the first, can be an athlete's
// favourite.
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
	// An invented sport, because Strava adds sports without notice.
	{name: "UnicycleHockey", legacy: "Workout", noun: "Unicycle Hockey", minutes: 60, workout: "null"},
}

// sportOf returns the sport of a sport_type, which may be unknown.
func sportOf(name string) sport {
	if i := slices.IndexFunc(sports, func(s sport) bool { return s.name == name }); i >= 0 {
		return sports[i]
	}
	return sport{name: name, legacy: "Workout", noun: name}
}

// home is a place where an athlete can live.
type home struct{ city, country, zone string }

// homes has zones on both sides of universal time, two at a half hour and one at
// three quarters.
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
