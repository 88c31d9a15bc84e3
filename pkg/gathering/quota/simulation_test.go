package quota_test

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/gathering/quota/quotatest"
)

// limiter is Strava's rate limiter. It counts every request, including those
// that it refuses, in windows by its own clock (Strava, "Rate Limits").
type limiter struct {
	limit   quota.Pair
	used    quota.Pair
	quarter int64
	day     int64
	// refused counts the 429s of each quarter hour.
	refused map[int64]int
	// spent is the usage of the quarters and days that have ended.
	spentQuarters, spentDays map[int64]int
}

func newLimiter(limit quota.Pair) *limiter {
	return &limiter{limit: limit, refused: map[int64]int{}, spentQuarters: map[int64]int{}, spentDays: map[int64]int{}}
}

func (l *limiter) roll(at time.Time) {
	if q := at.Unix() / 900; q != l.quarter {
		l.spentQuarters[l.quarter] = l.used.Quarter
		l.quarter, l.used.Quarter = q, 0
	}
	if d := at.Unix() / 86400; d != l.day {
		l.spentDays[l.day] = l.used.Day
		l.day, l.used.Day = d, 0
	}
}

// call counts one request and returns what its answer will say.
func (l *limiter) call(at time.Time) (ok bool, rates *quota.Rates) {
	l.roll(at)
	l.used.Quarter++
	l.used.Day++
	ok = l.used.Quarter <= l.limit.Quarter && l.used.Day <= l.limit.Day
	double := quota.Pair{Quarter: 2 * l.limit.Quarter, Day: 2 * l.limit.Day}
	return ok, &quota.Rates{
		Overall: quota.Rate{Limit: double, Usage: l.used},
		Read:    quota.Rate{Limit: l.limit, Usage: l.used},
	}
}

// simulation is a test in which everything happens at a time of the virtual
// clock.
type simulation struct {
	t       *testing.T
	random  *rand.Rand
	now     time.Time
	queue   moments
	limiter *limiter
	store   *quotatest.Budgets
	faults  faults
	permits map[quota.Class]int
}

// faults are the things that may go wrong in a simulation.
type faults struct {
	// skew bounds how far each caller's clock is off.
	skew time.Duration
	// killed is the probability that a caller dies in the middle of a call.
	killed float64
	// late is the probability that an answer comes very late, lateBy how late.
	late   float64
	lateBy time.Duration
	// undated is the probability that an answer has no Date.
	undated float64
}

type moment struct {
	at time.Time
	do func()
}

type moments []moment

func (m moments) Len() int           { return len(m) }
func (m moments) Less(i, j int) bool { return m[i].at.Before(m[j].at) }
func (m moments) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *moments) Push(x any)        { *m = append(*m, x.(moment)) }
func (m *moments) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}

func newSimulation(t *testing.T, seed uint64, start time.Time, limit quota.Pair, f faults) *simulation {
	return &simulation{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), now: start,
		limiter: newLimiter(limit), store: &quotatest.Budgets{}, faults: f,
		permits: map[quota.Class]int{},
	}
}

func (c *simulation) after(d time.Duration, do func()) {
	heap.Push(&c.queue, moment{c.now.Add(d), do})
}

func (c *simulation) run(until time.Time) {
	for len(c.queue) > 0 && c.queue[0].at.Before(until) {
		next := heap.Pop(&c.queue).(moment)
		c.now = next.at
		next.do()
	}
	c.now = until
	c.limiter.roll(until)
}

// between returns a duration from a to b.
func (c *simulation) between(a, b time.Duration) time.Duration {
	return a + time.Duration(c.random.Int64N(int64(b-a)+1))
}

