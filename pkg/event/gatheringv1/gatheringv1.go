package gatheringv1

import "time"

// Source of every event of this boundary.
const Source = "paceline.gathering"

// Detail types.
const (
	AthleteGatheredType         = "AthleteGathered.v1"
	ActivitiesGatheredType      = "ActivitiesGathered.v1"
	ActivityGoneType            = "ActivityGone.v1"
	ScanProgressedType          = "ScanProgressed.v1"
	DeauthorizationReportedType = "DeauthorizationReported.v1"
	ErasureCompletedType        = "ErasureCompleted.v1"
)

// Athlete is the part of Strava's SummaryAthlete that Paceline keeps.
type Athlete struct {
	ID            int64  `json:"id"`
	Username      string `json:"username,omitempty"`
	Firstname     string `json:"firstname,omitempty"`
	Lastname      string `json:"lastname,omitempty"`
	ProfileMedium string `json:"profile_medium,omitempty"`
	Profile       string `json:"profile,omitempty"`
	CreatedAt     string `json:"created_at,omitempty"`
}

// AthleteGathered is a reading of the athlete's profile.
type AthleteGathered struct {
	AthleteID  int64     `json:"athlete_id"`
	Generation int64     `json:"generation"`
	ReadAt     time.Time `json:"read_at"`
	Athlete    Athlete   `json:"athlete"`
}

// Source implements event.Fact.
func (AthleteGathered) Source() string { return Source }

// DetailType implements event.Fact.
func (AthleteGathered) DetailType() string { return AthleteGatheredType }

// Activity is the part of Strava's SummaryActivity that Paceline keeps. Units
// are Strava's: Distance and TotalElevationGain are in meters, times in
// seconds, speeds in meters per second, heart rates in beats per minute,
// AverageWatts in watts. A nil pointer or empty string means that Strava has
// none.
type Activity struct {
	ID        int64  `json:"id"`
	Name      string `json:"name"`
	SportType string `json:"sport_type"`
	// StartDate is RFC 3339 in UTC.
	StartDate string `json:"start_date"`
	// StartDateLocal is the wall clock at the start. It ends in Z as Strava
	// sends it, yet is not UTC.
	StartDateLocal string `json:"start_date_local"`
	// Timezone is an IANA name; Strava's "(GMT-05:00) " prefix is dropped.
	Timezone           string   `json:"timezone,omitempty"`
	Distance           float64  `json:"distance"`
	MovingTime         int64    `json:"moving_time"`
	ElapsedTime        int64    `json:"elapsed_time"`
	TotalElevationGain float64  `json:"total_elevation_gain"`
	AverageSpeed       *float64 `json:"average_speed,omitempty"`
	MaxSpeed           *float64 `json:"max_speed,omitempty"`
	AverageHeartrate   *float64 `json:"average_heartrate,omitempty"`
	MaxHeartrate       *float64 `json:"max_heartrate,omitempty"`
	AverageWatts       *float64 `json:"average_watts,omitempty"`
	Kilojoules         *float64 `json:"kilojoules,omitempty"`
	Trainer            bool     `json:"trainer"`
	Commute            bool     `json:"commute"`
	Manual             bool     `json:"manual"`
	Private            bool     `json:"private"`
	Visibility         string   `json:"visibility,omitempty"`
	DeviceName         string   `json:"device_name,omitempty"`
}

// ScanChunk places a chunk of activities within a scan of the whole history.
type ScanChunk struct {
	ScanID string `json:"scan_id"`
	// Number is 0 for the first chunk of the scan, and one more for each next
	// one.
	Number int `json:"number"`
}

// ActivitiesGathered is a reading of some activities of one athlete, at most
// [MaxActivities].
type ActivitiesGathered struct {
	AthleteID  int64     `json:"athlete_id"`
	Generation int64     `json:"generation"`
	ReadAt     time.Time `json:"read_at"`
	// Chunk is nil when the reading is not part of a scan.
	Chunk      *ScanChunk `json:"chunk,omitempty"`
	Activities []Activity `json:"activities"`
}

// MaxActivities is how many activities one event carries at most, so that it
// stays far below EventBridge's limit of 256 KB an entry.
const MaxActivities = 50

// Source implements event.Fact.
func (ActivitiesGathered) Source() string { return Source }

// DetailType implements event.Fact.
func (ActivitiesGathered) DetailType() string { return ActivitiesGatheredType }

// ActivityGone says that Strava no longer shows the activity to this athlete's
// authorization, as read at read_at.
type ActivityGone struct {
	AthleteID  int64     `json:"athlete_id"`
	Generation int64     `json:"generation"`
	ActivityID int64     `json:"activity_id"`
	ReadAt     time.Time `json:"read_at"`
}

