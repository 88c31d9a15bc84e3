package quota_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/gathering/quota"
)

// testBudget is a budget and a clock.
type testBudget struct {
	*testing.T
	quota.Budget
	now time.Time
}

func newTestBudget(t *testing.T) *testBudget {
	return &testBudget{T: t, now: noon.Add(5 * time.Minute)}
}

// confirmed is a testBudget after an answer with usage 10 of 600 and 10 of
// 6000.
func confirmed(t *testing.T) *testBudget {
	d := newTestBudget(t)
	d.settle(d.mustAcquire(quota.Leave), answer(d.now, 10, 600, 10, 6000))
	return d
}

func (d *testBudget) mustAcquire(class quota.Class) quota.Permit {
	d.Helper()
	permit, err := d.Acquire(d.now, class, d.now)
	if err != nil {
		d.Fatalf("no permit for %s: %v", class, err)
	}
	return permit
}

func (d *testBudget) mustRefuse(class quota.Class) *quota.Wait {
	d.Helper()
	_, err := d.Acquire(d.now, class, d.now)
	wait := new(quota.Wait)
	if !errors.As(err, &wait) {
		d.Fatalf("a permit for %s (error %v)", class, err)
	}
	return wait
}

// mustWait checks that the class is refused for a reason until a time.
func (d *testBudget) mustWait(class quota.Class, reason string, until time.Time) {
	d.Helper()
	if wait := d.mustRefuse(class); wait.Reason != reason || !wait.Until.Equal(until) {
		d.Fatalf("%s waits for %s until %s, want %s until %s", class, wait.Reason, wait.Until, reason, until)
	}
}

// spend makes so many calls of a confirmed testBudget.
func (d *testBudget) spend(calls int) {
	d.Helper()
	for i := range calls {
		d.settle(d.mustAcquire(quota.Leave), answer(d.now, 11+i, 600, 11+i, 6000))
	}
}

func (d *testBudget) settle(p quota.Permit, a quota.Answer) { d.Settle(d.now, p, a) }

// answer returns an answer that arrives in time.
func answer(at time.Time, used, limit, usedDay, limitDay int) quota.Answer {
	rate := quota.Rate{Limit: quota.Pair{Quarter: limit, Day: limitDay}, Usage: quota.Pair{Quarter: used, Day: usedDay}}
	return quota.Answer{
		AthleteID: 1, Calls: 1, Began: at.Add(-time.Second), Ended: at, Date: at,
		Rates: &quota.Rates{Overall: quota.Rate{Limit: quota.Pair{Quarter: 2 * limit, Day: 2 * limitDay}, Usage: rate.Usage}, Read: rate},
	}
}

func with(a quota.Answer, o quota.Outcome) quota.Answer { a.Outcome = o; return a }

func (d *testBudget) used() (quarter, day int) {
	s := d.Status(d.now)
	return s.Quarter.Used, s.Day.Used
}

func TestFirstCallIsAloneUnderStravasDefaultLimits(t *testing.T) {
	d := newTestBudget(t)
	d.mustAcquire(quota.Webhook)
	d.mustWait(quota.Leave, quota.ReasonConcurrency, d.now.Add(2*time.Second))
	if s := d.Status(d.now); s.Quarter.Limit != 100 || s.Day.Limit != 1000 {
		t.Errorf("limits of %d in a quarter hour and %d in a day", s.Quarter.Limit, s.Day.Limit)
	}
}

