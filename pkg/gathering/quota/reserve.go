package quota

import (
	"math"
	"time"
)

// shares bound what a class may keep from those below it, as shares of a
// limit.
type shares struct {
	// first is the share of a day's calls that the class is expected to need,
	// until a whole day has been seen.
	first float64
	// least and most bound the reserve. least shrinks with the time left in the
	// window.
	least, most float64
}

// reserveBounds are the bounds of the classes that have a reserve. Leave also
// has a floor. Reconcile has no reserve: it precedes the classes below it
// anyway, and can wait for days.
var reserveBounds = map[Class]shares{
	Leave:       {least: 0.01, most: 0.01},
	Webhook:     {first: 0.30, least: 0.02, most: 0.80},
	Interactive: {first: 0.05, least: 0.02, most: 0.30},
	Backfill:    {first: 0.05, least: 0.05, most: 0.10},
}

const (
	// leaveFloor is how many calls are kept until the very end of a window, for
	// work of class leave and for the calls that the credentials boundary makes
	// without permits to verify deauthorizations.
	leaveFloor = 2
	// leaveFloorShare bounds that floor under very small limits.
	leaveFloorShare = 0.1
	// maxScale bounds how much busier than usual a day may be forecast.
	maxScale = 3.0
	// scaleDamping is how many calls are needed before a busy day shows.
	scaleDamping = 10
	// demandMargin and deviations are the margin on the expected calls: a factor,
	// since a weekend may follow a Friday, and a number of standard deviations of
	// a Poisson process. The margin wastes no calls, since it shrinks to zero at
	// the end of the window.
	demandMargin = 1.4
	deviations   = 3
	// maxIdleDays is how many days without a call reset the forecast.
	maxIdleDays = 16
)

// reservedAbove is how many of the window's calls have to be kept from the
// class at time t, by the present forecast.
func (b *Budget) reservedAbove(class Class, g windowMeter, now, t time.Time) float64 {
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
// the bounds of the class. It never grows with t.
func (b *Budget) reserve(class Class, g windowMeter, now, t time.Time) float64 {
	share, ok := reserveBounds[class]
	if !ok {
		return 0
	}
	_, end := g.bounds()
	limit := float64(g.bindingLimit())
	left := min(1, max(0, float64(end.Sub(t))/float64(g.length)))
	if class == Leave {
		return max(share.least*limit*left, min(leaveFloor, math.Floor(leaveFloorShare*limit)))
	}
	expected := b.expected(class, now, t, end)
	return min(max(share.least*limit*left, demandMargin*expected+deviations*math.Sqrt(expected)), share.most*limit)
}
