package handler_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	"github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/gathering/metric"
)

func TestAProbeThatHangsStillReports(t *testing.T) {
	memory := gatheringtest.NewMemory()
	store, metrics, ports := memory.Store, memory.Metrics, memory.Ports(time.Now)
	well := time.Now().Add(-time.Hour)
	_, err := store.UpdateWebhook(t.Context(), func(w *gathering.Webhook) (bool, error) {
		w.SubscriptionID, w.Version = 5, 1
		w.Callback, w.Subscription = gathering.Health{HealthyAt: well}, gathering.Health{HealthyAt: well}
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ports.CheckSubscription = func(ctx context.Context, _ credentialsv1.CheckSubscriptionRequest) (credentialsv1.CheckSubscriptionResponse, error) {
		<-ctx.Done()
		return credentialsv1.CheckSubscriptionResponse{}, ctx.Err()
	}
	handle := handler.ProbeWebhook(ports.Probe())
	const invocation = 2100 * time.Millisecond // of which 2 s are kept back
	ctx, cancel := context.WithTimeout(t.Context(), invocation)
	defer cancel()
	if _, err := handle(ctx, handler.ProbeRequest{}); err == nil || ctx.Err() != nil {
		t.Errorf("error %v, and the function's time is over: %v", err, ctx.Err())
	}
	if s := metrics.Of(metric.WebhookUnhealthy); s < 3600 || s > 3700 {
		t.Errorf("%d s reported as unhealthy", s)
	}
	if _, reported := metrics.All()[metric.SubscriptionLost]; !reported {
		t.Error("nothing reported about the subscription")
	}
}

func TestTheScheduleDoesNotAskStravaEachTime(t *testing.T) {
	for event, want := range map[string]bool{
		`{"version":"0","detail-type":"Scheduled Event","source":"aws.scheduler","detail":"{}"}`: false,
		`{}`:                    false,
		`{"ask_strava":true}`:   true,
		`{"ask_strava": false}`: false,
	} {
		var req handler.ProbeRequest
		if err := json.Unmarshal([]byte(event), &req); err != nil {
			t.Fatal(err)
		}
		memory, asked := gatheringtest.NewMemory(), false
		if _, err := memory.Store.UpdateWebhook(t.Context(), func(w *gathering.Webhook) (bool, error) { w.AskedAt = time.Now(); return true, nil }); err != nil {
			t.Fatal(err)
		}
		ports := memory.Ports(time.Now)
		ports.CheckSubscription = func(_ context.Context, check credentialsv1.CheckSubscriptionRequest) (credentialsv1.CheckSubscriptionResponse, error) {
			asked = check.AskStrava
			return credentialsv1.CheckSubscriptionResponse{}, nil
		}
		if _, err := handler.ProbeWebhook(ports.Probe())(t.Context(), req); err != nil || asked != want {
			t.Errorf("%s: Strava asked %t, %v", event, asked, err)
		}
	}
}
