package main

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// small is a scenario whose quota is used up on the first day.
func small() scenario {
	return scenario{
		name: "small", seed: 11, athletes: 100, days: 4, connecting: 8 * time.Hour,
		limit: quota.Pair{Quarter: 100, Day: 250},
	}
}

func mustPlay(t *testing.T, s scenario) result {
	t.Helper()
	r, err := play(s)
	if err != nil {
		t.Fatal(err)
	}
	r.Seconds = 0
	return r
}

func TestPromises(t *testing.T) {
	for name, change := range map[string]func(*scenario){
		"a day's limit binds":      func(*scenario) {},
		"a quarter hour's binds":   func(s *scenario) { s.limit, s.connecting = quota.Pair{Quarter: 20, Day: 100_000}, time.Hour },
		"several callers at once":  func(s *scenario) { s.limit = quota.Pair{Quarter: 600, Day: 250} },
		"clocks off, late answers": func(s *scenario) { s.skew, s.late = 30*time.Second, 0.05 },
		"other athletes, a week":   func(s *scenario) { s.seed, s.days = 12, 7 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := small()
			change(&s)
			r := mustPlay(t, s)
			if r.Own429 != 0 {
				t.Errorf("%d of our calls got a 429", r.Own429)
			}
			if r.BusyDays+r.BusyQuarters == 0 {
				t.Error("work never waited for the quota, so this tested little")
			}
			if r.QuotaUsed != nil && *r.QuotaUsed < 0.98 {
				t.Errorf("%.3f of the days' limit was used while work waited", *r.QuotaUsed)
			}
			if r.QuarterUsed != nil && *r.QuarterUsed < 0.93 {
				t.Errorf("%.3f of the quarter hours' limit was used while work waited", *r.QuarterUsed)
			}
			if r.Webhooks == 0 || r.WebhookWaitP99 >= 900 {
				t.Errorf("of %d webhook events the 99th percentile waited for %.0f s", r.Webhooks, r.WebhookWaitP99)
			}
			if r.RecordsRead == 0 || r.RecordsAged != 0 || r.RecordsLost != 0 {
				t.Errorf("of %d readings %d came too late; %d records were removed wrongly", r.RecordsRead, r.RecordsAged, r.RecordsLost)
			}
			if r.Jain == nil || *r.Jain < 0.95 {
				t.Errorf("fairness of backfill: %v", r.Jain)
			}
			if r.Quarantined != 0 {
				t.Errorf("%d jobs were quarantined", r.Quarantined)
			}
		})
	}
}

func TestInterference(t *testing.T) {
	for name, change := range map[string]func(*scenario){
		"another client": func(s *scenario) { s.otherClient = 30 * time.Minute },
		"limits move":    func(s *scenario) { s.limitChanges = time.Hour },
		"everything": func(s *scenario) {
			s.otherClient, s.limitChanges, s.skew, s.late = 30*time.Minute, time.Hour, 30*time.Second, 0.05
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := small()
			s.limit = quota.Pair{Quarter: 30, Day: 1000}
			change(&s)
			r := mustPlay(t, s)
			if r.Own429PerWindow > 1 || r.RecordsLost != 0 {
				t.Errorf("%d of our calls got a 429 in one quarter hour; %d records were removed wrongly", r.Own429PerWindow, r.RecordsLost)
			}
			if r.Own429 == 0 {
				t.Error("no call was ever refused, so this tested little")
			}
		})
	}
}

// checkPromises checks the promises that hold whether Strava fails or not: no
// call of ours gets a 429, and no activity that Strava shows is removed, or
// unreadable for more than 7 days.
func checkPromises(t *testing.T, r result) {
	t.Helper()
	if r.Own429 != 0 {
		t.Errorf("%d of our calls got a 429", r.Own429)
	}
	if r.RecordsRead == 0 || r.RecordsAged != 0 || r.RecordsLost != 0 {
		t.Errorf("of %d readings %d came too late; %d records were removed wrongly", r.RecordsRead, r.RecordsAged, r.RecordsLost)
	}
	if r.Unreadable > keep.Hours() {
		t.Errorf("an activity that Strava showed was unreadable for %.0f h", r.Unreadable)
	}
}

