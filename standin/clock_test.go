package standin_test

import (
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/standin"
)

var start = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func TestManualClockRunsWhatFallsDueInOrder(t *testing.T) {
	c := standin.NewManualClock(start)
	var ran []string
	note := func(what string) func() {
		return func() { ran = append(ran, what+" "+c.Now().Sub(start).String()) }
	}
	c.AfterFunc(2*time.Second, note("b"))
	c.AfterFunc(time.Second, func() {
		note("a")()
		c.AfterFunc(time.Second, note("c")) // due with b, asked for later
		c.AfterFunc(time.Hour, note("never"))
	})
	c.AfterFunc(0, note("now"))
	if len(ran) != 0 {
		t.Errorf("ran %v before any advance", ran)
	}
	c.Advance(0)
	c.Advance(3 * time.Second)
	if want := []string{"now 0s", "a 1s", "b 2s", "c 2s"}; !slices.Equal(ran, want) {
		t.Errorf("ran %v, want %v", ran, want)
	}
	if got := c.Now(); !got.Equal(start.Add(3 * time.Second)) {
		t.Errorf("it is %s", got)
	}
}