func TestParallelCalls(t *testing.T) {
	d := confirmed(t)
	for range 3 {
		d.mustAcquire(quota.Webhook)
	}
	d.mustWait(quota.Webhook, quota.ReasonConcurrency, d.now.Add(2*time.Second))

	d = confirmed(t)
	d.spend(550)
	d.mustAcquire(quota.Leave)
	d.mustAcquire(quota.Leave)
	d.mustWait(quota.Leave, quota.ReasonConcurrency, d.now.Add(2*time.Second)) // close to the limit

	d = confirmed(t)
	d.settle(d.mustAcquire(quota.Webhook), answer(d.now, 14, 600, 14, 6000))
	d.mustAcquire(quota.Webhook)
	d.mustWait(quota.Webhook, quota.ReasonConcurrency, d.now.Add(2*time.Second)) // another client uses the quota
	if got := d.Status(d.now).ExternalUsageAt; !got.Equal(d.now) {
		t.Errorf("usage of another client was seen at %s", got)
	}

	d = confirmed(t)
	d.now = d.now.Add(15 * time.Minute)
	d.mustAcquire(quota.Webhook)
	d.mustWait(quota.Webhook, quota.ReasonConcurrency, d.now.Add(2*time.Second)) // nothing has confirmed the window
}

func TestTheLimitThatBinds(t *testing.T) {
	quarterEnd := noon.Add(15*time.Minute + quota.Skew)
	midnight := noon.Add(12*time.Hour + quota.Skew)
	for name, c := range map[string]struct {
		answer quota.Answer
		reason string
		until  time.Time
	}{
		"quarter": {answer(noon.Add(5*time.Minute), 600, 600, 10, 6000), quota.ReasonRateLimit, quarterEnd},
		"day":     {answer(noon.Add(5*time.Minute), 10, 600, 6000, 6000), quota.ReasonDailyLimit, midnight},
		"both":    {answer(noon.Add(5*time.Minute), 600, 600, 6000, 6000), quota.ReasonDailyLimit, midnight},
		"a limit that has fallen below the usage": {answer(noon.Add(5*time.Minute), 100, 50, 100, 6000), quota.ReasonRateLimit, quarterEnd},
	} {
		t.Run(name, func(t *testing.T) {
			d := confirmed(t)
			d.settle(d.mustAcquire(quota.Webhook), c.answer)
			d.mustWait(quota.Leave, c.reason, c.until)
		})
	}
	t.Run("overall", func(t *testing.T) {
		d := confirmed(t)
		a := answer(d.now, 10, 600, 10, 6000)
		a.Rates.Overall.Usage.Quarter = 1200
		d.settle(d.mustAcquire(quota.Webhook), a)
		d.mustWait(quota.Leave, quota.ReasonRateLimit, quarterEnd)
	})
}

func TestCallsUnderWayCount(t *testing.T) {
	d := confirmed(t)
	d.spend(549)
	first, second := d.mustAcquire(quota.Leave), d.mustAcquire(quota.Leave)
	if quarter, day := d.used(); quarter != 561 || day != 561 {
		t.Errorf("used %d in the quarter hour and %d in the day", quarter, day)
	}
	d.settle(second, answer(d.now, 561, 600, 561, 6000)) // the second comes first
	d.settle(first, answer(d.now, 560, 600, 560, 6000))
	if quarter, day := d.used(); quarter != 561 || day != 561 {
		t.Errorf("used %d in the quarter hour and %d in the day, but usage only rises", quarter, day)
	}
}

func TestAnUnsettledPermitCountsAsSpentUntilAHeaderShowsOtherwise(t *testing.T) {
	d := confirmed(t)
	d.mustAcquire(quota.Webhook) // Its caller is killed.
	d.now = d.now.Add(100 * time.Second)
	early := d.mustAcquire(quota.Webhook)
	if quarter, day := d.used(); quarter != 12 || day != 12 {
		t.Fatalf("used %d in the quarter hour and %d in the day", quarter, day)
	}
	late := d.mustAcquire(quota.Webhook)
	// Strava's usage shows that the killed caller made no call.
	d.settle(late, answer(d.now, 11, 600, 11, 6000))
	if quarter, _ := d.used(); quarter != 12 { // 11, and one under way
		t.Fatalf("used %d in the quarter hour", quarter)
	}
	// An answer without headers counts, too. The answer to an earlier permit does
	// not show whether Strava has counted that call.
	unsure := d.mustAcquire(quota.Webhook)
	d.settle(unsure, quota.Answer{AthleteID: 1, Calls: 1, Began: d.now, Ended: d.now, Date: d.now})
	d.settle(early, answer(d.now, 12, 600, 12, 6000))
	if quarter, _ := d.used(); quarter != 13 {
		t.Fatalf("used %d in the quarter hour", quarter)
	}
	// A call that was not made does not count.
	d.settle(d.mustAcquire(quota.Webhook), quota.Answer{Outcome: quota.Unknown})
	if quarter, _ := d.used(); quarter != 13 {
		t.Fatalf("used %d in the quarter hour", quarter)
	}
}