// checkPromptness checks the promises that hold only without failures and
// without another client, and if the limits suffice: webhook events wait for
// seconds, and no work is quarantined or incomplete.
func checkPromptness(t *testing.T, r result) {
	t.Helper()
	if r.SingleWaitP50 > 2 || r.SingleWaitP99 > 10 || r.WebhookWaitP99 > 20 {
		t.Errorf("single webhook events waited for %.1f s (p50) and %.1f s (p99), all for %.1f s (p99)",
			r.SingleWaitP50, r.SingleWaitP99, r.WebhookWaitP99)
	}
	if r.Quarantined != 0 || r.Incomplete != 0 {
		t.Errorf("%d jobs were quarantined, %d first scans are not complete", r.Quarantined, r.Incomplete)
	}
}

// plenty is a scenario whose quota always suffices.
func plenty() scenario {
	return scenario{
		name: "plenty", seed: 21, athletes: 80, days: 5, connecting: 8 * time.Hour, longest: 2500,
		limit: quota.Pair{Quarter: 300, Day: 3000},
	}
}

func TestWebhookEventsAreFollowedUpWithinSeconds(t *testing.T) {
	for name, change := range map[string]func(*scenario){
		"as usual":                     func(*scenario) {},
		"many bursts":                  func(s *scenario) { s.bursts = 60 },
		"several callers, many bursts": func(s *scenario) { s.bursts, s.limit = 60, largestLimit },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := plenty()
			change(&s)
			r := mustPlay(t, s)
			checkPromises(t, r)
			checkPromptness(t, r)
			if s.bursts > 0 && r.Webhooks < 500 {
				t.Errorf("%d webhook events are too few for bursts", r.Webhooks)
			}
		})
	}
}

func TestOneSickAthleteDoesNotDelayOthers(t *testing.T) {
	for name, after := range map[string]time.Duration{"from the beginning": 0, "later": 36 * time.Hour} {
		s := plenty()
		s.athletes, s.days, s.sick, s.sickAfter = 60, 4, 1, after
		well := sync.OnceValue(func() result { return mustPlay(t, s) })
		for _, kind := range athleteFailures {
			t.Run(kind.name+", "+name, func(t *testing.T) {
				t.Parallel()
				s := s
				s.failures = []*failure{kind}
				r, well := mustPlay(t, s), well()
				checkPromises(t, r)
				if r.Faults == 0 {
					t.Error("nothing failed, so this tested little")
				}
				if r.SickCalls > 60 {
					t.Errorf("%d calls in a day for the sick athlete", r.SickCalls)
				}
				// Some wait for one page of another athlete, which takes 6 s.
				const page = 6
				atMost := func(what string, got, well, noise float64) {
					t.Helper()
					if got > 1.05*well+noise {
						t.Errorf("%s of the others: %.2f, without the sick one %.2f", what, got, well)
					}
				}
				atMost("waits of webhook events (p50, s)", r.WebhookWaitP50, well.WebhookWaitP50, 0)
				atMost("waits of webhook events (p99, s)", r.WebhookWaitP99, well.WebhookWaitP99, page)
				atMost("waits of single events (p99, s)", r.SingleWaitP99, well.SingleWaitP99, page)
				atMost("first pages (p99, s)", r.FirstPageP99, well.FirstPageP99, page)
				atMost("first scans (p50, h)", r.FirstScanP50, well.FirstScanP50, 1./3600)
				atMost("first scans (most, h)", r.FirstScanMax, well.FirstScanMax, 0)
				atMost("first scans (unfinished)", float64(r.Incomplete), float64(well.Incomplete), 0)
				atMost("age of records (most, h)", r.MaxAge, well.MaxAge, 0)
				atMost("changes (p99, h)", r.ChangeP99, well.ChangeP99, 0)
				atMost("records not read", float64(well.RecordsRead-r.RecordsRead), 0.05*float64(well.RecordsRead), 0)
			})
		}
	}
}

func TestSeveralSickAthletesDelayOthersByMinutesAtMost(t *testing.T) {
	t.Parallel()
	s := plenty()
	s.athletes, s.sick, s.failures, s.sickAfter = 150, 3, athleteFailures, 24*time.Hour
	r := mustPlay(t, s)
	checkPromises(t, r)
	if r.WebhookWaitMax > 300 || r.SickCalls > 60 || r.Incomplete != 0 {
		t.Errorf("others' webhook events waited for %.0f s at most, %d calls for a sick athlete in a day, %d first scans unfinished",
			r.WebhookWaitMax, r.SickCalls, r.Incomplete)
	}
}

