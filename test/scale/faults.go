package main

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// failure is a way for a call to fail: what the requester returns in place of
// Strava's right answer.
type failure struct {
	name     string
	response credentialsv1.ForwardResponse
	// took is the duration of the call.
	took time.Duration
	// noHeaders means that the answer has no rate limit headers.
	noHeaders bool
}

// answered returns a failure with an HTTP response.
func answered(name string, status int, body string, noHeaders bool) *failure {
	return &failure{
		name: name, took: timePerRead, noHeaders: noHeaders,
		response: credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeAnswered, Status: status, Body: body, Calls: 1},
	}
}

const htmlPage = "<html><body>Strava is temporarily unavailable</body></html>"

// The failures. Responses in HTML come from a proxy in front of Strava, which
// adds no rate limit headers.
var (
	badGateway     = answered("502", http.StatusBadGateway, htmlPage, true)
	htmlUnder200   = answered("HTML under 200", http.StatusOK, htmlPage, true)
	truncatedJSON  = answered("truncated JSON", http.StatusOK, `[{"id":1,"start_da`, false)
	forbidden      = answered("403", http.StatusForbidden, `{"message":"Forbidden","errors":[]}`, false)
	unexplained429 = answered("429 without headers", http.StatusTooManyRequests, "", true)
	serverError    = answered("500", http.StatusInternalServerError, `{"message":"error"}`, false)
	silence        = &failure{
		name: "no answer for 15 s", took: 15 * time.Second, noHeaders: true,
		response: credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeUnavailable, Calls: 1},
	}
	// noToken is a failure of the token endpoint. The call itself is never made.
	noToken = &failure{
		name: "token endpoint fails", took: timePerRead, noHeaders: true,
		response: credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeUnavailable},
	}
)

// athleteFailures are the failures that can affect one athlete only.
var athleteFailures = []*failure{badGateway, htmlUnder200, silence, forbidden, unexplained429, noToken, serverError}

// wrongPage is a way for a list page to be wrong although its status is 200 and
// its JSON is well formed. The zero wrongPage stands for a right page.
type wrongPage int

const (
	// emptyPage has no activities.
	emptyPage wrongPage = iota + 1
	// repeatedPage is the page before the requested one.
	repeatedPage
)

// outcome is the outcome of a call. The zero outcome is a right answer.
type outcome struct {
	failure *failure
	page    wrongPage
	// err is not nil if the requester itself fails.
	err error
}

func (o outcome) isRight() bool { return o == outcome{} }

// outcomeOf draws the outcome of a call whose right answer shows these activities
// of the athlete.
func (w *world) outcomeOf(a *athlete, shown []int32, list bool) outcome {
	s, draw := w.scenario, w.faults
	switch {
	case w.broken == requester:
		return outcome{err: errComponent}
	case w.outage != nil:
		return outcome{failure: w.outage}
	case w.isSick(a, w.kernel.now):
		return outcome{failure: a.failure}
	}
	for _, number := range shown {
		if w.isUnshowable(a.activityID(number)) {
			return outcome{failure: serverError}
		}
	}
	if !list || draw.Float64() >= s.wrongPages {
		return outcome{}
	}
	switch draw.IntN(3) {
	case 0:
		return outcome{page: emptyPage}
	case 1:
		return outcome{page: repeatedPage}
	default:
		return outcome{failure: truncatedJSON}
	}
}

// isSick reports whether Strava fails for the athlete at a time.
func (w *world) isSick(a *athlete, at time.Time) bool {
	return a.failure != nil && !at.Before(a.sickFrom) && (a.sickUntil.IsZero() || at.Before(a.sickUntil))
}

// isUnshowable reports whether Strava fails to show the activity, alone or in a
// list.
func (w *world) isUnshowable(activityID int64) bool {
	if w.scenario.unshowable == 0 {
		return false
	}
	// SplitMix64's finalizer selects the same activities on every run.
	x := uint64(activityID) + w.scenario.seed
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return float64(x>>11)/(1<<53) < w.scenario.unshowable
}

// makeSick selects the sick athletes, spread evenly, and gives each one of the
// scenario's failures in turn.
func (w *world) makeSick() {
	s := w.scenario
	for i := range s.sick {
		a := w.athletes[i*s.athletes/s.sick+s.athletes/s.sick/3]
		// Uploads every day, so that there is always something to read.
		a.observed, a.perDay = true, 2
		if len(s.failures) == 0 {
			continue
		}
		a.failure, a.sickFrom = s.failures[i%len(s.failures)], start
		if i%2 == 1 || s.sick == 1 {
			a.sickFrom = start.Add(s.sickAfter)
		}
		if s.sickFor > 0 {
			a.sickUntil = a.sickFrom.Add(s.sickFor)
		}
	}
}

// component is a component of Paceline that can fail.
type component string

// The components that fail in a scenario.
const (
	storage   component = "storage"
	bus       component = "bus"
	requester component = "requester"
)

// errComponent is the error of a component that fails.
var errComponent = fault.New(fault.Transient, "a component fails")

// errorOf returns an error while the component fails.
func (w *world) errorOf(c component) error {
	if w.broken == c {
		return errComponent
	}
	return nil
}

// The limits of the time for which a component fails. Strava tries to deliver a
// webhook event for a time in between.
const shortestBreakdown, longestBreakdown = 2 * time.Minute, 8 * time.Minute

// breakComponents makes a component fail from time to time.
func (w *world) breakComponents() {
	w.kernel.after(exponential(w.faults, w.scenario.breakdowns), func() {
		w.setBroken([]component{storage, bus, requester}[w.faults.IntN(3)])
		lasting := shortestBreakdown + time.Duration(w.faults.Float64()*float64(longestBreakdown-shortestBreakdown))
		w.kernel.after(lasting, func() {
			w.setBroken("")
			w.breakComponents()
		})
	})
}

func (w *world) setBroken(c component) {
	w.broken = c
	w.memory.Store.Fail(w.errorOf(storage))
}

// Strava fails for all athletes for outageTime, once in each outagePeriod.
const outageTime, outagePeriod = 2 * time.Hour, 3 * aDay

// outages makes Strava fail for all athletes, by each of these failures in turn.
func (w *world) outages(kinds []*failure) {
	for i, kind := range kinds {
		begin := time.Duration((float64(i) + w.faults.Float64()) * float64(outagePeriod-2*outageTime))
		w.kernel.after(begin, func() {
			w.outage = kind
			w.kernel.after(outageTime, func() { w.outage, w.recovered = nil, w.kernel.now })
		})
	}
}

// retry calls do until no component fails, as a queue redelivers its messages.
func (w *world) retry(what string, do func() error) {
	switch err := do(); {
	case err == nil:
	case errors.Is(err, errComponent):
		w.kernel.after(30*time.Second, func() { w.retry(what, do) })
	default:
		w.fail(fmt.Errorf("%s: %w", what, err))
	}
}
