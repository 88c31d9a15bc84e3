package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// small is a scenario whose quota binds on the first day.
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
		"a day's limit binds":       func(*scenario) {},
		"a quarter hour's binds":    func(s *scenario) { s.limit, s.connecting = quota.Pair{Quarter: 20, Day: 100_000}, time.Hour },
		"several callers at once":   func(s *scenario) { s.limit = quota.Pair{Quarter: 600, Day: 250} },
		"clocks off, late answers":  func(s *scenario) { s.skew, s.late = 30*time.Second, 0.05 },
		"other athletes, a weekend": func(s *scenario) { s.seed, s.days = 12, 7 },
	} {
		t.Run(name, func(t *testing.T) {
			s := small()
			change(&s)
			r := mustPlay(t, s)
			if r.Own429 != 0 {
				t.Errorf("%d of our calls were answered with 429", r.Own429)
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
				t.Errorf("of %d webhooks one in a hundred waited for %.0f s", r.Webhooks, r.WebhookWaitP99)
			}
			if r.RowsRead == 0 || r.RowsAged != 0 || r.RowsLost != 0 {
				t.Errorf("of %d readings of rows %d came too late; %d rows were removed wrongly", r.RowsRead, r.RowsAged, r.RowsLost)
			}
			if r.Jain == nil || *r.Jain < 0.95 {
				t.Errorf("fairness of backfill: %v", r.Jain)
			}
			if r.Parked != 0 {
				t.Errorf("%d pieces of work were parked", r.Parked)
			}
		})
	}
}

func TestInterference(t *testing.T) {
	for name, change := range map[string]func(*scenario){
		"another client": func(s *scenario) { s.others = 30 * time.Minute },
		"limits move":    func(s *scenario) { s.moving = time.Hour },
		"everything": func(s *scenario) {
			s.others, s.moving, s.skew, s.late = 30*time.Minute, time.Hour, 30*time.Second, 0.05
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := small()
			s.limit = quota.Pair{Quarter: 30, Day: 1000}
			change(&s)
			r := mustPlay(t, s)
			if r.Own429PerWindow > 1 || r.RowsLost != 0 {
				t.Errorf("%d of our calls were answered with 429 in one quarter hour; %d rows were removed wrongly", r.Own429PerWindow, r.RowsLost)
			}
			if r.Own429 == 0 {
				t.Error("no call was ever refused, so this tested little")
			}
		})
	}
}

func TestSameSeedSameCourse(t *testing.T) {
	s := small()
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
