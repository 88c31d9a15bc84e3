package handler_test

import (
	"slices"
	"testing"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/gathering/settings"
)

func TestAlarmsAndDashboardLookAtWhatIsCounted(t *testing.T) {
	for counted, looked := range map[string]string{
		gathering.MetricRateLimited:   settings.MetricRateLimited,
		gathering.MetricParked:        settings.MetricParked,
		gathering.MetricFailed:        settings.MetricFailed,
		gathering.MetricPaused:        settings.MetricPaused,
		gathering.MetricOldestWebhook: settings.MetricOldestWebhook,
		gathering.MetricWebhookEvents: settings.MetricWebhookEvents,

		gathering.MetricWebhookUnwell:    settings.MetricWebhookUnwell,
		gathering.MetricSubscriptionLost: settings.MetricSubscriptionLost,
	} {
		if counted != looked {
			t.Errorf("%s is counted, %s is looked at", counted, looked)
		}
	}
	var calls []string
	for _, c := range quota.Classes {
		calls = append(calls, gathering.MetricCalls(c))
	}
	if !slices.Equal(calls, settings.MetricsCalls) {
		t.Errorf("%v are counted, %v looked at", calls, settings.MetricsCalls)
	}
}
