package ddb_test

import (
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/activity/ddb"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/dynamo/dynamotest"
	"github.com/paceline/paceline/pkg/kit/kittest"
	"github.com/paceline/paceline/pkg/kit/retention"
)

func TestRecordsAndGuardsExpire(t *testing.T) {
	by := activity.Authorization{AthleteID: 7, Generation: 5}
	at := time.Date(2026, 7, 1, 12, 0, 0, 700_000_000, time.UTC)
	ride := gatheringv1.Activity{ID: 1, StartDate: "2026-06-30T12:00:00Z", StartDateLocal: "2026-06-30T12:00:00Z"}
	for name, write := range map[string]func(activity.WriteStore) error{
		"activity": func(s activity.WriteStore) error {
			return s.Put(t.Context(), activity.Reading{By: by, At: at, Activities: []gatheringv1.Activity{ride}})
		},
		"deletion": func(s activity.WriteStore) error {
			return s.PutDeletion(t.Context(), activity.Deletion{By: by, At: at, ActivityID: 1})
		},
		"guard": func(s activity.WriteStore) error {
			return s.UpdateGuard(t.Context(), 7, func(g *activity.Guard) (bool, error) { return g.Revoke(5, at.Add(retention.Tombstone)), nil })
		},
		"guard in use": func(s activity.WriteStore) error {
			return s.UpdateGuard(t.Context(), 7, func(g *activity.Guard) (bool, error) { return g.Authorize(5, activity.CoversShared), nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			var written dynamotest.LastWrite
			memory := activitytest.NewStore()
			for _, s := range []activity.WriteStore{ddb.New(&written, "table"), memory} {
				kittest.Must(t, write(s))
			}
			if expires := written.ExpiresAt(); name == "guard in use" && !expires.IsZero() || name != "guard in use" && expires.Unix() != at.Add(retention.Tombstone).Unix() {
				t.Errorf("expires at %s", expires)
			}
			written.Expires(t, memory.DropExpired)
		})
	}
}
