package sim

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

func TestExpiredItemsDisappearWithinTwoDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(newPlan(1))
		defer w.close()
		const states = 100
		for n := range states {
			kittest.Must(t, w.stored.credentials.Store.PutState(t.Context(), fmt.Sprint(n), credentials.ConnectState{ExpiresAt: time.Now()}))
		}
		left := func() (n int) {
			w.stored.credentials.DropExpired(time.Now(), func() bool { n++; return false })
			return n
		}
		w.startTTL()
		w.k.run(time.Now().Add(time.Minute))
		if n := left(); n == 0 || n == states {
			t.Errorf("%d of %d are there after a minute", n, states)
		}
		w.k.run(time.Now().Add(latestDrop + 6*time.Hour))
		if n := left(); n != 0 {
			t.Errorf("%d are there after two days", n)
		}
	})
}