func TestSettlingTwiceOrLateDoesNoHarm(t *testing.T) {
	d := confirmed(t)
	p := d.mustAcquire(quota.Webhook)
	unsure := quota.Answer{AthleteID: 1, Calls: 1, Began: d.now, Ended: d.now, Date: d.now}
	d.settle(p, unsure)
	d.settle(p, unsure)
	if quarter, _ := d.used(); quarter != 11 {
		t.Errorf("settled twice: %d", quarter)
	}
	p = d.mustAcquire(quota.Webhook)
	d.now = d.now.Add(100 * time.Second)
	d.settle(p, unsure)
	if quarter, _ := d.used(); quarter != 12 {
		t.Errorf("settled after it had expired: %d", quarter)
	}
}

func TestALateAnswerDoesNotCountInTheNextWindow(t *testing.T) {
	for name, date := range map[string]time.Time{
		"its date is of the window before": noon.Add(15*time.Minute - 3*time.Second),
		"the call spans both":              noon.Add(15*time.Minute + 2*time.Second),
		"no date":                          {},
		"a date that cannot be":            noon.Add(-time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			d := confirmed(t)
			d.now = noon.Add(15*time.Minute - 10*time.Second)
			p := d.mustAcquire(quota.Webhook)
			a := answer(d.now, 600, 600, 700, 6000)
			a.Began, a.Ended, a.Date = d.now, d.now.Add(12*time.Second), date
			d.now = noon.Add(15*time.Minute + quota.Skew)
			d.settle(p, a)
			if quarter, _ := d.used(); quarter > 1 {
				t.Errorf("%d are used in the new window", quarter)
			}
			d.mustAcquire(quota.Webhook)
		})
	}
}

func TestAtAnEdgeThereMustBeRoomInBothWindows(t *testing.T) {
	end := noon.Add(15 * time.Minute)
	full := func(t *testing.T, left int) *testBudget {
		d := confirmed(t)
		d.settle(d.mustAcquire(quota.Webhook), answer(d.now, 600-left, 600, 600-left, 6000))
		d.now = end.Add(5 * time.Second)
		return d
	}
	d := full(t, 0)
	d.mustWait(quota.Leave, quota.ReasonRateLimit, end.Add(quota.Skew))
	d.now = end.Add(quota.Skew)
	d.mustAcquire(quota.Webhook)

	d = full(t, 30)
	d.now = end.Add(-5 * time.Second) // by a clock that is behind, after another has begun the window
	d.settle(d.mustAcquire(quota.Webhook), answer(end.Add(time.Second).Add(time.Second), 1, 600, 571, 6000))
	d.mustAcquire(quota.Webhook)

	// Once an answer has confirmed the window, the previous one does not matter.
	d = confirmed(t)
	d.spend(589)
	p := d.mustAcquire(quota.Leave)
	d.now = end.Add(5 * time.Second)
	d.settle(p, answer(d.now, 1, 600, 601, 6000))
	d.mustAcquire(quota.Webhook)

	d = full(t, 2)
	d.mustWait(quota.Webhook, quota.ReasonRateLimit, end.Add(quota.Skew)) // the floor of the window before
	d.mustAcquire(quota.Leave)
}