func TestSickAthletesAreCurrentSoonAfterTheyRecover(t *testing.T) {
	t.Parallel()
	s := plenty()
	s.sick, s.failures, s.days, s.sickFor = 4, athleteFailures, 12, 8*aDay
	r := mustPlay(t, s)
	checkPromises(t, r)
	if r.Faults == 0 || r.Unreadable > 48 {
		t.Errorf("%d calls failed; after the recovery activities were unreadable for %.0f h", r.Faults, r.Unreadable)
	}
}

func TestActivitiesThatStravaCannotShowDoNotAffectOthers(t *testing.T) {
	t.Parallel()
	s := plenty()
	s.athletes, s.days, s.unshowable = 60, 9, 0.001
	r := mustPlay(t, s)
	checkPromises(t, r)
	if r.Faults == 0 || r.Incomplete != 0 || r.WebhookWaitP50 > 2 || r.WebhookWaitP99 > 300 {
		t.Errorf("%d calls failed, %d first scans unfinished, webhook events waited for %.1f s (p50) and %.0f s (p99)",
			r.Faults, r.Incomplete, r.WebhookWaitP50, r.WebhookWaitP99)
	}
}

func TestWrongPagesRemoveNothing(t *testing.T) {
	t.Parallel()
	s := plenty()
	s.wrongPages = 0.02
	r := mustPlay(t, s)
	checkPromises(t, r)
	if r.Faults < 20 {
		t.Errorf("%d wrong pages tested little", r.Faults)
	}
	// A wrong list is read again after 15 s.
	if r.SingleWaitP50 > 2 || r.WebhookWaitP99 > 30 || r.Quarantined != 0 || r.Incomplete != 0 {
		t.Errorf("single webhook events waited for %.1f s (p50), all for %.0f s (p99), %d jobs quarantined, %d first scans unfinished",
			r.SingleWaitP50, r.WebhookWaitP99, r.Quarantined, r.Incomplete)
	}
}

func TestManyWrongPagesRemoveNothing(t *testing.T) {
	t.Parallel()
	s := plenty()
	s.athletes, s.days, s.wrongPages, s.longest = 150, 6, 0.1, largestHistory
	r := mustPlay(t, s)
	checkPromises(t, r)
	if r.Faults < 200 {
		t.Errorf("%d wrong pages tested little", r.Faults)
	}
}

func TestAllDataIsCurrentHalfAnHourAfterAnOutage(t *testing.T) {
	for i, kind := range athleteFailures {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			s := plenty()
			s.seed, s.days, s.connecting = uint64(30+i), 4, 4*aDay
			s.outages = []*failure{kind}
			r := mustPlay(t, s)
			checkPromises(t, r)
			if r.Faults == 0 || r.Recovery == 0 {
				t.Errorf("%d calls failed and no work waited for Strava, so this tested little", r.Faults)
			}
			if r.Recovery > 30 || r.Quarantined != 0 || r.Incomplete != 0 {
				t.Errorf("current after %.0f min, %d jobs quarantined, %d first scans unfinished", r.Recovery, r.Quarantined, r.Incomplete)
			}
		})
	}
}

func TestFailuresOfComponentsLoseNothing(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			s := plenty()
			s.seed, s.limit.Day = 41+seed, 250 // so that scans wait, too, when the requester fails
			well := mustPlay(t, s)
			s.breakdowns = time.Hour
			r := mustPlay(t, s)
			checkPromises(t, r)
			if r.Faults == 0 || r.Quarantined != 0 || r.Incomplete > well.Incomplete {
				t.Errorf("%d calls failed, %d jobs quarantined, %d first scans unfinished", r.Faults, r.Quarantined, r.Incomplete)
			}
			if r.WebhookWaitP50 > 2 || r.WebhookWaitMax > (2*longestBreakdown).Seconds() {
				t.Errorf("webhook events waited for %.1f s (p50) and %.0f s at most", r.WebhookWaitP50, r.WebhookWaitMax)
			}
		})
	}
}

func TestOneSeedGivesOneResult(t *testing.T) {
	t.Parallel()
	s := small()
	s.sick, s.failures, s.wrongPages, s.unshowable, s.breakdowns = 3, athleteFailures, 0.01, 0.001, 6*time.Hour
	if d := cmp.Diff(mustPlay(t, s), mustPlay(t, s)); d != "" {
		t.Error(d)
	}
}

func TestJain(t *testing.T) {
	if j := *jain([]float64{1, 1, 1, 1}); j != 1 {
		t.Errorf("all equal: %g", j)
	}
	if j := *jain([]float64{4, 0, 0, 0}); j != 0.25 {
		t.Errorf("one has all: %g", j)
	}
}
