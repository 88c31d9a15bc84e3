package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/paceline/paceline/pkg/gathering/quota"
	"golang.org/x/sync/errgroup"
)

// scenario is what is played.
type scenario struct {
	name     string
	seed     uint64
	athletes int
	days     int
	// connecting is the time within which all athletes connect.
	connecting time.Duration
	// longest is how many activities the longest history has; 0 stands for
	// largestHistory.
	longest int
	// limit is Strava's read limit; the overall one is twice that.
	limit quota.Pair
	// skew bounds how far functions' clocks are off, late is the share of
	// answers that come very late.
	skew time.Duration
	late float64
	// others is the mean time between bursts of another client of the
	// application, each of up to half a quarter hour's limit, and moving the
	// mean time between changes of the limits; 0 when there are none.
	others, moving time.Duration

	// sick is how many athletes Strava fails for, each in one of the ways of
	// illnesses, in turn. For every second athlete, and for a single one, it fails
	// after sickAfter, for the others from the beginning. It fails for sickFor, or
	// for ever if that is zero. Without illnesses the same athletes stay well, to
	// compare with.
	sick               int
	illnesses          []*failure
	sickAfter, sickFor time.Duration
	// unshowable is the share of activities that Strava fails to show, and
	// wrongPages that of list pages that are wrong although their status is 200.
	unshowable, wrongPages float64
	// outages are the ways, in turn, in which Strava fails for all athletes for
	// outageTime, once in each outagePeriod.
	outages []*failure
	// breakdowns is the mean time between failures of our storage, bus or
	// requester, each for some minutes; 0 when there are none.
	breakdowns time.Duration
	// bursts is how many times more bursts of uploads there are than usual; 0
	// stands for 1.
	bursts float64
}

// quotaDisturbed says that not all of the quota could be used, whatever waits.
func (s scenario) quotaDisturbed() bool {
	return s.others > 0 || s.moving > 0 || len(s.outages) > 0 || s.breakdowns > 0
}

func (s scenario) limits() string { return fmt.Sprintf("%d,%d", s.limit.Quarter, s.limit.Day) }

const aDay = 24 * time.Hour

// Strava's limits for the sizes that Paceline is meant for.
var (
	defaultLimit  = quota.Pair{Quarter: 100, Day: 1000}
	upgradedLimit = quota.Pair{Quarter: 200, Day: 2000} // by oneself, up to 10 athletes
	reviewedLimit = quota.Pair{Quarter: 300, Day: 3000} // after Strava's review, up to 999
	largestLimit  = quota.Pair{Quarter: 600, Day: 30000}
)

var scenarios = []scenario{
	{name: "10 athletes", seed: 1, athletes: 10, days: 30, connecting: time.Hour, limit: upgradedLimit},
	{name: "1000 athletes, default limits", seed: 2, athletes: 1000, days: 30, connecting: 10 * aDay, limit: defaultLimit},
	{name: "1000 athletes, upgraded limits", seed: 3, athletes: 1000, days: 30, connecting: 10 * aDay, limit: reviewedLimit},
	{name: "9999 athletes", seed: 4, athletes: 9999, days: 14, connecting: 4 * aDay, limit: largestLimit},
	{name: "another client spends, too", seed: 5, athletes: 1000, days: 7, connecting: 5 * aDay, limit: reviewedLimit, others: 2 * time.Hour},
	{name: "limits move", seed: 6, athletes: 1000, days: 7, connecting: 5 * aDay, limit: reviewedLimit, moving: 4 * time.Hour},
	{name: "clocks 30 s off, late answers", seed: 7, athletes: 1000, days: 7, connecting: 5 * aDay, limit: reviewedLimit,
		skew: 30 * time.Second, late: 0.02},
	{name: "all of that", seed: 8, athletes: 1000, days: 7, connecting: 5 * aDay, limit: reviewedLimit,
		skew: 30 * time.Second, late: 0.02, others: 2 * time.Hour, moving: 4 * time.Hour},
	{name: "all of that, largest limits", seed: 9, athletes: 5000, days: 5, connecting: 2 * aDay, limit: largestLimit,
		skew: 30 * time.Second, late: 0.02, others: 4 * time.Hour, moving: 4 * time.Hour},
	{name: "bursts of uploads", seed: 10, athletes: 1000, days: 7, connecting: 3 * aDay, limit: reviewedLimit, bursts: 30},
	oneSick(nil), oneSick(badGateway), oneSick(htmlUnder200), oneSick(silence), oneSick(forbidden),
	oneSick(unexplained429), oneSick(noToken), oneSick(serverError),
	{name: "1 % are sick", seed: 12, athletes: 1000, days: 14, connecting: 3 * aDay, limit: reviewedLimit,
		sick: 10, illnesses: illnesses, sickAfter: 5 * aDay},
	{name: "1 % are sick for 8 days", seed: 13, athletes: 1000, days: 14, connecting: 3 * aDay, limit: reviewedLimit,
		sick: 10, illnesses: illnesses, sickAfter: 3 * aDay, sickFor: 8 * aDay},
	{name: "1 activity in 1000 fails", seed: 14, athletes: 300, days: 14, connecting: 3 * aDay, limit: reviewedLimit, unshowable: 0.001},
	{name: "1 page in 500 is wrong", seed: 15, athletes: 1000, days: 14, connecting: 3 * aDay, limit: reviewedLimit, wrongPages: 0.002},
	{name: "outages of 2 hours", seed: 16, athletes: 1000, days: 21, connecting: 3 * aDay, limit: reviewedLimit, outages: illnesses},
	{name: "our own parts fail", seed: 17, athletes: 1000, days: 7, connecting: 3 * aDay, limit: reviewedLimit, breakdowns: 6 * time.Hour},
}

