package ddb

import (
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/activity"
)

const (
	syncKey          = "sync"
	authorizationKey = "authorization"
)

func activityKey(id int64) string { return "activity#" + strconv.FormatInt(id, 10) }

func startKey(p activity.Position) string {
	return fmt.Sprintf("%s#%019d", time.Unix(p.Start, 0).UTC().Format(time.RFC3339), p.ID)
}

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func key(athleteID int64, sk string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"athlete_id": number(athleteID), "sk": text(sk)}
}

// reading is what the items of activities, present and gone, have in common.
type reading struct {
	AthleteID  int64  `dynamodbav:"athlete_id"`
	SK         string `dynamodbav:"sk"`
	Generation int64  `dynamodbav:"generation"`
	// ReadAt is in Unix nanoseconds.
	ReadAt int64 `dynamodbav:"read_at"`
}

func readingOf(by activity.Authorization, at time.Time, activityID int64) reading {
	return reading{AthleteID: by.AthleteID, SK: activityKey(activityID), Generation: by.Generation, ReadAt: at.UnixNano()}
}

type goneItem struct {
	reading
	// ExpiresAt is in Unix seconds.
	ExpiresAt int64 `dynamodbav:"expires_at"`
}

type activityItem struct {
	reading
	// Start is empty when what was read is the item of a gone activity.
	Start string `dynamodbav:"start"`
	attributes
}

// attributes are those of [gatheringv1.Activity]; that one converts to the
// other makes sure that none is forgotten.
type attributes struct {
	ID                 int64    `dynamodbav:"id"`
	Name               string   `dynamodbav:"name"`
	SportType          string   `dynamodbav:"sport_type"`
	StartDate          string   `dynamodbav:"start_date"`
	StartDateLocal     string   `dynamodbav:"start_date_local"`
	Timezone           string   `dynamodbav:"timezone,omitempty"`
	Distance           float64  `dynamodbav:"distance"`
	MovingTime         int64    `dynamodbav:"moving_time"`
	ElapsedTime        int64    `dynamodbav:"elapsed_time"`
	TotalElevationGain float64  `dynamodbav:"total_elevation_gain"`
	AverageSpeed       *float64 `dynamodbav:"average_speed,omitempty"`
	MaxSpeed           *float64 `dynamodbav:"max_speed,omitempty"`
	AverageHeartrate   *float64 `dynamodbav:"average_heartrate,omitempty"`
	MaxHeartrate       *float64 `dynamodbav:"max_heartrate,omitempty"`
	AverageWatts       *float64 `dynamodbav:"average_watts,omitempty"`
	Kilojoules         *float64 `dynamodbav:"kilojoules,omitempty"`
	Trainer            bool     `dynamodbav:"trainer"`
	Commute            bool     `dynamodbav:"commute"`
	Manual             bool     `dynamodbav:"manual"`
	Private            bool     `dynamodbav:"private"`
	Visibility         string   `dynamodbav:"visibility,omitempty"`
	DeviceName         string   `dynamodbav:"device_name,omitempty"`
}

// effortItem are the attributes of an activity that statistics need, by the
// names that [attributes] stores them under.
type effortItem struct {
	SportType          string  `dynamodbav:"sport_type"`
	StartDateLocal     string  `dynamodbav:"start_date_local"`
	Distance           float64 `dynamodbav:"distance"`
	MovingTime         int64   `dynamodbav:"moving_time"`
	ElapsedTime        int64   `dynamodbav:"elapsed_time"`
	TotalElevationGain float64 `dynamodbav:"total_elevation_gain"`
}

const effortProjection = "sport_type, start_date_local, distance, moving_time, elapsed_time, total_elevation_gain"

type syncItem struct {
	AthleteID  int64       `dynamodbav:"athlete_id"`
	SK         string      `dynamodbav:"sk"`
	Version    int64       `dynamodbav:"version"`
	Generation int64       `dynamodbav:"generation"`
	ScanID     string      `dynamodbav:"scan_id"`
	Sequence   int64       `dynamodbav:"sequence"`
	State      string      `dynamodbav:"state"`
	Chunks     int         `dynamodbav:"chunks"`
	WaitingFor string      `dynamodbav:"waiting_for,omitempty"`
	ResumesAt  *time.Time  `dynamodbav:"resumes_at,omitempty"`
	Stored     map[int]int `dynamodbav:"stored"`
}

func (i syncItem) sync() activity.Sync {
	return activity.Sync{
		Generation: i.Generation, ScanID: i.ScanID, Sequence: i.Sequence, State: i.State, Chunks: i.Chunks,
		WaitingFor: i.WaitingFor, ResumesAt: i.ResumesAt, Stored: i.Stored,
	}
}

func syncItemOf(athleteID, version int64, s activity.Sync) syncItem {
	return syncItem{
		AthleteID: athleteID, SK: syncKey, Version: version,
		Generation: s.Generation, ScanID: s.ScanID, Sequence: s.Sequence, State: s.State, Chunks: s.Chunks,
		WaitingFor: s.WaitingFor, ResumesAt: s.ResumesAt, Stored: s.Stored,
	}
}
