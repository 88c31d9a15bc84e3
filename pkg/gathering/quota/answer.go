package quota

import (
	"time"
)

// Outcome of a call, as evidence about Strava.
type Outcome int

// The outcomes.
const (
	// Answered: Strava answered, and the answer was understood.
	Answered Outcome = iota
	// RateLimited: 429.
	RateLimited
	// Maintenance: 502 or 597.
	Maintenance
	// Unavailable: another failure of Strava's: no answer in time, another 5xx, or
	// a malformed answer.
	Unavailable
	// Inactive: Strava says that the application is inactive (403 with the error
	// Application/Status/Inactive).
	Inactive
	// Unknown: the call says nothing about Strava. It was not made, or failed on
	// our side.
	Unknown
)

// CallsUncertain is for [Answer] Calls: a call may have been made.
const CallsUncertain = -1

// Answer is the part of a call's result that concerns the quota.
type Answer struct {
	Outcome Outcome
	// AthleteID is the athlete whose data was read.
	AthleteID int64
	// Calls is how many calls were made: two if an access token was refused and
	// renewed, none if something failed before, or [CallsUncertain].
	Calls int
	// Began and Ended are when the call did, by the caller's clock.
	Began, Ended time.Time
	// Date is the answer's Date header; zero when there was none.
	Date time.Time
	// Rates are from the answer's headers; nil unless all four are there.
	Rates *Rates
}

// span is the time in which Strava may have counted the call, by its clock.
func (a Answer) span() (from, to time.Time) {
	began, ended := a.Began.Add(-Skew), a.Ended.Add(Skew)
	if a.Date.Before(began.Add(-Skew)) || a.Date.After(ended.Add(Skew)) {
		return began, ended // There is no date, or an impossible one.
	}
	// The duration is by one clock, whose error does not matter. The second is the
	// date's precision.
	return a.Date.Add(-a.Ended.Sub(a.Began) - time.Second), a.Date.Add(time.Second)
}

// Rates are Strava's four rate limit headers.
type Rates struct {
	// Overall is X-RateLimit-Limit and X-RateLimit-Usage.
	Overall Rate
	// Read is X-ReadRateLimit-Limit and X-ReadRateLimit-Usage.
	Read Rate
}

// exceeded reports whether there are rates and one of the limits is reached.
func (r *Rates) exceeded() bool {
	if r == nil {
		return false
	}
	for _, rate := range []Rate{r.Overall, r.Read} {
		if rate.Usage.Quarter >= rate.Limit.Quarter || rate.Usage.Day >= rate.Limit.Day {
			return true
		}
	}
	return false
}

// Rate is a limit and the usage so far.
type Rate struct{ Limit, Usage Pair }

// Pair is a figure for each window, as in "100,1000".
type Pair struct{ Quarter, Day int }
