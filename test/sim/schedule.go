package sim

import "time"

func schedulePlace(s scheduleSpec) string { return "schedule " + s.function }

// startSchedules runs the functions of all schedules from now on. Each schedule
// begins at a time of its own, as each was deployed at one.
func startSchedules(c *cloud, d *deployment) {
	for _, s := range d.schedules {
		var tick func()
		tick = func() {
			c.k.after(s.every, tick)
			c.runScheduled(s)
		}
		c.k.after(c.within(s.every), tick)
	}
}

// runScheduled invokes the function of a schedule once, or as a failure has it. A
// late invocation comes before the next one: later ones are dropped.
func (c *cloud) runScheduled(s scheduleSpec) {
	if c.idle(s.function) {
		return
	}
	run := func() { c.invokeAsync(s.function, nil, nil) }
	switch c.draw(schedulePlace(s)) {
	case skipped:
	case late:
		c.k.after(c.within(s.every), run)
	case doubled:
		run()
		c.k.after(c.within(time.Minute), run)
	default:
		run()
	}
}
