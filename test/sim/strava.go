package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"sort"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/gathering/strava"
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

func (l *limiter) call(now time.Time) (ok bool, rates quota.Rates) {
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
	return l.used.Quarter <= l.limit.Quarter && l.used.Day <= l.limit.Day, quota.Rates{
		Overall: quota.Rate{Limit: quota.Pair{Quarter: 2 * l.limit.Quarter, Day: 2 * l.limit.Day}, Usage: l.used},
		Read:    quota.Rate{Limit: l.limit, Usage: l.used},
	}
}

// athlete is one at Strava, and what has become of their activities here.
type athlete struct {
	id         int64
	generation int64 // 0 before they connect
	connected  time.Time
	// left says that the athlete withdrew access, ended that we have heard.
	left, ended bool
	leaving     bool
	joined      time.Time
	// activities by number; an activity's id is made of the athlete's id and it.
	activities []activity
	// order holds the numbers of what Strava shows, by start time.
	order []int32

	// perDay is how often they upload, and zone the offset of their clock.
	perDay float64
	zone   time.Duration
	// observed marks the athletes that the scenario makes sick, or keeps well to
	// compare with: the figures are those of all others. illness is how Strava
	// fails for the athlete, until sickUntil if that is not zero.
	observed            bool
	illness             *failure
	sickFrom, sickUntil time.Time
	// calledOn is the day of the last call, callsThatDay how many it had.
	calledOn     int64
	callsThatDay int
	// lastEvent is when the last webhook came.
	lastEvent time.Time
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
	// shown is since when Strava shows it; 0 if it does not yet.
	shown int64
	// changed is when it last changed at Strava, deleted when it was; 0 if not.
	changed, deleted int64
	// read is when the row was last read; 0 when there is none.
	read int64
}

type hint struct {
	number int32
	aspect string
	came   time.Time
	// single says that the athlete's last webhook was more than a minute earlier.
	single bool
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

// stravaPort is [gathering.Strava] as one function sees it, by its own clock: the
// real adapter over a model of the requester and of Strava.
type stravaPort struct {
	world *world
	clock func() time.Time
}

// answer is what Strava says unless a call fails, and how long that takes.
type answer struct {
	status int
	body   string
	took   time.Duration
}

// forwarded is a call by way of the requester: it arrives, is counted, and meets
// its fate. shown are the activities that its true answer is about, and tell
// makes the answer, true or a lie, unless the call fails.
type forwarded struct {
	stravaPort
	list  bool
	shown func(*athlete) []int32
	tell  func(*athlete, lie) answer
	// answered says that the true answer, or a lie, came.
	answered bool
}

func (f *forwarded) forward(_ context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
	w := f.world
	a := w.athletes[req.AthleteID-1]
	w.kernel.sleep(timeToArrive)
	if a.left || a.generation != req.Generation {
		w.end(a) // Credentials notices it, too, when the athlete's webhook was lost.
		return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeRevoked}, nil
	}
	fate := w.fateOf(a, f.shown(a), f.list)
	if !fate.isTrue() {
		w.figures.faults++
		w.excuse(a)
	}
	if fate.ours != nil {
		return credentialsv1.ForwardResponse{}, fate.ours
	}
	var res credentialsv1.ForwardResponse
	var took time.Duration
	headless := false
	if fate.failure != nil {
		res, took, headless = fate.failure.response, fate.failure.took, fate.failure.headless
	}
	var rates quota.Rates
	if fate.failure == nil || res.Calls > 0 {
		w.called(a)
		var ok bool
		if ok, rates = w.limiter.call(w.kernel.now); !ok {
			w.limiter.refused[w.limiter.quarter]++
			res, took, headless = tooManyRequests, 0, false
		} else if fate.failure == nil {
			told := f.tell(a, fate.lie)
			f.answered = true
			res = credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeAnswered, Status: told.status, Body: told.body, Calls: 1}
			took = time.Duration(float64(told.took) * math.Exp(0.25*w.answers.NormFloat64()))
		}
	}
	if w.answers.Float64() < w.scenario.late {
		took += time.Duration(w.answers.Float64() * float64(25*time.Second))
	}
	w.kernel.sleep(timePerEmpty + min(took, 28*time.Second))
	if !headless {
		res.Header = header(rates, w.kernel.now)
	}
	return res, nil
}

// tooManyRequests is Strava's answer beyond a limit.
var tooManyRequests = credentialsv1.ForwardResponse{
	Outcome: credentialsv1.OutcomeAnswered, Status: http.StatusTooManyRequests, Body: `{"message":"Rate Limit Exceeded"}`, Calls: 1,
}