func TestLimitsAreThoseOfTheNewestAnswer(t *testing.T) {
	d := confirmed(t)
	old, recent := d.mustAcquire(quota.Webhook), d.mustAcquire(quota.Webhook)
	d.settle(recent, answer(d.now, 12, 300, 12, 3000))
	d.settle(old, answer(d.now.Add(-5*time.Second), 11, 600, 11, 6000))
	if s := d.Status(d.now); s.Quarter.Limit != 300 || s.Day.Limit != 3000 {
		t.Errorf("limits of %d in a quarter hour and %d in a day", s.Quarter.Limit, s.Day.Limit)
	}
	d.settle(d.mustAcquire(quota.Webhook), answer(d.now, 13, 0, 13, 0)) // not limits
	if s := d.Status(d.now); s.Quarter.Limit != 300 || s.Day.Limit != 3000 {
		t.Errorf("limits of %d in a quarter hour and %d in a day", s.Quarter.Limit, s.Day.Limit)
	}
}

// failure is how a call for the athlete fails, without rate headers.
func (d *testBudget) failure(athleteID int64, o quota.Outcome) quota.Answer {
	return quota.Answer{Outcome: o, AthleteID: athleteID, Calls: 1, Began: d.now, Ended: d.now, Date: d.now}
}

// fail settles a call for the athlete as failed.
func (d *testBudget) fail(athleteID int64, o quota.Outcome) quota.Settlement {
	d.Helper()
	return d.Settle(d.now, d.mustAcquire(quota.Webhook), d.failure(athleteID, o))
}

// serve settles a call for the athlete as answered.
func (d *testBudget) serve(athleteID int64) quota.Settlement {
	d.Helper()
	a := answer(d.now, 14, 600, 14, 6000)
	a.AthleteID = athleteID
	return d.Settle(d.now, d.mustAcquire(quota.Webhook), a)
}

func TestA429WithoutHeadersPausesNothingUntilAnotherAthleteGetsOne(t *testing.T) {
	quarterEnd := noon.Add(15*time.Minute + quota.Skew)
	d := confirmed(t)
	if s := d.fail(1, quota.RateLimited); s.Pause != nil || !s.RetryAt.Equal(quarterEnd) {
		t.Errorf("settlement %+v", s)
	}
	d.serve(2)
	d.fail(1, quota.RateLimited)
	d.fail(1, quota.RateLimited)
	if s := d.fail(2, quota.RateLimited); s.Pause == nil {
		t.Error("no pause")
	}
	d.mustWait(quota.Leave, quota.ReasonRateLimit, quarterEnd)
	if n := d.Status(d.now).RateLimitedToday; n != 4 {
		t.Errorf("%d calls counted as rate limited today", n)
	}
}

func TestA429ThatItsHeadersExplainIsNoFailure(t *testing.T) {
	d := confirmed(t)
	s := d.Settle(d.now, d.mustAcquire(quota.Webhook), with(answer(d.now, 601, 600, 700, 6000), quota.RateLimited))
	if s.Pause != nil || !s.RetryAt.IsZero() || len(d.Health.Failing) != 0 {
		t.Errorf("%+v, failing %v", s, d.Health.Failing)
	}
	d.mustWait(quota.Leave, quota.ReasonRateLimit, noon.Add(15*time.Minute+quota.Skew))
}

func TestOneAthletesFailuresPauseNothing(t *testing.T) {
	for _, o := range []quota.Outcome{quota.Unavailable, quota.Maintenance} {
		d := confirmed(t)
		for range 20 {
			if s := d.fail(1, o); s.Pause != nil {
				t.Fatalf("outcome %d: %+v", o, s)
			}
		}
		d.mustAcquire(quota.Webhook)
	}
}

