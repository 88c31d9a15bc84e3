package strava

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// maxNumber bounds every measure of an activity, in Strava's units, beyond all
// reason. Who adds measures up need not fear for their precision.
const maxNumber = 1e9

// number takes 12, 12.0, "12" and null; null and absent leave it unset.
type number struct {
	set   bool
	value float64
}

func (n *number) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	v, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	if err != nil || !(math.Abs(v) <= maxNumber) { // Nor is NaN.
		return errors.New("not a reasonable number")
	}
	*n = number{true, v}
	return nil
}

func (n number) integer() int64 { return int64(math.Round(n.value)) }

func (n number) pointer() *float64 {
	if !n.set {
		return nil
	}
	return &n.value
}

// identifier takes an id as a JSON integer or string; ids are too large to be
// read as floats.
type identifier int64

func (i *identifier) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(strings.TrimSuffix(strings.Trim(string(b), `"`), ".0"), 10, 64)
	*i = identifier(v)
	return err
}

// activity is the allow-list for Strava's SummaryActivity and DetailedActivity
// (Strava API v3 reference).
type activity struct {
	ID      identifier `json:"id"`
	Athlete struct {
		ID identifier `json:"id"`
	} `json:"athlete"`
	Name               string `json:"name"`
	SportType          string `json:"sport_type"`
	Type               string `json:"type"`
	StartDate          string `json:"start_date"`
	StartDateLocal     string `json:"start_date_local"`
	Timezone           string `json:"timezone"`
	Distance           number `json:"distance"`
	MovingTime         number `json:"moving_time"`
	ElapsedTime        number `json:"elapsed_time"`
	TotalElevationGain number `json:"total_elevation_gain"`
	AverageSpeed       number `json:"average_speed"`
	MaxSpeed           number `json:"max_speed"`
	AverageHeartrate   number `json:"average_heartrate"`
	MaxHeartrate       number `json:"max_heartrate"`
	AverageWatts       number `json:"average_watts"`
	Kilojoules         number `json:"kilojoules"`
	Trainer            bool   `json:"trainer"`
	Commute            bool   `json:"commute"`
	Manual             bool   `json:"manual"`
	Private            bool   `json:"private"`
	Visibility         string `json:"visibility"`
	DeviceName         string `json:"device_name"`
}

// reduce checks the activity and keeps what is announced of it.
func (a activity) reduce() (gatheringv1.Activity, error) {
	start, err := time.Parse(time.RFC3339, a.StartDate)
	if err != nil || a.ID <= 0 || start.UTC().Year() < 1 || start.UTC().Year() > 9999 { // RFC 3339's.
		return gatheringv1.Activity{}, errors.New("an activity without an id or a start")
	}
	local, err := time.Parse(time.RFC3339, a.StartDateLocal)
	if err != nil || local.Year() < 1 {
		return gatheringv1.Activity{}, errors.New("an activity without a local start")
	}
	sport := a.SportType
	if sport == "" {
		sport = a.Type
	}
	return gatheringv1.Activity{
		ID:                 int64(a.ID),
		Name:               a.Name,
		SportType:          sport,
		StartDate:          start.UTC().Format(time.RFC3339),
		StartDateLocal:     local.Format(time.RFC3339),
		Timezone:           zone(a.Timezone),
		Distance:           a.Distance.value,
		MovingTime:         a.MovingTime.integer(),
		ElapsedTime:        a.ElapsedTime.integer(),
		TotalElevationGain: a.TotalElevationGain.value,
		AverageSpeed:       a.AverageSpeed.pointer(),
		MaxSpeed:           a.MaxSpeed.pointer(),
		AverageHeartrate:   a.AverageHeartrate.pointer(),
		MaxHeartrate:       a.MaxHeartrate.pointer(),
		AverageWatts:       a.AverageWatts.pointer(),
		Kilojoules:         a.Kilojoules.pointer(),
		Trainer:            a.Trainer,
		Commute:            a.Commute,
		Manual:             a.Manual,
		Private:            a.Private,
		Visibility:         a.Visibility,
		DeviceName:         a.DeviceName,
	}, nil
}

// zone drops the "(GMT-05:00) " that Strava puts before the IANA name.
func zone(s string) string {
	if i := strings.Index(s, ") "); strings.HasPrefix(s, "(") && i > 0 {
		return s[i+2:]
	}
	return s
}

// decodeList reads a page. n counts what Strava sent; an activity that cannot
// be read is left out of the list, not the page with it.
func decodeList(body string) (list []gatheringv1.Activity, n int, err error) {
	var raw []json.RawMessage
	if json.Unmarshal([]byte(body), &raw) != nil {
		return nil, 0, errors.New("the page is not a JSON array")
	}
	for _, r := range raw {
		if a, _, err := decodeActivity(r); err == nil {
			list = append(list, a)
		}
	}
	return list, len(raw), nil
}

// decodeActivity reads one activity and whose it is. The error tells nothing
// of the content.
func decodeActivity(body []byte) (_ gatheringv1.Activity, athleteID int64, _ error) {
	var a activity
	if json.Unmarshal(body, &a) != nil {
		return gatheringv1.Activity{}, 0, errors.New("the activity is malformed")
	}
	reduced, err := a.reduce()
	return reduced, int64(a.Athlete.ID), err
}

// decodeAthlete reads a SummaryAthlete or DetailedAthlete.
func decodeAthlete(body []byte) (gatheringv1.Athlete, error) {
	var a struct {
		ID            identifier `json:"id"`
		Username      string     `json:"username"`
		Firstname     string     `json:"firstname"`
		Lastname      string     `json:"lastname"`
		ProfileMedium string     `json:"profile_medium"`
		Profile       string     `json:"profile"`
		CreatedAt     string     `json:"created_at"`
	}
	if json.Unmarshal(body, &a) != nil || a.ID <= 0 {
		return gatheringv1.Athlete{}, errors.New("the athlete is malformed")
	}
	return gatheringv1.Athlete{
		ID: int64(a.ID), Username: a.Username, Firstname: a.Firstname, Lastname: a.Lastname,
		ProfileMedium: a.ProfileMedium, Profile: a.Profile, CreatedAt: a.CreatedAt,
	}, nil
}
