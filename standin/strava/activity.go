package strava

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// The values of an activity's visibility.
const (
	Everyone      = "everyone"
	FollowersOnly = "followers_only"
	OnlyMe        = "only_me"
)

// firstNewActivity is the id of the first activity added after the start. It is
// greater than those of recorded and generated activities, because Strava's ids
// increase.
const firstNewActivity = 40_000_000_000

// activity is a SummaryActivity with the fields that the stand-in reads.
type activity struct {
	id         int64
	start      int64  // Unix seconds
	ready      int64  // Unix seconds, when Strava has processed it
	visibility string // one of Everyone, FollowersOnly, OnlyMe
	raw        []byte // the JSON object, byte for byte as it is sent
}

// LoadHistory reads a JSON array of SummaryActivity, as GET /athlete/activities
// returns it. It returns an athlete with the id in the activities. The stand-in
// sends the activities byte for byte as they are in the array.
func LoadHistory(r io.Reader) (Athlete, error) {
	var elements []json.RawMessage
	if err := json.NewDecoder(r).Decode(&elements); err != nil {
		return Athlete{}, fmt.Errorf("read history: %w", err)
	}
	if len(elements) == 0 {
		return Athlete{}, fmt.Errorf("read history: no activity to take the athlete from: %w", ErrInvalid)
	}
	athlete := Athlete{Firstname: "Robin", Lastname: "Recorded"}
	list := make([]activity, len(elements))
	for i, raw := range elements {
		act, owner, err := parseActivity(raw)
		if err != nil {
			return Athlete{}, fmt.Errorf("read history: activity %d: %w", i, err)
		}
		if athlete.ID == 0 {
			athlete.ID = owner
		}
		if owner != athlete.ID {
			return Athlete{}, fmt.Errorf("read history: activity %d belongs to athlete %d, not %d: %w", i, owner, athlete.ID, ErrInvalid)
		}
		list[i] = act
	}
	oldest := slices.MinFunc(list, func(a, b activity) int { return int(a.start - b.start) })
	athlete.CreatedAt = time.Unix(oldest.start, 0).UTC()
	athlete.history = func() []activity { return list }
	return athlete, nil
}

func parseActivity(raw []byte) (act activity, athlete int64, err error) {
	var fields struct {
		ID         int64     `json:"id"`
		StartDate  time.Time `json:"start_date"`
		Visibility string    `json:"visibility"`
		Private    bool      `json:"private"`
		Athlete    struct {
			ID int64 `json:"id"`
		} `json:"athlete"`
	}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return activity{}, 0, err
	}
	if fields.ID == 0 || fields.Athlete.ID == 0 || fields.StartDate.IsZero() {
		return activity{}, 0, fmt.Errorf("id, athlete.id or start_date is missing: %w", ErrInvalid)
	}
	if fields.Visibility == "" { // not in Strava's swagger
		fields.Visibility = Everyone
		if fields.Private {
			fields.Visibility = OnlyMe
		}
	}
	return activity{
		id: fields.ID, start: fields.StartDate.Unix(), visibility: fields.Visibility, raw: raw,
	}, fields.Athlete.ID, nil
}
