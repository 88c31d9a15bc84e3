package handler_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/activity/handler"
	"github.com/paceline/paceline/pkg/activity/metric"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/emf"
)

func TestAuditCountsByAge(t *testing.T) {
	const day = 24 * time.Hour
	now := activitytest.At(0)
	clock := func() time.Time { return now }
	ports := activitytest.NewPorts(clock)
	for id, age := range []time.Duration{0, day - 1, day, 6 * day, 7 * day, 7*day + 2*time.Hour, 7*day + 2*time.Hour + 1, 30 * day} {
		err := ports.Store.Put(t.Context(), activity.Reading{
			By: activity.Authorization{AthleteID: int64(id + 1), Generation: activitytest.Gen1}, At: now.Add(-age),
			Activities: []gatheringv1.Activity{activitytest.Activity(int64(id+1), 0, "")},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	metrics := emf.New(&out, clock, metric.Namespace, "test")
	audit := emf.Flushing(metrics, handler.Audit(ports.Auditor(), metrics, discard))
	if _, err := audit(t.Context(), struct{}{}); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	// Two activities are too old, and the totals of one: totals are as old as the
	// end of the hour in which it was read.
	for metric, want := range map[string]float64{
		"ActivitiesReadDaysAgo0": 2, "ActivitiesReadDaysAgo1": 1, "ActivitiesReadDaysAgo2": 0, "ActivitiesReadDaysAgo6": 1,
		"ActivitiesReadDaysAgo7": 4, "KeptTooLong": 3,
	} {
		if got[metric] != want {
			t.Errorf("%s is %v, want %v", metric, got[metric], want)
		}
	}
}
