package main

import (
	"fmt"
	"time"

	"github.com/paceline/paceline/pkg/gathering/quota"
)

// scenario describes a simulation.
type scenario struct {
	name     string
	seed     uint64
	athletes int
	days     int
	// connecting is the time in which all athletes connect.
	connecting time.Duration
	// longest is the number of activities in the longest history; 0 stands for
	// largestHistory.
	longest int
	// limit is Strava's read limit. The overall limit is twice that.
	limit quota.Pair
	// skew is the largest error of a function's clock. late is the share of
	// responses that take up to 25 s longer.
	skew time.Duration
	late float64
	// otherClient is the mean time between bursts of calls by another client of
	// the application, each of up to half a quarter hour's limit. limitChanges
	// is the mean time between changes of the limits. 0 stands for never.
	otherClient, limitChanges time.Duration

	// sick is how many athletes Strava fails for, each by one of failures, in
	// turn. For every second athlete, and for a single one, it fails from
	// sickAfter on; for the others from the start. It fails for sickFor, or to
	// the end if that is 0. Without failures the same athletes are well, for
	// comparison.
	sick               int
	failures           []*failure
	sickAfter, sickFor time.Duration
	// unshowable is the share of activities that Strava fails to show.
	// wrongPages is the share of list pages that are wrong although their
	// status is 200.
	unshowable, wrongPages float64
	// outages are the ways, in turn, in which Strava fails for all athletes for
	// outageTime, once in each outagePeriod.
	outages []*failure
	// breakdowns is the mean time between failures of our storage, bus or
	// requester, each for some minutes; 0 stands for never.
	breakdowns time.Duration
	// bursts multiplies the number of upload bursts; 0 stands for 1.
	bursts float64
}

// quotaDisturbed reports whether some of the quota cannot be used although work
// waits.
func (s scenario) quotaDisturbed() bool {
	return s.otherClient > 0 || s.limitChanges > 0 || len(s.outages) > 0 || s.breakdowns > 0
}

func (s scenario) limits() string { return fmt.Sprintf("%d,%d", s.limit.Quarter, s.limit.Day) }

const aDay = 24 * time.Hour

// Strava's read limits for the sizes that Paceline supports.
var (
	defaultLimit  = quota.Pair{Quarter: 100, Day: 1000}
	upgradedLimit = quota.Pair{Quarter: 200, Day: 2000} // self-service, up to 10 athletes
	reviewedLimit = quota.Pair{Quarter: 300, Day: 3000} // after Strava's review, up to 999 athletes
	largestLimit  = quota.Pair{Quarter: 600, Day: 30000}
)

var scenarios = []scenario{
	{name: "10 athletes", seed: 1, athletes: 10, days: 30, connecting: time.Hour, limit: upgradedLimit},
	{name: "1000 athletes, default limits", seed: 2, athletes: 1000, days: 30, connecting: 10 * aDay, limit: defaultLimit},
	{name: "1000 athletes, upgraded limits", seed: 3, athletes: 1000, days: 30, connecting: 10 * aDay, limit: reviewedLimit},
	{name: "9999 athletes", seed: 4, athletes: 9999, days: 14, connecting: 4 * aDay, limit: largestLimit},
	{name: "another client spends, too", seed: 5, athletes: 1000, days: 7, connecting: 5 * aDay, limit: reviewedLimit, otherClient: 2 * time.Hour},
	{name: "limits move", seed: 6, athletes: 1000, days: 7, connecting: 5 * aDay, limit: reviewedLimit, limitChanges: 4 * time.Hour},
	{name: "clocks 30 s off, late answers", seed: 7, athletes: 1000, days: 7, connecting: 5 * aDay, limit: reviewedLimit,
		skew: 30 * time.Second, late: 0.02},
	{name: "all of that", seed: 8, athletes: 1000, days: 7, connecting: 5 * aDay, limit: reviewedLimit,
		skew: 30 * time.Second, late: 0.02, otherClient: 2 * time.Hour, limitChanges: 4 * time.Hour},
	{name: "all of that, largest limits", seed: 9, athletes: 5000, days: 5, connecting: 2 * aDay, limit: largestLimit,
		skew: 30 * time.Second, late: 0.02, otherClient: 4 * time.Hour, limitChanges: 4 * time.Hour},
	{name: "bursts of uploads", seed: 10, athletes: 1000, days: 7, connecting: 3 * aDay, limit: reviewedLimit, bursts: 30},
	oneSick(nil), oneSick(badGateway), oneSick(htmlUnder200), oneSick(silence), oneSick(forbidden),
	oneSick(unexplained429), oneSick(noToken), oneSick(serverError),
	{name: "1 % are sick", seed: 12, athletes: 1000, days: 14, connecting: 3 * aDay, limit: reviewedLimit,
		sick: 10, failures: athleteFailures, sickAfter: 5 * aDay},
	{name: "1 % are sick for 8 days", seed: 13, athletes: 1000, days: 14, connecting: 3 * aDay, limit: reviewedLimit,
		sick: 10, failures: athleteFailures, sickAfter: 3 * aDay, sickFor: 8 * aDay},
	{name: "1 activity in 1000 fails", seed: 14, athletes: 300, days: 14, connecting: 3 * aDay, limit: reviewedLimit, unshowable: 0.001},
	{name: "1 page in 500 is wrong", seed: 15, athletes: 1000, days: 14, connecting: 3 * aDay, limit: reviewedLimit, wrongPages: 0.002},
	{name: "outages of 2 hours", seed: 16, athletes: 1000, days: 21, connecting: 3 * aDay, limit: reviewedLimit, outages: athleteFailures},
	{name: "our own parts fail", seed: 17, athletes: 1000, days: 7, connecting: 3 * aDay, limit: reviewedLimit, breakdowns: 6 * time.Hour},
}

// oneSick returns a scenario in which Strava fails for one athlete to the end.
// With nil it does not fail, for comparison.
func oneSick(f *failure) scenario {
	s := scenario{name: "one could be sick", seed: 11, athletes: 300, days: 7, connecting: 2 * aDay, limit: reviewedLimit, sick: 1}
	if f != nil {
		s.name, s.failures = "one is sick: "+f.name, []*failure{f}
	}
	return s
}