// caller adds a caller of Strava, which calls Strava whenever it may, for work
// of a class. Its clock is off by a constant.
func (c *simulation) caller(class func() quota.Class, idle func() time.Duration) {
	off := c.between(-c.faults.skew, c.faults.skew)
	now := func() time.Time { return c.now.Add(off) }
	engine := quota.NewEngine(c.store, now)
	var next func()
	next = func() {
		permit, err := engine.Acquire(context.Background(), class(), now())
		if wait := new(quota.Wait); errors.As(err, &wait) {
			c.after(max(wait.Until.Sub(now()), 100*time.Millisecond), next)
			return
		}
		if err != nil {
			c.t.Fatal(err)
		}
		c.permits[permit.Class]++
		began := now()
		if c.random.Float64() < c.faults.killed/2 {
			c.after(time.Minute, next) // Killed before the call: a successor comes.
			return
		}
		c.after(c.between(20*time.Millisecond, time.Second), func() {
			ok, rates := c.limiter.call(c.now)
			if !ok {
				c.limiter.refused[c.limiter.quarter]++
			}
			if c.random.Float64() < c.faults.killed/2 {
				c.after(time.Minute, next)
				return
			}
			under := c.between(20*time.Millisecond, 3*time.Second)
			if c.random.Float64() < c.faults.late {
				under = c.between(0, c.faults.lateBy)
			}
			c.after(under, func() {
				answer := quota.Answer{AthleteID: 1, Calls: 1, Began: began, Ended: now(), Date: c.now.Truncate(time.Second), Rates: rates}
				if !ok {
					answer.Outcome = quota.RateLimited
				}
				if c.random.Float64() < c.faults.undated {
					answer.Date = time.Time{}
				}
				if _, err := engine.Settle(context.Background(), permit, answer); err != nil {
					c.t.Fatal(err)
				}
				c.after(idle(), next)
			})
		})
	}
	c.after(c.between(0, time.Second), next)
}

func always(class quota.Class) func() quota.Class { return func() quota.Class { return class } }
func withoutPause() time.Duration                 { return 0 }

func (c *simulation) anyClass() quota.Class { return quota.Classes[c.random.IntN(len(quota.Classes))] }

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// TestCallersAloneNeverMeetA429, whatever they do among themselves.
func TestCallersAloneNeverMeetA429(t *testing.T) {
	for _, limit := range []quota.Pair{{Quarter: 100, Day: 1000}, {Quarter: 200, Day: 2000}, {Quarter: 300, Day: 3000}, {Quarter: 600, Day: 30000}} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%d,%d seed %d", limit.Quarter, limit.Day, seed), func(t *testing.T) {
				c := newSimulation(t, seed, noon.Add(-time.Duration(seed)*time.Hour), limit, faults{
					skew: 30 * time.Second, killed: 0.01 + 0.04*float64(seed%3), late: 0.02, lateBy: 28 * time.Second, undated: 0.05 * float64(seed%2),
				})
				for range 6 {
					c.caller(c.anyClass, func() time.Duration { return c.between(0, 2*time.Second) })
				}
				c.run(noon.Add(37 * time.Hour))
				for quarter, n := range c.limiter.refused {
					t.Errorf("%d calls were answered with 429 in the quarter hour of %s", n, time.Unix(quarter*900, 0).UTC().Format(time.DateTime))
				}
				if c.limiter.spentDays[noon.Unix()/86400+1] < limit.Day/2 {
					t.Errorf("only %d calls in a day", c.limiter.spentDays[noon.Unix()/86400+1])
				}
			})
		}
	}
}

// TestOtherClientsOfTheApplicationCauseFew429s: another client uses the quota,
// and limits change in the middle of windows. Only an answer can show that, so
// one 429 a window is unavoidable, and one more for each reader that is killed
// before it reports its 429.
func TestOtherClientsOfTheApplicationCauseFew429s(t *testing.T) {
	for _, limit := range []quota.Pair{{Quarter: 100, Day: 1000}, {Quarter: 200, Day: 2000}, {Quarter: 300, Day: 3000}} {
		for seed := range uint64(8) {
			t.Run(fmt.Sprintf("%d,%d seed %d", limit.Quarter, limit.Day, seed), func(t *testing.T) {
				c := newSimulation(t, seed, noon, limit, faults{
					skew: 30 * time.Second, late: 0.02, lateBy: 28 * time.Second, undated: 0.05 * float64(seed%2),
				})
				for range 4 {
					c.caller(c.anyClass, withoutPause)
				}
				var other, move func()
				other = func() {
					for range c.random.IntN(limit.Quarter / 2) {
						c.limiter.call(c.now)
					}
					c.after(c.between(time.Second, 40*time.Minute), other)
				}
				move = func() {
					share := []float64{0.3, 0.5, 1, 2}[c.random.IntN(4)]
					c.limiter.limit = quota.Pair{Quarter: int(share * float64(limit.Quarter)), Day: int(share * float64(limit.Day))}
					if c.limiter.limit.Quarter > 300 {
						c.limiter.limit = limit
					}
					c.after(c.between(time.Second, 2*time.Hour), move)
				}
				c.after(c.between(0, time.Hour), other)
				c.after(c.between(0, time.Hour), move)
				c.run(noon.Add(60 * time.Hour))
				for quarter, n := range c.limiter.refused {
					if n > 1 {
						t.Errorf("%d calls were answered with 429 in the quarter hour of %s", n, time.Unix(quarter*900, 0).UTC().Format(time.DateTime))
					}
				}
				if len(c.limiter.refused) == 0 {
					t.Error("no call was ever refused, so this tested nothing")
				}
			})
		}
	}
}