func TestStravaIsDownWhenDifferentAthletesFail(t *testing.T) {
	for o, needed := range map[quota.Outcome]int64{quota.Unavailable: 3, quota.Maintenance: 2} {
		d := confirmed(t)
		for id := range needed - 1 {
			d.fail(id+1, o)
		}
		d.serve(9) // Strava works for others.
		for id := range needed - 1 {
			d.fail(id+1, o)
		}
		if s := d.fail(needed, o); s.Pause == nil || s.Pause.Reason != quota.ReasonStrava || !s.Pause.Until.Equal(d.now.Add(time.Minute)) {
			t.Fatalf("outcome %d: %+v", o, s)
		}
		d.mustWait(quota.Leave, quota.ReasonStrava, d.now.Add(time.Minute))
	}
}

func TestA429WithoutHeadersAndAnotherFailureOfAnotherAthletePauseNothing(t *testing.T) {
	for name, other := range map[string]quota.Outcome{"502": quota.Maintenance, "nothing": quota.Unavailable} {
		d := confirmed(t)
		d.fail(1, other)
		if s := d.fail(2, quota.RateLimited); s.Pause != nil {
			t.Errorf("%s for one athlete and 429 for another: %+v", name, s.Pause)
		}
		// A third one: Strava is down, but not certainly for the rest of the quarter
		// hour.
		if s := d.fail(3, quota.Unavailable); s.Pause == nil || s.Pause.Reason != quota.ReasonStrava || !s.Pause.Until.Equal(d.now.Add(time.Minute)) {
			t.Errorf("%s: three athletes fail: %+v", name, s.Pause)
		}
	}
}

func TestPausesGrowUntilStravaAnswers(t *testing.T) {
	d := confirmed(t)
	d.now = noon.Add(time.Hour + time.Minute)
	began := d.now
	d.fail(1, quota.Maintenance)
	for i, length := range []time.Duration{1, 2, 4, 8, 15, 15} {
		d.fail(int64(i+2), quota.Maintenance) // Another athlete's call tries.
		d.mustWait(quota.Leave, quota.ReasonStrava, d.now.Add(length*time.Minute))
		if s := d.Status(d.now); s.PausesToday != i+1 || !s.PausedSince.Equal(began) || s.Pause == nil {
			t.Errorf("pause %d: %+v", i+1, s)
		}
		d.now = d.now.Add(length * time.Minute)
	}
	p := d.mustAcquire(quota.Webhook)
	d.mustWait(quota.Webhook, quota.ReasonConcurrency, d.now.Add(2*time.Second)) // one tries
	d.settle(p, answer(d.now, 1, 600, 30, 6000))
	d.mustAcquire(quota.Webhook)
	d.mustAcquire(quota.Webhook)
	if s := d.Status(d.now); !s.PausedSince.IsZero() || len(d.Health.Failing) != 0 || d.Health.Pauses != 0 {
		t.Errorf("settlement %+v, health %+v", s, d.Health)
	}
}

func TestCallsThatBeganBeforeAPauseDoNotLengthenIt(t *testing.T) {
	d := confirmed(t)
	permits := []quota.Permit{d.mustAcquire(quota.Webhook), d.mustAcquire(quota.Webhook), d.mustAcquire(quota.Webhook)}
	for i, p := range permits {
		d.settle(p, d.failure(int64(i+1), quota.Maintenance))
	}
	d.mustWait(quota.Leave, quota.ReasonStrava, d.now.Add(time.Minute))
}

func TestAnInactiveApplicationPausesAllCallsOnceAnotherAthleteConfirmsIt(t *testing.T) {
	d := confirmed(t)
	if s := d.fail(1, quota.Inactive); s.Pause != nil {
		t.Errorf("settlement %+v", s)
	}
	d.fail(1, quota.Inactive)
	for i, length := range []time.Duration{1, 2, 4, 8, 15, 15} {
		d.fail(int64(i+2), quota.Inactive)
		d.mustWait(quota.Leave, quota.ReasonApplication, d.now.Add(length*time.Minute))
		if p := d.Status(d.now).Pause; p == nil || p.Reason != quota.ReasonApplication {
			t.Errorf("status shows %v", p)
		}
		d.now = d.now.Add(length * time.Minute)
	}
}

