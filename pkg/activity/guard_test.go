package activity_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/retention"
)

func scanOf(generation int64, began int) activity.CompletedScan {
	return activity.CompletedScan{Generation: generation, Began: activitytest.At(began), Covered: []activity.Range{activity.Everything()}}
}

// When an authorization ends, the guard drops its scan, in whichever order the
// two are reported, and keeps the scan of a later authorization.
func TestTheGuardDropsTheScanOfARevokedAuthorization(t *testing.T) {
	expires := activitytest.At(0).Add(retention.Tombstone)
	later := scanOf(gen2, 1)
	for name, tc := range map[string]struct {
		moves []func(*activity.Guard) bool
		want  activity.Guard
	}{
		"scanned, then revoked": {
			[]func(*activity.Guard) bool{
				func(g *activity.Guard) bool { return g.Scanned(scanOf(gen1, 1)) },
				func(g *activity.Guard) bool { return g.Revoke(gen1, expires) },
			},
			activity.Guard{Revoked: gen1, Expires: expires},
		},
		"revoked, then scanned": {
			[]func(*activity.Guard) bool{
				func(g *activity.Guard) bool { return g.Revoke(gen1, expires) },
				func(g *activity.Guard) bool { return !g.Scanned(scanOf(gen1, 1)) },
			},
			activity.Guard{Revoked: gen1, Expires: expires},
		},
		"with a later authorization": {
			[]func(*activity.Guard) bool{
				func(g *activity.Guard) bool { return g.Scanned(scanOf(gen1, 1)) },
				func(g *activity.Guard) bool { return g.Authorize(gen2, activity.CoversOnlyYou) },
				func(g *activity.Guard) bool { return g.Revoke(gen1, expires) },
			},
			activity.Guard{Authorized: gen2, Revoked: gen1},
		},
		"with a later authorization's scan": {
			[]func(*activity.Guard) bool{
				func(g *activity.Guard) bool { return g.Scanned(later) },
				func(g *activity.Guard) bool { return g.Revoke(gen1, expires) },
			},
			activity.Guard{Revoked: gen1, Scan: &later},
		},
	} {
		var g activity.Guard
		for i, move := range tc.moves {
			if !move(&g) {
				t.Errorf("%s: move %d says otherwise", name, i)
			}
		}
		if d := cmp.Diff(tc.want, g); d != "" {
			t.Errorf("%s (-want +got)\n%s", name, d)
		}
	}
}

// A scan whose chunks have expired can no longer be reconciled, and its ranges
// expire with them: the space between them shows when activities started.
func TestAnExpiredScanLeavesNoRanges(t *testing.T) {
	var s activity.Sync
	s.Report(completed(gen1, "s", 1, 0))
	s.Store(gen1, gatheringv1.ScanChunk{ScanID: "s"}, activity.StoredChunk{Activities: 1, ReadAt: activitytest.At(1)})
	if s.Expire(activitytest.At(0)) || s.Covered == nil || !s.Ended(activitytest.At(0)) {
		t.Errorf("expired too early: %+v", s)
	}
	if !s.Expire(activitytest.At(1)) || s.Covered != nil || s.Ended(time.Time{}) {
		t.Errorf("left is %+v", s)
	}
}
