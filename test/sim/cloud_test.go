package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// cloudTest is a cloud whose functions and failures a test sets.
type cloudTest struct {
	*cloud
	t          *testing.T
	deployment *deployment
	functions  map[string]func(ctx context.Context, payload any) (any, error)
	// failures has what fails next at each place.
	failures map[string][]kind
}

// inCloud runs do in a bubble with the deployment's cloud.
func inCloud(t *testing.T, do func(*cloudTest)) {
	d := mustLoadDeployment(t)
	synctest.Test(t, func(t *testing.T) {
		c := &cloudTest{
			t: t, deployment: d, functions: map[string]func(context.Context, any) (any, error){}, failures: map[string][]kind{},
		}
		c.cloud = &cloud{
			inspect: func(string, []byte) {},
			k:       &kernel{ties: rand.New(rand.NewPCG(1, 1))},
			random:  rand.New(rand.NewPCG(2, 2)),
			draw:    c.fail, invoke: c.call, invokeAsync: c.start, idle: func(string) bool { return false },
		}
		defer c.k.close()
		do(c)
	})
}

func (c *cloudTest) fail(place string) kind {
	planned := c.failures[place]
	if len(planned) == 0 {
		return ""
	}
	c.failures[place] = planned[1:]
	if k := planned[0]; k != "" && !slices.Contains(c.deployment.cloudKinds()[place], k) {
		c.t.Errorf("%s does not happen at %s", k, place)
	}
	return planned[0]
}

var errTest = errors.New("it failed")

func (c *cloudTest) call(ctx context.Context, name string, payload any) (out any, err error) {
	f := c.functions[name]
	if f == nil {
		c.t.Errorf("%s was invoked", name)
		return nil, errTest
	}
	err = errTest
	left := c.k.call(ctx, name, c.deployment.functions[name].timeout, func() { out, err = f(c.t.Context(), payload) })
	return out, errors.Join(left, err)
}

func (c *cloudTest) start(name string, payload any, done func(any, error)) {
	c.k.spawn(name, 0, func() {
		out, err := c.call(c.t.Context(), name, payload)
		if done != nil {
			done(out, err)
		}
	})
}

// pass lets the time pass.
func (c *cloudTest) pass(d time.Duration) { c.k.run(time.Now().Add(d)) }

func TestEveryPlaceOfTheCloudFails(t *testing.T) {
	d := mustLoadDeployment(t)
	kinds := d.cloudKinds()
	var places []string
	for place, possible := range kinds {
		places = append(places, place)
		if len(possible) == 0 {
			t.Errorf("nothing fails at %s", place)
		}
	}
	// Queues, and the rules to each but the work queue; the bus, and two APIs.
	if want := 2*len(d.queues) - 1 + len(d.schedules) + 3; len(places) != want {
		t.Errorf("%d places fail, want %d: %v", len(places), want, places)
	}
}

// scheduledTimes runs all schedules for some time and returns when each function
// ran. failures are those of one schedule.
func scheduledTimes(t *testing.T, d time.Duration, of scheduleSpec, failures ...kind) map[string][]time.Time {
	times := map[string][]time.Time{}
	inCloud(t, func(c *cloudTest) {
		c.invokeAsync = func(name string, payload any, done func(any, error)) {
			if payload != nil || done != nil {
				t.Errorf("%s: the payload is %v", name, payload)
			}
			times[name] = append(times[name], time.Now())
		}
		c.failures[schedulePlace(of)] = failures
		startSchedules(c.cloud, c.deployment)
		c.pass(d)
	})
	return times
}

func TestSchedulesRunTheirFunctions(t *testing.T) {
	const day = 24 * time.Hour
	all := scheduledTimes(t, day, scheduleSpec{})
	if all["gathering/gather-work"][0].Equal(all["credentials/reconcile-links"][0]) {
		t.Error("two schedules began together")
	}
	for _, s := range mustLoadDeployment(t).schedules {
		times := all[s.function]
		if want := int(day / s.every); len(times) != want {
			t.Fatalf("%s ran %d times a day, want %d", s.function, len(times), want)
		}
		for i := range times[1:] {
			if every := times[i+1].Sub(times[i]); every != s.every {
				t.Fatalf("%s ran after %s, want %s", s.function, every, s.every)
			}
		}
	}
}

func TestSchedulesFail(t *testing.T) {
	s := scheduleSpec{"gathering/enforce-deadlines", time.Hour}
	const hours = 5 * time.Hour
	regular := scheduledTimes(t, hours, s)[s.function]
	for failure, check := range map[kind]func(times []time.Time) bool{
		skipped: func(times []time.Time) bool { return slices.EqualFunc(times, regular[1:], time.Time.Equal) },
		doubled: func(times []time.Time) bool { return len(times) == 6 && times[1].Sub(times[0]) < time.Minute },
		late: func(times []time.Time) bool {
			return len(times) == 5 && times[0].After(regular[0]) && times[0].Before(regular[1])
		},
	} {
		if times := scheduledTimes(t, hours, s, failure)[s.function]; !check(times) {
			t.Errorf("%s: ran at %v, otherwise at %v", failure, times, regular)
		}
	}
}
