package activity_test

import (
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// Strava's visibilities (seen in its answers; not in its reference).
const (
	everyone  = "everyone"
	followers = "followers_only"
	onlyMe    = "only_me"
)

// For all scopes and all changes of an activity's visibility, the athlete sees
// what the scopes cover, and nothing else is stored (Strava, "Authentication"
// and "Webhooks").
func TestVisibilityByScope(t *testing.T) {
	for _, grant := range []struct {
		scopes []string
		shows  []string
		// webhook is set if Strava's webhook reports changes from and to private. It
		// reports no other changes of visibility.
		webhook bool
	}{
		// No connect is accepted without either; what it would show is nothing.
		{scopes: []string{"read"}},
		{scopes: []string{"profile:read_all", "activity:write"}},
		{scopes: []string{"read", "activity:read"}, shows: []string{everyone, followers}, webhook: true},
		// Activity webhooks need activity:read.
		{scopes: []string{"read", "activity:read_all"}, shows: []string{everyone, followers, onlyMe}},
		{scopes: []string{"read", "activity:read", "activity:read_all"}, shows: []string{everyone, followers, onlyMe}, webhook: true},
	} {
		for _, from := range []string{everyone, followers, onlyMe} {
			for _, to := range []string{everyone, followers, onlyMe} {
				one := func(visibility string) gatheringv1.Activity {
					a := activitytest.Activity(1, 1, "")
					a.Visibility, a.Private = visibility, visibility == onlyMe
					return a
				}
				covered := func(visibility string) bool { return slices.Contains(grant.shows, visibility) }
				for way, hear := range map[string]func(p *plane){
					// An update, or a delete or create when the grant does not cover
					// the one side, makes the gathering read it again.
					"webhook": func(p *plane) {
						switch {
						case !grant.webhook || from != onlyMe && to != onlyMe:
						case covered(to):
							kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 1, nil, one(to))))
						default:
							kittest.Must(t, p.ActivityGone(t.Context(), p.cause(), gatheringv1.ActivityGone{
								AthleteID: 1, Generation: gen1, ActivityID: 1, ReadAt: activitytest.At(1),
							}))
						}
					},
					// A scan finds what the grant covers.
					"scan": func(p *plane) {
						chunk := gathered(gen1, 1, &gatheringv1.ScanChunk{ScanID: "s"})
						if covered(to) {
							chunk.Activities = append(chunk.Activities, one(to))
						}
						kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), chunk))
						kittest.Must(t, p.ScanProgressed(t.Context(), p.cause(), completed(gen1, "s", 1, 1)))
					},
					// Should Strava show too much, it is not kept.
					"an answer beyond the grant": func(p *plane) {
						kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 1, nil, one(to))))
					},
				} {
					p := newPlane()
					kittest.Must(t, p.AthleteAuthorized(t.Context(), p.cause(), credentialsv1.AthleteAuthorized{AthleteID: 1, Generation: gen1, Scopes: grant.scopes}))
					if covered(from) {
						kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 0, nil, one(from))))
					}
					hear(p)
					_, err := p.reader.Get(t.Context(), activity.Authorization{AthleteID: 1, Generation: gen1}, 1)
					if shown := err == nil; shown != covered(to) {
						t.Errorf("%v, %s to %s by %s: shown is %v", grant.scopes, from, to, way, shown)
					}
					records, err := p.store.Records(t.Context(), 1)
					kittest.Must(t, err)
					for _, r := range records {
						if r.Activity != nil && !covered(r.Activity.Visibility) {
							t.Errorf("%v, %s to %s by %s: it is kept", grant.scopes, from, to, way)
						}
					}
				}
			}
		}
	}
}

// If an athlete withdraws the right to read activities at Strava, none is shown
// or stored, in every order of the events. They return when the athlete
// reconnects.
func TestAWithdrawnScopeRemovesActivities(t *testing.T) {
	by := activity.Authorization{AthleteID: 1, Generation: gen1}
	degraded := credentialsv1.AuthorizationDegraded{AthleteID: 1, Generation: gen1, Reason: credentialsv1.DegradedScopeMissing}
	done := progress(gen1, "s", 1, gatheringv1.ScanCompleted, 1)
	stopped := progress(gen1, "s", 2, gatheringv1.ScanWaiting, 1)
	stopped.WaitingFor = gatheringv1.WaitingForReconnect
	events := []func(p *plane) error{
		func(p *plane) error { return p.AuthorizationDegraded(t.Context(), p.cause(), degraded) },
		func(p *plane) error {
			return p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 0, &gatheringv1.ScanChunk{ScanID: "s"}, activitytest.Activity(1, 1, "")))
		},
		func(p *plane) error { return p.ScanProgressed(t.Context(), p.cause(), done) },
		func(p *plane) error { return p.ScanProgressed(t.Context(), p.cause(), stopped) },
	}
	for _, order := range [][]int{{1, 2, 0, 3}, {1, 2, 3, 0}, {0, 3, 2, 1, 0}, {3, 0, 1, 2}, {1, 0, 1, 2, 3}} {
		p := newPlane()
		kittest.Must(t, p.AthleteAuthorized(t.Context(), p.cause(), credentialsv1.AthleteAuthorized{AthleteID: 1, Generation: gen1, Scopes: []string{"activity:read"}}))
		for _, i := range order {
			kittest.Must(t, events[i](p))
		}
		page, err := p.reader.List(t.Context(), by, activity.Selection{In: activity.Everything(), Limit: 9})
		kittest.Must(t, err)
		stats, err := p.reader.Stats(t.Context(), by, activity.Year, "")
		kittest.Must(t, err)
		status, err := p.reader.Sync(t.Context(), by)
		kittest.Must(t, err)
		if len(page.Records) != 0 || stats.Total.Count != 0 || status.State != activity.Waiting || status.WaitingFor != gatheringv1.WaitingForReconnect ||
			status.Gathered != 0 && order[len(order)-1] == 0 {
			t.Errorf("in the order %v: %v, %+v, %+v", order, page.Records, stats, status)
		}
		kittest.Must(t, p.AthleteAuthorized(t.Context(), p.cause(), credentialsv1.AthleteAuthorized{AthleteID: 1, Generation: gen2, Scopes: []string{"activity:read"}}))
		kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen2, 0, &gatheringv1.ScanChunk{ScanID: "s2"}, activitytest.Activity(1, 1, ""))))
		if page, err := p.reader.List(t.Context(), by, activity.Selection{In: activity.Everything(), Limit: 9}); err != nil || len(page.Records) != 1 {
			t.Errorf("in the order %v: after connecting again %v, %v", order, page.Records, err)
		}
	}
	// Refused tokens do not remove activities.
	p := newPlane()
	kittest.Must(t, events[1](p))
	degraded.Reason = credentialsv1.DegradedTokenRefused
	kittest.Must(t, events[0](p))
	if page, err := p.reader.List(t.Context(), by, activity.Selection{In: activity.Everything(), Limit: 9}); err != nil || len(page.Records) != 1 {
		t.Errorf("after refused tokens: %v, %v", page.Records, err)
	}
}

