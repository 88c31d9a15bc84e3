package activity_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/kittest"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// One sweep deletes the old data of all athletes, however many they are.
func TestOneSweepIsForAllAthletes(t *testing.T) {
	p := newPlane()
	const athletes = 250 // More than one search finds.
	for id := range int64(athletes) {
		kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gatheringv1.ActivitiesGathered{
			AthleteID: id + 1, Generation: gen1, ReadAt: activitytest.At(0), Activities: []gatheringv1.Activity{activitytest.Activity(1, 1, "")},
		}))
	}
	p.now = activitytest.At(0).Add(retention.StravaData)
	kittest.Must(t, p.sweeper.Sweep(t.Context()))
	for id := range int64(athletes) {
		if records, err := p.store.Records(t.Context(), id+1); err != nil || len(records) > 0 {
			t.Fatalf("athlete %d has %v, %v", id+1, records, err)
		}
	}
}

// failingExpiry fails for one athlete.
type failingExpiry struct {
	activity.WriteStore
	athleteID int64
}

func (f failingExpiry) Expire(ctx context.Context, athleteID int64, until time.Time) error {
	if athleteID == f.athleteID {
		return fault.New(fault.Transient, "throttled")
	}
	return f.WriteStore.Expire(ctx, athleteID, until)
}

// An athlete whose data cannot be deleted does not keep that of others, and is
// named.
func TestASweepGoesOnAfterAFailure(t *testing.T) {
	p := newPlane()
	for id := range int64(3) {
		kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gatheringv1.ActivitiesGathered{
			AthleteID: id + 1, Generation: gen1, ReadAt: activitytest.At(int(id)), Activities: []gatheringv1.Activity{activitytest.Activity(1, 1, "")},
		}))
	}
	p.now = activitytest.At(2).Add(retention.StravaData)
	p.sweeper.Store = failingExpiry{p.sweeper.Store, 1}
	if err := p.sweeper.Sweep(t.Context()); err == nil || !strings.Contains(err.Error(), "athlete 1") {
		t.Errorf("the error is %v", err)
	}
	for id, want := range map[int64]int{1: 1, 2: 0, 3: 0} {
		if records, err := p.store.Records(t.Context(), id); err != nil || len(records) != want {
			t.Errorf("athlete %d has %d activities: %v", id, len(records), err)
		}
	}
}

// Strava's flag "private" alone, without a visibility, makes an activity one
// that only the athlete may see.
func TestAPrivateActivityWithoutAVisibilityIsOnlyYou(t *testing.T) {
	for scope, kept := range map[string]bool{"activity:read": false, "activity:read_all": true} {
		p := newPlane()
		kittest.Must(t, p.AthleteAuthorized(t.Context(), p.cause(), credentialsv1.AthleteAuthorized{AthleteID: 1, Generation: gen1, Scopes: []string{scope}}))
		private, plain := activitytest.Activity(1, 1, ""), activitytest.Activity(2, 2, "")
		private.Private, private.Visibility, plain.Visibility = true, "", ""
		kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 0, nil, private, plain)))
		records, err := p.store.Records(t.Context(), 1)
		kittest.Must(t, err)
		shown := map[int64]bool{}
		for _, r := range records {
			if r.Activity != nil {
				shown[r.Activity.ID] = true
			}
		}
		if shown[1] != kept || !shown[2] {
			t.Errorf("%s: %v", scope, shown)
		}
	}
}