func TestAFailureOfOursSaysNothingOfStravaAndCostsNothing(t *testing.T) {
	d := confirmed(t)
	for id := range int64(10) {
		d.Settle(d.now, d.mustAcquire(quota.Webhook), quota.Answer{Outcome: quota.Unknown, AthleteID: id, Began: d.now, Ended: d.now})
	}
	if quarter, day := d.used(); quarter != 10 || day != 10 || len(d.Health.Failing) != 0 {
		t.Errorf("used %d in the quarter hour and %d in the day, failing %v", quarter, day, d.Health.Failing)
	}
	// A call that may have been made does not look like another client's.
	for range 4 {
		d.Settle(d.now, d.mustAcquire(quota.Webhook), quota.Answer{Outcome: quota.Unknown, AthleteID: 1, Calls: quota.CallsUncertain, Began: d.now, Ended: d.now})
	}
	if quarter, day := d.used(); quarter != 10 || day != 10 {
		t.Errorf("uncertain: %d, %d", quarter, day)
	}
	d.settle(d.mustAcquire(quota.Webhook), answer(d.now, 15, 600, 15, 6000)) // They were.
	if !d.Status(d.now).ExternalUsageAt.IsZero() {
		t.Error("the call is taken for another client's")
	}
}

func TestARenewedAccessTokenTakesTwoCalls(t *testing.T) {
	d := confirmed(t)
	for i := range 4 { // If each counted as one call, another client would seem to use the quota.
		a := answer(d.now, 12+2*i, 600, 12+2*i, 6000)
		a.Calls = 2
		d.settle(d.mustAcquire(quota.Webhook), a)
	}
	if s := d.Status(d.now); !s.ExternalUsageAt.IsZero() || s.Quarter.Used != 18 {
		t.Errorf("status %+v", s)
	}
	unsure := d.failure(1, quota.Answered)
	unsure.Calls = 2
	d.settle(d.mustAcquire(quota.Webhook), unsure)
	if quarter, _ := d.used(); quarter != 20 {
		t.Errorf("used %d in the quarter hour", quarter)
	}
}

// The budget is kept for ever, and an athlete may leave.
func TestTheBudgetNamesNoAthlete(t *testing.T) {
	d := confirmed(t)
	d.serve(80000001)
	d.fail(80000002, quota.Unavailable)
	if len(d.Health.Failing) != 1 || d.Health.Served[0].At.IsZero() {
		t.Fatalf("the budget stores nothing about the calls: %+v", d.Health)
	}
	if text := fmt.Sprintf("%+v", d.Budget); strings.Contains(text, "8000000") {
		t.Errorf("the stored budget names an athlete: %s", text)
	}
}

func TestServedOthers(t *testing.T) {
	d := confirmed(t)
	d.serve(1)
	first := d.now
	d.now = d.now.Add(time.Minute)
	for range 3 {
		d.serve(2)
	}
	if s := d.fail(2, quota.Unavailable); !s.ServedOthers.Equal(first) {
		t.Errorf("other athletes than 2 were served at %s", s.ServedOthers)
	}
	if s := d.fail(1, quota.Unavailable); !s.ServedOthers.Equal(d.now) {
		t.Errorf("other athletes than 1 were served at %s", s.ServedOthers)
	}
	if s := newTestBudget(t).fail(1, quota.Unavailable); !s.ServedOthers.IsZero() {
		t.Errorf("reported as served at %s", s.ServedOthers)
	}
}

func TestTheQuotaIsScarceWhenItMayNotLastForWebhooks(t *testing.T) {
	d := confirmed(t)
	if d.mustAcquire(quota.Webhook).Scarce {
		t.Error("590 of 600 are left")
	}
	d = confirmed(t)
	d.spend(580)
	if !d.mustAcquire(quota.Leave).Scarce {
		t.Error("10 of 600 are left")
	}
}

