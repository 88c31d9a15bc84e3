package gatheringtest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/gathering"
)

// taken is what an inventory visited.
type taken struct {
	athletes map[int64]gathering.Athlete
	inboxes  map[int64]gathering.Inbox
	events   []time.Time
}

// inventory visits everything, and calls each for every athlete.
func inventory(t *testing.T, s Storage, each func(id int64)) taken {
	t.Helper()
	got := taken{athletes: map[int64]gathering.Athlete{}, inboxes: map[int64]gathering.Inbox{}}
	err := s.Each(t.Context(), func(a gathering.Athlete) {
		if _, twice := got.athletes[a.ID]; twice {
			t.Errorf("athlete %d was visited twice", a.ID)
		}
		got.athletes[a.ID] = a
		each(a.ID)
	}, func(m gathering.Inbox) {
		got.inboxes[m.AthleteID] = m
	}, func(receivedAt time.Time) {
		got.events = append(got.events, receivedAt)
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got.events, time.Time.Compare)
	return got
}

func eventsAreCountedByDay(t *testing.T, s Storage) {
	midnight := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	east, west := time.FixedZone("", 9*60*60), time.FixedZone("", -9*60*60)
	events := []time.Time{midnight.Add(-1).In(east), midnight, midnight.In(west), midnight.Add(24*time.Hour - 1).In(east)}
	ctx := context.WithoutCancel(t.Context())
	var wg sync.WaitGroup
	for _, at := range events {
		wg.Go(func() {
			if err := s.CountWebhookEvent(ctx, at); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for day, want := range map[time.Time]int{
		midnight.Add(-24 * time.Hour): 1, midnight.Add(-1): 1, midnight: 3, midnight.Add(8 * time.Hour).In(west): 3, midnight.Add(24 * time.Hour): 0,
	} {
		if n, err := s.WebhookEvents(t.Context(), day); err != nil || n != want {
			t.Errorf("%s: %d events, %v, want %d", day, n, err, want)
		}
	}
	if w, err := s.Webhook(t.Context()); err != nil || w != (gathering.Webhook{}) {
		t.Errorf("the webhook is %+v, %v", w, err)
	}
}

func inventoryVisitsEverything(t *testing.T, s Storage) {
	want := taken{athletes: map[int64]gathering.Athlete{}, inboxes: map[int64]gathering.Inbox{}}
	hint := func(id int64) gathering.Hint {
		return gathering.Hint{Aspect: gathering.AspectCreate, ActivityID: id, EventTime: 1, ReceivedAt: at(int(id)).Add(9e8)}
	}
	for id := range int64(40) {
		a := gathering.Athlete{ID: id + 1, Generation: 5, State: gathering.Active, JoinedAt: at(-99), ProfileReadAt: at(1)}
		if id == 0 {
			a = gathering.Athlete{ID: 1, Generation: 5, State: gathering.Revoked, RevokedAt: at(0)}
		}
		if _, err := s.Update(t.Context(), a.ID, func(stored *gathering.Athlete) (bool, error) { *stored = a; return true, nil }); err != nil {
			t.Fatal(err)
		}
		want.athletes[a.ID] = a
	}
	for _, id := range []int64{2, 3} {
		open(t, s, id, 5)
		if d, err := s.Deliver(t.Context(), id, "a", hint(id)); err != nil || d != gathering.Delivered {
			t.Fatal(d, err)
		}
		want.inboxes[id] = inbox(t, s, id)
		want.events = append(want.events, at(int(id))) // A digest expires at a whole second.
	}
	// These items are about no athlete.
	_, err := s.UpdateWebhook(t.Context(), func(w *gathering.Webhook) (bool, error) { w.Version = 1; return true, nil })
	if err := errors.Join(err, s.CountWebhookEvent(t.Context(), at(0))); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, inventory(t, s, func(int64) {}), cmp.AllowUnexported(taken{})); d != "" {
		t.Error(d)
	}
	// An athlete may be updated during the visit.
	inventory(t, s, func(id int64) {
		if _, err := s.Update(t.Context(), id, func(a *gathering.Athlete) (bool, error) { a.JoinedAt = time.Time{}; return true, nil }); err != nil {
			t.Error(err)
		}
	})
	for _, a := range inventory(t, s, func(int64) {}).athletes {
		if !a.JoinedAt.IsZero() {
			t.Errorf("the athlete was not changed during the visit: %+v", a)
		}
	}
}

func webhookIsStoredWhole(t *testing.T, s Storage) {
	if w, err := s.Webhook(t.Context()); err != nil || w != (gathering.Webhook{}) {
		t.Fatalf("before it was configured: %+v, error %v", w, err)
	}
	for _, want := range []gathering.Webhook{
		{CallbackKeySHA256: "k", VerifyTokenSHA256: "v", Version: 1},
		{
			CallbackKeySHA256: "k", VerifyTokenSHA256: "v", SubscriptionID: 9, Version: 2, LastSeen: at(1),
			Callback:     gathering.Health{HealthyAt: at(2), FailingSince: at(3), Failure: "the callback answered with status 503"},
			Subscription: gathering.Health{HealthyAt: at(4), FailingSince: at(5), Failure: "missing"}, AskedAt: at(6),
			Gap: gathering.Gap{From: at(0), To: at(1), Planned: true},
		},
	} {
		if _, err := s.UpdateWebhook(t.Context(), func(w *gathering.Webhook) (bool, error) { *w = want; return true, nil }); err != nil {
			t.Fatal(err)
		}
		if w, err := s.Webhook(t.Context()); err != nil || w != want {
			t.Fatalf("webhook %+v, error %v", w, err)
		}
	}
}