// oneSick is a scenario in which Strava fails for one athlete for ever, in one
// way; nil: it does not, to compare with.
func oneSick(illness *failure) scenario {
	s := scenario{name: "one could be sick", seed: 11, athletes: 300, days: 7, connecting: 2 * aDay, limit: reviewedLimit, sick: 1}
	if illness != nil {
		s.name, s.illnesses = "one is sick: "+illness.name, []*failure{illness}
	}
	return s
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
		os.Exit(1)
	}
}

func run() error {
	results := make([]result, len(scenarios))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, s := range scenarios {
		group.Go(func() (err error) {
			if results[i], err = play(s); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, r := range results {
		r.print()
	}
	b, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(".local", "sim.json")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// play runs a scenario.
func play(s scenario) (result, error) {
	began := time.Now()
	w := newWorld(s)
	w.populate(s.athletes, s.connecting)
	w.sicken()
	w.tick()
	w.sample()
	if s.others > 0 {
		w.interfere()
	}
	if s.moving > 0 {
		w.moveLimits()
	}
	w.outages(s.outages)
	if s.breakdowns > 0 {
		w.breakDown()
	}
	w.kernel.run(start.Add(time.Duration(s.days) * aDay))
	r := w.result(s)
	r.Seconds = time.Since(began).Seconds()
	return r, w.err
}

// interfere has another client of the application spend of the quota.
func (w *world) interfere() {
	w.kernel.after(exponential(w.faults, w.scenario.others), func() {
		for range w.faults.IntN(w.scenario.limit.Quarter / 2) {
			w.limiter.call(w.kernel.now)
		}
		w.interfere()
	})
}

// moveLimits has Strava change the limits in the middle of windows.
func (w *world) moveLimits() {
	w.kernel.after(exponential(w.faults, w.scenario.moving), func() {
		share := []float64{1. / 3, 2. / 3, 1}[w.faults.IntN(3)]
		full := w.scenario.limit
		w.limiter.limit = quota.Pair{Quarter: int(share * float64(full.Quarter)), Day: int(share * float64(full.Day))}
		w.moveLimits()
	})
}

func (r result) print() {
	fmt.Printf("%s, %d days, read limit %s (%.0f s)\n", r.Scenario, r.Days, r.ReadLimit, r.Seconds)
	row := func(name string, format string, values ...any) {
		fmt.Printf("  %-34s "+format+"\n", append([]any{name}, values...)...)
	}
	row("429s, most in a quarter hour", "%d, %d", r.Own429, r.Own429PerWindow)
	row("quota used while work waited", "%s of %d days, %s of %d quarter hours", percent(r.QuotaUsed), r.BusyDays, percent(r.QuarterUsed), r.BusyQuarters)
	row("webhooks", "%d", r.Webhooks)
	row("webhook waits, p50, p99, most", "%.1f s, %.0f s, %.0f s", r.WebhookWaitP50, r.WebhookWaitP99, r.WebhookWaitMax)
	row("of single ones, p50, p99", "%.1f s, %.0f s", r.SingleWaitP50, r.SingleWaitP99)
	if r.Faults > 0 {
		row("faults met", "%d; calls for a sick athlete a day, most: %d; recovery %.1f min", r.Faults, r.SickCalls, r.Recovery)
	}
	row("unreadable, most", "%.1f h", r.Unreadable)
	row("oldest row", "%.1f h; of %d readings %d came too late", r.MaxAge, r.RowsRead, r.RowsAged)
	row("rows removed wrongly", "%d", r.RowsLost)
	if r.Jain != nil {
		row("fairness of backfill (Jain)", "%.3f; of divided shares %.3f", *r.Jain, *r.JainDivided)
	}
	row("first page, p99", "%.0f s", r.FirstPageP99)
	row("first scan, p50, most, unfinished", "%.2f h, %.1f h, %d", r.FirstScanP50, r.FirstScanMax, r.Incomplete)
	row("deletion, most; change, p99", "%.1f h; %.1f h", r.DeletionMax, r.ChangeP99)
	fmt.Printf("  calls a day                       ")
	for _, class := range quota.Classes {
		fmt.Printf(" %s %d", class, r.CallsPerDay[class])
	}
	fmt.Printf("; parked %d\n\n", r.Parked)
}

func percent(share *float64) string {
	if share == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", *share*100)
}
