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

// limiter is Strava's rate limiter. It counts every call, including those that it
// refuses, in quarter hours and UTC days (Strava, "Rate Limits").
type limiter struct {
	limit        quota.Pair
	used         quota.Pair
	quarter, day int64
	// usedOn is the usage of each day, and usedIn the usage of each quarter hour.
	usedOn, usedIn map[int64]int
	// refused counts our calls that got a 429, by quarter hour.
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

// athlete is an athlete at Strava, with the state of the athlete's data here.
type athlete struct {
	id         int64
	generation int64 // 0 before they connect
	connected  time.Time
	// left means that the athlete deauthorized at Strava, and ended that we know.
	left, ended bool
	leaving     bool
	joined      time.Time
	// activities by number. activityID makes an activity's id from the number.
	activities []activity
	// order holds the numbers of the activities that Strava shows, by start time.
	order []int32

	// perDay is the mean number of uploads per day, and zone the offset of the
	// athlete's clock.
	perDay float64
	zone   time.Duration
	// observed marks the sick athletes, and the athletes who would be sick in the
	// scenario with failures. The figures leave them out. failure is how Strava
	// fails for the athlete, until sickUntil unless that is zero.
	observed            bool
	failure             *failure
	sickFrom, sickUntil time.Time
	// calledOn is the day of the last call, and callsThatDay the calls on it.
	calledOn     int64
	callsThatDay int
	// lastEvent is the time of the last webhook event.
	lastEvent time.Time
	// hints are the webhook events that no call has followed up yet.
	hints []hint
	// firstPage and complete are the times of the first scan's first page and
	// end.
	firstPage, complete time.Time
	// served counts the pages of the first scan in the class backfill. joinedAt
	// is figures.turns at the time when the athlete began to wait there.
	served   int
	joinedAt float64
}

// activity is an activity at Strava with its record here. Times are Unix seconds.
type activity struct {
	start int64
	// shown is the time from which Strava shows it; 0 if it does not yet.
	shown int64
	// changed and deleted are the times of its last change and its deletion at
	// Strava; 0 for never.
	changed, deleted int64
	// read is the time of the last reading; 0 if there is no record.
	read int64
}

// hint is a webhook event that no call has followed up yet.
type hint struct {
	number int32
	aspect string
	came   time.Time
	// single means that the athlete's event before was more than a minute
	// earlier.
	single bool
}

// idsPerAthlete is more than the number of activities of any athlete.
const idsPerAthlete = 1_000_000

func (a *athlete) activityID(number int32) int64 { return a.id*idsPerAthlete + int64(number) }

// show adds the activity to Strava's list.
func (a *athlete) show(number int32) {
	start := a.activities[number].start
	at := sort.Search(len(a.order), func(i int) bool { return a.activities[a.order[i]].start > start })
	a.order = slices.Insert(a.order, at, number)
}

// hide removes the activity from Strava's list.
func (a *athlete) hide(number int32) {
	if i := slices.Index(a.order, number); i >= 0 {
		a.order = slices.Delete(a.order, i, i+1)
	}
}

// Strava's response times, from recordings of October 2025: at the median a
// page of 30 took 1.2 s, a page of 72 took 2.3 s, and an empty page 0.05 s.
const (
	timePerList     = 400 * time.Millisecond
	timePerActivity = 26 * time.Millisecond
	timePerEmpty    = 50 * time.Millisecond
	timePerRead     = 300 * time.Millisecond
	timeToArrive    = 60 * time.Millisecond
)

// stravaPort implements [gathering.Strava] for one function with its own clock:
// the real adapter over a model of the requester and of Strava.
type stravaPort struct {
	world *world
	clock func() time.Time
}

// answer is Strava's response to a call that does not fail, with its duration.
type answer struct {
	status int
	body   string
	took   time.Duration
}

// forwarded is a call through the requester.
type forwarded struct {
	stravaPort
	list bool
	// shown returns the activities in the right answer.
	shown func(*athlete) []int32
	// respond returns the answer, which is right or a wrong page, unless the call
	// fails.
	respond func(*athlete, wrongPage) answer
	// answered means that respond was called.
	answered bool
}

func (f *forwarded) forward(_ context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
	w := f.world
	a := w.athletes[req.AthleteID-1]
	w.kernel.sleep(timeToArrive)
	if a.left || a.generation != req.Generation {
		w.end(a) // credentials notices the deauthorization even if its event was lost
		return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeRevoked}, nil
	}
	outcome := w.outcomeOf(a, f.shown(a), f.list)
	if !outcome.isRight() {
		w.figures.faults++
		w.stopWaiting(a)
	}
	if outcome.err != nil {
		return credentialsv1.ForwardResponse{}, outcome.err
	}
	var res credentialsv1.ForwardResponse
	var took time.Duration
	noHeaders := false
	if outcome.failure != nil {
		res, took, noHeaders = outcome.failure.response, outcome.failure.took, outcome.failure.noHeaders
	}
	var rates quota.Rates
	if outcome.failure == nil || res.Calls > 0 {
		w.called(a)
		var ok bool
		if ok, rates = w.limiter.call(w.kernel.now); !ok {
			w.limiter.refused[w.limiter.quarter]++
			res, took, noHeaders = tooManyRequests, 0, false
		} else if outcome.failure == nil {
			right := f.respond(a, outcome.page)
			f.answered = true
			res = credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeAnswered, Status: right.status, Body: right.body, Calls: 1}
			took = time.Duration(float64(right.took) * math.Exp(0.25*w.answers.NormFloat64()))
		}
	}
	if w.answers.Float64() < w.scenario.late {
		took += time.Duration(w.answers.Float64() * float64(25*time.Second))
	}
	w.kernel.sleep(timePerEmpty + min(took, 28*time.Second))
	if !noHeaders {
		res.Header = header(rates, w.kernel.now)
	}
	return res, nil
}

