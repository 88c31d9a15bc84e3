package quota

import (
	"math"
	"time"
)

// Demand of a class.
type Demand struct {
	// Today counts permits by the hour of the present UTC day in which their
	// work came up.
	Today [24]int
	// Usual is the average of the same hours on earlier days. The newest day
	// weighs as much as all days before it.
	Usual [24]float64
	// Days is how many days Usual has learned from.
	Days int
	// Calls counts the permits given today, and Yesterday those of the day
	// before.
	Calls, Yesterday int
}

func (d Demand) total() (n int) {
	for _, count := range d.Today {
		n += count
	}
	return n
}

// expected returns how many calls the class will probably make in a part of the
// present day: the usual number, scaled up if the class has made more than
// usual so far.
func (b *Budget) expected(class Class, now, from, to time.Time) float64 {
	demand := b.Demand[class]
	if demand.Days == 0 {
		hourly := min(float64(b.Day.bindingLimit())/24, 4*float64(b.Quarter.bindingLimit()))
		for hour := range demand.Usual {
			demand.Usual[hour] = reserveBounds[class].first * hourly
		}
	}
	start, _ := b.day().bounds()
	watched := start
	if b.Since.After(start) {
		watched = b.Since
	}
	scale := (float64(demand.total()) + scaleDamping) / (demand.usual(start, watched, now) + scaleDamping)
	return demand.usual(start, from, to) * min(max(scale, 1), maxScale)
}

// usual is the usual number of calls between two times of the day that begins
// at start.
func (d Demand) usual(start, from, to time.Time) (sum float64) {
	for hour, calls := range d.Usual {
		begin := start.Add(time.Duration(hour) * time.Hour)
		end := begin.Add(time.Hour)
		if from.After(begin) {
			begin = from
		}
		if to.Before(end) {
			end = to
		}
		if end.After(begin) {
			sum += calls * end.Sub(begin).Hours()
		}
	}
	return sum
}

// countDemand counts a permit of the class.
func (b *Budget) countDemand(class Class, due time.Time) {
	start, _ := b.day().bounds()
	demand := b.Demand[class]
	demand.Calls++
	// The hour counts from the day's beginning. It is negative for work that came
	// up the day before, which is added to what was learned from that day.
	switch hour := int(math.Floor(due.Sub(start).Hours())); {
	case hour >= 0:
		demand.Today[min(hour, 23)]++
	case hour >= -24 && demand.Days > 0:
		demand.Usual[hour+24] += demand.newestWeight()
	}
	b.Demand[class] = demand
}

// endDay ends a day, and any days after it that passed without a call.
func (b *Budget) endDay(passed int64) {
	start, _ := b.day().bounds()
	ended := start.Add(-time.Duration(passed) * dayLength)
	for _, class := range Classes {
		d := b.Demand[class]
		next := Demand{Usual: d.Usual, Days: d.Days}
		if passed == 1 {
			next.Yesterday = d.Calls
		}
		if b.Since.Before(ended.Add(time.Hour)) { // otherwise only a part of the day was seen
			next.addDay(d.Today)
		}
		for range min(passed-1, maxIdleDays) {
			next.addDay([24]int{})
		}
		b.Demand[class] = next
	}
}

// addDay adds a day to the average.
func (d *Demand) addDay(day [24]int) {
	d.Days++
	for hour, calls := range day {
		d.Usual[hour] = (1-d.newestWeight())*d.Usual[hour] + d.newestWeight()*float64(calls)
	}
}

// newestWeight is the weight of the newest day in the average.
func (d *Demand) newestWeight() float64 {
	if d.Days == 1 {
		return 1
	}
	return 0.5
}
