package sim

import (
	"testing"
	"testing/synctest"
	"time"

	credentialsmetric "github.com/paceline/paceline/pkg/credentials/metric"
	gatheringmetric "github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/pkg/kit/emf"
)

// TestAlarmsRing: those of the deployment ring at their thresholds.
func TestAlarmsRing(t *testing.T) {
	failing := func(function string, n int) func(*alarms) {
		return func(a *alarms) {
			for range n {
				a.count(lambdaErrors+" "+function, 1)
			}
		}
	}
	counted := func(namespace, name string, all ...int) func(*alarms) {
		return func(a *alarms) {
			for _, n := range all {
				meter{a, namespace}.Count(name, n)
			}
		}
	}
	for what, tc := range map[string]struct {
		do   func(*alarms)
		rang int
	}{
		"two errors":   {failing("gathering/gather-work", 2), 0},
		"three errors": {failing("gathering/gather-work", 3), 1},
		"errors in two periods": {func(a *alarms) {
			failing("gathering/gather-work", 2)(a)
			time.Sleep(15 * time.Minute)
			failing("gathering/gather-work", 2)(a)
		}, 0},
		"a sum":              {counted(gatheringmetric.Namespace, gatheringmetric.Failed, 4, 1), 1},
		"a smaller sum":      {counted(gatheringmetric.Namespace, gatheringmetric.Failed, 3, 1), 0},
		"a maximum":          {counted(gatheringmetric.Namespace, gatheringmetric.OldestWebhook, 900), 1},
		"a smaller maximum":  {counted(gatheringmetric.Namespace, gatheringmetric.OldestWebhook, 600, 600), 0},
		"another boundary's": {counted(credentialsmetric.Namespace, gatheringmetric.Failed, 9), 0},
		"written by a function": {func(a *alarms) {
			m := emf.New(meter{a, "Paceline/Athlete"}, time.Now, "Paceline/Athlete", stage)
			m.Count("KeptTooLong", 0)
			m.Count("ErasuresOverdue", 12)
			_ = m.Flush()
		}, 1},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAlarms(mustLoadDeployment(t))
				tc.do(a)
				var rang []string
				for _, one := range a.all {
					if !one.rang.IsZero() {
						rang = append(rang, one.name)
					}
				}
				if len(rang) != tc.rang {
					t.Errorf("%q rang, want %d", rang, tc.rang)
				}
			})
		})
	}
}
