package activitytest_test

import (
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

func TestStoreConforms(t *testing.T) {
	t.Run("plain", func(t *testing.T) {
		s := activitytest.NewStore()
		activitytest.Run(t, activitytest.Subject{WriteStore: s, ReadStore: s, Held: s.Held})
	})
	t.Run("intercepted", func(t *testing.T) {
		p := activitytest.NewPorts(time.Now)
		ports := activitytest.Intercept(p.Ports, kittest.PassThrough)
		activitytest.Run(t, activitytest.Subject{WriteStore: ports.WriteStore, ReadStore: ports.ReadStore, Held: p.Store.Held})
	})
}

func TestEveryCallIsIntercepted(t *testing.T) {
	kittest.RunIntercept(t, activitytest.Boundary, activitytest.StaleReads, activitytest.NewPorts(time.Now).Ports, activitytest.Intercept)
}

func TestAnUpdateOfADroppedGuardStartsOver(t *testing.T) {
	s := activitytest.NewStore()
	kittest.RunDropped(t, func(change func(*activity.Guard) (bool, error)) error {
		return s.UpdateGuard(t.Context(), 7, change)
	}, func(g *activity.Guard) { g.Revoked, g.Expires = 1, time.Now() }, s.DropExpired)
}
