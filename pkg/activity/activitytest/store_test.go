package activitytest_test

import (
	"testing"
	"time"

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
