package handler_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	"github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

func TestStatusShowsTheHealthOfTheWebhook(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 30, 0, time.UTC)
	clock := func() time.Time { return now }
	memory := gatheringtest.NewMemory()
	store := memory.Store
	_, err := store.UpdateWebhook(t.Context(), func(w *gathering.Webhook) (bool, error) {
		w.SubscriptionID, w.LastSeen = 5, now
		w.Callback = gathering.Health{HealthyAt: now}
		w.Subscription = gathering.Health{HealthyAt: now.Add(-time.Hour), FailingSince: now.Add(-time.Minute), Failure: "missing"}
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, age := range []time.Duration{0, 30 * time.Second, time.Minute, 24 * time.Hour, 24*time.Hour + time.Minute} {
		if err := store.CountWebhookEvent(t.Context(), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	v, err := handler.Status(memory.Ports(clock).Overview())(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(v.Webhook)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(`{"subscription_id":5,"last_seen":"2026-11-22T00:00:30Z","callback":{"healthy_at":"2026-11-22T00:00:30Z"},`+
		`"subscription":{"healthy_at":"2026-11-21T23:00:30Z","failing_since":"2026-11-21T23:59:30Z","failure":"missing"},"events_today":2,"events_yesterday":2}`, string(got)); d != "" {
		t.Error(d)
	}
}

func TestStatusShowsThatStravaAnswersNoCall(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 5, 0, 0, time.UTC)
	ports := gatheringtest.NewMemory().Ports(func() time.Time { return now })
	engine := ports.Gatherer().Quota
	for id := range int64(3) {
		permit, err := engine.Acquire(t.Context(), quota.Webhook, now)
		if err != nil {
			t.Fatal(err)
		}
		failed := quota.Answer{Outcome: quota.Unavailable, AthleteID: id + 1, Calls: 1, Began: now, Ended: now, Date: now}
		if _, err := engine.Settle(t.Context(), permit, failed); err != nil {
			t.Fatal(err)
		}
	}
	v, err := handler.Status(ports.Overview())(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v.Paused == nil || v.Paused.Reason != quota.ReasonStrava || v.PausedSince == nil || !v.PausedSince.Equal(now) || v.PausesToday != 1 {
		t.Errorf("status %+v, paused %+v", v, v.Paused)
	}
}
