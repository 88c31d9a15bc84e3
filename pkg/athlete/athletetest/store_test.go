package athletetest_test

import (
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/athletetest"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

func newPorts(*testing.T) athlete.Ports {
	ports, _ := athletetest.NewPorts(time.Now)
	return ports
}

func TestStoresInMemoryConform(t *testing.T) {
	t.Run("plain", func(t *testing.T) { athletetest.Run(t, newPorts) })
	t.Run("intercepted", func(t *testing.T) {
		athletetest.Run(t, func(t *testing.T) athlete.Ports { return athletetest.Intercept(newPorts(t), kittest.PassThrough) })
	})
}

func TestEveryCallIsIntercepted(t *testing.T) {
	kittest.RunIntercept(t, athletetest.Boundary, nil, newPorts(t), athletetest.Intercept)
}

func TestAnUpdateOfADroppedAccountStartsOver(t *testing.T) {
	var s athletetest.Accounts
	kittest.RunDropped(t, func(change func(*athlete.Account) (bool, error)) error {
		_, err := s.Update(t.Context(), 7, change)
		return err
	}, func(a *athlete.Account) { a.ExpiresAt = time.Now() }, s.DropExpired)
}
