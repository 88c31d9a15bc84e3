package main

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// failure is how a call can fail: what the requester answers in place of
// Strava's true answer.
type failure struct {
	name     string
	response credentialsv1.ForwardResponse
	// took is how long the call takes.
	took time.Duration
	// headless: the answer has no rate limit headers.
	headless bool
}

// answered is a failure in which an HTTP answer came.
func answered(name string, status int, body string, headless bool) *failure {
	return &failure{
		name: name, took: timePerRead, headless: headless,
		response: credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeAnswered, Status: status, Body: body, Calls: 1},
	}
}

const htmlPage = "<html><body>Strava is temporarily unavailable</body></html>"

// The failures. Those with HTML come from a proxy in front of Strava, which adds
// no rate limit headers.
var (
	badGateway     = answered("502", http.StatusBadGateway, htmlPage, true)
	htmlUnder200   = answered("HTML under 200", http.StatusOK, htmlPage, true)
	truncatedJSON  = answered("truncated JSON", http.StatusOK, `[{"id":1,"start_da`, false)
	forbidden      = answered("403", http.StatusForbidden, `{"message":"Forbidden","errors":[]}`, false)
	unexplained429 = answered("429 without headers", http.StatusTooManyRequests, "", true)
	serverError    = answered("500", http.StatusInternalServerError, `{"message":"error"}`, false)
	silence        = &failure{
		name: "no answer for 15 s", took: 15 * time.Second, headless: true,
		response: credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeUnavailable, Calls: 1},
	}
	// noToken: the token endpoint fails, so the call itself is never made.
	noToken = &failure{
		name: "token endpoint fails", took: timePerRead, headless: true,
		response: credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeUnavailable},
	}
)

// illnesses are the ways in which Strava may fail for one athlete only.
var illnesses = []*failure{badGateway, htmlUnder200, silence, forbidden, unexplained429, noToken, serverError}

// lie is a list page that is wrong although its status is 200 and its JSON is
// well formed; the zero lie is the truth.
type lie int

const (
	// emptyPage: no activities.
	emptyPage lie = iota + 1
	// repeatedPage: the page before once more.
	repeatedPage
)

// fate is what becomes of a call; the zero fate is a true answer.
type fate struct {
	failure *failure
	lie     lie
	// ours is not nil when the requester itself fails.
	ours error
}

func (f fate) isTrue() bool { return f == fate{} }

// fateOf draws the fate of a call that would show these activities of the
// athlete. All faults of Strava and of the requester are decided here.
func (w *world) fateOf(a *athlete, shown []int32, list bool) fate {
	s, draw := w.scenario, w.faults
	switch {
	case w.broken == requester:
		return fate{ours: errOurs}
	case w.outage != nil:
		return fate{failure: w.outage}
	case w.isSick(a, w.kernel.now):
		return fate{failure: a.illness}
	}
	for _, number := range shown {
		if w.isUnshowable(a.activityID(number)) {
			return fate{failure: serverError}
		}
	}
	if !list || draw.Float64() >= s.wrongPages {
		return fate{}
	}
	switch draw.IntN(3) {
	case 0:
		return fate{lie: emptyPage}
	case 1:
		return fate{lie: repeatedPage}
	default:
		return fate{failure: truncatedJSON}
	}
}

// isSick reports whether Strava fails for the athlete at a time.
func (w *world) isSick(a *athlete, at time.Time) bool {
	return a.illness != nil && !at.Before(a.sickFrom) && (a.sickUntil.IsZero() || at.Before(a.sickUntil))
}

// isUnshowable reports whether Strava fails to show the activity, alone or in a
// list.
func (w *world) isUnshowable(activityID int64) bool {
	if w.scenario.unshowable == 0 {
		return false
	}
	// SplitMix64's finalizer: the same activities on every run.
	x := uint64(activityID) + w.scenario.seed
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return float64(x>>11)/(1<<53) < w.scenario.unshowable
}

// sicken has Strava fail for some athletes, spread evenly, in each of the
// scenario's ways in turn.
func (w *world) sicken() {
	s := w.scenario
	for i := range s.sick {
		a := w.athletes[i*s.athletes/s.sick+s.athletes/s.sick/3]
		// There is always something to read for them.
		a.observed, a.perDay = true, 2
		if len(s.illnesses) == 0 {
			continue
		}
		a.illness, a.sickFrom = s.illnesses[i%len(s.illnesses)], start
		if i%2 == 1 || s.sick == 1 {
			a.sickFrom = start.Add(s.sickAfter)
		}
		if s.sickFor > 0 {
			a.sickUntil = a.sickFrom.Add(s.sickFor)
		}
	}
}

// part is something of ours that can fail.
type part string

// The parts that fail in a scenario.
const (
	storage   part = "storage"
	bus       part = "bus"
	requester part = "requester"
)

// errOurs is how they do.
var errOurs = fault.New(fault.Transient, "a service of ours fails")

// ours returns an error while a part of ours fails.
func (w *world) ours(p part) error {
	if w.broken == p {
		return errOurs
	}
	return nil
}

// A part of ours fails for a time between these: shorter and longer than Strava
// tries to deliver a webhook.
const shortestBreakdown, longestBreakdown = 2 * time.Minute, 8 * time.Minute

// breakDown has a part of ours fail now and then.
func (w *world) breakDown() {
	w.kernel.after(exponential(w.faults, w.scenario.breakdowns), func() {
		w.setBroken([]part{storage, bus, requester}[w.faults.IntN(3)])
		lasting := shortestBreakdown + time.Duration(w.faults.Float64()*float64(longestBreakdown-shortestBreakdown))
		w.kernel.after(lasting, func() {
			w.setBroken("")
			w.breakDown()
		})
	})
}

func (w *world) setBroken(p part) {
	w.broken = p
	w.memory.Store.Fail(w.ours(storage))
}

// Strava fails for all athletes for outageTime, once in each outagePeriod.
const outageTime, outagePeriod = 2 * time.Hour, 3 * aDay

// outages has Strava fail for all athletes now and then, in each of these ways.
func (w *world) outages(kinds []*failure) {
	for i, kind := range kinds {
		begin := time.Duration((float64(i) + w.faults.Float64()) * float64(outagePeriod-2*outageTime))
		w.kernel.after(begin, func() {
			w.outage = kind
			w.kernel.after(outageTime, func() { w.outage, w.recovered = nil, w.kernel.now })
		})
	}
}

// retry calls do until it meets no failure of ours, as a queue does with the
// message that it delivers.
func (w *world) retry(what string, do func() error) {
	switch err := do(); {
	case err == nil:
	case errors.Is(err, errOurs):
		w.kernel.after(30*time.Second, func() { w.retry(what, do) })
	default:
		w.fail(fmt.Errorf("%s: %w", what, err))
	}
}