// tooManyRequests is Strava's response beyond a limit.
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
func (s stravaPort) Athlete(ctx context.Context, by gathering.Authorization) (gatheringv1.Athlete, gathering.Reading, error) {
	f := &forwarded{
		stravaPort: s,
		shown:      func(*athlete) []int32 { return nil },
		respond: func(a *athlete, _ wrongPage) answer {
			body := fmt.Sprintf(`{"id":%d,"created_at":%q}`, a.id, a.joined.UTC().Format(time.RFC3339))
			return answer{http.StatusOK, body, timePerRead}
		},
	}
	return strava.New(f.forward, s.clock).Athlete(ctx, by)
}

// Activities implements [gathering.Strava].
func (s stravaPort) Activities(ctx context.Context, by gathering.Authorization, req gathering.PageRequest) (gathering.Page, gathering.Reading, error) {
	w := s.world
	var list []gatheringv1.Activity
	f := &forwarded{
		stravaPort: s, list: true,
		shown: func(a *athlete) []int32 { return a.page(req) },
		respond: func(a *athlete, page wrongPage) answer {
			numbers := a.page(req)
			switch {
			case page == emptyPage:
				numbers = nil
			case page == repeatedPage && req.Page > 1:
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
	page, reading, err := strava.New(f.forward, s.clock).Activities(ctx, by, req)
	if f.answered {
		// The list does not pass through JSON, because decoding tens of
		// millions of summaries would take most of the time.
		page = gathering.Page{Activities: list, Entries: len(list)}
	}
	return page, reading, err
}

// Activity implements [gathering.Strava].
func (s stravaPort) Activity(ctx context.Context, by gathering.Authorization, activityID int64) (gatheringv1.Activity, gathering.Reading, error) {
	number := func(a *athlete) int32 { return int32(activityID - a.id*idsPerAthlete) }
	f := &forwarded{
		stravaPort: s,
		shown:      func(a *athlete) []int32 { return []int32{number(a)} },
		respond: func(a *athlete, _ wrongPage) answer {
			n := number(a)
			s.world.resolved(a, func(h hint) bool { return h.number == n })
			if !slices.Contains(a.order, n) {
				return answer{http.StatusNotFound, "", timePerRead}
			}
			body := fmt.Sprintf(`{"id":%d,"athlete":{"id":%d},"start_date":%q}`, activityID, a.id, a.summary(n).StartDate)
			return answer{http.StatusOK, body, timePerRead}
		},
	}
	return strava.New(f.forward, s.clock).Activity(ctx, by, activityID)
}

// page returns the activities of a page, oldest first.
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

// exponential returns an exponentially distributed time.
func exponential(r *rand.Rand, mean time.Duration) time.Duration {
	return time.Duration(r.ExpFloat64() * float64(mean))
}
