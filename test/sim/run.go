package sim

import (
	"testing"
	"testing/synctest"
	"time"
)

// outcome is the result of a run.
type outcome struct {
	violations []string
	digest     uint64
	events     int64
	happened   coverage
	story      []string
}

// play runs a plan from the beginning to the end. It ends at the first violation.
func play(t *testing.T, p plan, tell bool) (out outcome) {
	synctest.Test(t, func(*testing.T) {
		w := newWorld(p)
		defer w.close()
		w.story.tell = tell
		w.live()
		out = outcome{w.violations, w.story.digest, w.story.events, w.faults.happened, w.story.told}
	})
	return out
}

// acting reports whether people act and things fail now.
func (w *world) acting() bool { return w.plan.storm(time.Since(w.began)) }

// live plays the storms and calms of the plan.
func (w *world) live() {
	set := false
	w.k.spawn("set-up", 0, func() { w.setUp(); set = true })
	startSchedules(w.cloud.cloud, w.deployment)
	w.startTTL()
	w.k.run(w.began.Add(setUpTime))
	if !set {
		w.violation("the stage can be set up", "the admin's actions have not ended")
	}
	w.faults.began, w.began = time.Now(), time.Now()
	for _, storm := range w.plan.Storms {
		w.startActors()
		w.pass(storm.To)
		w.settle()
		w.pass(storm.To + calm)
		if len(w.violations) > 0 {
			return
		}
		w.checkAtRest()
	}
}

// setUpTime is how long the admin's actions before the first day may take.
const setUpTime = 10 * time.Minute

// pass lets the time pass until one counted from the beginning, and checks what
// must hold at every hour.
func (w *world) pass(until time.Duration) {
	for len(w.violations) == 0 && time.Since(w.began) < until {
		w.k.run(time.Now().Add(min(time.Hour, until-time.Since(w.began))))
		w.checkHourly()
	}
}

// close ends every process, so that the bubble can end.
func (w *world) close() {
	w.strava.Close()
	w.fitbit.Close()
	w.k.close()
}