// Reconnecting with fewer scopes removes Only You activities at once, and late
// events do not bring them back.
func TestFewerScopesRemoveOnlyYou(t *testing.T) {
	hidden, public := activitytest.Activity(1, 1, "hidden"), activitytest.Activity(2, 2, "public")
	hidden.Visibility = onlyMe
	events := []func(p *plane) error{
		func(p *plane) error {
			return p.AthleteAuthorized(t.Context(), p.cause(), credentialsv1.AthleteAuthorized{AthleteID: 1, Generation: gen1, Scopes: []string{"activity:read_all"}})
		},
		func(p *plane) error {
			return p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 0, nil, hidden, public))
		},
		func(p *plane) error {
			return p.AthleteAuthorized(t.Context(), p.cause(), credentialsv1.AthleteAuthorized{AthleteID: 1, Generation: gen2, Scopes: []string{"activity:read"}})
		},
	}
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {2, 0, 1}} {
		p := newPlane()
		for _, i := range order {
			kittest.Must(t, events[i](p))
		}
		page, err := p.reader.List(t.Context(), activity.Authorization{AthleteID: 1, Generation: gen2}, activity.Selection{In: activity.Everything(), Limit: 9})
		kittest.Must(t, err)
		if len(page.Records) != 1 || page.Records[0].Activity.ID != 2 {
			t.Errorf("in the order %v: %v", order, page.Records)
		}
	}
}

// An activity that was not read again for seven days is unreadable from that
// moment on, by every query, whether it was deleted or not.
func TestOldActivitiesAreUnreadableAtOnce(t *testing.T) {
	by := activity.Authorization{AthleteID: 1, Generation: gen1}
	p := newPlane()
	kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 0, &gatheringv1.ScanChunk{ScanID: "s"}, activitytest.Activity(1, 1, ""))))
	kittest.Must(t, p.ActivitiesGathered(t.Context(), p.cause(), gathered(gen1, 3000, nil, activitytest.Activity(2, 2, ""))))
	kittest.Must(t, p.ScanProgressed(t.Context(), p.cause(), progress(gen1, "s", 1, gatheringv1.ScanCompleted, 1)))
	for _, step := range []struct {
		now  time.Time
		want int
	}{
		{activitytest.At(0).Add(retention.StravaData - 1), 2},
		{activitytest.At(0).Add(retention.StravaData), 1},
		{activitytest.At(3000).Add(retention.StravaData - 1), 1},
		{activitytest.At(3000).Add(retention.StravaData), 0},
	} {
		p.now = step.now
		page, err := p.reader.List(t.Context(), by, activity.Selection{In: activity.Everything(), Limit: 9})
		kittest.Must(t, err)
		stats, err := p.reader.Stats(t.Context(), by, activity.Year, "")
		kittest.Must(t, err)
		got := 0
		for id := range int64(3) {
			if _, err := p.reader.Get(t.Context(), by, id); err == nil {
				got++
			}
		}
		if len(page.Records) != step.want || int(stats.Total.Count) != step.want || got != step.want {
			t.Errorf("at %s: %d listed, %d counted, %d got; want %d", step.now, len(page.Records), stats.Total.Count, got, step.want)
		}
		sync, err := p.reader.Sync(t.Context(), by)
		kittest.Must(t, err)
		if first := step.want == 2; (sync.Gathered == 1) != first || (sync.State == activity.Current) != first {
			t.Errorf("at %s: the sync is %+v", step.now, sync)
		}
	}
	// The sweeper deletes what is too old and nothing else.
	p.now = activitytest.At(0).Add(retention.StravaData)
	kittest.Must(t, p.sweeper.Sweep(t.Context()))
	records, err := p.store.Records(t.Context(), 1)
	kittest.Must(t, err)
	if len(records) != 1 || records[0].Activity.ID != 2 {
		t.Errorf("left are %v", records)
	}
}
