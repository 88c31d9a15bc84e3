package activity

import (
	"maps"
	"math"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// MonthlyTotals add up the activities of an athlete that started in one
// calendar month, by their local dates. They are stored beside the activities
// and change together with them.
type MonthlyTotals struct {
	Sums map[DayAndSport]Sum
	// ReadIn counts the activities by the hour, since the Unix epoch, in which
	// they were read. It shows whether the sums include one that is too old.
	ReadIn map[int64]int
}

// DayAndSport is the key of a sum.
type DayAndSport struct {
	// Day of the month, from 1.
	Day       int
	SportType string
}

// Sum is a sum over activities: distance and elevation in micrometres, times in
// seconds. Its parts are whole numbers, so that the order of additions and
// subtractions does not matter.
type Sum struct {
	Count, Distance, MovingTime, ElapsedTime, TotalElevationGain int64
}

// maxMeasure bounds distance, elevation and times of one activity, in metres
// and seconds: more than twice the distance to the moon, and 31 years. The sum
// of 9,000 of them fits into an int64.
const maxMeasure = 1e9

func sumOf(a *gatheringv1.Activity) Sum {
	return Sum{
		Count: 1, Distance: micro(a.Distance), MovingTime: a.MovingTime, ElapsedTime: a.ElapsedTime,
		TotalElevationGain: micro(a.TotalElevationGain),
	}
}

func micro(metres float64) int64 { return int64(math.Round(metres * 1e6)) }

func (s Sum) plus(t Sum, sign int64) Sum {
	return Sum{
		Count:              s.Count + sign*t.Count,
		Distance:           s.Distance + sign*t.Distance,
		MovingTime:         s.MovingTime + sign*t.MovingTime,
		ElapsedTime:        s.ElapsedTime + sign*t.ElapsedTime,
		TotalElevationGain: s.TotalElevationGain + sign*t.TotalElevationGain,
	}
}

// MonthOf returns the month whose totals include the record, as YYYY-MM. It is
// empty for a deletion.
func MonthOf(r Record) string {
	if r.Activity == nil {
		return ""
	}
	return r.Activity.StartDateLocal[:len("2006-01")]
}

// NewMonthlyTotals returns the totals of no activities.
func NewMonthlyTotals() *MonthlyTotals {
	return &MonthlyTotals{Sums: map[DayAndSport]Sum{}, ReadIn: map[int64]int{}}
}

// Clone returns a copy.
func (t *MonthlyTotals) Clone() *MonthlyTotals {
	return &MonthlyTotals{Sums: maps.Clone(t.Sums), ReadIn: maps.Clone(t.ReadIn)}
}

// Empty reports whether the totals include no activity.
func (t *MonthlyTotals) Empty() bool { return len(t.ReadIn) == 0 }

func dayAndSportOf(a *gatheringv1.Activity) DayAndSport {
	day, _ := localDay(a.StartDateLocal) // [Check] has parsed it before.
	return DayAndSport{Day: day.Day(), SportType: a.SportType}
}

func (t *MonthlyTotals) add(r Record) {
	key := dayAndSportOf(r.Activity)
	t.Sums[key] = t.Sums[key].plus(sumOf(r.Activity), 1)
	t.ReadIn[hour(r.ReadAt)]++
}

// remove reverses add.
func (t *MonthlyTotals) remove(r Record) {
	key, read := dayAndSportOf(r.Activity), hour(r.ReadAt)
	if t.ReadIn[read]--; t.ReadIn[read] == 0 {
		delete(t.ReadIn, read)
	}
	t.Sums[key] = t.Sums[key].plus(sumOf(r.Activity), -1)
	if t.Sums[key].Count == 0 {
		delete(t.Sums, key)
	}
}

const secondsPerHour = 3600

func hour(t time.Time) int64 { return t.Unix() / secondsPerHour }

// Oldest returns the beginning of the hour in which the oldest of the
// activities was read. It has no meaning for empty totals.
func (t *MonthlyTotals) Oldest() time.Time {
	oldest := int64(math.MaxInt64)
	for h := range t.ReadIn {
		oldest = min(oldest, h)
	}
	return time.Unix(oldest*secondsPerHour, 0).UTC()
}

// Drifted reports whether the totals include an activity that cannot exist once
// everything is deleted that was read at the time or before. They do if the
// store dropped an activity by itself.
func (t *MonthlyTotals) Drifted(until time.Time) bool {
	return !t.Empty() && !t.Oldest().Add(time.Hour).After(until)
}

// TotalsByMonth adds up records by month.
func TotalsByMonth(records []Record) map[string]*MonthlyTotals {
	out := map[string]*MonthlyTotals{}
	for _, r := range records {
		if month := MonthOf(r); month != "" {
			if out[month] == nil {
				out[month] = NewMonthlyTotals()
			}
			out[month].add(r)
		}
	}
	return out
}

// Replace updates totals, which are by month, for a record that takes the place
// of another one. Totals that become empty stay in the map.
func Replace(totals map[string]*MonthlyTotals, old, record Record) {
	if t := totals[MonthOf(old)]; t != nil {
		t.remove(old)
	}
	if month := MonthOf(record); month != "" {
		if totals[month] == nil {
			totals[month] = NewMonthlyTotals()
		}
		totals[month].add(record)
	}
}
