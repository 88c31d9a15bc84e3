package fitbit

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func (s *Server) routeAPI() {
	identify := func(c *call) {
		if t := s.tokens[bearer(c.Request)]; t != nil {
			c.user = t.user
		}
	}
	api := func(name, pattern, scope string, serve func(*call, *account) answer) {
		s.route(endpoint{name, identify, s.authenticated(scope, serve)}, pattern)
	}
	api(EndpointProfile, "GET /1/user/-/profile.json", "profile", s.getProfile)
	api(EndpointActivities, "GET /1/user/-/activities/date/{day}", "activity", s.getDay)
	api(EndpointOther, "/1/", "", func(*call, *account) answer {
		return refuse(http.StatusNotFound, apiError{"not_found", "n/a", "The API you are requesting could not be found."})
	})
}

func bearer(r *http.Request) string {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return ""
	}
	return token
}

// authenticated wraps the endpoints of the API, which want a living access token
// and a scope. A call that the scope refuses counts against the rate limit, too;
// Fitbit does not say.
func (s *Server) authenticated(scope string, serve func(*call, *account) answer) func(*call) answer {
	return func(c *call) answer {
		presented := bearer(c.Request)
		t := s.tokens[presented]
		switch {
		case t == nil || t.refresh || !s.stands(t):
			return refuseOAuth(http.StatusUnauthorized, "invalid_token", "Access token invalid: %s", presented)
		case !s.live(t):
			return refuseOAuth(http.StatusUnauthorized, "expired_token", "Access token expired: %s", presented)
		}
		t.used = true
		a := s.account(t.user)
		rate, exceeded := s.charge(a)
		var response answer
		switch {
		case exceeded:
			// As reported in Fitbit's forum, "Too many request".
			response = refuse(http.StatusTooManyRequests, apiError{"system", "n/a", "Too Many Requests"})
			rate.Set("Retry-After", rate.Get("Fitbit-Rate-Limit-Reset"))
		case scope != "" && !t.scope.has(scope):
			response = refuseOAuth(http.StatusForbidden, "insufficient_scope", "This application does not have permission to access %s data", scope)
		default:
			response = serve(c, a)
		}
		response.header = rate
		return response
	}
}

// charge counts a call for a person and returns the rate headers of its answer.
// The count begins anew at the top of the hour (Fitbit Web API, Rate Limits).
func (s *Server) charge(a *account) (rate http.Header, exceeded bool) {
	const hour = int64(time.Hour / time.Second)
	now := s.now().Unix()
	if now/hour != a.hour {
		a.hour, a.used = now/hour, 0
	}
	a.used++
	rate = http.Header{}
	rate.Set("Fitbit-Rate-Limit-Limit", strconv.Itoa(s.hourlyLimit))
	rate.Set("Fitbit-Rate-Limit-Remaining", strconv.Itoa(max(s.hourlyLimit-a.used, 0)))
	rate.Set("Fitbit-Rate-Limit-Reset", strconv.FormatInt(hour-now%hour, 10))
	return rate, a.used > s.hourlyLimit
}

// getProfile answers with some of the members of the page Get Profile.
func (s *Server) getProfile(_ *call, a *account) answer {
	offset := 0 // seconds
	if place, err := time.LoadLocation(a.Timezone); err == nil {
		_, offset = s.now().In(place).Zone()
	}
	return jsonAnswer(http.StatusOK, map[string]any{"user": map[string]any{
		"encodedId": a.ID, "displayName": a.DisplayName, "fullName": a.FullName,
		"timezone": a.Timezone, "memberSince": a.MemberSince, "distanceUnit": "METRIC", "locale": "en_GB",
		"offsetFromUTCMillis": offset * 1000,
	}})
}

func (s *Server) getDay(c *call, a *account) answer {
	text, isJSON := strings.CutSuffix(c.PathValue("day"), ".json")
	day, err := time.Parse(time.DateOnly, text)
	if err != nil || !isJSON {
		return refuse(http.StatusBadRequest, apiError{"validation", "date", "Invalid date: " + text})
	}
	return jsonAnswer(http.StatusOK, s.day(a, day))
}

// Day is a day's activity summary (Fitbit Web API, Get Daily Activity Summary).
type Day struct {
	Activities []any   `json:"activities"` // logs of single activities; the stand-in has none
	Goals      Goals   `json:"goals"`
	Summary    Summary `json:"summary"`
}

// Goals are what a person wants to reach in a day.
type Goals struct {
	ActiveMinutes int     `json:"activeMinutes"`
	CaloriesOut   int     `json:"caloriesOut"`
	Distance      float64 `json:"distance"` // kilometres
	Floors        int     `json:"floors"`
	Steps         int     `json:"steps"`
}

// Summary is what a person has done in a day.
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

// Day returns the summary of a day, YYYY-MM-DD, as the API answers it. It
// returns ErrNotFound for an unknown person, ErrInvalid for what is no day.
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

// day makes up what the person did. The same day is always the same, and nothing
// was done on a day that has not begun.
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