func header(r quota.Rates, now time.Time) map[string]string {
	pair := func(p quota.Pair) string { return fmt.Sprintf("%d,%d", p.Quarter, p.Day) }
	return map[string]string{
		"Date":              now.UTC().Format(http.TimeFormat),
		"X-Ratelimit-Limit": pair(r.Overall.Limit), "X-Ratelimit-Usage": pair(r.Overall.Usage),
		"X-Readratelimit-Limit": pair(r.Read.Limit), "X-Readratelimit-Usage": pair(r.Read.Usage),
	}
}

// Athlete implements [gathering.Strava].
func (s stravaPort) Athlete(ctx context.Context, athleteID, generation int64) (gatheringv1.Athlete, gathering.Reading, error) {
	f := &forwarded{
		stravaPort: s,
		shown:      func(*athlete) []int32 { return nil },
		tell: func(a *athlete, _ lie) answer {
			body := fmt.Sprintf(`{"id":%d,"created_at":%q}`, a.id, a.joined.UTC().Format(time.RFC3339))
			return answer{http.StatusOK, body, timePerRead}
		},
	}
	return strava.New(f.forward, s.clock).Athlete(ctx, athleteID, generation)
}

// Activities implements [gathering.Strava].
func (s stravaPort) Activities(ctx context.Context, athleteID, generation int64, req gathering.PageRequest) (gathering.Page, gathering.Reading, error) {
	w := s.world
	var list []gatheringv1.Activity
	f := &forwarded{
		stravaPort: s, list: true,
		shown: func(a *athlete) []int32 { return a.page(req) },
		tell: func(a *athlete, lie lie) answer {
			numbers := a.page(req)
			switch {
			case lie == emptyPage:
				numbers = nil
			case lie == repeatedPage && req.Page > 1:
				before := req
				before.Page--
				numbers = a.page(before)
			default:
				w.listed(a, req, numbers)
			}
			list = make([]gatheringv1.Activity, len(numbers))
			for i, number := range numbers {
				list[len(numbers)-1-i] = a.summary(number)
			}
			if len(numbers) == 0 {
				return answer{http.StatusOK, "[]", timePerEmpty}
			}
			return answer{http.StatusOK, "[]", timePerList + time.Duration(len(numbers))*timePerActivity}
		},
	}
	page, reading, err := strava.New(f.forward, s.clock).Activities(ctx, athleteID, generation, req)
	if f.answered {
		// Not by way of JSON: to decode tens of millions of summaries would take
		// most of the time.
		page = gathering.Page{Activities: list, Sent: len(list)}
	}
	return page, reading, err
}

// Activity implements [gathering.Strava].
func (s stravaPort) Activity(ctx context.Context, athleteID, generation, activityID int64) (gatheringv1.Activity, gathering.Reading, error) {
	number := func(a *athlete) int32 { return int32(activityID - a.id*idsPerAthlete) }
	f := &forwarded{
		stravaPort: s,
		shown:      func(a *athlete) []int32 { return []int32{number(a)} },
		tell: func(a *athlete, _ lie) answer {
			n := number(a)
			s.world.looked(a, func(h hint) bool { return h.number == n })
			if !slices.Contains(a.order, n) {
				return answer{http.StatusNotFound, "", timePerRead}
			}
			body := fmt.Sprintf(`{"id":%d,"athlete":{"id":%d},"start_date":%q}`, activityID, a.id, a.summary(n).StartDate)
			return answer{http.StatusOK, body, timePerRead}
		},
	}
	return strava.New(f.forward, s.clock).Activity(ctx, athleteID, generation, activityID)
}

// page returns the activities of a page, the oldest first.
func (a *athlete) page(req gathering.PageRequest) []int32 {
	before := func(t time.Time) int {
		return sort.Search(len(a.order), func(i int) bool { return a.activities[a.order[i]].start >= t.Unix() })
	}
	first, end := 0, before(req.To)-(req.Page-1)*req.PerPage
	if !req.From.IsZero() {
		first = before(req.From)
	}
	return a.order[max(first, end-req.PerPage):max(first, end)]
}

func (a *athlete) summary(number int32) gatheringv1.Activity {
	return gatheringv1.Activity{
		ID: a.activityID(number), StartDate: time.Unix(a.activities[number].start, 0).UTC().Format(time.RFC3339),
	}
}

// exponential returns a random time with a mean.
func exponential(r *rand.Rand, mean time.Duration) time.Duration {
	return time.Duration(r.ExpFloat64() * float64(mean))
}