// Source implements event.Fact.
func (ActivityGone) Source() string { return Source }

// DetailType implements event.Fact.
func (ActivityGone) DetailType() string { return ActivityGoneType }

// States of a scan.
const (
	ScanScanning  = "scanning"
	ScanWaiting   = "waiting"
	ScanCompleted = "completed"
)

// Reasons for which a scan waits.
const (
	// WaitingForRateLimit: the calls of the quarter hour are used up or reserved.
	WaitingForRateLimit = "rate_limit"
	// WaitingForDailyLimit: the calls of the UTC day are used up or reserved.
	WaitingForDailyLimit = "daily_limit"
	// WaitingForStrava: Strava fails for several athletes, so no calls are made.
	WaitingForStrava = "strava"
	// WaitingForReconnect: the authorization is degraded.
	WaitingForReconnect = "reconnect"
	// WaitingForApplication: Strava refuses the application.
	WaitingForApplication = "application"
	// WaitingForRetry: Strava does not answer for this athlete. Gathering tries
	// again at ResumesAt.
	WaitingForRetry = "retry"
	// WaitingForInternal: Paceline itself has a fault.
	WaitingForInternal = "internal"
)

// Span is a stretch of a history by the start of its activities: From included,
// To left out, in UTC and whole seconds. Nil is unbounded.
type Span struct {
	From *time.Time `json:"from,omitempty"`
	To   *time.Time `json:"to,omitempty"`
}

// Contains reports whether an activity that starts at a time lies in the span.
func (s Span) Contains(start time.Time) bool {
	return (s.From == nil || !start.Before(*s.From)) && (s.To == nil || start.Before(*s.To))
}

// ScanProgressed reports how far a scan of an athlete's whole history is. The
// first scan reports each page, later ones only their end.
type ScanProgressed struct {
	AthleteID  int64  `json:"athlete_id"`
	Generation int64  `json:"generation"`
	ScanID     string `json:"scan_id"`
	// Sequence grows with every report of one scan; a consumer keeps the
	// largest.
	Sequence int64  `json:"sequence"`
	State    string `json:"state"`
	// Chunks is how many chunks of activities the scan has sent so far.
	Chunks int `json:"chunks"`
	// StartedAt is a little before the scan began, so that all of its data was
	// read later by the clock of any process.
	StartedAt *time.Time `json:"started_at,omitempty"`
	// Pages and Activities are how many were read so far.
	Pages      int `json:"pages,omitempty"`
	Activities int `json:"activities,omitempty"`
	// WaitingFor is empty unless the state is waiting.
	WaitingFor string `json:"waiting_for,omitempty"`
	// ResumesAt is nil if it is not known.
	ResumesAt *time.Time `json:"resumes_at,omitempty"`
	// FinishesAt is an estimate; nil before the first page.
	FinishesAt *time.Time `json:"finishes_at,omitempty"`
	// Covered has the stretches that a completed scan has read in full; it is
	// empty in any other state. An activity that starts there, was read before
	// StartedAt and was not found is gone. The scan says nothing about the rest:
	// Strava failed to show an activity there, or it starts after the scan's
	// cutoff.
	Covered []Span `json:"covered,omitempty"`
	// Confirmed says that the activities that this scan did not find are gone:
	// gathering has read a sample of them again.
	Confirmed bool `json:"confirmed,omitempty"`
}

// Source implements event.Fact.
func (ScanProgressed) Source() string { return Source }

// DetailType implements event.Fact.
func (ScanProgressed) DetailType() string { return ScanProgressedType }

// DeauthorizationReported says that a webhook claims the athlete withdrew
// access. It is a claim: webhooks carry no dependable signature.
type DeauthorizationReported struct {
	AthleteID int64 `json:"athlete_id"`
	// EventTime is the webhook's event_time, Unix seconds.
	EventTime int64 `json:"event_time"`
}

// Source implements event.Fact.
func (DeauthorizationReported) Source() string { return Source }

// DetailType implements event.Fact.
func (DeauthorizationReported) DetailType() string { return DeauthorizationReportedType }

// ErasureCompleted says that this boundary holds nothing more of the athlete
// that the receipt stands for.
type ErasureCompleted struct {
	Receipt string `json:"receipt"`
}

// Source implements event.Fact.
func (ErasureCompleted) Source() string { return Source }

// DetailType implements event.Fact.
func (ErasureCompleted) DetailType() string { return ErasureCompletedType }
