package sim

import (
	"math/rand/v2"
	"time"

	"github.com/paceline/paceline/pkg/athlete/athletetest"
)

// latestDrop is how long after it has expired an item is there at most. DynamoDB
// says within a few days.
const latestDrop = 48 * time.Hour

// startTTL drops expired items every few hours from now on, as DynamoDB does:
// some at once, others late.
func (w *world) startTTL() {
	random := rng(w.plan.Seed, "ttl", 0)
	var drop func()
	drop = func() {
		w.k.after(time.Hour+time.Duration(random.Int64N(int64(5*time.Hour))), drop)
		w.dropExpired(random)
	}
	w.k.after(0, drop)
}

func (w *world) dropExpired(random *rand.Rand) {
	dropped := 0
	count := func(is bool) bool {
		if is {
			dropped++
		}
		return is
	}
	for _, dropExpired := range []func(time.Time, func() bool){
		w.stored.credentials.DropExpired, w.stored.gathering.Store.DropExpired,
		w.stored.athlete.Accounts.(*athletetest.Accounts).DropExpired, w.stored.activity.Store.DropExpired,
	} {
		dropExpired(time.Now().Add(-latestDrop), func() bool { return count(true) })
		dropExpired(time.Now(), func() bool { return count(random.IntN(4) == 0) })
	}
	if dropped > 0 {
		w.story.action("DynamoDB drops %d expired items", dropped)
	}
}
