package lambdain_test

import (
	"testing"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/settings"
)

func TestAlarmsLookAtWhatIsCounted(t *testing.T) {
	for counted, looked := range map[string]string{
		gathering.MetricRateLimited:   settings.MetricRateLimited,
		gathering.MetricParked:        settings.MetricParked,
		gathering.MetricFailed:        settings.MetricFailed,
		gathering.MetricOldestWebhook: settings.MetricOldestWebhook,
	} {
		if counted != looked {
			t.Errorf("%s is counted, %s is looked at", counted, looked)
		}
	}
}
