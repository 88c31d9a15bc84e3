package strava

import (
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

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
func (a *activity) reduce(skipped counts) (_ gatheringv1.Activity, ok bool) {
	start, ok := parseTime(a.StartDate.value)
	if !ok || a.ID == 0 {
		return gatheringv1.Activity{}, false
	}
	start = start.UTC()
	sport := skipped.text("sport_type", a.SportType)
	if sport == "" {
		sport = skipped.text("type", a.Type)
	}
	timezone := skipped.timezone("timezone", a.Timezone)
	return gatheringv1.Activity{
		ID:                 int64(a.ID),
		Name:               skipped.text("name", a.Name),
		SportType:          sport,
		StartDate:          start.Format(time.RFC3339),
		StartDateLocal:     a.localStart(start, timezone, skipped).Format(wallClock),
		Timezone:           timezone,
		Distance:           skipped.measure("distance", a.Distance),
		MovingTime:         skipped.seconds("moving_time", a.MovingTime),
		ElapsedTime:        skipped.seconds("elapsed_time", a.ElapsedTime),
		TotalElevationGain: skipped.measure("total_elevation_gain", a.TotalElevationGain),
		AverageSpeed:       skipped.optional("average_speed", a.AverageSpeed),
		MaxSpeed:           skipped.optional("max_speed", a.MaxSpeed),
		AverageHeartrate:   skipped.optional("average_heartrate", a.AverageHeartrate),
		MaxHeartrate:       skipped.optional("max_heartrate", a.MaxHeartrate),
		AverageWatts:       skipped.optional("average_watts", a.AverageWatts),
		Kilojoules:         skipped.optional("kilojoules", a.Kilojoules),
		Trainer:            skipped.flag("trainer", a.Trainer),
		Commute:            skipped.flag("commute", a.Commute),
		Manual:             skipped.flag("manual", a.Manual),
		Private:            skipped.flag("private", a.Private),
		Visibility:         skipped.text("visibility", a.Visibility),
		DeviceName:         skipped.text("device_name", a.DeviceName),
	}, true
}

// wallClock is the layout of a local start: Strava ends it in Z although it is
// not UTC.
const wallClock = "2006-01-02T15:04:05Z"

// localStart returns the wall clock at the start: as Strava sent it, or else as
// its time zone or its offset from UTC makes it, or else the start itself.
func (a *activity) localStart(start time.Time, timezone string, skipped counts) time.Time {
	if local, ok := parseTime(a.StartDateLocal.value); ok {
		return local
	}
	skipped.unless(a.StartDateLocal.condition == absent, "start_date_local")
	local := start
	if location, ok := location(timezone); ok {
		local = start.In(location)
	} else if offset, ok := skipped.number("utc_offset", a.UTCOffset, -maxOffset, maxOffset); ok {
		local = start.Add(time.Duration(offset) * time.Second)
	}
	if !inRange(local) {
		return start
	}
	return local
}