// TestReserves: each class leaves room for those above it, less and less of it
// as the window goes by, and a refusal says when that will be enough.
func TestReserves(t *testing.T) {
	d := confirmed(t)
	d.now = noon.Add(16 * time.Minute)
	used := 0
	spend := func(class quota.Class) (n int) {
		for {
			p, err := d.Acquire(d.now, class, d.now)
			if err != nil {
				return n
			}
			used++
			n++
			d.settle(p, answer(d.now, used, 100, used, 1000))
		}
	}
	lowest := []quota.Class{quota.Spare, quota.Backfill, quota.Interactive, quota.Webhook, quota.Leave}
	for _, class := range lowest {
		if n := spend(class); n == 0 {
			t.Errorf("class %s was refused the calls that were reserved for it", class)
		}
		if refused := d.Status(d.now).Quarter.Refused; !slices.Contains(refused, class) {
			t.Errorf("%s is not among the refused: %v", class, refused)
		}
	}
	if used != 100 {
		t.Errorf("%d calls", used)
	}

	d.now, used = noon.Add(31*time.Minute), 0
	spend(quota.Spare)
	for until := noon.Add(45 * time.Minute); ; {
		wait := d.mustRefuse(quota.Spare)
		if wait.Until.After(until) {
			break
		}
		if !wait.Until.After(d.now) {
			t.Fatalf("at %s asked to wait until %s", d.now, wait.Until)
		}
		d.now = wait.Until
		if spend(quota.Spare) == 0 {
			t.Fatalf("no permit at %s, the time that the refusal named", d.now)
		}
	}
	if used != 98 {
		t.Errorf("%d calls by the end of the window: all but the floor of 2", used)
	}
}

// TestCallsUnderWayCountAgainstReserves: several callers at once don't take
// more than one would.
func TestCallsUnderWayCountAgainstReserves(t *testing.T) {
	spare := func(d *testBudget, most int) (n int) {
		for ; n < most; n++ {
			p, err := d.Acquire(d.now, quota.Spare, d.now)
			if err != nil {
				break
			}
			d.settle(p, answer(d.now, 11+n, 600, 11+n, 6000))
		}
		return n
	}
	allowed := spare(confirmed(t), 600)
	if allowed == 600 {
		t.Fatal("no data is stored")
	}
	d := confirmed(t)
	spare(d, allowed-1)
	d.mustAcquire(quota.Spare)
	if wait := d.mustRefuse(quota.Spare); wait.Reason != quota.ReasonRateLimit {
		t.Errorf("one call under way, none left after it: waits for %s", wait.Reason)
	}
}

// TestReconcileKeepsNoReserveFromBackfill: Reconcile keeps nothing of its own.
func TestReconcileKeepsNoReserveFromBackfill(t *testing.T) {
	d := confirmed(t)
	if r := d.Status(d.now).Day.Reserves[quota.Reconcile]; r != 0 {
		t.Errorf("reserve of %g calls", r)
	}
}

