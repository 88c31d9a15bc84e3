package main

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// limiter is Strava's: it counts every call, those it refuses too, in quarter
// hours and UTC days (Strava, "Rate Limits").
type limiter struct {
	limit        quota.Pair
	used         quota.Pair
	quarter, day int64
	// usedOn is the usage of each day, and usedIn that of each quarter hour.
	usedOn, usedIn map[int64]int
	// refused counts our calls that were answered with 429, by quarter hour.
	refused map[int64]int
}

func quarterOf(t time.Time) int64 { return t.Unix() / 900 }
func dayOf(t time.Time) int64     { return t.Unix() / 86400 }

func (l *limiter) call(now time.Time) (ok bool, rates *quota.Rates) {
	if q := quarterOf(now); q != l.quarter {
		l.quarter, l.used.Quarter = q, 0
	}
	if d := dayOf(now); d != l.day {
		l.day, l.used.Day = d, 0
	}
	l.used.Quarter++
	l.used.Day++
	l.usedIn[l.quarter]++
	l.usedOn[l.day]++
	return l.used.Quarter <= l.limit.Quarter && l.used.Day <= l.limit.Day, &quota.Rates{
		Overall: quota.Rate{Limit: quota.Pair{Quarter: 2 * l.limit.Quarter, Day: 2 * l.limit.Day}, Usage: l.used},
		Read:    quota.Rate{Limit: l.limit, Usage: l.used},
	}
}

// athlete is one at Strava, and what has become of their activities here.
type athlete struct {
	id         int64
	generation int64 // 0 before they connect
	connected  time.Time
	left       bool
	leaving    bool
	joined     time.Time
	// activities by number; an activity's id is made of the athlete's id and it.
	activities []activity
	// order holds the numbers of what Strava shows, by start time.
	order []int32

	// perDay is how often they upload, and zone the offset of their clock.
	perDay float64
	zone   time.Duration
	// hints are what webhooks said and nobody has looked into.
	hints []hint
	// firstPage and complete are when the first scan got there.
	firstPage, complete time.Time
	// served counts the pages of the first scan that were read in the class
	// backfill, and joinedLine is where the line stood when it joined.
	served     int
	joinedLine float64
}

// activity is one at Strava and its row here. Times are Unix seconds.
type activity struct {
	start int64
	// changed is when it last changed at Strava, deleted when it was; 0 if not.
	changed, deleted int64
	// read is when the row was last read; 0 when there is none.
	read int64
}

type hint struct {
	number int32
	aspect string
	came   time.Time
}

// idsPerAthlete is more than any athlete has activities.
const idsPerAthlete = 1_000_000

func (a *athlete) activityID(number int32) int64 { return a.id*idsPerAthlete + int64(number) }

// show puts the activity where Strava lists it.
func (a *athlete) show(number int32) {
	start := a.activities[number].start
	at := sort.Search(len(a.order), func(i int) bool { return a.activities[a.order[i]].start > start })
	a.order = slices.Insert(a.order, at, number)
}

// hide takes it away.
func (a *athlete) hide(number int32) {
	if i := slices.Index(a.order, number); i >= 0 {
		a.order = slices.Delete(a.order, i, i+1)
	}
}

// How long Strava takes, after what was recorded of it in October 2025: a page
// of 30 took 1.2 s and one of 72 took 2.3 s at the median, an empty one 0.05 s.
const (
	timePerList     = 400 * time.Millisecond
	timePerActivity = 26 * time.Millisecond
	timePerEmpty    = 50 * time.Millisecond
	timePerRead     = 300 * time.Millisecond
	timeToArrive    = 60 * time.Millisecond
)

// stravaPort is [gathering.Strava] as one function sees it, by its own clock.
type stravaPort struct {
	world *world
	clock func() time.Time
}

