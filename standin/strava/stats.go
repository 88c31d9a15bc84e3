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

// getStats returns ActivityStats, which counts only activities that everyone may
// see, with any scope (Strava, API Reference).
func (s *Server) getStats(c *call, r reader) response {
	if c.PathValue("id") != strconv.FormatInt(r.ID, 10) {
		return refuse(http.StatusForbidden, "Forbidden", fieldError{"Athlete", "id", "invalid"})
	}
	since := map[string]int64{
		"recent": r.now.AddDate(0, 0, -28).Unix(),
		"ytd":    time.Date(r.now.UTC().Year(), 1, 1, 0, 0, 0, 0, time.UTC).Unix(),
		"all":    0,
	}
	stats := map[string]any{}
	total := func(period, sport string) *totals {
		name := period + "_" + sport + "_totals"
		t, ok := stats[name].(*totals)
		if !ok {
			t = &totals{}
			if period == "recent" {
				t.AchievementCount = new(int)
			}
			stats[name] = t
		}
		return t
	}
	for period := range since {
		for _, sport := range statsSports {
			total(period, sport)
		}
	}
	var longest, highest *decimal
	for _, a := range s.population.activities(r.account) {
		if a.visibility != Everyone || a.ready > r.now.Unix() {
			continue
		}
		var m measured
		if json.Unmarshal(a.raw, &m) != nil {
			continue // SetFields may have replaced a number by text
		}
		sport, counts := statsSports[m.Type]
		if !counts {
			continue
		}
		if sport == "ride" {
			longest, highest = larger(longest, m.Distance), larger(highest, m.Gain)
		}
		for period, from := range since {
			if a.start >= from {
				total(period, sport).add(m)
			}
		}
	}
	stats["biggest_ride_distance"], stats["biggest_climb_elevation_gain"] = longest, highest
	return jsonResponse(http.StatusOK, stats)
}

func larger(than *decimal, v float64) *decimal {
	if d := decimal(v); than == nil || d > *than {
		return &d
	}
	return than
}
