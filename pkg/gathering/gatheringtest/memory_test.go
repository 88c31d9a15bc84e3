package gatheringtest_test

import (
	"context"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/gathering/quota/quotatest"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

func TestMemory(t *testing.T) {
	gatheringtest.RunStorage(t, func(*testing.T) gatheringtest.Storage { return gatheringtest.NewStore() })
}

// intercepted are stores with an around that makes every call.
func intercepted() gathering.Ports {
	return gatheringtest.Intercept(gatheringtest.NewMemory().Ports(time.Now), kittest.PassThrough)
}

func TestInterceptedMemory(t *testing.T) {
	gatheringtest.RunStorage(t, func(*testing.T) gatheringtest.Storage {
		p := intercepted()
		return struct {
			gathering.Athletes
			gathering.Inboxes
			gathering.JobQueue
			gathering.Webhooks
			gathering.Inventory
		}{p.Athletes, p.Inboxes, p.Jobs, p.Webhooks, p.Inventory}
	})
	quotatest.Run(t, func(*testing.T) quota.Budgets { return intercepted().Budgets })
}

func TestEveryCallIsIntercepted(t *testing.T) {
	ports := gatheringtest.NewMemory().Ports(time.Now)
	ports.Strava = struct{ gathering.Strava }{}
	ports.CheckSubscription = func(context.Context, credentialsv1.CheckSubscriptionRequest) (credentialsv1.CheckSubscriptionResponse, error) {
		panic("not called")
	}
	kittest.RunIntercept(t, gatheringtest.Boundary, gatheringtest.StaleReads, ports, gatheringtest.Intercept)
}

func TestAnUpdateOfADroppedTombstoneStartsOver(t *testing.T) {
	s := gatheringtest.NewStore()
	kittest.RunDropped(t, func(change func(*gathering.Athlete) (bool, error)) error {
		_, err := s.Update(t.Context(), 7, change)
		return err
	}, func(a *gathering.Athlete) { a.RevokedAt = time.Now() }, s.DropExpired)
}