// call makes one call: it arrives, is counted, and is answered. work does it at
// Strava and says how long that takes.
func (s stravaPort) call(athleteID, generation int64, work func(*athlete) (time.Duration, error)) (gathering.Reading, error) {
	w := s.world
	reading := gathering.Reading{At: s.clock().UTC()}
	a := w.athletes[athleteID-1]
	w.kernel.sleep(timeToArrive)
	if a.left || a.generation != generation {
		reading.Answer = quota.Answer{Outcome: quota.Unknown, Began: reading.At, Ended: s.clock()}
		return reading, gathering.ErrRevoked
	}
	ok, rates := w.limiter.call(w.kernel.now)
	w.figures.calls[w.kernel.running.class]++
	var took time.Duration
	var err error
	if ok {
		took, err = work(a)
		took = time.Duration(float64(took) * math.Exp(0.25*w.random.NormFloat64()))
	} else {
		w.limiter.refused[w.limiter.quarter]++
		err = gathering.ErrRateLimited
	}
	if w.random.Float64() < w.scenario.late {
		took += time.Duration(w.random.Float64() * float64(25*time.Second))
	}
	w.kernel.sleep(timePerEmpty + min(took, 28*time.Second))
	reading.Answer = quota.Answer{Calls: 1, Began: reading.At, Ended: s.clock(), Date: w.kernel.now.Truncate(time.Second), Rates: rates}
	if !ok {
		reading.Answer.Outcome = quota.RateLimited
	}
	return reading, err
}

// Athlete implements [gathering.Strava].
func (s stravaPort) Athlete(_ context.Context, athleteID, generation int64) (gatheringv1.Athlete, gathering.Reading, error) {
	var profile gatheringv1.Athlete
	reading, err := s.call(athleteID, generation, func(a *athlete) (time.Duration, error) {
		profile = gatheringv1.Athlete{ID: a.id, CreatedAt: a.joined.Format(time.RFC3339)}
		return timePerRead, nil
	})
	return profile, reading, err
}

// Activities implements [gathering.Strava].
func (s stravaPort) Activities(_ context.Context, athleteID, generation int64, req gathering.PageRequest) (gathering.Page, gathering.Reading, error) {
	w := s.world
	var list []gatheringv1.Activity
	reading, err := s.call(athleteID, generation, func(a *athlete) (time.Duration, error) {
		before := func(t time.Time) int {
			return sort.Search(len(a.order), func(i int) bool { return a.activities[a.order[i]].start >= t.Unix() })
		}
		first, end := 0, before(req.To)-(req.Page-1)*req.PerPage
		if !req.From.IsZero() {
			first = before(req.From)
		}
		numbers := a.order[max(first, end-req.PerPage):max(first, end)]
		list = make([]gatheringv1.Activity, len(numbers))
		for i, number := range numbers {
			list[len(numbers)-1-i] = s.activity(a, number)
		}
		w.looked(a, func(h hint) bool {
			return req.Page == 1 && h.aspect == gathering.AspectCreate || slices.Contains(numbers, h.number) || len(numbers) == 0
		})
		w.paged(a, req.Page, len(numbers))
		if len(numbers) == 0 {
			return timePerEmpty, nil
		}
		return timePerList + time.Duration(len(numbers))*timePerActivity, nil
	})
	return gathering.Page{Activities: list, Sent: len(list)}, reading, err
}

// Activity implements [gathering.Strava].
func (s stravaPort) Activity(_ context.Context, athleteID, generation, activityID int64) (gatheringv1.Activity, gathering.Reading, error) {
	var found gatheringv1.Activity
	reading, err := s.call(athleteID, generation, func(a *athlete) (time.Duration, error) {
		number := int32(activityID - a.id*idsPerAthlete)
		s.world.looked(a, func(h hint) bool { return h.number == number })
		if !slices.Contains(a.order, number) {
			return timePerRead, gathering.ErrNotVisible
		}
		found = s.activity(a, number)
		return timePerRead, nil
	})
	return found, reading, err
}

func (s stravaPort) activity(a *athlete, number int32) gatheringv1.Activity {
	return gatheringv1.Activity{
		ID: a.activityID(number), StartDate: time.Unix(a.activities[number].start, 0).UTC().Format(time.RFC3339),
	}
}

// exponential returns a random time with a mean.
func exponential(r *rand.Rand, mean time.Duration) time.Duration {
	return time.Duration(r.ExpFloat64() * float64(mean))
}
