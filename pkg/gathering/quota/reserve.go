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

// A claim is what a class may keep from those below it, in shares of a limit.
type claim struct {
	// first is the share of a day's calls that the class is expected to need,
	// until a whole day has been seen.
	first float64
	// least and most bound the reserve. least shrinks with the time left in the
	// window.
	least, most float64
}

// claims of the classes with a reserve. Leave has a floor of its own. Reconcile
// has no reserve: it goes before the classes below it anyway, and it can wait
// for days.
var claims = map[Class]claim{
	Leave:       {least: 0.01, most: 0.01},
	Webhook:     {first: 0.30, least: 0.02, most: 0.80},
	Interactive: {first: 0.05, least: 0.02, most: 0.30},
	Backfill:    {first: 0.05, least: 0.05, most: 0.10},
}

const (
	// leaveFloor is how many calls are kept until the very end of a window, for
	// departures and for the calls that the credentials boundary makes without
	// permits to confirm them.
	leaveFloor = 2
	// leaveFloorShare bounds that floor under very small limits.
	leaveFloorShare = 0.1
	// mostScale bounds how far a day may depart from its usual course.
	mostScale = 3.0
	// scaleDamping is how many calls it takes to be sure that it does.
	scaleDamping = 10
	// busier and deviations are the margin on the expected calls: a factor, since
	// a weekend may follow a Friday, and a number of standard deviations of a
	// Poisson process. The margin wastes no calls, since it shrinks to nothing as
	// the window ends.
	busier     = 1.4
	deviations = 3
	// daysForgotten is how many days without a call erase everything learned.
	daysForgotten = 16
)

// reservedAbove is how many of the window's calls have to be kept from the
// class at time t, by the present forecast.
func (b *Budget) reservedAbove(class Class, g gauge, now, t time.Time) float64 {
	var sum float64
	for _, c := range Classes {
		if c == class {
			break
		}
		sum += b.reserve(c, g, now, t)
	}
	return sum
}

// reserve is how many calls the class keeps from those below it at time t: the
// calls that it is expected to make until the window ends, and a margin, within
// the bounds of its claim. It never grows with t.
func (b *Budget) reserve(class Class, g gauge, now, t time.Time) float64 {
	claim, ok := claims[class]
	if !ok {
		return 0
	}
	_, end := g.bounds()
	limit := float64(g.binding())
	left := min(1, max(0, float64(end.Sub(t))/float64(g.length)))
	if class == Leave {
		return max(claim.least*limit*left, min(leaveFloor, math.Floor(leaveFloorShare*limit)))
	}
	expected := b.expected(class, now, t, end)
	return min(max(claim.least*limit*left, busier*expected+deviations*math.Sqrt(expected)), claim.most*limit)
}

// expected is how many calls the class will probably make in a part of the
// present day: the usual number, scaled up if it has made more than usual so
// far.
func (b *Budget) expected(class Class, now, from, to time.Time) float64 {
	demand := b.Demand[class]
	if demand.Days == 0 {
		hourly := min(float64(b.Day.binding())/24, 4*float64(b.Quarter.binding()))
		for hour := range demand.Usual {
			demand.Usual[hour] = claims[class].first * hourly
		}
	}
	start, _ := b.day().bounds()
	watched := start
	if b.Since.After(start) {
		watched = b.Since
	}
	scale := (float64(demand.total()) + scaleDamping) / (demand.usual(start, watched, now) + scaleDamping)
	return demand.usual(start, from, to) * min(max(scale, 1), mostScale)
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

// note counts a permit of the class.
func (b *Budget) note(class Class, due time.Time) {
	start, _ := b.day().bounds()
	demand := b.Demand[class]
	demand.Calls++
	// The hour counts from the day's beginning. It is negative for work that came
	// up the day before, which is added to what was learned from that day.
	switch hour := int(math.Floor(due.Sub(start).Hours())); {
	case hour >= 0:
		demand.Today[min(hour, 23)]++
	case hour >= -24 && demand.Days > 0:
		demand.Usual[hour+24] += demand.newest()
	}
	b.Demand[class] = demand
}

// turnDay ends a day, and any days after it that passed without a call.
func (b *Budget) turnDay(passed int64) {
	start, _ := b.day().bounds()
	ended := start.Add(-time.Duration(passed) * dayLength)
	for _, class := range Classes {
		d := b.Demand[class]
		next := Demand{Usual: d.Usual, Days: d.Days}
		if passed == 1 {
			next.Yesterday = d.Calls
		}
		if b.Since.Before(ended.Add(time.Hour)) { // else only a part of the day was seen
			next.learn(d.Today)
		}
		for range min(passed-1, daysForgotten) {
			next.learn([24]int{})
		}
		b.Demand[class] = next
	}
}

// learn adds a day to the average.
func (d *Demand) learn(day [24]int) {
	d.Days++
	for hour, calls := range day {
		d.Usual[hour] = (1-d.newest())*d.Usual[hour] + d.newest()*float64(calls)
	}
}

// newest is the weight of the newest day in the average.
func (d *Demand) newest() float64 {
	if d.Days == 1 {
		return 1
	}
	return 0.5
}