// TestNothingIsWasted: while there is always work of the lowest class, all but
// the floor is used, of the day's limit and of a quarter hour's.
func TestNothingIsWasted(t *testing.T) {
	midnight := noon.Add(-12 * time.Hour)
	for _, limit := range []quota.Pair{{Quarter: 100, Day: 1000}, {Quarter: 300, Day: 3000}, {Quarter: 600, Day: 30000}} {
		t.Run(fmt.Sprintf("%d,%d", limit.Quarter, limit.Day), func(t *testing.T) {
			c := newSimulation(t, 1, midnight, limit, faults{skew: 30 * time.Second})
			for range 3 {
				c.caller(always(quota.Spare), withoutPause)
			}
			c.run(midnight.Add(72 * time.Hour))
			for day := range int64(3) {
				if used := c.limiter.spentDays[midnight.Unix()/86400+day]; float64(used) < 0.98*float64(limit.Day) {
					t.Errorf("day %d: %d of %d calls were used", day, used, limit.Day)
				}
			}
		})
	}
	t.Run("the quarter hour binds", func(t *testing.T) {
		c := newSimulation(t, 1, midnight, quota.Pair{Quarter: 100, Day: 100_000}, faults{skew: 30 * time.Second})
		c.caller(always(quota.Spare), withoutPause)
		c.run(midnight.Add(24 * time.Hour))
		first := midnight.Unix() / 900
		for quarter, used := range c.limiter.spentQuarters {
			if quarter > first && used < 98 {
				t.Errorf("quarter hour %d: %d calls were used", quarter-first, used)
			}
		}
	})
}

// TestUrgentWorkFindsRoom: although work of the lowest class makes all the calls
// that it can get, urgent work that arrives as on the day before is served at
// once.
func TestUrgentWorkFindsRoom(t *testing.T) {
	midnight := noon.Add(-12 * time.Hour)
	c := newSimulation(t, 3, midnight, quota.Pair{Quarter: 100, Day: 1000}, faults{skew: 30 * time.Second})
	c.caller(always(quota.Spare), withoutPause)
	engine := quota.NewEngine(c.store, func() time.Time { return c.now })
	var waits []time.Duration
	// 500 a day, most of them in the evening.
	var arrive func()
	arrive = func() {
		came := c.now
		var try func()
		try = func() {
			permit, err := engine.Acquire(context.Background(), quota.Webhook, came)
			if wait := new(quota.Wait); errors.As(err, &wait) {
				c.after(wait.Until.Sub(c.now), try)
				return
			}
			if came.Sub(midnight) > 24*time.Hour {
				waits = append(waits, c.now.Sub(came))
			}
			began := c.now
			c.after(time.Second, func() {
				ok, rates := c.limiter.call(c.now)
				if !ok {
					t.Error("429")
				}
				_, _ = engine.Settle(context.Background(), permit, quota.Answer{AthleteID: 1, Calls: 1, Began: began, Ended: c.now, Date: c.now.Truncate(time.Second), Rates: rates})
			})
		}
		try()
		mean := 6 * time.Minute
		if c.now.Hour() >= 17 {
			mean = 82 * time.Second
		}
		c.after(time.Duration(c.random.ExpFloat64()*float64(mean)), arrive)
	}
	arrive()
	c.run(midnight.Add(6 * 24 * time.Hour))
	late := 0
	for _, w := range waits {
		if w > 15*time.Minute {
			late++
		}
	}
	if len(waits) < 2000 || float64(late) > 0.01*float64(len(waits)) {
		t.Errorf("%d of %d waited for more than a window", late, len(waits))
	}
	for day := int64(1); day < 6; day++ {
		if used := c.limiter.spentDays[midnight.Unix()/86400+day]; used < 980 {
			t.Errorf("day %d: %d calls were used", day, used)
		}
	}
}
