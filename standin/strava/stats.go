package strava

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// totals is Strava's ActivityTotal. Times have a decimal point, although the
// specification says integer.
type totals struct {
	Count            int     `json:"count"`
	Distance         decimal `json:"distance"`
	MovingTime       decimal `json:"moving_time"`
	ElapsedTime      decimal `json:"elapsed_time"`
	ElevationGain    decimal `json:"elevation_gain"`
	AchievementCount *int    `json:"achievement_count,omitempty"` // of recent ones only
}

// measured are the fields of an activity that count in the statistics.
type measured struct {
	Type             string  `json:"type"`
	Distance         float64 `json:"distance"`
	MovingTime       float64 `json:"moving_time"`
	ElapsedTime      float64 `json:"elapsed_time"`
	Gain             float64 `json:"total_elevation_gain"`
	AchievementCount float64 `json:"achievement_count"`
}

// statsSports are the sports in the statistics, by an activity's type.
var statsSports = map[string]string{"Ride": "ride", "Run": "run", "Swim": "swim"}

func (t *totals) add(m measured) {
	t.Count++
	t.Distance += decimal(m.Distance)
	t.MovingTime += decimal(m.MovingTime)
	t.ElapsedTime += decimal(m.ElapsedTime)
	t.ElevationGain += decimal(m.Gain)
	if t.AchievementCount != nil {
		*t.AchievementCount += int(m.AchievementCount)
	}
}

// stats are the statistics of an athlete at a time.
type stats struct {
	since            map[string]int64   // the start of each period, in Unix seconds
	totals           map[string]*totals // by name, as in recent_ride_totals
	longest, highest *decimal           // rides
}

func newStats(now time.Time) *stats {
	s := &stats{totals: map[string]*totals{}, since: map[string]int64{
		"recent": now.AddDate(0, 0, -28).Unix(),
		"ytd":    time.Date(now.UTC().Year(), 1, 1, 0, 0, 0, 0, time.UTC).Unix(),
		"all":    0,
	}}
	for period := range s.since {
		for _, sport := range statsSports {
			t := &totals{}
			if period == "recent" {
				t.AchievementCount = new(int)
			}
			s.totals[totalsName(period, sport)] = t
		}
	}
	return s
}

func totalsName(period, sport string) string { return period + "_" + sport + "_totals" }

// add counts an activity if its sport is in the statistics.
func (s *stats) add(a activity) {
	var m measured
	if json.Unmarshal(a.raw, &m) != nil {
		return // SetFields may have replaced a number by text
	}
	sport, counts := statsSports[m.Type]
	if !counts {
		return
	}
	if sport == "ride" {
		s.longest, s.highest = larger(s.longest, m.Distance), larger(s.highest, m.Gain)
	}
	for period, since := range s.since {
		if a.start >= since {
			s.totals[totalsName(period, sport)].add(m)
		}
	}
}

func larger(than *decimal, v float64) *decimal {
	if d := decimal(v); than == nil || d > *than {
		return &d
	}
	return than
}

// getStats returns ActivityStats, which counts only activities that everyone may
// see, with any scope (Strava, API Reference).
func (s *Server) getStats(c *call, r reader) response {
	if c.PathValue("id") != strconv.FormatInt(r.ID, 10) {
		return refuse(http.StatusForbidden, "Forbidden", fieldError{"Athlete", "id", "invalid"})
	}
	st := newStats(r.now)
	for _, a := range s.population.activities(r.account) {
		if a.visibility == Everyone && a.ready <= r.now.Unix() {
			st.add(a)
		}
	}
	body := map[string]any{"biggest_ride_distance": st.longest, "biggest_climb_elevation_gain": st.highest}
	for name, t := range st.totals {
		body[name] = t
	}
	return jsonResponse(http.StatusOK, body)
}
