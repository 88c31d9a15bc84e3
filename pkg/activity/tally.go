package activity

import (
	"maps"
	"math"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// Tally adds up the activities of an athlete that started in one month of the
// calendar where they started. It is kept beside them, and changed together
// with them.
type Tally struct {
	Sums map[Slot]Sum
	// ReadIn counts the activities by the hour, since the Unix epoch, in which
	// they were read. It tells whether the sums hold anything that is too old.
	ReadIn map[int64]int
}

// Slot is what a tally has sums of.
type Slot struct {
	// Day of the month, from 1.
	Day       int
	SportType string
}

// Sum is a sum over activities. Its parts are whole numbers, so that it is the
// same whatever was added and taken away in whatever order: distance and
// elevation in micrometres, times in seconds.
type Sum struct {
	Count, Distance, MovingTime, ElapsedTime, TotalElevationGain int64
}

// maxMeasure bounds distance, elevation and times of one activity, in metres
// and seconds. It is twice the way to the moon and 31 years; the sum of 9,000
// of them fits into an int64.
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

// MonthOf names the month that the row counts to, as YYYY-MM; "" when the
// activity is gone.
func MonthOf(r Row) string {
	if r.Activity == nil {
		return ""
	}
	return r.Activity.StartDateLocal[:len("2006-01")]
}

// NewTally makes a tally without activities.
func NewTally() *Tally { return &Tally{Sums: map[Slot]Sum{}, ReadIn: map[int64]int{}} }

// Clone makes a copy.
func (t *Tally) Clone() *Tally { return &Tally{Sums: maps.Clone(t.Sums), ReadIn: maps.Clone(t.ReadIn)} }

// Empty reports whether the tally has no activities.
func (t *Tally) Empty() bool { return len(t.ReadIn) == 0 }

func slotOf(a *gatheringv1.Activity) Slot {
	day, _ := localDay(a.StartDateLocal) // Checked before it was kept.
	return Slot{Day: day.Day(), SportType: a.SportType}
}

func (t *Tally) add(r Row) {
	slot := slotOf(r.Activity)
	t.Sums[slot] = t.Sums[slot].plus(sumOf(r.Activity), 1)
	t.ReadIn[hour(r.ReadAt)]++
}

// remove takes out what add put in.
func (t *Tally) remove(r Row) {
	slot, read := slotOf(r.Activity), hour(r.ReadAt)
	if t.ReadIn[read]--; t.ReadIn[read] == 0 {
		delete(t.ReadIn, read)
	}
	t.Sums[slot] = t.Sums[slot].plus(sumOf(r.Activity), -1)
	if t.Sums[slot].Count == 0 {
		delete(t.Sums, slot)
	}
}

const secondsPerHour = 3600

func hour(t time.Time) int64 { return t.Unix() / secondsPerHour }

// Oldest is the beginning of the hour in which the oldest of the activities was
// read; of no meaning when the tally is empty.
func (t *Tally) Oldest() time.Time {
	oldest := int64(math.MaxInt64)
	for h := range t.ReadIn {
		oldest = min(oldest, h)
	}
	return time.Unix(oldest*secondsPerHour, 0).UTC()
}

// Drifted reports whether the tally counts an activity that cannot be there once
// all is deleted that was read at the time or before. It does when the store
// dropped an activity by itself.
func (t *Tally) Drifted(until time.Time) bool {
	return !t.Empty() && !t.Oldest().Add(time.Hour).After(until)
}

// Tallies adds up rows by month.
func Tallies(rows []Row) map[string]*Tally {
	out := map[string]*Tally{}
	for _, r := range rows {
		if name := MonthOf(r); name != "" {
			if out[name] == nil {
				out[name] = NewTally()
			}
			out[name].add(r)
		}
	}
	return out
}

// Exchange puts a row in the place of another and keeps the tallies, which are
// by month, exact. One that becomes empty stays there as such.
func Exchange(tallies map[string]*Tally, old, row Row) {
	if t := tallies[MonthOf(old)]; t != nil {
		t.remove(old)
	}
	if month := MonthOf(row); month != "" {
		if tallies[month] == nil {
			tallies[month] = NewTally()
		}
		tallies[month].add(row)
	}
}
