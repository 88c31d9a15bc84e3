package activity

import (
	"math"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/kit/fault"
)

// Period is what activities are added up by.
type Period string

// The periods. A week begins on Monday.
const (
	Week  Period = "week"
	Month Period = "month"
	Year  Period = "year"
)

// Totals adds up activities. Units are Strava's: metres and seconds. Distance
// and TotalElevationGain are rounded to the millimetre.
type Totals struct {
	Count              int
	Distance           float64
	MovingTime         int64
	ElapsedTime        int64
	TotalElevationGain float64
}

// PeriodTotals are the totals of one period.
type PeriodTotals struct {
	// Start is the first day of the period, as YYYY-MM-DD.
	Start string
	Totals
}

// Stats are the totals of each period that has activities, newest first, and
// of all together.
type Stats struct {
	Periods []PeriodTotals
	Total   Totals
}

// Summarize adds up efforts by the calendar date on which they started where
// they started.
func Summarize(efforts []Effort, by Period) (Stats, error) {
	periods := map[string]*tally{}
	var total tally
	for _, e := range efforts {
		day, err := localDay(e.StartDateLocal)
		if err != nil {
			return Stats{}, err
		}
		start := by.start(day).Format(time.DateOnly)
		if periods[start] == nil {
			periods[start] = &tally{}
		}
		periods[start].add(e)
		total.add(e)
	}
	out := Stats{Total: total.totals()}
	for start, t := range periods {
		out.Periods = append(out.Periods, PeriodTotals{Start: start, Totals: t.totals()})
	}
	slices.SortFunc(out.Periods, func(a, b PeriodTotals) int {
		if a.Start > b.Start {
			return -1
		}
		return 1
	})
	return out, nil
}

func (by Period) start(day time.Time) time.Time {
	switch by {
	case Week:
		sinceMonday := (int(day.Weekday()) + 6) % 7
		return day.AddDate(0, 0, -sinceMonday)
	case Month:
		return day.AddDate(0, 0, 1-day.Day())
	default:
		return day.AddDate(0, 0, 1-day.YearDay())
	}
}

// localDay is the date part of a start_date_local.
func localDay(startDateLocal string) (time.Time, error) {
	day, err := time.Parse(time.DateOnly, startDateLocal[:min(len(startDateLocal), len(time.DateOnly))])
	if err != nil {
		return time.Time{}, fault.New(fault.Invalid, "start_date_local has no date")
	}
	return day, nil
}

type tally struct {
	count                    int
	movingTime, elapsedTime  int64
	distance, totalElevation sum
}

func (t *tally) add(e Effort) {
	t.count++
	t.movingTime += e.MovingTime
	t.elapsedTime += e.ElapsedTime
	t.distance.add(e.Distance)
	t.totalElevation.add(e.TotalElevationGain)
}

func (t *tally) totals() Totals {
	return Totals{
		Count:              t.count,
		Distance:           t.distance.rounded(),
		MovingTime:         t.movingTime,
		ElapsedTime:        t.elapsedTime,
		TotalElevationGain: t.totalElevation.rounded(),
	}
}

// sum adds floats without drift: what rounding loses on the way is kept beside
// the sum (Neumaier's variant of Kahan's algorithm), so that neither the order
// nor the number of summands shows.
type sum struct{ value, lost float64 }

func (s *sum) add(x float64) {
	t := s.value + x
	if math.Abs(s.value) >= math.Abs(x) {
		s.lost += (s.value - t) + x
	} else {
		s.lost += (x - t) + s.value
	}
	s.value = t
}

func (s sum) rounded() float64 { return math.Round((s.value+s.lost)*1000) / 1000 }
