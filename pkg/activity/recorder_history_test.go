package activity_test

import (
	"flag"
	"testing"

	"github.com/paceline/paceline/pkg/activity/activitytest"
)

var seed = flag.Uint64("seed", 1, "the first of the histories' seeds")

// In random histories athletes always see the newest facts, the totals match
// the activities, and no data is kept for too long.
func TestHistories(t *testing.T) {
	const histories = 10_000
	for n := range uint64(histories) {
		s := activitytest.NewStore()
		err := activitytest.History(t.Context(), activitytest.Subject{WriteStore: s, ReadStore: s, Held: s.Held}, 1, *seed+n, s.DropExpiredRecords)
		if err != nil {
			t.Fatalf("history %d, -seed=%d: %v", n+1, *seed+n, err)
		}
	}
}