func TestForecast(t *testing.T) {
	d := newTestBudget(t)
	midnight := noon.Add(-12 * time.Hour)
	d.now = midnight
	used := 0
	// Three days with 240 calls each, all in the evening.
	for day := range 3 {
		for i := range 240 {
			d.now = midnight.Add(time.Duration(day)*24*time.Hour + 18*time.Hour + time.Duration(i)*75*time.Second)
			used++
			d.settle(d.mustAcquire(quota.Webhook), answer(d.now, 1, 100, i+1, 1000))
		}
	}
	reserve := func(at time.Time) float64 { return d.Status(at).Day.Reserves[quota.Webhook] }
	next := midnight.Add(72 * time.Hour)
	for _, c := range []struct {
		at          time.Duration
		least, most float64
	}{
		{time.Hour, 360, 400}, {17 * time.Hour, 360, 400}, {20*time.Hour + 30*time.Minute, 180, 220}, {23*time.Hour + 59*time.Minute, 0, 5},
	} {
		if r := reserve(next.Add(c.at)); r < c.least || r > c.most {
			t.Errorf("after %s: %g are kept, want %g to %g", c.at, r, c.least, c.most)
		}
	}
	if got := d.Status(next).CallsYesterday[quota.Webhook]; got != 240 {
		t.Errorf("%d calls yesterday", got)
	}

	// Today there is more than usual: more is expected of the rest of the day.
	d.now = next.Add(9 * time.Hour)
	before := reserve(d.now)
	for i := range 10 {
		d.settle(d.mustAcquire(quota.Webhook), answer(d.now, i+1, 100, i+1, 1000))
	}
	if after := reserve(d.now); after < 1.5*before {
		t.Errorf("%g are kept after a busy morning, %g before", after, before)
	}

	// After a month without a call only the least is expected.
	if r := reserve(next.Add(31 * 24 * time.Hour)); r > 30 {
		t.Errorf("%g are kept after a month", r)
	}
}

// TestWorkThatWasServedLateCountsWhenItCameUp: otherwise a day whose quota ran
// out in the afternoon would teach that evenings need nothing.
func TestWorkThatWasServedLateCountsWhenItCameUp(t *testing.T) {
	d := newTestBudget(t)
	midnight := noon.Add(-12 * time.Hour)
	d.now = midnight
	d.settle(d.mustAcquire(quota.Webhook), answer(d.now, 1, 100, 1, 1000))
	d.now = midnight.Add(24*time.Hour + time.Minute)
	for i := range 50 {
		p, err := d.Acquire(d.now, quota.Webhook, midnight.Add(20*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		d.settle(p, answer(d.now, i+1, 100, i+1, 1000))
	}
	demand := d.Demand[quota.Webhook]
	if demand.Usual[20] != 50 || demand.Today[0] != 0 {
		t.Errorf("%v usual in hour 20, %d today", demand.Usual[20], demand.Today[0])
	}
}

// TestAFewSickAthletesDoNotPauseCallsAgain: in a quiet deployment Strava may
// serve no other athlete in between.
func TestAFewSickAthletesDoNotPauseCallsAgain(t *testing.T) {
	d := confirmed(t)
	d.fail(1, quota.Maintenance)
	if s := d.fail(2, quota.Maintenance); s.Pause == nil {
		t.Fatal("no pause")
	}
	for range 4 {
		d.now = d.now.Add(2 * time.Minute)
		for id := range int64(2) {
			if s := d.fail(id+1, quota.Maintenance); s.Pause != nil {
				t.Fatalf("paused again: %+v", s.Pause)
			}
		}
	}
	// The failure of another athlete's call is new evidence.
	if s := d.fail(3, quota.Unavailable); s.Pause == nil {
		t.Error("no pause")
	}
}

// TestTheForecastIgnoresAPartOfADay: the budget has seen only the rest of the
// day on which the first permit was requested.
func TestTheForecastIgnoresAPartOfADay(t *testing.T) {
	d := newTestBudget(t)
	d.settle(d.mustAcquire(quota.Webhook), answer(d.now, 1, 100, 1, 1000)) // At noon.
	d.now = noon.Add(13 * time.Hour)
	d.settle(d.mustAcquire(quota.Webhook), answer(d.now, 1, 100, 1, 1000))
	if demand := d.Demand[quota.Webhook]; demand.Days != 0 || demand.Yesterday != 1 {
		t.Errorf("the average covers %d days, %d calls yesterday", demand.Days, demand.Yesterday)
	}
	d.now = d.now.Add(24 * time.Hour)
	d.settle(d.mustAcquire(quota.Webhook), answer(d.now, 1, 100, 1, 1000))
	if demand := d.Demand[quota.Webhook]; demand.Days != 1 {
		t.Errorf("the average covers %d days instead of one", demand.Days)
	}
}
