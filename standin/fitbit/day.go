package fitbit

import (
	"fmt"
	"hash/fnv"
	"time"
)

// Day is a day's activity summary (Fitbit Web API, Get Daily Activity Summary).
type Day struct {
	Activities []any   `json:"activities"` // logs of single activities; the stand-in has none
	Goals      Goals   `json:"goals"`
	Summary    Summary `json:"summary"`
}

// Goals are a user's goals for a day.
type Goals struct {
	ActiveMinutes int     `json:"activeMinutes"`
	CaloriesOut   int     `json:"caloriesOut"`
	Distance      float64 `json:"distance"` // kilometres
	Floors        int     `json:"floors"`
	Steps         int     `json:"steps"`
}

// Summary is what a user has done in a day.
type Summary struct {
	ActiveScore          int        `json:"activeScore"` // -1, as recorded
	ActivityCalories     int        `json:"activityCalories"`
	CaloriesBMR          int        `json:"caloriesBMR"`
	CaloriesOut          int        `json:"caloriesOut"`
	Distances            []Distance `json:"distances"`
	Elevation            float64    `json:"elevation"` // metres
	Floors               int        `json:"floors"`
	LightlyActiveMinutes int        `json:"lightlyActiveMinutes"`
	FairlyActiveMinutes  int        `json:"fairlyActiveMinutes"`
	VeryActiveMinutes    int        `json:"veryActiveMinutes"`
	SedentaryMinutes     int        `json:"sedentaryMinutes"`
	MarginalCalories     int        `json:"marginalCalories"`
	Steps                int        `json:"steps"`
}

// Distance is the distance of one kind of activity, in kilometres.
type Distance struct {
	Activity string  `json:"activity"`
	Distance float64 `json:"distance"`
}

// Day returns the summary of a day, YYYY-MM-DD, as the API returns it. It returns
// [ErrNotFound] for an unknown user and [ErrInvalid] for a malformed date.
func (s *Server) Day(user, date string) (Day, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.account(user)
	if a == nil {
		return Day{}, fmt.Errorf("user %s: %w", user, ErrNotFound)
	}
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return Day{}, fmt.Errorf("day %q: %w", date, ErrInvalid)
	}
	return s.day(a, day), nil
}

// day generates the summary from the user and the date. It has no steps on a day
// that has not begun.
func (s *Server) day(a *account, day time.Time) Day {
	h := fnv.New32a()
	_, _ = h.Write([]byte(a.ID + day.Format(time.DateOnly))) // never fails
	steps := 2_000 + int(h.Sum32()%13_000)
	if day.After(s.now()) {
		steps = 0
	}
	kilometres := float64(steps/14) / 100 // 0.7 m a step
	light, fair, very := steps/60, steps/300, steps/400
	const basal = 1_500
	return Day{
		Activities: []any{},
		Goals:      Goals{ActiveMinutes: 30, CaloriesOut: 2_500, Distance: 8.05, Floors: 10, Steps: 10_000},
		Summary: Summary{
			ActiveScore: -1, ActivityCalories: steps / 20, CaloriesBMR: basal, CaloriesOut: basal + steps/20,
			Distances: []Distance{
				{"total", kilometres}, {"tracker", kilometres}, {"loggedActivities", 0},
				{"veryActive", 0}, {"moderatelyActive", 0}, {"lightlyActive", kilometres}, {"sedentaryActive", 0},
			},
			Elevation: float64(steps/1_000) * 3.05, Floors: steps / 1_000,
			LightlyActiveMinutes: light, FairlyActiveMinutes: fair, VeryActiveMinutes: very,
			SedentaryMinutes: 24*60 - light - fair - very, MarginalCalories: steps / 30, Steps: steps,
		},
	}
}
