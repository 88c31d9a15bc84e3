package activity

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/kit/fault"
)

// Period is the length of time over which activities are added up.
type Period string

// The periods. A week begins on Monday, as in ISO 8601.
const (
	Day   Period = "day"
	Week  Period = "week"
	Month Period = "month"
	Year  Period = "year"
)

// Totals add up activities in Strava's units, metres and seconds. Distance and
// TotalElevationGain are exact sums of each activity's value, rounded to the
// micrometre.
type Totals struct {
	Count              int64
	Distance           float64
	MovingTime         int64
	ElapsedTime        int64
	TotalElevationGain float64
}

func (s Sum) totals() Totals {
	return Totals{
		Count:              s.Count,
		Distance:           float64(s.Distance) / 1e6,
		MovingTime:         s.MovingTime,
		ElapsedTime:        s.ElapsedTime,
		TotalElevationGain: float64(s.TotalElevationGain) / 1e6,
	}
}

// PeriodTotals are the totals of one period.
type PeriodTotals struct {
	// Start is the first day of the period, as YYYY-MM-DD.
	Start string
	Totals
}

// Stats has the totals of each period with activities, newest first, and of all
// periods together.
type Stats struct {
	Periods []PeriodTotals
	Total   Totals
}

// Summarize adds up monthly totals by period, according to the local date on
// which activities started. It includes one sport type only, or all of them if
// that is empty.
func Summarize(totals map[string]*MonthlyTotals, by Period, sportType string) (Stats, error) {
	periods := map[string]Sum{}
	var total Sum
	for month, t := range totals {
		for key, sum := range t.Sums {
			if sportType != "" && key.SportType != sportType {
				continue
			}
			day, err := localDay(fmt.Sprintf("%s-%02d", month, key.Day))
			if err != nil {
				return Stats{}, err
			}
			start := by.start(day).Format(time.DateOnly)
			periods[start] = periods[start].plus(sum, 1)
			total = total.plus(sum, 1)
		}
	}
	out := Stats{Total: total.totals()}
	for start, sum := range periods {
		out.Periods = append(out.Periods, PeriodTotals{Start: start, Totals: sum.totals()})
	}
	slices.SortFunc(out.Periods, func(a, b PeriodTotals) int { return strings.Compare(b.Start, a.Start) })
	return out, nil
}

func (by Period) start(day time.Time) time.Time {
	switch by {
	case Day:
		return day
	case Week:
		sinceMonday := (int(day.Weekday()) + 6) % 7
		return day.AddDate(0, 0, -sinceMonday)
	case Month:
		return day.AddDate(0, 0, 1-day.Day())
	default:
		return day.AddDate(0, 0, 1-day.YearDay())
	}
}

// localDay returns the date of a start_date_local.
func localDay(startDateLocal string) (time.Time, error) {
	day, err := time.Parse(time.DateOnly, startDateLocal[:min(len(startDateLocal), len(time.DateOnly))])
	if err != nil {
		return time.Time{}, fault.New(fault.Invalid, "start_date_local has no date")
	}
	return day, nil
}
