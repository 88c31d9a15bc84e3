package aws_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paceline/paceline/test/awsfault"
)

// TestConnectsWhileSSMIsInTrouble: 200 athletes connect, 8 at a time, while SSM
// throttles a third of what it is to store, and is slow, silent or loses its
// answer for some. None of them is lost: a pair that SSM does not take is sealed
// into the grant. Once the trouble is over and all tasks are done, Strava and
// the grants table agree on who is connected, and SSM holds one pair of each.
func TestConnectsWhileSSMIsInTrouble(t *testing.T) {
	const athletes, atOnce = 200, 8
	b := mustBoundary(t, athletes)
	troubles := []awsfault.Rule{
		{When: awsfault.Chance(1./3, 1), Fault: awsfault.Refuse("ThrottlingException")},
		{When: awsfault.Chance(0.08, 2), Fault: awsfault.Delay(3 * time.Second)},
		{When: awsfault.Chance(0.04, 3), Fault: awsfault.Swallow},
		{When: awsfault.Chance(0.08, 4), Fault: awsfault.LoseResponse},
	}
	var over []func()
	for _, rule := range troubles {
		rule.Service, rule.Operation = "ssm", "PutParameter"
		over = append(over, b.proxy.Add(rule))
	}

	ids := make(chan int64)
	var failed atomic.Int64
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for id := range ids {
				if err := b.connectAthlete(t, id); err != nil {
					failed.Add(1)
					t.Logf("athlete %d: %v", id, err)
				}
			}
		})
	}
	for _, a := range b.strava.Athletes() {
		ids <- a.ID
	}
	close(ids)
	wg.Wait()
	for _, rule := range troubles {
		if b.proxy.Counts()[awsfault.Count{Service: "ssm", Operation: "PutParameter", Fault: rule.Fault}] == 0 {
			t.Errorf("no call met the fault %q: %v", rule.Fault, b.proxy.Counts())
		}
	}
	for _, release := range over {
		release()
	}

	b.reconcileAll(t)
	if n := failed.Load(); n > 0 {
		t.Errorf("%d connects failed; calls of AWS: %v", n, b.proxy.Counts())
	}
	if connected := b.mustAgree(t); connected != athletes {
		t.Errorf("%d athletes are connected", connected)
	}
	if n := len(b.parameters(t)); n != athletes {
		t.Errorf("SSM holds %d pairs", n)
	}
}
